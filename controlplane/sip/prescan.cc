#include "controlplane/sip/prescan.h"

#include <array>
#include <utility>

#include "controlplane/sip/text.h"

namespace ifgw::sip {
namespace {

constexpr std::string_view kVersion = "SIP/2.0";

struct KnownName {
  std::string_view name;
  char compact;  // 0: none
  HeaderId id;
};
constexpr std::array kKnownNames{
    KnownName{"Via", 'v', HeaderId::Via},
    KnownName{"From", 'f', HeaderId::From},
    KnownName{"To", 't', HeaderId::To},
    KnownName{"Call-ID", 'i', HeaderId::CallId},
    KnownName{"CSeq", 0, HeaderId::CSeq},
    KnownName{"Contact", 'm', HeaderId::Contact},
    KnownName{"Content-Length", 'l', HeaderId::ContentLength},
    KnownName{"Content-Type", 'c', HeaderId::ContentType},
    KnownName{"Content-Encoding", 'e', HeaderId::ContentEncoding},
    KnownName{"Max-Forwards", 0, HeaderId::MaxForwards},
    KnownName{"Route", 0, HeaderId::Route},
    KnownName{"Record-Route", 0, HeaderId::RecordRoute},
    KnownName{"Require", 0, HeaderId::Require},
    KnownName{"Supported", 'k', HeaderId::Supported},
    KnownName{"Reason", 0, HeaderId::Reason},
    KnownName{"Retry-After", 0, HeaderId::RetryAfter},
};

void note(PreScan& scan, Defect defect, std::string_view header = {}) noexcept {
  if (scan.defect != Defect::None) return;
  scan.defect = defect;
  scan.defect_header = header;
}

// "METHOD uri SIP/2.0"
void scan_request_line(std::string_view line, PreScan& scan) noexcept {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  scan.start = StartLine::Request;
  scan.method = line.substr(0, first);
  scan.version = line.substr(last + 1);
  if (last > first) scan.request_uri = line.substr(first + 1, last - first - 1);
  const bool uri_ok = !scan.request_uri.empty() && scan.request_uri.find_first_of(" \t<>\"") == std::string_view::npos;
  if (!is_token(scan.method) || !uri_ok) return note(scan, Defect::StartLineSyntax);
  if (!same(scan.version, kVersion)) note(scan, Defect::Version);
}

// "SIP/2.0 200 reason"
void scan_status_line(std::string_view line, PreScan& scan) noexcept {
  scan.start = StartLine::Response;
  scan.version = line.substr(0, line.find(' '));
  if (!same(scan.version, kVersion)) return note(scan, Defect::Version);
  const std::string_view rest = scan.version.size() < line.size() ? line.substr(scan.version.size() + 1) : std::string_view{};
  const auto status = parse_u32(rest.substr(0, 3));
  if (rest.size() < 3 || !status || *status < 100 || *status > 699 || (rest.size() > 3 && rest[3] != ' '))
    return note(scan, Defect::StartLineSyntax);
  scan.status = static_cast<int>(*status);
  scan.reason = rest.size() > 4 ? trim(rest.substr(4)) : std::string_view{};
}

bool scan_start_line(std::string_view line, PreScan& scan) noexcept {
  if (line.find_first_of("\r\n") != std::string_view::npos) return false;
  if (starts_with_same(line, "SIP/") && line.find(' ') != std::string_view::npos) {
    scan_status_line(line, scan);
    return true;
  }
  // Something that ends in " SIP/…" is a request, however bad; everything else is not ours to answer.
  const std::size_t last = line.rfind(' ');
  if (last == std::string_view::npos || !starts_with_same(line.substr(last + 1), "SIP/")) return false;
  scan_request_line(line, scan);
  return true;
}

void scan_cseq(std::string_view value, PreScan& scan) noexcept {
  std::size_t digits = 0;
  while (digits < value.size() && is_digit(value[digits])) ++digits;
  const auto number = parse_u32(value.substr(0, digits));
  const std::string_view method = trim(value.substr(digits));
  // Section 8.1.1.5: less than 2**31.
  if (!number || *number >= 0x80000000u || !is_token(method) || digits == value.size() || !is_lws(value[digits]))
    return note(scan, Defect::Value, "CSeq");
  scan.cseq = *number;
  scan.cseq_method = method;
}

void scan_number(std::string_view value, std::optional<std::uint32_t>& to, std::string_view name, PreScan& scan) noexcept {
  const auto number = parse_u32(value);
  if (!number) return note(scan, Defect::Value, name);
  if (to) return note(scan, Defect::Duplicate, name);
  to = number;
}

// What may stand in a host name or address, brackets of IPv6 included.
bool is_host(std::string_view text) noexcept {
  for (const char c : text) {
    const char l = lower(c);
    if (!is_digit(c) && (l < 'a' || l > 'z') && c != '.' && c != '-' && c != '_' && c != ':' && c != '[' && c != ']') return false;
  }
  return !text.empty();
}

// Printable, no blanks: what a Call-ID is made of, more or less (section 25.1 `word`).
bool is_visible(std::string_view text) noexcept {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7F) return false;
  }
  return true;
}

