#include "controlplane/sip/request.h"

#include "controlplane/sip/prescan.h"
#include "controlplane/sip/text.h"

namespace ifgw::sip {
namespace {

void line(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  append_safe(out, value);
  out.append("\r\n");
}

// A request on the INVITE's own transaction: its Via (the only one), Routes, From, Call-ID and trace id, another
// method.
std::string same_transaction(std::string_view invite, std::string_view method, std::string_view to) {
  const PreScan scan = prescan(as_bytes(invite));
  std::string out;
  out.reserve(scan.headers.size());
  out.append(method).append(" ").append(scan.request_uri).append(" SIP/2.0\r\n");
  HeaderWalker walker(scan.headers);
  HeaderField field;
  while (walker.next(field)) {
    if (field.id == HeaderId::Via || field.id == HeaderId::Route || field.id == HeaderId::From || field.id == HeaderId::CallId ||
        same(field.name, kTraceHeader))
      line(out, field.name, field.value);
  }
  line(out, "To", to.empty() ? scan.to : to);
  line(out, "CSeq", std::to_string(scan.cseq) + " " + std::string(method));
  out.append("Max-Forwards: 70\r\n");
  return out;
}

}  // namespace

std::string contact_value(const AdvertisedAddress& address, bool secure) {
  std::string out = secure ? "<sips:" : "<sip:";
  out += address.host + ":" + std::to_string(address.port);
  if (!secure && address.transport != Transport::Udp) out += ";transport=" + std::string(transport_name(address.transport));
  return out + ">";
}

std::string make_request(const RequestParts& parts) {
  std::string out;
  out.reserve(640 + parts.sdp.size() + parts.request_uri.size());
  out.append(parts.method).append(" ");
  append_safe(out, parts.request_uri);
  out.append(" SIP/2.0\r\nVia: SIP/2.0/").append(transport_token(parts.from_here->transport)).append(" ");
  out.append(parts.from_here->host).append(":").append(std::to_string(parts.from_here->port));
  out.append(";branch=").append(parts.branch).append(";rport\r\n");
  if (parts.routes != nullptr) {
    for (const std::string& route : *parts.routes) line(out, "Route", route);
  }
  line(out, "Max-Forwards", std::to_string(parts.max_forwards));
  line(out, "From", parts.from);
  line(out, "To", parts.to);
  line(out, "Call-ID", parts.call_id);
  line(out, "CSeq", std::to_string(parts.cseq) + " " + std::string(parts.method));
  if (parts.contact) {
    line(out, "Contact", contact_value(*parts.from_here, parts.secure_contact));
    line(out, "Allow", kAllow);
  }
  line(out, "User-Agent", parts.product);
  if (!parts.trace_id.empty()) line(out, kTraceHeader, parts.trace_id);
  if (parts.extra != nullptr) {
    for (const auto& [name, value] : *parts.extra) line(out, name, value);
  }
  if (!parts.reason.empty()) line(out, "Reason", parts.reason);
  if (!parts.sdp.empty()) out.append("Content-Type: application/sdp\r\n");
  out.append("Content-Length: ").append(std::to_string(parts.sdp.size())).append("\r\n\r\n").append(parts.sdp);
  return out;
}

std::string make_failure_ack(std::string_view invite, std::string_view response_to) {
  return same_transaction(invite, "ACK", unfold(response_to)) + "Content-Length: 0\r\n\r\n";
}

std::string make_cancel(std::string_view invite, std::string_view reason, std::string_view product) {
  std::string out = same_transaction(invite, "CANCEL", {});
  line(out, "User-Agent", product);
  if (!reason.empty()) line(out, "Reason", reason);
  return out + "Content-Length: 0\r\n\r\n";
}

}  // namespace ifgw::sip
