// Stage limit and the datagram path: signalling of this worker's sources through the limiter, SIP over UDP up to the
// control plane by ring, the rest to the kernel; and the control plane's datagrams down to tx.
#pragma once

#include <array>
#include <memory>

#include "dataplane/api/region.h"
#include "dataplane/nodes/exception.h"
#include "dataplane/nodes/packets.h"
#include "dataplane/nodes/tx.h"

namespace ifgw::nodes {

class Signalling {
 public:
  Signalling(engine::Engine& engine, engine::NextHops& next_hops, api::WorkerBlock& block, Exception& exception, Tx& tx, rte_mempool* pool);

  // `packets`: SipUdp, SignallingTcp*, Fragment, owned by this worker. `up` is nullptr while nobody is attached.
  // `local_addresses` as in the engine's configuration. Returns how many datagrams were put on the ring.
  std::size_t receive(const PacketList& packets, Instant now, api::RingProducer<api::Datagram>* up,
                      std::span<const IpAddress> local_addresses) noexcept;

  // One datagram from the control plane; untrusted. One to a neighbour that is not known yet is kept for up to a second
  // while the kernel asks for it, as the kernel does with its own; kParked of them at once.
  void send(const api::Datagram& datagram, Instant now) noexcept;
  // Sends what was kept and can go now. Every iteration.
  void retry(Instant now) noexcept;

 private:
  static constexpr std::size_t kParked = 128;
  struct Parked {
    Instant since{};
    engine::NextHopIndex next_hop = engine::kNoNextHop;
    api::Datagram datagram;
  };
  bool usable(engine::NextHopIndex index) const noexcept;
  void transmit(const api::Datagram& datagram) noexcept;
  bool lift(engine::Packet& packet, Instant now, api::RingProducer<api::Datagram>* up, const IpAddress& local) noexcept;
  void drop(rte_mbuf* buffer, api::DropReason reason) noexcept;
  void drop(engine::Packet& packet, api::DropReason reason) noexcept;

  engine::Engine& engine_;
  engine::NextHops& next_hops_;
  api::WorkerBlock& block_;
  Exception& exception_;
  Tx& tx_;
  rte_mempool* pool_;
  std::unique_ptr<api::Datagram> slot_;
  std::unique_ptr<std::array<Parked, kParked>> parked_;
  std::size_t parked_count_ = 0;
};

}  // namespace ifgw::nodes
