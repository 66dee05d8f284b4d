// Stage media: RTP and RTCP of this worker's legs, through the engine, to tx.
#pragma once

#include <array>

#include "dataplane/nodes/packets.h"
#include "dataplane/nodes/tx.h"

namespace ifgw::nodes {

// Buffers for the packets that a burst makes beyond those it consists of, or that a timer or a command makes. Ready when
// made, cleared by sending.
class SparePackets final : public engine::PacketSource {
 public:
  struct Spare {
    engine::Packet packet;
    const engine::Packet* made_from;
  };
  explicit SparePackets(rte_mempool* pool) noexcept : pool_(pool) {}
  engine::Packet* take(const engine::Packet* made_from) noexcept override {
    if (size_ == spares_.size()) return nullptr;
    rte_mbuf* buffer = rte_pktmbuf_alloc(pool_);
    if (buffer == nullptr) return nullptr;
    Spare& spare = spares_[size_++];
    view(buffer, made_from == nullptr ? std::uint16_t{0} : made_from->rx_port, spare.packet);
    spare.made_from = made_from;
    return &spare.packet;
  }
  // In the order in which they were taken, which is that of the packets they were made from.
  std::span<const Spare> all() const noexcept { return {spares_.data(), size_}; }
  void clear() noexcept { size_ = 0; }

 private:
  rte_mempool* pool_;
  std::array<Spare, std::size_t{2} * kBurst> spares_;
  std::size_t size_ = 0;
};

inline void finish(engine::Engine& engine, const engine::Packet& packet, Instant now, Tx& tx) noexcept {
  rte_mbuf* buffer = settle(packet);
  if (packet.verdict != engine::PacketVerdict::Transmit) return rte_pktmbuf_free(buffer);
  const bool rtp = packet.tx_leg != engine::kNoLegRow;
  tx.add(buffer, packet.tx_port, rtp ? now : kNever, rtp ? &engine.row(packet.tx_leg) : nullptr);
}

// `packets`: kind Media, owned by this worker, received at `now`. Every buffer is sent or freed; `spare` is left empty.
inline void media(engine::Engine& engine, const PacketList& packets, Instant now, SparePackets& spare, Tx& tx) noexcept {
  if (packets.empty()) return;
  engine.media(packets.all(), now, spare);
  auto more = spare.all();
  for (const engine::Packet* packet : packets.all()) {
    finish(engine, *packet, now, tx);
    for (; !more.empty() && more.front().made_from == packet; more = more.subspan(1)) finish(engine, more.front().packet, now, tx);
  }
  spare.clear();
}

// Sends what a timer or a command made.
inline void send(engine::Engine& engine, SparePackets& made, Instant now, Tx& tx) noexcept {
  for (const SparePackets::Spare& spare : made.all()) finish(engine, spare.packet, now, tx);
  made.clear();
}

}  // namespace ifgw::nodes
