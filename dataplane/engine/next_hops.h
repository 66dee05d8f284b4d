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

  // Index of the next hop towards `destination` in table(), or kNoNextHop when every entry is held. Also the request to
  // resolve it: an index may be returned whose entry is not usable yet, and becomes so; to be called again then, at most
  // every 100 ms. Unless it is held, the index is good until the next lookup() or acquire(): the entry that nobody holds
  // and nobody asked for the longest makes room for a new destination.
  virtual NextHopIndex lookup(const IpAddress& destination) noexcept = 0;
  // The same, and held: the index means this destination until release() was called as often as acquire().
  virtual NextHopIndex acquire(const IpAddress& destination) noexcept = 0;
  virtual void release(NextHopIndex index) noexcept = 0;

  // Entries change in place (a neighbour's new MAC address or another route need nothing else).
  std::span<const NextHop> table() const noexcept { return table_; }

 protected:
  std::span<const NextHop> table_;
};

}  // namespace ifgw::engine