void scan_address(std::string_view value, std::string_view& whole, std::string_view& tag, std::string_view name, PreScan& scan) noexcept {
  if (!whole.empty()) return note(scan, Defect::Duplicate, name);
  whole = value;
  // addr-spec form: parameters after the URI belong to the header (section 20.10).
  int count = 0;
  const auto found = parameter(value, "tag", &count);
  if (value.empty() || count > 1 || (found && !is_token(*found)) || !quotes_balanced(value)) return note(scan, Defect::Value, name);
  if (found) tag = *found;
}

void scan_once(std::string_view value, std::string_view& to, std::string_view name, PreScan& scan) noexcept {
  if (value.empty()) return note(scan, Defect::Value, name);
  if (!to.empty()) return note(scan, Defect::Duplicate, name);
  to = value;
}

void scan_field(const HeaderField& field, bool& via_seen, PreScan& scan) noexcept {
  switch (field.id) {
    case HeaderId::Via: {
      if (std::exchange(via_seen, true)) {
        scan.more_vias = true;
        return;
      }
      std::string_view rest;
      if (!scan_via(split_comma(field.value, rest), scan.via)) note(scan, Defect::Value, "Via");
      scan.more_vias = !rest.empty();
      return;
    }
    case HeaderId::From: return scan_address(field.value, scan.from, scan.from_tag, "From", scan);
    case HeaderId::To: return scan_address(field.value, scan.to, scan.to_tag, "To", scan);
    case HeaderId::CallId:
      scan_once(field.value, scan.call_id, "Call-ID", scan);
      if (!is_visible(scan.call_id)) note(scan, Defect::Value, "Call-ID");
      return;
    case HeaderId::CSeq:
      if (!scan.cseq_method.empty()) return note(scan, Defect::Duplicate, "CSeq");
      return scan_cseq(field.value, scan);
    case HeaderId::ContentLength: return scan_number(field.value, scan.content_length, "Content-Length", scan);
    case HeaderId::MaxForwards:
      scan_number(field.value, scan.max_forwards, "Max-Forwards", scan);
      if (scan.max_forwards && *scan.max_forwards > 255) note(scan, Defect::Value, "Max-Forwards");
      return;
    case HeaderId::ContentType: return scan_once(field.value, scan.content_type, "Content-Type", scan);
    case HeaderId::ContentEncoding:
      if (scan.content_encoding.empty()) scan.content_encoding = field.value;
      return;
    default: return;
  }
}

void check_mandatory(bool via_seen, PreScan& scan) noexcept {
  if (!via_seen) return note(scan, Defect::Missing, "Via");
  if (scan.from.empty()) return note(scan, Defect::Missing, "From");
  if (scan.to.empty()) return note(scan, Defect::Missing, "To");
  if (scan.call_id.empty()) return note(scan, Defect::Missing, "Call-ID");
  if (scan.cseq_method.empty()) return note(scan, Defect::Missing, "CSeq");
  // Section 8.1.1.5: the CSeq method is that of the request (case-sensitive, as methods are).
  if (scan.start == StartLine::Request && scan.cseq_method != scan.method) note(scan, Defect::Value, "CSeq");
}

void scan_body(std::string_view body, bool stream, PreScan& scan) noexcept {
  if (!scan.content_length) {
    if (stream) note(scan, Defect::Missing, "Content-Length");
    scan.body = body;
    return;
  }
  if (*scan.content_length > body.size()) note(scan, Defect::ContentLength, "Content-Length");
  scan.body = body.substr(0, *scan.content_length);
}

}  // namespace

HeaderId header_id(std::string_view name) noexcept {
  for (const KnownName& known : kKnownNames) {
    if (name.size() == 1 ? lower(name[0]) == known.compact : same(name, known.name)) return known.id;
  }
  return HeaderId::Other;
}

bool HeaderWalker::next(HeaderField& field) noexcept {
  if (rest_.empty() || malformed_) return false;
  std::size_t end = 0;  // past the field's last CRLF, folded lines included
  do {
    const std::size_t eol = rest_.find("\r\n", end);
    if (eol == std::string_view::npos) {
      malformed_ = true;
      return false;
    }
    if (rest_.substr(end, eol - end).find_first_of("\r\n") != std::string_view::npos) malformed_ = true;
    end = eol + 2;
  } while (end < rest_.size() && (rest_[end] == ' ' || rest_[end] == '\t'));
  const std::string_view line = rest_.substr(0, end - 2);
  rest_.remove_prefix(end);
  const std::size_t colon = line.find(':');
  field.name = trim(line.substr(0, colon));
  malformed_ = malformed_ || colon == std::string_view::npos || !is_token(field.name) || line.find('\0') != std::string_view::npos;
  if (malformed_) return false;
  field.value = trim(line.substr(colon + 1));
  field.id = header_id(field.name);
  return true;
}

