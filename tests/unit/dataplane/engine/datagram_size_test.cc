// SIP over UDP that no slot of the ring holds, and what holds nothing.
#include <gtest/gtest.h>

#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

using api::DropReason;
using engine::PacketVerdict;

class DatagramSize : public testing::Test {
 protected:
  engine::Packet of(std::size_t bytes) {
    const Frame payload(bytes, 'x');
    return plane.send(udp_frame(*Endpoint::parse("198.51.100.7:5060"), *Endpoint::parse("192.0.2.1:5060"), payload)).packet;
  }
  std::uint64_t all_drops() const {
    std::uint64_t sum = 0;
    for (const api::Counter& counter : plane.block->drops) sum += counter.get();
    return sum;
  }
  Plane plane;
};

TEST_F(DatagramSize, WhatASlotHoldsGoesUp) {
  EXPECT_EQ(of(1).verdict, PacketVerdict::Up);
  EXPECT_EQ(of(api::kMaxDatagramPayload).verdict, PacketVerdict::Up);
}

TEST_F(DatagramSize, WhatIsLongerGoesToTheKernelAndCountsOnce) {
  EXPECT_EQ(of(api::kMaxDatagramPayload + 1).verdict, PacketVerdict::Kernel);
  EXPECT_EQ(of(8972).verdict, PacketVerdict::Kernel) << "an MTU of 9000";
  EXPECT_EQ(all_drops(), 0u);
  for (int i = 2; i < 30; ++i) EXPECT_EQ(of(3000).verdict, PacketVerdict::Kernel) << i;
  EXPECT_EQ(of(3000).drop, DropReason::SourceLimited);
}

TEST_F(DatagramSize, AnEmptyOneCountsAndIsSaidToBeEmpty) {
  EXPECT_EQ(of(0).drop, DropReason::EmptyDatagram);
  EXPECT_EQ(plane.drops(DropReason::EmptyDatagram), 1u);
  for (int i = 1; i < 30; ++i) (void)of(0);
  EXPECT_EQ(of(10).drop, DropReason::SourceLimited);
}

}  // namespace
}  // namespace ifgw::test
