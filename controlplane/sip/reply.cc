#include "controlplane/sip/reply.h"

#include "controlplane/sip/request.h"
#include "controlplane/sip/text.h"

namespace ifgw::sip {
namespace {

// The top Via value with received and rport filled in; the first of `value`'s list only.
void append_top_via(std::string& out, std::string_view value, const TopVia& via, const Endpoint& source) {
  bool received_written = false;
  std::size_t at = find_outside(value, ';');
  append_safe(out, value.substr(0, at));
  while (at != std::string_view::npos) {
    const std::size_t next = find_outside(value, ';', at + 1);
    const std::string_view one = value.substr(at + 1, next == std::string_view::npos ? next : next - at - 1);
    const std::string_view name = trim(one.substr(0, one.find('=')));
    at = next;
    if (same(name, "received")) continue;  // only the server that sees the source may say it
    if (same(name, "rport")) {
      out.append(";received=").append(source.ip.text()).append(";rport=").append(std::to_string(source.port));
      received_written = true;
      continue;
    }
    out.push_back(';');
    append_safe(out, trim(one));
  }
  if (received_written) return;
  std::string_view host = via.host;
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  if (IpAddress::parse(host) != source.ip) out.append(";received=").append(source.ip.text());
}

void append_via(std::string& out, std::string_view value, bool top, const TopVia& via, const Endpoint& source) {
  out.append("Via: ");
  if (!top) {
    append_safe(out, value);
  } else {
    std::string_view rest;
    append_top_via(out, split_comma(value, rest), via, source);
    if (!rest.empty()) {
      out.append(", ");
      append_safe(out, rest);
    }
  }
  out.append("\r\n");
}

struct Phrase {
  int status;
  std::string_view text;
};
constexpr Phrase kPhrases[] = {
    {100, "Trying"},
    {180, "Ringing"},
    {181, "Call Is Being Forwarded"},
    {182, "Queued"},
    {183, "Session Progress"},
    {200, "OK"},
    {202, "Accepted"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Moved Temporarily"},
    {305, "Use Proxy"},
    {380, "Alternative Service"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {410, "Gone"},
    {413, "Request Entity Too Large"},
    {414, "Request-URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Unsupported URI Scheme"},
    {420, "Bad Extension"},
    {421, "Extension Required"},
    {422, "Session Interval Too Small"},
    {423, "Interval Too Brief"},
    {480, "Temporarily Unavailable"},
    {481, "Call/Transaction Does Not Exist"},
    {482, "Loop Detected"},
    {483, "Too Many Hops"},
    {484, "Address Incomplete"},
    {485, "Ambiguous"},
    {486, "Busy Here"},
    {487, "Request Terminated"},
    {488, "Not Acceptable Here"},
    {491, "Request Pending"},
    {493, "Undecipherable"},
    {500, "Server Internal Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Server Time-out"},
    {505, "Version Not Supported"},
    {513, "Message Too Large"},
    {600, "Busy Everywhere"},
    {603, "Decline"},
    {604, "Does Not Exist Anywhere"},
    {606, "Not Acceptable"},
};

void line(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  append_safe(out, value);
  out.append("\r\n");
}

}  // namespace

std::string_view reason_phrase(int status) noexcept {
  for (const Phrase& phrase : kPhrases) {
    if (phrase.status == status) return phrase.text;
  }
  return "Response";
}

std::string make_stem(const PreScan& request, const Endpoint& source, std::string_view local_tag) {
  std::string out;
  out.reserve(request.headers.size() + 96);
  HeaderWalker walker(request.headers);
  HeaderField field;
  bool top = true;
  while (walker.next(field)) {
    switch (field.id) {
      case HeaderId::Via:
        append_via(out, field.value, top, request.via, source);
        top = false;
        break;
      case HeaderId::RecordRoute: line(out, "Record-Route", field.value); break;
      default: break;
    }
  }
  // A malformed request may lack any of these; its 400 repeats those it had.
  if (!request.from.empty()) line(out, "From", request.from);
  if (!request.to.empty()) {
    out.append("To: ");
    append_safe(out, request.to);
    if (request.to_tag.empty() && !local_tag.empty()) out.append(";tag=").append(local_tag);
    out.append("\r\n");
  }
  if (!request.call_id.empty()) line(out, "Call-ID", request.call_id);
  if (!request.cseq_method.empty()) line(out, "CSeq", std::to_string(request.cseq) + " " + std::string(request.cseq_method));
  return out;
}

std::string make_response(const ResponseParts& parts, std::string_view stem) {
  std::string out;
  out.reserve(stem.size() + parts.sdp.size() + 256);
  out.append("SIP/2.0 ").append(std::to_string(parts.status)).append(" ");
  append_safe(out, parts.reason.empty() ? reason_phrase(parts.status) : parts.reason);
  out.append("\r\n").append(stem);
  if (!parts.contact.empty()) line(out, "Contact", parts.contact);
  if (parts.allow) line(out, "Allow", kAllow);
  if (!parts.product.empty()) line(out, "Server", parts.product);
  if (!parts.trace_id.empty()) line(out, kTraceHeader, parts.trace_id);
  if (parts.extra != nullptr) {
    for (const auto& [name, value] : *parts.extra) line(out, name, value);
  }
  if (!parts.sdp.empty()) out.append("Content-Type: application/sdp\r\n");
  out.append("Content-Length: ").append(std::to_string(parts.sdp.size())).append("\r\n\r\n").append(parts.sdp);
  return out;
}

Hop reply_hop(const InboundMessage& request, const PreScan& scan) {
  Hop hop{request.transport, request.source, request.local, request.connection};
  if (reliable(request.transport)) {
    // While the connection lives it is used; after that, the sent-by port of the same host.
    const std::uint16_t fallback = request.transport == Transport::Tls ? 5061 : 5060;
    hop.destination.port = scan.via.port != 0 ? scan.via.port : fallback;
  } else if (!scan.via.rport) {
    hop.destination.port = scan.via.port != 0 ? scan.via.port : std::uint16_t{5060};
  }
  return hop;
}

}  // namespace ifgw::sip
