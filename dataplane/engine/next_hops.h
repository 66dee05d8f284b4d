// Where a frame goes on the wire, as the engine asks for it. The runtime's netlink thread follows routes and neighbours
// and implements this; tests have a plain one.
//
// Thread: everything here is called and read by one worker's thread only. An implementation that learns on another
// thread keeps one table per worker and applies changes between two bursts.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "codecs/base/ip.h"

namespace ifgw::engine {

using MacAddress = std::array<std::uint8_t, 6>;

struct NextHop {
  MacAddress destination{};
  MacAddress source{};
  std::uint16_t port = 0;   // to transmit on
  std::uint8_t usable = 0;  // 1: both addresses are known
  std::uint8_t reserved = 0;
};
static_assert(sizeof(NextHop) == 16);

using NextHopIndex = std::uint32_t;
inline constexpr NextHopIndex kNoNextHop = 0xFFFFFFFF;

class NextHops {
 public:
  virtual ~NextHops() = default;

  // Index of the next hop towards `destination` in table(), or kNoNextHop when there is no route. Also the request to
  // resolve it: an index may be returned whose entry is not usable yet, and becomes so. Called when a leg gets a new
  // address or peer, when generation() changed, and at most every 100 ms per leg while its next hop is not usable.
  virtual NextHopIndex lookup(const IpAddress& destination) noexcept = 0;

  // Entries change in place (a neighbour's new MAC address needs nothing else).
  std::span<const NextHop> table() const noexcept { return table_; }
  // Changes whenever an earlier answer of lookup() may no longer be right (routes changed, an index was reused).
  std::uint32_t generation() const noexcept { return generation_; }

 protected:
  std::span<const NextHop> table_;
  std::uint32_t generation_ = 1;
};

}  // namespace ifgw::engine
