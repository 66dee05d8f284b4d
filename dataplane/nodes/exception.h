// Stage exception: between a port and the kernel's side of it. What is not ours goes to the kernel (ARP, ND, ICMP,
// signalling over TCP, fragments), the kernel's own packets go out of the port.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/engine/token_bucket.h"
#include "dataplane/nodes/packets.h"
#include "dataplane/nodes/tx.h"

namespace ifgw::nodes {

inline constexpr std::uint16_t kKernelMtu = 1500;  // of its interfaces: what net_tap takes

struct ExceptionConfig {
  // By a port's number: the device of its kernel's side; by that device: the port's number. kNoDevice: none.
  std::array<std::uint16_t, kMaxPortNumbers> peer{};
  // Towards the kernel of what nothing else counts, per worker: so many of ARP, ICMP and the rest, and as many of TCP
  // connections to signalling ports.
  std::uint32_t packets_per_second = 20'000;
  std::uint32_t burst = 2'000;
};

class Exception {
 public:
  Exception(const ExceptionConfig& config, api::WorkerBlock& block, Tx& tx) noexcept;

  // ARP, ICMP and the rest: through the policer, so that a flood of them cannot starve the kernel or the poll loop.
  void police_to_kernel(engine::Packet& packet, Instant now) noexcept;
  // TCP to a signalling port but for SYNs (PacketKind::SignallingTcp): through a policer of its own, so that neither kind's
  // flood takes the other's room.
  void police_tcp_to_kernel(engine::Packet& packet, Instant now) noexcept;
  // Packets that the limiter has admitted. What exceeds the interface's MTU is dropped (OversizedDatagram): the device would
  // refuse it, and with it the rest of its burst.
  void to_kernel(engine::Packet& packet) noexcept;
  // What the kernel sends through exception device `device`.
  void from_kernel(rte_mbuf* buffer, std::uint16_t device) noexcept;

 private:
  void drop(engine::Packet& packet, api::DropReason reason) noexcept;

  ExceptionConfig config_;
  api::WorkerBlock& block_;
  Tx& tx_;
  engine::TokenBucket rest_;
  engine::TokenBucket tcp_;
};

}  // namespace ifgw::nodes
