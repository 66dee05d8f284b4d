// The two ends of a bridged call.
#pragma once

#include <cstdint>
#include <string_view>

namespace ifgw::core {

enum class Party : std::uint8_t { Caller = 0, Callee = 1 };
constexpr Party other(Party p) noexcept { return p == Party::Caller ? Party::Callee : Party::Caller; }
constexpr std::string_view name(Party p) noexcept { return p == Party::Caller ? "caller" : "callee"; }

}  // namespace ifgw::core
