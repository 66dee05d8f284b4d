#include "dataplane/nodes/exception.h"

namespace ifgw::nodes {
namespace {

constexpr std::uint16_t kLongestFrame = kKernelMtu + 14 + 4;  // Ethernet's header, and a tag of priority

}  // namespace

Exception::Exception(const ExceptionConfig& config, api::WorkerBlock& block, Tx& tx) noexcept
    : config_(config),
      block_(block),
      tx_(tx),
      rest_(config.packets_per_second, config.burst),
      tcp_(config.packets_per_second, config.burst) {}

void Exception::police_to_kernel(engine::Packet& packet, Instant now) noexcept {
  if (!rest_.take(now)) return drop(packet, api::DropReason::ExceptionPolicer);
  to_kernel(packet);
}

void Exception::police_tcp_to_kernel(engine::Packet& packet, Instant now) noexcept {
  if (!tcp_.take(now)) return drop(packet, api::DropReason::SignallingTcpPolicer);
  to_kernel(packet);
}

void Exception::to_kernel(engine::Packet& packet) noexcept {
  const std::uint16_t device = config_.peer[packet.rx_port];
  if (device == kNoDevice) return drop(packet, api::DropReason::NoKernelInterface);
  if (packet.length > kLongestFrame) return drop(packet, api::DropReason::OversizedDatagram);
  block_.exception_to_kernel.add(1);
  tx_.add(settle(packet), device);
}

void Exception::from_kernel(rte_mbuf* buffer, std::uint16_t device) noexcept {
  const std::uint16_t port = config_.peer[device];
  if (port == kNoDevice) return rte_pktmbuf_free(buffer);
  block_.exception_from_kernel.add(1);
  tx_.add(buffer, port);
}

void Exception::drop(engine::Packet& packet, api::DropReason reason) noexcept {
  packet.verdict = engine::PacketVerdict::Drop;
  packet.drop = reason;
  block_.drops[static_cast<std::size_t>(reason)].add(1);
  rte_pktmbuf_free(settle(packet));
}

}  // namespace ifgw::nodes
