// What the kernel says of routes, neighbours and links (rtnetlink(7)): bytes in, values out. Pure: no socket, no allocation,
// any thread. Bytes are in the host's order, as the kernel writes them, and need no alignment. Nothing is read outside a
// message, and a message or attribute whose length is not what its type asks for is not believed: as if it were not there.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "codecs/base/bytes.h"
#include "codecs/base/ip.h"

namespace ifgw::runtime {

using Mac = std::array<std::uint8_t, 6>;

// Stands as "protocol" in the neighbours we ask for (`ip neigh` shows it); nobody's in rt_protos.
inline constexpr std::uint8_t kNeighbourMark = 173;

struct NetlinkMessage {
  std::uint16_t type = 0;  // NLMSG_* or RTM_*
  std::uint32_t sequence = 0;
  Bytes payload;  // what follows the header; part of the datagram
};

struct RouteAnswer {
  int interface = 0;   // index
  IpAddress next_hop;  // the gateway (of the other family: RFC 8950), or the destination itself when on link
  bool local = false;  // not to be forwarded: an address of this host, broadcast, multicast, or a route that refuses
};
struct NeighbourEvent {
  int interface = 0;
  IpAddress address;
  std::optional<Mac> mac;  // absent: failed or deleted
  bool by_hand = false;    // an operator or a routing daemon keeps it: permanent, without ARP, or learned externally
  bool managed = false;    // the kernel keeps it fresh
  bool ours = false;       // because we asked for it
};

// Takes the first message off a datagram. Absent: nothing is left, or, when `datagram` is not empty, its lengths are
// wrong and the rest of it cannot be read.
std::optional<NetlinkMessage> next_message(Bytes& datagram) noexcept;

// Of NLMSG_ERROR, which acknowledges too: 0, or an errno; EBADMSG when it is malformed.
int parse_error(const NetlinkMessage& message) noexcept;
// Of RTM_NEWNEIGH and RTM_DELNEIGH. Absent: of another type or address family, without an address, or malformed.
std::optional<NeighbourEvent> parse_neighbour(const NetlinkMessage& message) noexcept;
// Of RTM_NEWROUTE, when it answers the question for `destination`. Absent: of another type or family, without an interface,
// or malformed.
std::optional<RouteAnswer> parse_route(const NetlinkMessage& message, const IpAddress& destination) noexcept;
// Of RTM_NEWLINK: the interface's index.
std::optional<int> parse_link(const NetlinkMessage& message) noexcept;

}  // namespace ifgw::runtime
