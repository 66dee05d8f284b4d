#include "dataplane/nodes/ports_time.h"

#include <gtest/gtest.h>

namespace ifgw::test {
namespace {

using nodes::PortsTime;
using std::chrono::nanoseconds;

// Iterations that had packets, until one is measured.
unsigned begin_until_measured(PortsTime& time) {
  for (unsigned i = 1; i < 100; ++i) {
    time.begin(true);
    if (time.measuring()) return i;
  }
  return 0;
}

TEST(PortsTime, IsThatOfOnePacketBothWays) {
  PortsTime time;
  ASSERT_NE(begin_until_measured(time), 0U);
  EXPECT_EQ(time.of_a_packet(), std::nullopt);
  time.received(nanoseconds(300), 3);
  EXPECT_EQ(time.of_a_packet(), std::nullopt) << "nothing went out";
  time.received(nanoseconds(500), 1);
  time.sent(nanoseconds(3000), 2);
  EXPECT_EQ(time.of_a_packet(), nanoseconds(200 + 1500));
}

TEST(PortsTime, IsLookedAtSeldomAndAgainWhenNothingCame) {
  PortsTime time;
  for (int i = 0; i < 100; ++i) {
    time.begin(false);
    EXPECT_FALSE(time.measuring());
  }
  const unsigned every = begin_until_measured(time);
  EXPECT_GT(every, 8U);
  for (int i = 0; i < 3; ++i) {
    time.received(nanoseconds(300), 3);
    EXPECT_EQ(time.of_a_packet(), std::nullopt);
    time.begin(false);
    EXPECT_TRUE(time.measuring()) << "this one may have packets both ways";
  }
  time.received(nanoseconds(10), 1);
  time.sent(nanoseconds(20), 1);
  EXPECT_EQ(time.of_a_packet(), nanoseconds(30)) << "of this iteration alone";
  EXPECT_EQ(begin_until_measured(time), every);
}

}  // namespace
}  // namespace ifgw::test
