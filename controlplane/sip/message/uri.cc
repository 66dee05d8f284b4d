#include "controlplane/sip/message/uri.h"

#include <cstring>

#include "controlplane/sip/message/belle.h"
#include "controlplane/sip/message/shape.h"
#include "controlplane/sip/text.h"

namespace ifgw::sip {
namespace belle {

Scope::Scope() {
  // belle-sip would log every refused header; what a peer sends must not fill a log.
  static const bool quiet = [] {
    belle_sip_set_log_level(BCTBX_LOG_FATAL);
    return true;
  }();
  (void)quiet;
  pool_ = belle_sip_object_pool_push();
}
Scope::~Scope() { belle_sip_object_unref(pool_); }

}  // namespace belle

namespace {

std::string text_or_empty(const char* text) { return text == nullptr ? std::string{} : std::string(text); }

// belle-sip ignores what follows a URI that it could read, and completes a missing bracket by itself, complaining on
// standard error. A URI has no white space, quotes or controls in it, and its brackets are in pairs.
bool uri_characters_ok(std::string_view text) noexcept {
  bool bracket = false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7F || c == '<' || c == '>' || c == '"') return false;
    if ((c == '[' && bracket) || (c == ']' && !bracket)) return false;
    if (c == '[' || c == ']') bracket = c == '[';
  }
  return !bracket;
}

// `parsed`: what belle-sip read of the shape.
Result<Uri> take_uri(const belle_sip_uri_t* parsed, Shape shape, std::string_view text, Scheme scheme) {
  const int port = belle_sip_uri_get_port(parsed);
  if (port < 0 || port > 65535) return Error{"port of a SIP URI outside 1..65535"};
  Uri uri;
  uri.text = std::string(text);
  uri.scheme = scheme;
  uri.user = std::move(shape.user);
  uri.host = std::move(shape.host);
  uri.port = static_cast<std::uint16_t>(port);
  uri.transport = text_or_empty(belle_sip_uri_get_transport_param(parsed));
  uri.maddr = text_or_empty(belle_sip_uri_get_maddr_param(parsed));
  uri.loose_route = belle_sip_uri_has_lr_param(parsed) != 0;
  return uri;
}

// The URI inside a name-addr or addr-spec, with `parameters` from the header's first ';'. False: brackets unbalanced.
bool split_name_addr(std::string_view value, std::string_view& uri, std::string_view& parameters) noexcept {
  std::size_t open = std::string_view::npos;
  bool quoted = false;
  for (std::size_t i = 0; i < value.size() && open == std::string_view::npos; ++i) {
    if (quoted && value[i] == '\\') {
      ++i;
    } else if (value[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && value[i] == '<') {
      open = i;
    }
  }
  if (quoted) return false;
  if (open == std::string_view::npos) {
    const std::size_t semicolon = value.find(';');
    uri = trim(value.substr(0, semicolon));
    parameters = semicolon == std::string_view::npos ? std::string_view{} : value.substr(semicolon);
    return true;
  }
  const std::size_t close = value.find('>', open);
  if (close == std::string_view::npos) return false;
  uri = value.substr(open + 1, close - open - 1);
  parameters = trim(value.substr(close + 1));
  return parameters.empty() || parameters.front() == ';';
}

}  // namespace

std::optional<Endpoint> Uri::endpoint() const {
  std::string_view name = maddr.empty() ? host : maddr;
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
  const auto ip = IpAddress::parse(name);
  if (!ip) return std::nullopt;
  const bool secure = scheme == Scheme::Sips || same(transport, "tls");
  return Endpoint{*ip, port != 0 ? port : static_cast<std::uint16_t>(secure ? 5061 : 5060)};
}

std::optional<Transport> Uri::wanted_transport(Transport otherwise) const {
  if (scheme == Scheme::Sips) return Transport::Tls;
  if (transport.empty()) return otherwise;
  Transport wanted{};
  if (!parse_transport(transport, wanted)) return std::nullopt;
  return wanted;
}

Scheme uri_scheme(std::string_view text) noexcept {
  if (starts_with_same(text, "sip:")) return Scheme::Sip;
  if (starts_with_same(text, "sips:")) return Scheme::Sips;
  return Scheme::Other;
}

Result<Uri> parse_uri(std::string_view text) {
  const Scheme scheme = uri_scheme(text);
  if (scheme == Scheme::Other) return Error{"not a sip or sips URI"};
  if (!uri_characters_ok(text)) return Error{"white space or brackets in a SIP URI"};
  auto shape = shape_of_sip_uri(text);
  if (!shape) return shape.error();
  const belle::Scope scope;
  const auto parsed = belle::Ref<belle_sip_uri_t>::share(belle_sip_uri_parse(shape->text.c_str()));
  if (!parsed) return Error{"unreadable SIP URI"};
  return take_uri(parsed.get(), *std::move(shape), text, scheme);
}

Result<NameAddr> parse_name_addr(std::string_view value) {
  const std::string flat = unfold(value);
  std::string_view uri_text;
  std::string_view parameters;
  if (!quotes_balanced(flat) || !split_name_addr(flat, uri_text, parameters)) return Error{"unbalanced quotes or brackets in an address"};
  if (!uri_characters_ok(uri_text) || uri_text.find(':') == std::string_view::npos) return Error{"no URI in an address"};

  NameAddr address;
  int tags = 0;
  address.tag = std::string(parameter(parameters, "tag", &tags).value_or(std::string_view{}));
  if (tags > 1 || (tags == 1 && !is_token(address.tag))) return Error{"bad or repeated tag parameter"};

  const Scheme scheme = uri_scheme(uri_text);
  if (uri_text.data() == flat.data() && scheme != Scheme::Other) {
    // addr-spec form: belle-sip's address rule reads it as some absolute URI, so the URI is parsed by itself.
    auto uri = parse_uri(uri_text);
    if (!uri) return uri.error();
    address.uri = *std::move(uri);
    return address;
  }
  auto shape = scheme == Scheme::Other ? shape_of_other_uri(uri_text) : shape_of_sip_uri(uri_text);
  if (!shape) return shape.error();
  std::string shaped = flat;
  shaped.replace(static_cast<std::size_t>(uri_text.data() - flat.data()), uri_text.size(), shape->text);
  const belle::Scope scope;
  const auto parsed = belle::Ref<belle_sip_header_address_t>::share(belle_sip_header_address_parse(shaped.c_str()));
  if (!parsed) return Error{"unreadable address"};
  address.display = text_or_empty(belle_sip_header_address_get_displayname(parsed.get()));
  const belle_sip_uri_t* uri = belle_sip_header_address_get_uri(parsed.get());
  if (scheme == Scheme::Other) {
    if (belle_sip_header_address_get_absolute_uri(parsed.get()) == nullptr) return Error{"unreadable URI in an address"};
    address.uri.text = std::string(uri_text);
    return address;
  }
  if (uri == nullptr) return Error{"unreadable SIP URI in an address"};
  auto taken = take_uri(uri, *std::move(shape), uri_text, scheme);
  if (!taken) return taken.error();
  address.uri = *std::move(taken);
  return address;
}

}  // namespace ifgw::sip
