// Stage media: RTP and RTCP of this worker's legs, through the engine, to tx.
#pragma once

#include <array>

#include "dataplane/nodes/capture.h"
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

inline void finish(engine::Engine& engine, const engine::Packet& packet, Instant received, Tx& tx) noexcept {
  rte_mbuf* buffer = settle(packet);
  if (packet.verdict != engine::PacketVerdict::Transmit) return rte_pktmbuf_free(buffer);
  if (packet.tx_leg == engine::kNoLegRow) return tx.add(buffer, packet.tx_port);
  tx.add(buffer, packet.tx_port, received, &engine.row(packet.tx_leg), packet.codec_pair);
}

// A frame that waited.
inline void finish_waiting(engine::Engine& engine, const engine::Packet& packet, Instant received, Tx& tx, Capture& capture) noexcept {
  if (capture.on()) [[unlikely]]
    capture.decided(packet);
  finish(engine, packet, received, tx);
}

// Frees what is given up.
inline void shed(engine::Engine& engine, Instant now, Tx& tx, Capture& capture) noexcept {
  while (const engine::Packet* given_up = engine.shed(now)) finish_waiting(engine, *given_up, now, tx, capture);
}

// `packets`: kind Media, owned by this worker; when they were received. Every buffer is sent, handed over, freed, or waits in the engine
// with its frame, for transcode(). How many were relayed, or may be by the worker that their leg has moved to.
inline std::size_t media(engine::Engine& engine, const PacketList& packets, Instant received, Tx& tx, Handover& handover,
                         Capture& capture) noexcept {
  if (packets.empty()) return 0;
  engine.begin_media(packets.all(), received);
  std::size_t relayed = 0;
  for (const engine::Packet* packet : packets.all()) {
    const bool gone = packet->verdict == engine::PacketVerdict::HandOver;
    relayed += gone || packet->verdict == engine::PacketVerdict::Transmit ? 1 : 0;
    if (gone)
      handover.give(*packet, received);
    else if (packet->verdict != engine::PacketVerdict::Waits)
      finish(engine, *packet, received, tx);
  }
  shed(engine, received, tx, capture);
  return relayed;
}

// The next frame, while some wait; what it took. `spare` is left empty.
inline Duration transcode_next(engine::Engine& engine, Instant now, Clock clock, SparePackets& spare, Tx& tx, Capture& capture) noexcept {
  const engine::WaitingFrame* frame = engine.next_frame(spare);
  finish_waiting(engine, frame->packet, frame->received, tx, capture);
  for (const engine::Packet& more : spare.all()) finish(engine, more, frame->received, tx);
  spare.clear();
  const Duration took = clock() - now;
  engine.frame_took(took);
  return took;
}

// Frames that wait, while there are some: one heavy one, or light ones for as long as a heavy one may take. How many.
inline std::size_t transcode(engine::Engine& engine, Clock clock, SparePackets& spare, Tx& tx, Capture& capture) noexcept {
  constexpr Duration kSlice{api::kHeavyCostNs};
  const Instant began = clock();
  Instant now = began;
  std::size_t frames = 0;
  do {
    now += transcode_next(engine, now, clock, spare, tx, capture);
    ++frames;
  } while (engine.frames_waiting() != 0 && !engine.next_is_heavy() && now - began < kSlice);
  return frames;
}

// Sends what a timer or a command made.
inline void send(engine::Engine& engine, SparePackets& made, Instant now, Tx& tx) noexcept {
  for (const engine::Packet& packet : made.all()) finish(engine, packet, now, tx);
  made.clear();
}

}  // namespace ifgw::nodes
