#include "dataplane/nodes/handover.h"

#include <rte_lcore.h>
#include <rte_ring_elem.h>

#include <algorithm>
#include <string>

namespace ifgw::nodes {

std::unique_ptr<HandoverRings> HandoverRings::create(std::size_t workers) {
  auto rings = std::make_unique<HandoverRings>();
  rings->workers_ = workers;
  rings->rings_.assign(workers * workers, nullptr);
  rings->messages_.assign(workers * workers, nullptr);
  for (std::size_t from = 0; from < workers; ++from)
    for (std::size_t to = 0; to < workers; ++to) {
      if (from == to) continue;
      const std::string pair = std::to_string(from) + "_" + std::to_string(to);
      const auto make = [](const std::string& name, unsigned bytes, unsigned capacity) {
        return rte_ring_create_elem(name.c_str(), bytes, capacity, static_cast<int>(rte_socket_id()), RING_F_SP_ENQ | RING_F_SC_DEQ);
      };
      rte_ring* packets = rings->rings_[from * workers + to] = make("handover_" + pair, sizeof(HandedPacket), kCapacity);
      rte_ring* messages = rings->messages_[from * workers + to] = make("messages_" + pair, sizeof(engine::WorkerMessage), kMessages);
      if (packets == nullptr || messages == nullptr) return nullptr;
    }
  return rings;
}

HandoverRings::~HandoverRings() {
  for (rte_ring* ring : rings_) rte_ring_free(ring);
  for (rte_ring* ring : messages_) rte_ring_free(ring);
}

void Handover::give(const engine::Packet& packet, Instant received) noexcept {
  Batch& batch = batches_[packet.owner];
  HandedPacket& handed = batch.packets[batch.size++];
  handed = {packet, received};
  handed.packet.verdict = engine::PacketVerdict::Pending;
  if (batch.size == kBurst) send(packet.owner);
}

std::uint32_t Handover::flush() noexcept {
  for (std::size_t to = 0; to < batches_.size(); ++to)
    if (batches_[to].size != 0) send(to);
  const std::uint32_t woken = woken_;
  woken_ = 0;
  return woken;
}

void Handover::send(std::size_t to) noexcept {
  Batch& batch = batches_[to];
  const unsigned sent =
      rte_ring_sp_enqueue_burst_elem(rings_.ring(self_, to), batch.packets.data(), sizeof(HandedPacket), batch.size, nullptr);
  for (unsigned i = sent; i < batch.size; ++i) {
    block_.drops[static_cast<std::size_t>(api::DropReason::HandoverFull)].add(1);
    if (capture_.on()) capture_.dropped(batch.packets[i].packet, api::DropReason::HandoverFull);
    rte_pktmbuf_free(buffer_of(batch.packets[i].packet));
  }
  block_.handed_over.add(sent);
  if (sent != 0) woken_ |= 1u << to;
  batch.size = 0;
}

std::size_t Handover::take(std::span<engine::Packet> packets, std::span<Instant> received) noexcept {
  std::array<HandedPacket, kBurst> handed;
  std::size_t taken = 0;
  for (std::size_t i = 0; i < rings_.workers() && taken < packets.size(); ++i) {
    const std::size_t from = (next_source_ + i) % rings_.workers();
    if (from == self_) continue;
    const auto room = static_cast<unsigned>(std::min(packets.size() - taken, handed.size()));
    const unsigned count = rte_ring_sc_dequeue_burst_elem(rings_.ring(from, self_), handed.data(), sizeof(HandedPacket), room, nullptr);
    for (unsigned p = 0; p < count; ++p) {
      received[taken] = handed[p].received;
      packets[taken++] = handed[p].packet;
    }
  }
  block_.taken_over.add(taken);
  next_source_ = (next_source_ + 1) % rings_.workers();  // so that no worker's packets always come last
  return taken;
}

bool Handover::waiting() const noexcept {
  for (std::size_t from = 0; from < rings_.workers(); ++from) {
    if (from == self_) continue;
    for (const rte_ring* ring : {rings_.ring(from, self_), rings_.messages(from, self_)})
      // As rte_ring_empty(), which reads what the other worker writes without an atomic.
      if (__atomic_load_n(&ring->prod.tail, __ATOMIC_ACQUIRE) != ring->cons.tail) return true;
  }
  return false;
}

bool Handover::tell(std::uint8_t worker, const engine::WorkerMessage& message) noexcept {
  // The last places are for what there is no more than one of at a time.
  constexpr unsigned kReserved = 4;
  rte_ring* ring = rings_.messages(self_, worker);
  const bool unbounded = message.kind == engine::WorkerMessage::Kind::Release;
  // As rte_ring_free_count(), with an atomic for what the other worker writes.
  const std::uint32_t used = ring->prod.tail - __atomic_load_n(&ring->cons.tail, __ATOMIC_ACQUIRE);
  if (unbounded && ring->capacity - used <= kReserved) return false;
  if (rte_ring_sp_enqueue_elem(ring, const_cast<engine::WorkerMessage*>(&message), sizeof message) != 0) return false;
  woken_ |= 1u << worker;
  return true;
}

bool Handover::listen(engine::WorkerMessage& message) noexcept {
  for (std::size_t from = 0; from < rings_.workers(); ++from)
    if (from != self_ && rte_ring_sc_dequeue_elem(rings_.messages(from, self_), &message, sizeof message) == 0) return true;
  return false;
}

}  // namespace ifgw::nodes
