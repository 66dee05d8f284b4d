#include "controlplane/core/routing.h"

#include <algorithm>

#include "controlplane/core/uri.h"

namespace ifgw::core {
namespace {

constexpr std::string_view kUserPlaceholder = "{user}";

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same(std::string_view a, std::string_view b, bool ignore_case) noexcept {
  if (!ignore_case) return a == b;
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

// RFC 3261 section 25.1: unreserved, escaped or user-unreserved.
bool allowed_in_user(char c) noexcept {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
         std::string_view{"-_.!~*'()%&=+$,;?/"}.find(c) != std::string_view::npos;
}

}  // namespace

bool Pattern::matches(std::string_view value, bool ignore_case) const noexcept {
  std::string_view pattern = text;
  if (!pattern.empty() && pattern.back() == '*') {
    pattern.remove_suffix(1);
    return value.size() >= pattern.size() && same(value.substr(0, pattern.size()), pattern, ignore_case);
  }
  return same(value, pattern, ignore_case);
}

const Route* find_route(const std::vector<Route>& routes, std::string_view request_uri) noexcept {
  const auto uri = split_uri(request_uri);
  if (!uri) return nullptr;
  for (const Route& route : routes) {
    if (route.user.matches(uri->user, false) && route.host.matches(uri->host, true)) return &route;
  }
  return nullptr;
}

std::string target_uri(const Route& route, std::string_view request_uri) {
  const std::size_t at = route.target.find(kUserPlaceholder);
  if (at == std::string::npos) return route.target;
  std::string user;
  if (const auto uri = split_uri(request_uri)) {
    std::copy_if(uri->user.begin(), uri->user.end(), std::back_inserter(user), allowed_in_user);
  }
  std::string target = route.target;
  std::size_t length = kUserPlaceholder.size();
  if (user.empty() && at + length < target.size() && target[at + length] == '@') ++length;  // "sip:@host" is no URI
  target.replace(at, length, user);
  return target;
}

}  // namespace ifgw::core
