// Serial number arithmetic (RFC 1982) for counters that wrap: RTP sequence numbers (16 bit), timestamps (32 bit).
#pragma once

#include <concepts>
#include <type_traits>

namespace ifgw {

// Signed distance from `from` to `to`, in (-2^(n-1), 2^(n-1)]: positive when `to` is newer. Exactly half the number
// space apart is undefined by the RFC; here it counts as older (the most negative value), on both sides.
template <std::unsigned_integral T>
constexpr std::make_signed_t<T> serial_distance(T from, T to) noexcept {
  return static_cast<std::make_signed_t<T>>(static_cast<T>(to - from));
}

template <std::unsigned_integral T>
constexpr bool serial_newer(T candidate, T than) noexcept {
  return serial_distance(than, candidate) > 0;
}

}  // namespace ifgw
