// Stage handover: packets that another worker owns travel to it as values, with their buffers, over one ring per pair
// of workers. RSS spreads packets by its own idea; ownership follows ports, sources, and where a leg was moved to. What
// engines tell each other travels beside them.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "dataplane/nodes/capture.h"
#include "dataplane/nodes/packets.h"

struct rte_ring;

namespace ifgw::nodes {

// A packet on its way, and when the worker that got it from a port did so.
struct HandedPacket {
  engine::Packet packet;
  Instant received;
};
static_assert(sizeof(HandedPacket) <= 64);

// All rings of the process; made before the workers start.
class HandoverRings {
 public:
  static constexpr unsigned kCapacity = 1024;
  static constexpr unsigned kMessages = 16;  // of 1.4 kB each
  // What all of them take, but for a little each.
  static constexpr std::size_t bytes(std::size_t workers) noexcept {
    return workers * (workers - 1) * (kCapacity * sizeof(HandedPacket) + kMessages * sizeof(engine::WorkerMessage));
  }
  // nullptr when there is no memory for them.
  static std::unique_ptr<HandoverRings> create(std::size_t workers);
  ~HandoverRings();

  rte_ring* ring(std::size_t from, std::size_t to) const noexcept { return rings_[from * workers_ + to]; }
  rte_ring* messages(std::size_t from, std::size_t to) const noexcept { return messages_[from * workers_ + to]; }
  std::size_t workers() const noexcept { return workers_; }

 private:
  std::size_t workers_ = 0;
  std::vector<rte_ring*> rings_;
  std::vector<rte_ring*> messages_;
};

// One worker's end of them.
class Handover final : public engine::PeerWorkers {
 public:
  Handover(const HandoverRings& rings, std::size_t self, api::WorkerBlock& block, Capture& capture) noexcept
      : rings_(rings), self_(self), block_(block), capture_(capture) {}

  // To packet.owner, at flush(). `received`: by the first worker.
  void give(const engine::Packet& packet, Instant received) noexcept;
  // Sends what was collected; returns a bit mask of the workers that got something, so that sleepers can be woken.
  std::uint32_t flush() noexcept;
  // Up to packets.size() packets from other workers, oldest first per worker. `received`, as long: what give() was told of each.
  std::size_t take(std::span<engine::Packet> packets, std::span<Instant> received) noexcept;
  bool waiting() const noexcept;  // take() or listen() would yield something

  // At once, but the worker is woken at flush() only. Only what the protocol bounds may fill a ring.
  bool tell(std::uint8_t worker, const engine::WorkerMessage& message) noexcept override;
  // One message of another worker, or false. What was sent before a packet that take() yielded is here then.
  bool listen(engine::WorkerMessage& message) noexcept;

 private:
  struct Batch {
    std::array<HandedPacket, kBurst> packets;
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
