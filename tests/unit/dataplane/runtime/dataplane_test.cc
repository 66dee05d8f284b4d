#include "dataplane/runtime/dataplane.h"

#include <gtest/gtest.h>

namespace ifgw::test {
namespace {

using runtime::Dataplane;

runtime::DataplaneSetup setup(std::size_t ports, std::uint8_t workers) {
  runtime::DataplaneSetup made;
  made.engine.worker_count = workers;
  for (std::size_t i = 0; i < ports; ++i) {
    runtime::PortConfig port;
    port.device = "net_af_packet" + std::to_string(i) + ",iface=d" + std::to_string(i);
    made.ports.push_back(port);
  }
  return made;
}

// A card's rings alone hold 1024 buffers each way for every worker, those of the kernel's interfaces as many for four at most.
TEST(PacketBuffers, AreAsManyAsPortsAndWorkersCanHold) {
  EXPECT_EQ(Dataplane::packet_buffers(setup(2, 1)), 16'383U);
  for (const auto& [ports, workers] : {std::pair<std::size_t, std::uint8_t>{2, 2}, {2, 4}, {4, 4}, {2, 16}, {8, 32}}) {
    const std::uint32_t taps = std::min<std::uint32_t>(workers, 4);
    const std::uint32_t rings = static_cast<std::uint32_t>(ports) * 2 * 1024 * (workers + taps);
    const std::uint32_t buffers = Dataplane::packet_buffers(setup(ports, workers));
    EXPECT_GT(buffers, rings + workers * (nodes::HandoverRings::kCapacity + engine::FrameQueue::kCapacity))
        << ports << " ports, " << int{workers};
    EXPECT_EQ(buffers & (buffers + 1), 0U) << "one less than a power of two: what a pool's memory fits best";
  }
}

TEST(PacketBuffers, OfVlansOfADeviceCountOnce) {
  runtime::DataplaneSetup vlans = setup(4, 8), one = setup(1, 8);
  for (auto& port : vlans.ports) port.device = "net_af_packet0,iface=d0";
  vlans.exception = one.exception = false;
  EXPECT_EQ(Dataplane::packet_buffers(vlans), Dataplane::packet_buffers(one));
  vlans.exception = true;
  EXPECT_GE(Dataplane::packet_buffers(vlans), Dataplane::packet_buffers(one)) << "each has an interface";
}

TEST(PacketBuffers, AsTheOperatorSays) {
  runtime::DataplaneSetup given = setup(2, 4);
  given.packet_buffers = 2047;
  EXPECT_EQ(Dataplane::packet_buffers(given), 2047U);
  EXPECT_LT(Dataplane::required_memory_mb(given), Dataplane::required_memory_mb(setup(2, 4)));
}

}  // namespace
}  // namespace ifgw::test
