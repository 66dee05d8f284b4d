// What travels between workers, over real rings and with buffers of a real pool: an EAL without huge pages is started for them.
#include "dataplane/nodes/handover.h"

#include <gtest/gtest.h>
#include <rte_eal.h>
#include <rte_mempool.h>

#include "dataplane/runtime/eal_profile.h"
#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

using engine::WorkerMessage;

constexpr unsigned kBuffers = 2047;
constexpr unsigned kRingHolds = nodes::HandoverRings::kCapacity - 1;

Instant no_time() noexcept { return from_ns(0); }

class HandoverStage : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    runtime::EalRequest request;
    request.memory = runtime::MemoryChoice::None;
    request.memory_mb = 64;
    const auto started = runtime::start_eal(runtime::choose_eal_profile(request, {}).value());
    ASSERT_TRUE(started.ok()) << started.error().message;
    pool = rte_pktmbuf_pool_create("handover", kBuffers, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    ASSERT_NE(pool, nullptr);
  }
  static void TearDownTestSuite() {
    rte_mempool_free(pool);
    rte_eal_cleanup();
  }
  void TearDown() override {
    for (nodes::Handover* each : {&first, &second, &third}) (void)take(*each, 10'000);
    EXPECT_EQ(rte_mempool_in_use_count(pool), 0U) << "every buffer came back";
  }

  void give(nodes::Handover& from, std::uint8_t to, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      rte_mbuf* buffer = rte_pktmbuf_alloc(pool);
      ASSERT_NE(buffer, nullptr);
      rte_pktmbuf_append(buffer, 60);
      engine::Packet packet;
      nodes::view(buffer, 0, packet);
      packet.owner = to;
      packet.leg_index = given;
      from.give(packet, from_ns(given++));
    }
  }
  // Frees what it takes; the numbers of the packets, in the order in which they came.
  std::vector<std::uint32_t> take(nodes::Handover& at, std::size_t most) {
    std::vector<std::uint32_t> numbers;
    std::array<engine::Packet, nodes::kBurst> packets;
    std::array<Instant, nodes::kBurst> received;
    while (numbers.size() < most) {
      const std::size_t count = at.take(std::span(packets).first(std::min(packets.size(), most - numbers.size())), received);
      if (count == 0) break;
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(received[i], from_ns(packets[i].leg_index)) << "as it was told";
        EXPECT_EQ(packets[i].verdict, engine::PacketVerdict::Pending);
        numbers.push_back(packets[i].leg_index);
        rte_pktmbuf_free(nodes::buffer_of(packets[i]));
      }
    }
    return numbers;
  }
  static std::vector<std::uint32_t> numbers(std::uint32_t from, std::uint32_t to) {
    std::vector<std::uint32_t> all;
    for (; from < to; ++from) all.push_back(from);
    return all;
  }

  static inline rte_mempool* pool = nullptr;
  std::uint32_t given = 0;
  Plane plane;
  std::array<std::uint16_t, 1> ports{0};
  nodes::Capture capture{plane.engine, *plane.block, 0, ports, no_time};
  std::unique_ptr<nodes::HandoverRings> rings = nodes::HandoverRings::create(3);
  nodes::Handover first{*rings, 0, *plane.block, capture};
  nodes::Handover second{*rings, 1, *plane.block, capture};
  nodes::Handover third{*rings, 2, *plane.block, capture};
};

TEST_F(HandoverStage, PacketsArriveInOrderAtTheirOwnerOnly) {
  give(first, 1, 40);
  EXPECT_FALSE(third.waiting());
  EXPECT_EQ(first.flush(), 0b010U) << "whom to wake";
  EXPECT_EQ(first.flush(), 0U) << "once";
  EXPECT_TRUE(second.waiting());
  EXPECT_TRUE(take(third, 100).empty());
  EXPECT_EQ(take(second, 100), numbers(0, 40));
  EXPECT_FALSE(second.waiting());
  EXPECT_EQ(plane.block->handed_over.get(), 40U);
  EXPECT_EQ(plane.block->taken_over.get(), 40U);
}

TEST_F(HandoverStage, WhatAFullRingDoesNotTakeIsDroppedAndCountedTheNewestOfIt) {
  give(first, 1, kRingHolds + 77);
  give(first, 2, 5);
  EXPECT_EQ(first.flush(), 0b110U);
  EXPECT_EQ(plane.drops(api::DropReason::HandoverFull), 77U);
  EXPECT_EQ(plane.block->handed_over.get(), kRingHolds + 5);
  EXPECT_EQ(rte_mempool_in_use_count(pool), kRingHolds + 5) << "the others' buffers are free";
  give(first, 1, 10);
  EXPECT_EQ(first.flush(), 0U) << "nobody is woken for nothing";
  EXPECT_EQ(plane.drops(api::DropReason::HandoverFull), 87U);
  EXPECT_EQ(take(second, kRingHolds), numbers(0, kRingHolds));
  const std::uint32_t next = given;
  give(first, 1, 3);
  EXPECT_EQ(first.flush(), 0b010U);
  EXPECT_EQ(take(second, 100), numbers(next, next + 3)) << "there is room again";
  EXPECT_EQ(take(third, 100).size(), 5U) << "another worker's ring was not full";
}

TEST_F(HandoverStage, NoWorkersPacketsAlwaysComeLast) {
  give(second, 0, 200);
  give(third, 0, 200);
  (void)second.flush();
  (void)third.flush();
  const auto from_third = [&] {
    const std::vector<std::uint32_t> burst = take(first, nodes::kBurst);
    return std::count_if(burst.begin(), burst.end(), [](std::uint32_t number) { return number >= 200; });
  };
  std::ptrdiff_t its = 0;
  for (int burst = 0; burst < 6; ++burst) its += from_third();
  EXPECT_GE(its, 2 * nodes::kBurst);
  EXPECT_LE(its, 4 * nodes::kBurst);
}

TEST_F(HandoverStage, MessagesKeepPlacesForAnAskAndItsAnswer) {
  WorkerMessage release, message;
  release.kind = WorkerMessage::Kind::Release;
  unsigned told = 0;
  while (first.tell(1, release) && told < 100) ++told;
  EXPECT_EQ(told, nodes::HandoverRings::kMessages - 1 - 4);
  message.kind = WorkerMessage::Kind::Ask;
  EXPECT_TRUE(first.tell(1, message));
  message.kind = WorkerMessage::Kind::Give;
  EXPECT_TRUE(first.tell(1, message));
  EXPECT_EQ(first.flush(), 0b010U);
  EXPECT_TRUE(second.waiting());
  for (unsigned i = 0; i < told; ++i) {
    ASSERT_TRUE(second.listen(message));
    EXPECT_EQ(message.kind, WorkerMessage::Kind::Release);
  }
  ASSERT_TRUE(second.listen(message));
  EXPECT_EQ(message.kind, WorkerMessage::Kind::Ask) << "in the order in which they were told";
  ASSERT_TRUE(second.listen(message));
  EXPECT_EQ(message.kind, WorkerMessage::Kind::Give);
  EXPECT_FALSE(second.listen(message));
  EXPECT_FALSE(second.waiting());
  EXPECT_TRUE(first.tell(1, release));
  EXPECT_TRUE(second.listen(message));
}

}  // namespace
}  // namespace ifgw::test
