// The version the build system knows.
#pragma once

#include <string_view>

namespace ifgw::control {

inline constexpr std::string_view kVersion = IFGW_VERSION;

}  // namespace ifgw::control
