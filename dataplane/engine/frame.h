// The last step of every packet that we send: its headers, before a payload that is in place. Inline, because it is what a
// relayed packet costs.
#pragma once

#include <cstddef>
#include <cstring>

#include "dataplane/engine/headers.h"
#include "dataplane/engine/next_hops.h"

namespace ifgw::engine {

// Why write_frame() could not.
enum class FrameError : std::uint8_t { None, Oversized, NoRoom };

// Puts Ethernet, IP and UDP headers before the payload, wherever that makes the frame begin, and decides the packet:
// Transmit. Of its parsed fields only the payload's length is true afterwards. On an error nothing was written: the
// datagram is longer than `mtu`, or the headers do not fit before the payload.
[[nodiscard, gnu::always_inline]] inline FrameError write_frame(Packet& packet, const UdpTemplate& path, const NextHop& hop,
                                                                std::uint16_t mtu, std::uint16_t udp_checksum) noexcept {
  static_assert(offsetof(NextHop, source) == offsetof(NextHop, destination) + sizeof(MacAddress));
  const bool v6 = path.is_v6();
  const std::size_t headers = kEthernetBytes + (v6 ? kIpv6Bytes : kIpv4Bytes) + kUdpBytes;
  const std::size_t before = packet.payload_offset;
  if (headers - kEthernetBytes + packet.payload_length > mtu) return FrameError::Oversized;
  if (headers > before + packet.headroom) return FrameError::NoRoom;
  std::uint8_t* const frame = packet.data + before - headers;
  std::memcpy(frame, &hop.destination, 2 * sizeof(MacAddress));
  store_be16(frame + 12, v6 ? 0x86DD : 0x0800);
  write_udp_headers(path, frame + kEthernetBytes, packet.payload_length, udp_checksum);
  packet.data = frame;
  packet.length = static_cast<std::uint16_t>(headers + packet.payload_length);
  packet.verdict = PacketVerdict::Transmit;
  packet.tx_port = hop.port;
  return FrameError::None;
}

}  // namespace ifgw::engine
