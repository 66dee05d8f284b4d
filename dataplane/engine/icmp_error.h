// What a router or a party's host says of a packet of ours that did not arrive: ICMP errors (RFC 792, 1191, 1812 section
// 5.2.7; RFC 4443 section 3) that quote a UDP datagram. Pure functions over a packet.
#pragma once

#include <optional>

#include "codecs/base/ip.h"
#include "dataplane/api/messages.h"
#include "dataplane/engine/packet.h"

namespace ifgw::engine {

struct IcmpError {
  IpAddress reporter;  // who says so
  Endpoint local;      // ours: where the quoted datagram came from
  Endpoint remote;     // and where it was to go
  api::UnreachableCause cause{};
  std::uint32_t mtu = 0;  // with TooBig: of the next link, 0: not told
};

// Of a packet that parse_headers() took, when it is an ICMP error about a whole UDP header with a right checksum. Whether
// its claim is true only the sender of the quoted datagram can judge.
std::optional<IcmpError> parse_icmp_error(const Packet& packet) noexcept;

}  // namespace ifgw::engine
