// Stage media: RTP and RTCP of this worker's legs, through the engine, to tx.
#pragma once

#include <array>

#include "dataplane/nodes/handover.h"
#include "dataplane/nodes/packets.h"
#include "dataplane/nodes/tx.h"

namespace ifgw::nodes {

// Buffers for the packets that one frame makes beyond that which brought it, or that a timer or a command makes.
class SparePackets final : public engine::PacketSource {
 public:
  explicit SparePackets(rte_mempool* pool) noexcept : pool_(pool) {}
  engine::Packet* take() noexcept override {
    if (size_ == spares_.size()) return nullptr;
    rte_mbuf* buffer = rte_pktmbuf_alloc(pool_);
    if (buffer == nullptr) return nullptr;
    engine::Packet& spare = spares_[size_++];
    view(buffer, 0, spare);
    return &spare;
  }
  // In the order in which they were taken.
  std::span<const engine::Packet> all() const noexcept { return {spares_.data(), size_}; }
  void clear() noexcept { size_ = 0; }

 private:
  rte_mempool* pool_;
  std::array<engine::Packet, 32> spares_;  // 120 ms, and as much concealed, in frames of 10 ms
  std::size_t size_ = 0;
};

inline void finish(engine::Engine& engine, const engine::Packet& packet, Instant now, Tx& tx) noexcept {
  rte_mbuf* buffer = settle(packet);
  if (packet.verdict != engine::PacketVerdict::Transmit) return rte_pktmbuf_free(buffer);
  if (packet.tx_leg == engine::kNoLegRow) return tx.add(buffer, packet.tx_port);
  tx.add(buffer, packet.tx_port, now, &engine.row(packet.tx_leg), packet.codec_pair);
}

// `packets`: kind Media, owned by this worker; when they were received and since when they may have waited. Every buffer is sent,
// handed over or freed; `spare` is left empty. What is done is handed to the ports before frames are transcoded, and before each heavy one,
// so that no relay of theirs waits for any; nor does one that another worker owns: `hand_over` sends what `handover` has collected, and
// wakes who gets it.
template <typename HandOver>
void media(engine::Engine& engine, const PacketList& packets, Instant received, Instant due, Clock clock, SparePackets& spare, Tx& tx,
           Handover& handover, const HandOver& hand_over) noexcept {
  if (packets.empty()) return;
  engine.begin_media(packets.all(), received);
  for (const engine::Packet* packet : packets.all())
    if (packet->verdict == engine::PacketVerdict::HandOver)
      handover.give(*packet, received);
    else if (packet->verdict != engine::PacketVerdict::Pending)
      finish(engine, *packet, received, tx);
  if (engine.frames_waiting() == 0) return;
  Instant before = clock();
  for (bool first = true; engine.frames_waiting() != 0; first = false) {
    if (first || engine.next_is_heavy()) {
      tx.flush();
      hand_over();
      before = clock();
    }
    finish(engine, *engine.next_frame({received, due, before}, spare), received, tx);
    for (const engine::Packet& more : spare.all()) finish(engine, more, received, tx);
    spare.clear();
    const Instant after = clock();
    engine.frame_took(after - before);
    before = after;
  }
}

// Sends what a timer or a command made.
inline void send(engine::Engine& engine, SparePackets& made, Instant now, Tx& tx) noexcept {
  for (const engine::Packet& packet : made.all()) finish(engine, packet, now, tx);
  made.clear();
}

}  // namespace ifgw::nodes
