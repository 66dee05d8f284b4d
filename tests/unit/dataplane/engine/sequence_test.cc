#include "dataplane/engine/sequence.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace ifgw::engine {
namespace {

struct Counted {
  std::int64_t expected = 0;
  int reordered = 0;
};
Counted count(std::initializer_list<unsigned> sequences) {
  SequenceTracker tracker;
  Counted counted;
  for (const unsigned sequence : sequences) {
    const SequenceTracker::Change change = tracker.packet(1, static_cast<std::uint16_t>(sequence));
    counted.expected += change.expected;
    counted.reordered += change.reordered ? 1 : 0;
  }
  return counted;
}

TEST(Sequence, LossIsExpectedMinusReceived) { EXPECT_EQ(count({10, 11, 15}).expected, 6); }
TEST(Sequence, CrossesTheWrap) { EXPECT_EQ(count({65534, 65535, 0, 1}).expected, 4); }
TEST(Sequence, ReorderingIsNoLoss) {
  const Counted counted = count({10, 12, 11, 13});
  EXPECT_EQ(counted.expected, 4);
  EXPECT_EQ(counted.reordered, 1);
}
TEST(Sequence, DuplicatesAreNotExpectedTwice) { EXPECT_EQ(count({10, 10, 11}).expected, 2); }
TEST(Sequence, AnOlderPacketThanTheFirstWasExpected) {
  EXPECT_EQ(count({10, 9, 11}).expected, 3);
  EXPECT_EQ(count({10, 8, 11}).expected, 4);
}
// RFC 3550 appendix A.1: one stray packet is not believed, two in a row are a restart.
TEST(Sequence, AJumpNeedsASecondPacket) {
  EXPECT_EQ(count({10, 11, 30000, 12, 13}).expected, 4);
  EXPECT_EQ(count({10, 11, 30000, 30001, 30002}).expected, 5);
}
TEST(Sequence, ALateRestartDoesNotReachBack) {
  SequenceTracker tracker;
  std::int64_t expected = 0;
  for (unsigned i = 0; i < 70'000; ++i) expected += tracker.packet(1, static_cast<std::uint16_t>(i)).expected;
  EXPECT_EQ(expected, 70'000);
}
TEST(Sequence, AnotherSsrcStartsItsOwnCount) {
  SequenceTracker tracker;
  EXPECT_EQ(tracker.packet(1, 100).expected, 1);
  EXPECT_EQ(tracker.packet(2, 50'000).expected, 1);
  EXPECT_EQ(tracker.packet(2, 50'002).expected, 2);
}

}  // namespace
}  // namespace ifgw::engine
