// Which route carries a call: the first one of the configuration whose patterns match the request URI.
#pragma once

#include <string>
#include <string_view>

#include "controlplane/core/settings.h"

namespace ifgw::core {

// nullptr: none, or the URI is not one we can route.
const Route* find_route(const std::vector<Route>& routes, std::string_view request_uri) noexcept;

// The route's target with "{user}" filled in. Characters that may not stand in a user part are left out, so that a
// request URI cannot add parts to the target.
std::string target_uri(const Route& route, std::string_view request_uri);

}  // namespace ifgw::core
