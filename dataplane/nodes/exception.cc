#include "dataplane/nodes/exception.h"

#include <rte_cycles.h>

#include "codecs/base/check.h"

namespace ifgw::nodes {

Exception::Exception(const ExceptionConfig& config, api::WorkerBlock& block, Tx& tx) noexcept : config_(config), block_(block), tx_(tx) {
  rte_meter_srtcm_params params{config.packets_per_second, config.burst, 0};  // one "byte" per packet
  IFGW_CHECK(rte_meter_srtcm_profile_config(&profile_, &params) == 0);
  IFGW_CHECK(rte_meter_srtcm_config(&meter_, &profile_) == 0);
}

void Exception::police_to_kernel(engine::Packet& packet) noexcept {
  if (rte_meter_srtcm_color_blind_check(&meter_, &profile_, rte_rdtsc(), 1) != RTE_COLOR_GREEN)
    return drop(packet, api::DropReason::ExceptionPolicer);
  to_kernel(packet);
}

void Exception::to_kernel(engine::Packet& packet) noexcept {
  const std::uint16_t device = config_.peer[packet.rx_port];
  if (device == kNoDevice) return drop(packet, api::DropReason::ExceptionQueueFull);
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
