#include "dataplane/runtime/next_hop_table.h"

#include <gtest/gtest.h>

namespace ifgw::runtime {
namespace {

IpAddress address(std::uint32_t n) { return IpAddress::v4(0x0A000000 + n); }

NextHopUpdate usable(const NextHopRequest& request, std::uint8_t last_byte) {
  NextHopUpdate update;
  update.index = request.index;
  update.epoch = request.epoch;
  update.hop.destination[5] = last_byte;
  update.hop.usable = 1;
  return update;
}

TEST(NextHopTable, AsksOnceAndLearnsTheAnswer) {
  NextHopTable table(HashKey{});
  const auto index = table.lookup(address(1));
  EXPECT_TRUE(table.take_requested());
  EXPECT_EQ(table.table()[index].usable, 0);
  NextHopRequest request;
  ASSERT_TRUE(table.requests().pop(request));
  EXPECT_EQ(request.destination, address(1));
  ASSERT_TRUE(table.updates().push(usable(request, 7)));
  table.apply();
  EXPECT_EQ(table.table()[index].destination[5], 7);
  EXPECT_EQ(table.lookup(address(1)), index);
  EXPECT_FALSE(table.take_requested()) << "a known next hop is not asked for again";
}

TEST(NextHopTable, AsksAgainWhileThereIsNoAnswer) {
  NextHopTable table(HashKey{});
  const auto index = table.lookup(address(1));
  EXPECT_EQ(table.lookup(address(1)), index);
  NextHopRequest request;
  EXPECT_TRUE(table.requests().pop(request));
  EXPECT_TRUE(table.requests().pop(request)) << "the first may have been lost";
}

TEST(NextHopTable, NeighbourThatMovesChangesInPlace) {
  NextHopTable table(HashKey{});
  const auto index = table.lookup(address(1));
  NextHopRequest request;
  ASSERT_TRUE(table.requests().pop(request));
  const std::uint32_t generation = table.generation();
  ASSERT_TRUE(table.updates().push(usable(request, 1)));
  ASSERT_TRUE(table.updates().push(usable(request, 2)));
  table.apply();
  EXPECT_EQ(table.table()[index].destination[5], 2);
  EXPECT_EQ(table.generation(), generation) << "legs keep their index";
}

TEST(NextHopTable, StartsAnewWhenItIsFull) {
  NextHopTable table(HashKey{});
  NextHopRequest first;
  (void)table.lookup(address(0));
  ASSERT_TRUE(table.requests().pop(first));
  for (std::uint32_t i = 1; i < NextHopTable::kCapacity; ++i) {
    ASSERT_EQ(table.lookup(address(i)), i);
    NextHopRequest request;
    while (table.requests().pop(request)) {
    }
  }
  const std::uint32_t generation = table.generation();
  EXPECT_EQ(table.lookup(address(100'000)), 0u);
  EXPECT_NE(table.generation(), generation) << "every leg looks its next hop up again";
  EXPECT_EQ(table.resets(), 1u);
  ASSERT_TRUE(table.updates().push(usable(first, 9)));
  table.apply();
  EXPECT_EQ(table.table()[0].usable, 0) << "an answer to a question of the old table is void";
}

}  // namespace
}  // namespace ifgw::runtime
