// Stage handover: packets that another worker owns travel to it as values, with their buffers, over one ring per pair
// of workers. RSS spreads packets by its own idea; ownership follows ports and sources.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "dataplane/nodes/capture.h"
#include "dataplane/nodes/packets.h"

struct rte_ring;

namespace ifgw::nodes {

// All rings of the process; made before the workers start.
class HandoverRings {
 public:
  static constexpr unsigned kCapacity = 1024;
  // nullptr when there is no memory for them.
  static std::unique_ptr<HandoverRings> create(std::size_t workers);
  ~HandoverRings();

  rte_ring* ring(std::size_t from, std::size_t to) const noexcept { return rings_[from * workers_ + to]; }
  std::size_t workers() const noexcept { return workers_; }

 private:
  std::size_t workers_ = 0;
  std::vector<rte_ring*> rings_;
};

// One worker's end of them.
class Handover {
 public:
  Handover(const HandoverRings& rings, std::size_t self, api::WorkerBlock& block, Capture& capture) noexcept
      : rings_(rings), self_(self), block_(block), capture_(capture) {}

  void give(const engine::Packet& packet) noexcept;  // to packet.owner, at flush()
  // Sends what was collected; returns a bit mask of the workers that got something, so that sleepers can be woken.
  std::uint32_t flush() noexcept;
  // Up to packets.size() packets from other workers, oldest first per worker.
  std::size_t take(std::span<engine::Packet> packets) noexcept;
  bool waiting() const noexcept;  // take() would yield something

 private:
  struct Batch {
    std::array<engine::Packet, kBurst> packets;
    unsigned size = 0;
  };
  void send(std::size_t to) noexcept;

  const HandoverRings& rings_;
  std::size_t self_;
  api::WorkerBlock& block_;
  Capture& capture_;
  std::vector<Batch> batches_{rings_.workers()};
  std::uint32_t woken_ = 0;
  std::size_t next_source_ = 0;
};

}  // namespace ifgw::nodes