std::size_t find_body(std::string_view text, std::size_t from) noexcept {
  const std::size_t blank = text.find("\r\n\r\n", from);
  return blank == std::string_view::npos ? blank : blank + 4;
}

bool scan_via(std::string_view value, TopVia& via) noexcept {
  // sent-protocol = protocol-name SLASH protocol-version SLASH transport, with LWS allowed around the slashes.
  const std::size_t slash1 = value.find('/');
  const std::size_t slash2 = slash1 == std::string_view::npos ? slash1 : value.find('/', slash1 + 1);
  if (slash2 == std::string_view::npos) return false;
  if (!same(trim(value.substr(0, slash1)), "SIP") || trim(value.substr(slash1 + 1, slash2 - slash1 - 1)) != "2.0") return false;
  std::string_view rest = trim(value.substr(slash2 + 1));
  std::size_t end = 0;
  while (end < rest.size() && is_token_char(rest[end])) ++end;
  if (end == 0 || end == rest.size() || !is_lws(rest[end])) return false;
  via.transport = rest.substr(0, end);
  rest = trim(rest.substr(end));

  const std::size_t semicolon = rest.find(';');
  std::string_view sent_by = trim(rest.substr(0, semicolon));
  const std::size_t bracket = sent_by.rfind(']');
  const std::size_t colon = sent_by.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    const auto port = parse_u32(trim(sent_by.substr(colon + 1)));
    if (!port || *port == 0 || *port > 65535) return false;
    via.port = static_cast<std::uint16_t>(*port);
    sent_by = trim(sent_by.substr(0, colon));
  }
  if (!is_host(sent_by)) return false;
  via.host = sent_by;
  if (semicolon == std::string_view::npos) return true;

  const std::string_view parameters = rest.substr(semicolon);
  int branches = 0;
  via.branch = parameter(parameters, "branch", &branches).value_or(std::string_view{});
  if (branches > 1 || (branches == 1 && !is_token(via.branch))) {
    via.branch = {};
    return false;
  }
  via.maddr = parameter(parameters, "maddr").value_or(std::string_view{});
  via.received = parameter(parameters, "received").value_or(std::string_view{});
  if (const auto rport = parameter(parameters, "rport")) {
    via.rport = true;
    const auto port = parse_u32(*rport);
    if (!rport->empty() && (!port || *port > 65535)) return false;
    via.rport_value = static_cast<std::uint16_t>(port.value_or(0));
  }
  return true;
}

PreScan prescan(Bytes message, bool stream) noexcept {
  PreScan scan;
  const std::string_view text = as_text(message);
  const std::size_t eol = text.find("\r\n");
  if (eol == std::string_view::npos || eol == 0 || !scan_start_line(text.substr(0, eol), scan)) return scan;

  std::size_t body = find_body(text, eol);
  if (body == std::string_view::npos) {
    note(scan, Defect::LineSyntax);
    const std::size_t last = text.rfind("\r\n");  // whole lines only
    scan.headers = text.substr(eol + 2, last > eol ? last - eol : 0);
    body = text.size();
  } else {
    scan.headers = text.substr(eol + 2, body - 2 - (eol + 2));
  }

  HeaderWalker walker(scan.headers);
  HeaderField field;
  bool via_seen = false;
  std::size_t fields = 0;
  while (walker.next(field)) {
    if (++fields > kMaxHeaderFields) {
      note(scan, Defect::TooManyHeaders);
      break;
    }
    scan_field(field, via_seen, scan);
  }
  if (walker.malformed()) note(scan, Defect::LineSyntax);
  check_mandatory(via_seen, scan);
  scan_body(text.substr(body), stream, scan);
  if (scan.start == StartLine::Response) scan.method = scan.cseq_method;
  return scan;
}

std::string describe_defect(const PreScan& scan) {
  const std::string header(scan.defect_header);
  switch (scan.defect) {
    case Defect::None: break;
    case Defect::StartLineSyntax: return "Bad start line";
    case Defect::Version: return "Version Not Supported";
    case Defect::LineSyntax: return "Bad header line";
    case Defect::Missing: return "Missing " + header + " header";
    case Defect::Duplicate: return "Duplicate " + header + " header";
    case Defect::Value: return "Bad " + header + " header";
    case Defect::ContentLength: return "Content-Length larger than the body";
    case Defect::TooManyHeaders: return "Too many header fields";
  }
  return "Bad Request";
}

}  // namespace ifgw::sip
