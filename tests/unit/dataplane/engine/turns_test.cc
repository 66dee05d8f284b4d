#include "dataplane/engine/turns.h"

#include <gtest/gtest.h>

namespace ifgw::test {
namespace {

Instant at(int us) { return from_ns(1'000'000 + 1000 * us); }

TEST(Turns, FramesHaveTheirsWhenNoQueueGaveAFullBurst) {
  engine::Turns turns;
  EXPECT_TRUE(turns.frames(at(0)));
  turns.looked(true, 32, 0, at(0));
  EXPECT_FALSE(turns.frames(at(0)));
  turns.looked(false, 31, 31, at(1));
  EXPECT_TRUE(turns.frames(at(1)));
}

TEST(Turns, WhileQueuesAreFullOfRelaysFramesHaveNone) {
  engine::Turns turns;
  for (int us = 0; us < 10'000; ++us) {
    turns.looked(true, 32, 16, at(us));
    ASSERT_FALSE(turns.frames(at(us))) << us;
  }
}

TEST(Turns, WhileQueuesAreFullOfOtherThingsFramesHaveOneEachMillisecond) {
  engine::Turns turns;
  int ran = 0;
  for (int us = 0; us < 10'500; us += 10) {
    turns.looked(true, 32, 15, at(us));
    if (!turns.frames(at(us))) continue;
    turns.frames_ran(at(us));
    ++ran;
  }
  EXPECT_EQ(ran, 10);
}

}  // namespace
}  // namespace ifgw::test
