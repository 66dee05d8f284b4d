#include "controlplane/config/advertised.h"

#include "controlplane/core/uri.h"

namespace ifgw::config {
namespace {

constexpr bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_usable_name(std::string_view name) noexcept {
  const std::string_view last = core::last_label(name);
  return core::is_host_name(name) && last.size() > 1 && is_letter(last.front());
}

}  // namespace

std::optional<std::string> advertised_host(std::string_view text) {
  if (const auto ip = IpAddress::parse(text)) {
    if (is_unspecified(*ip)) return std::nullopt;
    return ip->is_v6() ? "[" + ip->text() + "]" : ip->text();
  }
  return is_usable_name(text) ? std::optional<std::string>{text} : std::nullopt;
}

bool stands_for(std::string_view advertised, IpFamily family) {
  if (!advertised.empty() && advertised.front() == '[') return family == IpFamily::V6;
  return !IpAddress::parse(advertised) || family == IpFamily::V4;
}

}  // namespace ifgw::config
