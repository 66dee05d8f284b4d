#include "dataplane/runtime/next_hop_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace ifgw::runtime {
namespace {

IpAddress address(std::uint32_t n) { return IpAddress::v4(0x0A000000 + n); }

NextHopUpdate usable(const NextHopRequest& request, std::uint8_t last_byte) {
  NextHopUpdate update;
  update.index = request.index;
  update.generation = request.generation;
  update.hop.destination[5] = last_byte;
  update.hop.usable = 1;
  return update;
}

TEST(NextHopTable, AsksOnceAndLearnsTheAnswer) {
  NextHopTable table(HashKey{}, 8);
  const auto index = table.lookup(address(1));
  EXPECT_TRUE(table.take_requested());
  EXPECT_EQ(table.table()[index].usable, 0);
  NextHopRequest request;
  ASSERT_TRUE(table.requests().pop(request));
  EXPECT_EQ(request.destination, address(1));
  table.tell(usable(request, 7));
  table.apply();
  EXPECT_EQ(table.table()[index].destination[5], 7);
  EXPECT_EQ(table.lookup(address(1)), index);
  EXPECT_FALSE(table.take_requested()) << "a known next hop is not asked for again";
}

TEST(NextHopTable, AsksAgainWhileThereIsNoAnswer) {
  NextHopTable table(HashKey{}, 8);
  const auto index = table.lookup(address(1));
  EXPECT_EQ(table.lookup(address(1)), index);
  NextHopRequest request;
  EXPECT_TRUE(table.requests().pop(request));
  EXPECT_TRUE(table.requests().pop(request)) << "the first may have been lost";
}

TEST(NextHopTable, NeighbourThatMovesChangesInPlace) {
  NextHopTable table(HashKey{}, 8);
  const auto index = table.lookup(address(1));
  NextHopRequest request;
  ASSERT_TRUE(table.requests().pop(request));
  table.tell(usable(request, 1));
  table.tell(usable(request, 2));
  table.apply();
  EXPECT_EQ(table.table()[index].destination[5], 2);
}

TEST(NextHopTable, MakesRoomFromWhatNobodyAskedForTheLongest) {
  NextHopTable table(HashKey{}, 3);
  const auto held = table.acquire(address(0));
  const auto old = table.lookup(address(1));
  const auto young = table.lookup(address(2));
  EXPECT_EQ(table.lookup(address(1)), old);
  EXPECT_EQ(table.lookup(address(3)), young) << "address 1 was asked for again since";
  EXPECT_EQ(table.lookup(address(4)), old);
  EXPECT_EQ(table.acquire(address(0)), held);
  table.release(held);
  EXPECT_EQ(table.lookup(address(5)), young);
  EXPECT_EQ(table.lookup(address(6)), old);
  EXPECT_EQ(table.lookup(address(0)), held) << "held twice, released once";
}

TEST(NextHopTable, ANewDestinationFindsNoPlaceWhenAllAreHeld) {
  NextHopTable table(HashKey{}, 2);
  const auto first = table.acquire(address(1));
  const auto second = table.acquire(address(2));
  EXPECT_EQ(table.acquire(address(3)), engine::kNoNextHop);
  EXPECT_EQ(table.lookup(address(3)), engine::kNoNextHop);
  EXPECT_EQ(table.acquire(address(1)), first) << "one that is there needs none";
  table.release(second);
  EXPECT_EQ(table.acquire(address(3)), second);
}

TEST(NextHopTable, AnAnswerForTheDestinationBeforeIsVoid) {
  NextHopTable table(HashKey{}, 1);
  NextHopRequest before;
  NextHopRequest after;
  const auto index = table.lookup(address(1));
  ASSERT_TRUE(table.requests().pop(before));
  table.tell(usable(before, 1));
  table.apply();
  ASSERT_EQ(table.lookup(address(2)), index);
  EXPECT_EQ(table.table()[index].usable, 0) << "not the address before's";
  ASSERT_TRUE(table.requests().pop(after));
  table.tell(usable(before, 9));
  table.apply();
  EXPECT_EQ(table.table()[index].usable, 0);
  table.tell(usable(after, 2));
  table.tell(usable(before, 9));
  table.apply();
  EXPECT_EQ(table.table()[index].destination[5], 2);
}

std::vector<NextHopRequest> ask(NextHopTable& table, std::uint32_t count) {
  std::vector<NextHopRequest> requests(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    table.lookup(address(i));
    EXPECT_TRUE(table.requests().pop(requests[i]));
  }
  return requests;
}

long with_last_byte(const NextHopTable& table, std::uint8_t last_byte) {
  return std::count_if(table.table().begin(), table.table().end(),
                       [&](const engine::NextHop& hop) { return hop.destination[5] == last_byte; });
}

// A router before many destinations moves twice while the worker is busy elsewhere.
TEST(NextHopTable, MoreNewsThanTheRingHoldsIsToldInTheEnd) {
  constexpr std::uint32_t kMany = 100'000;  // the ring holds 4096
  NextHopTable table(HashKey{}, kMany);
  const auto requests = ask(table, kMany);
  for (std::uint8_t mac = 1; mac <= 3; ++mac)
    for (const NextHopRequest& request : requests) table.tell(usable(request, mac));
  EXPECT_TRUE(table.behind());
  EXPECT_FALSE(table.catch_up()) << "there is no room yet";
  std::uint32_t turns = 0;
  for (; table.behind() || table.updates_waiting(); ++turns) {
    ASSERT_LT(turns, 2 * kMany / NextHopTable::kAppliedAtOnce);
    table.apply();
    table.catch_up();
  }
  EXPECT_EQ(with_last_byte(table, 3), kMany);
}

TEST(NextHopTable, NewsOfADestinationStayInTheirOrderWhileSomeWait) {
  NextHopTable table(HashKey{}, 2);
  const auto requests = ask(table, 2);
  while (!table.behind()) table.tell(usable(requests[0], 1));
  table.apply();  // there is room again
  table.tell(usable(requests[0], 2));
  table.tell(usable(requests[1], 3));
  EXPECT_TRUE(table.catch_up());
  EXPECT_FALSE(table.behind());
  while (table.updates_waiting()) table.apply();
  EXPECT_EQ(table.table()[0].destination[5], 2);
  EXPECT_EQ(table.table()[1].destination[5], 3);
}

TEST(NextHopTable, MuchNewsIsTakenInALittleAtATime) {
  NextHopTable table(HashKey{}, 2 * NextHopTable::kAppliedAtOnce);
  for (const NextHopRequest& request : ask(table, table.capacity())) table.tell(usable(request, 1));
  table.apply();
  EXPECT_EQ(with_last_byte(table, 1), NextHopTable::kAppliedAtOnce);
  EXPECT_TRUE(table.updates_waiting()) << "so that the worker does not sleep";
  table.apply();
  EXPECT_EQ(with_last_byte(table, 1), table.capacity());
}

// What Allocation.ALegTakesLessThanNineHundredBytes leaves of a kilobyte.
TEST(NextHopTable, OneForEveryLegIsSmall) {
  const NextHopTable table(HashKey{}, 20'000);  // the worst case: the slots are the next power of two
  EXPECT_LE(table.bytes() / table.capacity(), 124U);
}

}  // namespace
}  // namespace ifgw::runtime
