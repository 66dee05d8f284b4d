// A queue that another worker is using: nobody waits for it. Buffers are made by hand; no EAL is started, and nothing reaches a device.
#include "dataplane/nodes/tx.h"

#include <gtest/gtest.h>

#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

constexpr std::uint16_t kTap = 3;

Instant no_time() noexcept { return from_ns(0); }

class SharedTx : public ::testing::Test {
 protected:
  SharedTx() {
    shared.add(kTap, 4);
    for (rte_mbuf& buffer : buffers) {
      buffer.refcnt = 2;  // one is ours: freeing it puts it nowhere
      buffer.nb_segs = 1;
    }
  }
  void add(int count) {
    for (; count > 0; --count) tx->add(&buffers[added++], kTap);
  }

  Plane plane;
  nodes::SharedQueues shared;
  nodes::Vlans vlans;
  std::array<std::uint16_t, 1> ports{0};
  nodes::Capture capture{plane.engine, *plane.block, 0, ports, no_time};
  nodes::PortsTime time;
  std::array<rte_mbuf, 2 * nodes::kBurst> buffers{};
  std::size_t added = 0;
  std::unique_ptr<nodes::Tx> tx;
};

TEST_F(SharedTx, WorkersTakeQueuesInTurn) {
  EXPECT_EQ(shared.queue(kTap, 5), 1);
  EXPECT_EQ(shared.taken(kTap, 5), shared.taken(kTap, 1)) << "the same queue, and the same flag";
  EXPECT_NE(shared.taken(kTap, 5), shared.taken(kTap, 2));
  EXPECT_EQ(shared.queue(kTap + 1, 5), 5) << "of a device that has enough";
  EXPECT_EQ(shared.taken(kTap + 1, 5), nullptr);
}

TEST_F(SharedTx, WhatIsInTheWayIsTriedAgainAndNobodyWaits) {
  tx = std::make_unique<nodes::Tx>(5, shared, vlans, *plane.block, no_time, capture, time);
  tx->flush();
  EXPECT_FALSE(tx->waiting());
  ASSERT_FALSE(shared.taken(kTap, 1)->test_and_set());
  add(nodes::kBurst - 1);
  for (int i = 0; i < 3; ++i) {
    tx->flush();
    EXPECT_TRUE(tx->waiting());
  }
  EXPECT_EQ(plane.drops(api::DropReason::TxQueueFull), 0U);
  add(1);  // no room for one more
  EXPECT_EQ(plane.drops(api::DropReason::TxQueueFull), nodes::kBurst);
  for (std::size_t i = 0; i < added; ++i) EXPECT_EQ(buffers[i].refcnt, 1) << "given back";
  tx->flush();
  EXPECT_FALSE(tx->waiting());
}

}  // namespace
}  // namespace ifgw::test
