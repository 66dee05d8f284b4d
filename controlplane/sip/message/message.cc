#include "controlplane/sip/message/message.h"

#include "controlplane/sip/text.h"

namespace ifgw::sip {
namespace {

// Proxies a request may have crossed on the way to us; each one costs route set memory for the whole call.
constexpr std::size_t kMaxRoutes = 16;

Error bad(std::string_view header) { return Error{"Bad " + std::string(header) + " header"}; }

}  // namespace

Result<Message> Message::parse(Wire bytes, const MessageLimits& limits) {
  Message message;
  message.bytes_ = std::move(bytes);
  message.scan_ = prescan(as_bytes(*message.bytes_));
  const PreScan& scan = message.scan_;
  if (scan.start == StartLine::None) return Error{"Not a SIP message"};
  if (scan.defect != Defect::None) return Error{describe_defect(scan)};
  if (message.is_request() && uri_scheme(scan.request_uri) != Scheme::Other) {
    auto uri = parse_uri(scan.request_uri);
    if (!uri) return Error{"Bad Request-URI"};
    message.request_uri_ = *std::move(uri);
  }
  if (scan.from_tag.empty()) return Error{"Missing From tag"};  // section 8.1.1.3
  auto from = parse_name_addr(scan.from);
  if (!from) return bad("From");
  message.from_ = *std::move(from);
  auto to = parse_name_addr(scan.to);
  if (!to) return bad("To");
  message.to_ = *std::move(to);
  const Status decoded = message.decode_fields(limits);
  if (!decoded) return decoded.error();
  return message;
}

Status Message::decode_fields(const MessageLimits& limits) {
  HeaderWalker walker(scan_.headers);
  HeaderField field;
  while (walker.next(field)) {
    if (field.value.size() > limits.header_value_bytes) return Error{"Oversized " + std::string(field.name.substr(0, 40)) + " header"};
    const Status decoded = decode_field(field);
    if (!decoded) return decoded.error();
  }
  return Success{};
}

Status Message::decode_field(const HeaderField& field) {
  const bool contact = field.id == HeaderId::Contact;
  if (!contact && field.id != HeaderId::RecordRoute) return Success{};
  if (contact && (contact_ || field.value == "*")) return Success{};
  std::string_view rest = field.value;
  do {
    const std::string_view element = split_comma(rest, rest);
    auto address = parse_name_addr(element);
    if (!address) return bad(field.name);
    if (contact) {
      contact_ = *std::move(address);
      return Success{};
    }
    // Section 20.30: always in brackets, always a SIP URI.
    if (element.find('<') == std::string_view::npos || address->uri.scheme == Scheme::Other) return bad(field.name);
    if (record_route_.size() == kMaxRoutes) return Error{"Too many Record-Route headers"};
    record_route_.push_back(unfold(element));
  } while (!rest.empty());
  return Success{};
}

std::vector<std::string> Message::values(std::string_view name) const {
  std::vector<std::string> out;
  HeaderWalker walker(scan_.headers);
  HeaderField field;
  while (walker.next(field)) {
    if (same(field.name, name)) out.push_back(unfold(field.value));
  }
  return out;
}

std::vector<std::string> Message::required() const {
  std::vector<std::string> out;
  HeaderWalker walker(scan_.headers);
  HeaderField field;
  while (walker.next(field)) {
    if (field.id != HeaderId::Require) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) out.emplace_back(split_comma(rest, rest));
  }
  return out;
}

core::Headers Message::extensions() const {
  core::Headers out;
  HeaderWalker walker(scan_.headers);
  HeaderField field;
  while (walker.next(field)) {
    if (starts_with_same(field.name, "X-")) out.emplace_back(std::string(field.name), unfold(field.value));
  }
  return out;
}

std::string Message::reason_header() const {
  HeaderWalker walker(scan_.headers);
  HeaderField field;
  while (walker.next(field)) {
    if (field.id == HeaderId::Reason) return unfold(field.value);
  }
  return {};
}

}  // namespace ifgw::sip
