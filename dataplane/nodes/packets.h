// Between mbufs and the engine's packets. The engine never sees an mbuf; nothing else here knows both.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/engine/engine.h"

namespace ifgw::nodes {

inline constexpr std::uint16_t kBurst = 32;  // packets taken from a queue at once

using Clock = Instant (*)() noexcept;

inline rte_mbuf* buffer_of(const engine::Packet& packet) noexcept { return static_cast<rte_mbuf*>(packet.handle); }

// Makes `packet` a view of a single-segment buffer. In place: a packet built elsewhere and copied here would be read
// back in wider pieces than it was written in, which costs a stall per packet.
inline void view(rte_mbuf* buffer, std::uint16_t rx_port, engine::Packet& packet) noexcept {
  packet = engine::Packet{};
  packet.data = rte_pktmbuf_mtod(buffer, std::uint8_t*);
  packet.handle = buffer;
  packet.length = static_cast<std::uint16_t>(rte_pktmbuf_data_len(buffer));
  packet.headroom = rte_pktmbuf_headroom(buffer);
  packet.tailroom = rte_pktmbuf_tailroom(buffer);
  packet.rx_port = rx_port;
  const std::uint64_t ip = buffer->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
  packet.ip_checksum = ip == RTE_MBUF_F_RX_IP_CKSUM_GOOD  ? engine::Checksum::Good
                       : ip == RTE_MBUF_F_RX_IP_CKSUM_BAD ? engine::Checksum::Bad
                                                          : engine::Checksum::Unknown;
  // A card's "bad" is not believed: some say it of datagrams that have no checksum. Who needs the checksum looks itself then.
  if ((buffer->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD) packet.l4_checksum = engine::Checksum::Good;
}

// Makes the buffer say what the engine left in the packet: where the data starts and how long it is.
inline rte_mbuf* settle(const engine::Packet& packet) noexcept {
  rte_mbuf* buffer = buffer_of(packet);
  buffer->data_off = static_cast<std::uint16_t>(packet.data - static_cast<std::uint8_t*>(buffer->buf_addr));
  buffer->data_len = packet.length;
  buffer->pkt_len = packet.length;
  return buffer;
}

// A list of packets of one burst, by reference.
class PacketList {
 public:
  void add(engine::Packet& packet) noexcept { items_[size_++] = &packet; }
  void clear() noexcept { size_ = 0; }
  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  std::span<engine::Packet* const> all() const noexcept { return {items_.data(), size_}; }

 private:
  std::array<engine::Packet*, engine::kMaxBurst> items_;
  std::size_t size_ = 0;
};

}  // namespace ifgw::nodes
