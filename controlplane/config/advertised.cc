#include "controlplane/config/advertised.h"

#include <algorithm>

#include "codecs/base/ip.h"

namespace ifgw::config {
namespace {

constexpr std::size_t kMaxName = 253;
constexpr std::size_t kMaxLabel = 63;

constexpr bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_alphanumeric(char c) noexcept { return is_letter(c) || (c >= '0' && c <= '9'); }

bool is_label(std::string_view label) noexcept {
  return !label.empty() && label.size() <= kMaxLabel && is_alphanumeric(label.front()) && is_alphanumeric(label.back()) &&
         std::all_of(label.begin(), label.end(), [](char c) { return is_alphanumeric(c) || c == '-'; });
}

bool is_host_name(std::string_view name) noexcept {
  if (name.size() > kMaxName) return false;
  for (;;) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (!is_label(label)) return false;
    if (dot == std::string_view::npos) return label.size() > 1 && is_letter(label.front());
    name.remove_prefix(dot + 1);
  }
}

}  // namespace

std::optional<std::string> advertised_host(std::string_view text) {
  if (const auto ip = IpAddress::parse(text)) {
    if (is_unspecified(*ip)) return std::nullopt;
    return ip->is_v6() ? "[" + ip->text() + "]" : ip->text();
  }
  return is_host_name(text) ? std::optional<std::string>{text} : std::nullopt;
}

bool stands_for(std::string_view advertised, IpFamily family) {
  if (!advertised.empty() && advertised.front() == '[') return family == IpFamily::V6;
  return !IpAddress::parse(advertised) || family == IpFamily::V4;
}

}  // namespace ifgw::config
