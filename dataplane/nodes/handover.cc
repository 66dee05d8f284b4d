#include "dataplane/nodes/handover.h"

#include <rte_lcore.h>
#include <rte_ring_elem.h>

#include <string>

namespace ifgw::nodes {

std::unique_ptr<HandoverRings> HandoverRings::create(std::size_t workers) {
  auto rings = std::make_unique<HandoverRings>();
  rings->workers_ = workers;
  rings->rings_.assign(workers * workers, nullptr);
  for (std::size_t from = 0; from < workers; ++from)
    for (std::size_t to = 0; to < workers; ++to) {
      if (from == to) continue;
      const std::string name = "handover_" + std::to_string(from) + "_" + std::to_string(to);
      rte_ring* ring = rte_ring_create_elem(name.c_str(), sizeof(engine::Packet), kCapacity, static_cast<int>(rte_socket_id()),
                                            RING_F_SP_ENQ | RING_F_SC_DEQ);
      if (ring == nullptr) return nullptr;
      rings->rings_[from * workers + to] = ring;
    }
  return rings;
}

HandoverRings::~HandoverRings() {
  for (rte_ring* ring : rings_) rte_ring_free(ring);
}

void Handover::give(const engine::Packet& packet) noexcept {
  Batch& batch = batches_[packet.owner];
  batch.packets[batch.size++] = packet;
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
      rte_ring_sp_enqueue_burst_elem(rings_.ring(self_, to), batch.packets.data(), sizeof(engine::Packet), batch.size, nullptr);
  for (unsigned i = sent; i < batch.size; ++i) {
    block_.drops[static_cast<std::size_t>(api::DropReason::HandoverFull)].add(1);
    if (capture_.on()) capture_.dropped(batch.packets[i], api::DropReason::HandoverFull);
    rte_pktmbuf_free(buffer_of(batch.packets[i]));
  }
  if (sent != 0) woken_ |= 1u << to;
  batch.size = 0;
}

std::size_t Handover::take(std::span<engine::Packet> packets) noexcept {
  std::size_t taken = 0;
  for (std::size_t i = 0; i < rings_.workers() && taken < packets.size(); ++i) {
    const std::size_t from = (next_source_ + i) % rings_.workers();
    if (from == self_) continue;
    taken += rte_ring_sc_dequeue_burst_elem(rings_.ring(from, self_), &packets[taken], sizeof(engine::Packet),
                                            static_cast<unsigned>(packets.size() - taken), nullptr);
  }
  next_source_ = (next_source_ + 1) % rings_.workers();  // so that no worker's packets always come last
  return taken;
}

bool Handover::waiting() const noexcept {
  for (std::size_t from = 0; from < rings_.workers(); ++from) {
    if (from == self_) continue;
    // As rte_ring_empty(), which reads what the other worker writes without an atomic.
    const rte_ring& ring = *rings_.ring(from, self_);
    if (__atomic_load_n(&ring.prod.tail, __ATOMIC_ACQUIRE) != ring.cons.tail) return true;
  }
  return false;
}

}  // namespace ifgw::nodes
