#include "controlplane/core/uri.h"

#include <algorithm>
#include <charconv>

namespace ifgw::core {
namespace {

constexpr std::size_t kMaxUriBytes = 2048;
constexpr std::size_t kMaxName = 253;
constexpr std::size_t kMaxLabel = 63;

constexpr bool is_alphanumeric(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool is_label(std::string_view label) noexcept {
  return !label.empty() && label.size() <= kMaxLabel && is_alphanumeric(label.front()) && is_alphanumeric(label.back()) &&
         std::all_of(label.begin(), label.end(), [](char c) { return is_alphanumeric(c) || c == '-'; });
}

bool same_scheme(std::string_view text, std::string_view scheme) noexcept {
  return std::equal(text.begin(), text.end(), scheme.begin(), scheme.end(), [](char a, char b) { return (a | 0x20) == b; });
}

// "host", "host:5060" or "[2001:db8::1]:5060" into host and port.
bool split_host(std::string_view text, UriParts& parts) noexcept {
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    parts.host = text.substr(1, close - 1);
    port = text.substr(close + 1);
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    parts.host = text.substr(0, colon);
    port = text.substr(colon);
  }
  if (parts.host.empty()) return false;
  if (port.empty()) return true;
  unsigned value = 0;
  const char* end = port.data() + port.size();
  if (port.front() != ':' || port.size() < 2) return false;
  const auto parsed = std::from_chars(port.data() + 1, end, value);
  if (parsed.ec != std::errc{} || parsed.ptr != end || value == 0 || value > 65535) return false;
  parts.port = static_cast<std::uint16_t>(value);
  return true;
}

}  // namespace

std::optional<Endpoint> UriParts::endpoint() const {
  const auto ip = IpAddress::parse(host);
  if (!ip) return std::nullopt;
  const std::uint16_t standard = scheme.size() == 4 ? 5061 : 5060;
  return Endpoint{*ip, port == 0 ? standard : port};
}

std::optional<UriParts> split_uri(std::string_view text) noexcept {
  if (text.size() > kMaxUriBytes) return std::nullopt;
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  UriParts parts;
  parts.scheme = text.substr(0, colon);
  if (!same_scheme(parts.scheme, "sip") && !same_scheme(parts.scheme, "sips")) return std::nullopt;
  text.remove_prefix(colon + 1);
  // A user may hold ';' and '?', a host may not: so the user ends at the '@' before anything else is looked for.
  const std::size_t at = text.find('@');
  if (at != std::string_view::npos) {
    const std::string_view info = text.substr(0, at);
    parts.user = info.substr(0, info.find(':'));
    text.remove_prefix(at + 1);
  }
  const std::size_t end = std::min(text.find_first_of(";?"), text.size());
  parts.rest = text.substr(end);
  if (!split_host(text.substr(0, end), parts)) return std::nullopt;
  return parts;
}

bool is_host_name(std::string_view name) noexcept {
  if (name.size() > kMaxName) return false;
  for (std::size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.')) {
    if (!is_label(name.substr(0, dot))) return false;
    name.remove_prefix(dot + 1);
  }
  return is_label(name);
}

std::string_view last_label(std::string_view name) noexcept { return name.substr(name.rfind('.') + 1); }

}  // namespace ifgw::core
