// Admin: captures, whose answer is preceded by lines with the file.
#include "codecs/base/base64.h"
#include "controlplane/admin/request.h"

namespace ifgw::admin {

void Admin::capture_start(const Request& r) {
  CaptureRequest request;
  if (r.args.contains("leg")) {
    const auto leg = core::parse_leg(r.text("leg"));
    if (!leg) return r.refuse(kUsage, "\"leg\" must be a media leg like 0:17:3 (ifgw legs show)");
    request.leg = *leg;
    if (const core::Call* call = ports_.calls.call_of(*leg, nullptr)) {
      request.call = call->id;
      request.trace_id = call->trace_id;
    }
  }
  if (r.args.contains("source")) {
    const auto source = IpPrefix::parse(r.text("source"));
    if (!source) return r.refuse(kUsage, "\"source\" must be an address, or a prefix like 192.0.2.0/24, host bits zero");
    request.source = *source;
  }
  for (const auto& [key, target] : {std::pair{"seconds", &request.seconds}, std::pair{"bytes", &request.bytes}}) {
    *target = r.number(key);
    if (r.args.contains(key) && !*target) return r.refuse(kUsage, std::string{"\""} + key + "\" must be a whole number");
  }
  request.headers_only = r.flag("headers_only");
  CaptureReader reader;
  reader.on_data = [r](std::string_view bytes) {
    std::string line = "{\"id\":" + Request::dump(r.id) + ",\"data\":\"";
    encode_base64(bytes, line);
    r.reply(line.append("\"}"));
  };
  reader.on_refused = [r](bool usage, const std::string& error) { r.refuse(usage ? kUsage : kFailed, error); };
  reader.on_end = [r](const CaptureSummary& s) {
    r.ok({{"end", s.end},
          {"payload", s.payload ? "full" : "headers"},
          {"packets", s.packets},
          {"bytes", s.bytes},
          {"lost_ring", s.lost_ring},
          {"lost_reader", s.lost_reader},
          {"seconds", s.seconds}});
  };
  reader.unread_bytes = [this, connection = r.who.connection] {
    return ports_.unsent_bytes ? ports_.unsent_bytes(connection) : std::size_t{0};
  };
  captures_.start(request, r.who, std::move(reader), r.now);
}

void Admin::capture_stop(const Request& r) {
  if (!captures_.stop(r.who.connection, r.now)) return r.refuse(kFailed, "no capture was started over this connection");
  r.ok({{"stopping", true}});
}

}  // namespace ifgw::admin
