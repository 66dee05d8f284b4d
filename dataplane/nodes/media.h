// Stage media: RTP and RTCP of this worker's legs, through the engine, to tx.
#pragma once

#include <array>

#include "dataplane/nodes/packets.h"
#include "dataplane/nodes/tx.h"

namespace ifgw::nodes {

// Buffers for the packets that a burst makes beyond those it consists of, from the pools of those.
class SparePackets final : public engine::PacketSource {
 public:
  struct Spare {
    engine::Packet packet;
    const engine::Packet* made_from;
  };
  engine::Packet* take(const engine::Packet& made_from) noexcept override {
    if (size_ == spares_.size()) return nullptr;
    rte_mbuf* buffer = rte_pktmbuf_alloc(buffer_of(made_from)->pool);
    if (buffer == nullptr) return nullptr;
    Spare& spare = spares_[size_++];
    view(buffer, made_from.rx_port, spare.packet);
    spare.made_from = &made_from;
    return &spare.packet;
  }
  // In the order in which they were taken, which is that of the packets they were made from.
  std::span<const Spare> all() const noexcept { return {spares_.data(), size_}; }
  void clear() noexcept { size_ = 0; }

 private:
  std::array<Spare, std::size_t{2} * kBurst> spares_;
  std::size_t size_ = 0;
};

inline void finish(engine::Engine& engine, const engine::Packet& packet, Instant now, Tx& tx) noexcept {
  rte_mbuf* buffer = settle(packet);
  if (packet.verdict != engine::PacketVerdict::Transmit) return rte_pktmbuf_free(buffer);
  if (packet.tx_leg == engine::kNoLegRow) return tx.add(buffer, packet.tx_port);
  tx.add_rtp(buffer, packet.tx_port, {now, &engine.row(packet.tx_leg), packet.codec_pair});
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

}  // namespace ifgw::nodes
