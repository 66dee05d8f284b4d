#include "codecs/base/window_limiter.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/support/aligned_bytes.h"

namespace ifgw {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Verdict = WindowLimiter::Verdict;

struct Table {
  explicit Table(std::size_t keys, std::uint32_t requests = 30, std::size_t max_blocks = 0)
      : memory(WindowLimiter::required_bytes(keys, requests)), limiter(memory.span(), keys, requests, HashKey{}, max_blocks) {}
  int admitted(std::uint64_t key, int count) {
    int n = 0;
    for (int i = 0; i < count; ++i) n += limiter.check(key, now).verdict == Verdict::Admitted ? 1 : 0;
    return n;
  }
  void maintain_all() {
    limiter.maintain(limiter.slots(), now, [&](std::uint64_t) { ++released; });
  }
  test::AlignedBytes memory;
  WindowLimiter limiter;
  Instant now = from_ns(5'000'000'000);
  int released = 0;
};

TEST(LimiterKey, RoundTrip) {
  for (const char* text : {"0.0.0.0", "192.0.2.1", "255.255.255.255"}) {
    const IpAddress ip = *IpAddress::parse(text);
    EXPECT_EQ(limiter_source(limiter_key(ip)), ip);
    EXPECT_NE(limiter_key(ip), 0U);
  }
  EXPECT_EQ(limiter_source(limiter_key(*IpAddress::parse("2001:db8:1:2:3:4:5:6"))).text(), "2001:db8:1:2::");
  EXPECT_EQ(limiter_key(*IpAddress::parse("2001:db8:1:2::1")), limiter_key(*IpAddress::parse("2001:db8:1:2:ffff::")));
  EXPECT_NE(limiter_key(*IpAddress::parse("::")), 0U);
  EXPECT_EQ(limiter_source(limiter_key(*IpAddress::parse("::"))).text(), "::");
  EXPECT_NE(limiter_key(*IpAddress::parse("64:ff9b::c000:201")), limiter_key(*IpAddress::parse("192.0.2.1")));
}

TEST(WindowLimiter, NeverMoreThanTheBudgetInAnyWindow) {
  Table t(100);
  EXPECT_EQ(t.admitted(7, 29), 29);
  t.now += milliseconds(9'990);
  EXPECT_EQ(t.admitted(7, 100), 1) << "a fixed window would start afresh soon";
  t.now += milliseconds(10);
  EXPECT_EQ(t.admitted(7, 100), 0);
  t.now += milliseconds(1);
  EXPECT_EQ(t.admitted(7, 100), 29);
}

TEST(WindowLimiter, RefusedRequestsDoNotExtendTheWindow) {
  Table t(100);
  EXPECT_EQ(t.admitted(7, 30), 30);
  for (int ms = 0; ms < 10'000; ms += 10) {
    EXPECT_EQ(t.admitted(7, 1), 0);
    t.now += milliseconds(10);
  }
  t.now += milliseconds(1);
  EXPECT_EQ(t.admitted(7, 40), 30);
}

TEST(WindowLimiter, ChangedLimitsHoldForWhatWasAdmittedBefore) {
  Table t(100);
  EXPECT_EQ(t.admitted(7, 20), 20);
  ASSERT_TRUE(t.limiter.set_limits({10, seconds(10), {}}));
  EXPECT_EQ(t.admitted(7, 5), 0);
  ASSERT_TRUE(t.limiter.set_limits({25, seconds(10), {}}));
  EXPECT_EQ(t.admitted(7, 50), 5);
  t.now += seconds(15);
  ASSERT_TRUE(t.limiter.set_limits({30, seconds(60), {}}));
  EXPECT_EQ(t.admitted(7, 50), 5) << "a longer window looks further back";
  EXPECT_FALSE(t.limiter.set_limits({31, seconds(10), {}}));
  EXPECT_FALSE(t.limiter.set_limits({0, seconds(10), {}}));
  EXPECT_FALSE(t.limiter.set_limits({10, hours(25), {}}));
}

TEST(WindowLimiter, AFloodOfNewKeysFreesNeitherCountedNorBlockedOnes) {
  Table t(1000);
  ASSERT_TRUE(t.limiter.block(1, kNever, t.now));
  ASSERT_TRUE(t.limiter.block(2, t.now + hours(1), t.now));
  EXPECT_EQ(t.admitted(3, 30), 30);
  std::uint64_t full = 0;
  for (std::uint64_t key = 10; key < 100'000; ++key) full += t.limiter.check(key, t.now).verdict == Verdict::Full ? 1 : 0;
  EXPECT_GT(full, 90'000U);
  EXPECT_EQ(t.limiter.stats().refused_full, full);
  EXPECT_EQ(t.limiter.check(1, t.now).verdict, Verdict::Blocked);
  EXPECT_EQ(t.limiter.check(2, t.now).verdict, Verdict::Blocked);
  EXPECT_EQ(t.limiter.check(3, t.now).verdict, Verdict::Limited);
  // Ten seconds later the flood's own windows are empty and give way; the blocks stay.
  t.now += milliseconds(10'001);
  std::uint64_t admitted = 0;
  for (std::uint64_t key = 200'000; key < 201'000; ++key) admitted += t.limiter.check(key, t.now).verdict == Verdict::Admitted ? 1 : 0;
  EXPECT_EQ(admitted, 1000U);
  EXPECT_EQ(t.limiter.check(1, t.now).verdict, Verdict::Blocked);
  EXPECT_EQ(t.limiter.check(2, t.now).verdict, Verdict::Blocked);
}

TEST(WindowLimiter, HoldsAsManyKeysAsPromised) {
  Table t(20'000);
  std::uint64_t refused = 0;
  for (std::uint64_t key = 1; key <= 20'000; ++key) refused += t.limiter.check(key, t.now).verdict == Verdict::Full ? 1 : 0;
  EXPECT_EQ(refused, 0U);
  EXPECT_EQ(t.limiter.stats().sources, 20'000U);
}

TEST(WindowLimiter, AutomaticBlocksAreBounded) {
  Table t(1000, 2, 3);
  ASSERT_TRUE(t.limiter.set_limits({2, seconds(1), seconds(60)}));
  for (std::uint64_t key = 1; key <= 10; ++key) EXPECT_EQ(t.admitted(key, 5), 2);
  EXPECT_EQ(t.limiter.stats().automatic_blocks, 3U);
  EXPECT_GT(t.limiter.stats().blocks_suppressed, 0U);
  t.now += seconds(2);
  EXPECT_EQ(t.admitted(1, 5), 0) << "blocked";
  EXPECT_EQ(t.admitted(9, 5), 2) << "only its window counts";
}

TEST(WindowLimiter, AnAutomaticBlockLastsFromTheLastRefusal) {
  Table t(100);
  ASSERT_TRUE(t.limiter.set_limits({2, seconds(1), seconds(5)}));
  EXPECT_EQ(t.admitted(1, 3), 2);
  for (int i = 0; i < 10; ++i) {
    t.now += seconds(4);
    EXPECT_EQ(t.limiter.check(1, t.now).verdict, Verdict::Blocked);
  }
  t.now += milliseconds(5001);
  const WindowLimiter::Decision decision = t.limiter.check(1, t.now);
  EXPECT_EQ(decision.verdict, Verdict::Admitted);
  EXPECT_TRUE(decision.block_ended);
  EXPECT_EQ(t.limiter.stats().blocked, 0U);
}

TEST(WindowLimiter, SaysEachThingOnce) {
  Table t(100);
  ASSERT_TRUE(t.limiter.set_limits({1, seconds(1), seconds(1)}));
  EXPECT_FALSE(t.limiter.check(1, t.now).first_refusal);
  const WindowLimiter::Decision first = t.limiter.check(1, t.now);
  EXPECT_TRUE(first.first_refusal);
  EXPECT_TRUE(first.block_began);
  const WindowLimiter::Decision second = t.limiter.check(1, t.now);
  EXPECT_FALSE(second.first_refusal);
  EXPECT_FALSE(second.block_began);
}

TEST(WindowLimiter, MaintenanceEndsBlocksAndFreesIdleKeys) {
  Table t(100);
  ASSERT_TRUE(t.limiter.block(1, t.now + seconds(1), t.now));
  ASSERT_TRUE(t.limiter.block(2, kNever, t.now));
  EXPECT_EQ(t.admitted(3, 1), 1);
  t.maintain_all();
  EXPECT_EQ(t.limiter.stats().sources, 3U);
  t.now += seconds(11);
  t.maintain_all();
  EXPECT_EQ(t.released, 1);
  EXPECT_EQ(t.limiter.stats().sources, 1U);
  EXPECT_EQ(t.limiter.stats().blocked, 1U);
}

// 32-bit milliseconds wrap after 49.7 days.
TEST(WindowLimiter, TheTickCounterMayWrap) {
  constexpr std::int64_t kWrapMs = std::int64_t{1} << 32;
  Table t(100);
  t.now = from_ns((kWrapMs - 5000) * 1'000'000);
  EXPECT_EQ(t.admitted(7, 30), 30);
  t.now += milliseconds(5001);
  EXPECT_EQ(t.admitted(7, 30), 0) << "across the wrap";
  t.now += milliseconds(5000);
  EXPECT_EQ(t.admitted(7, 30), 30);
}

TEST(WindowLimiter, AnIdleKeyNeverLooksRecentAgain) {
  constexpr std::int64_t kWrapMs = std::int64_t{1} << 32;
  for (const bool maintained : {false, true}) {
    Table t(100);
    EXPECT_EQ(t.admitted(7, 30), 30);
    ASSERT_TRUE(t.limiter.block(8, kNever, t.now));
    EXPECT_EQ(t.admitted(9, 1), 1);
    const Instant start = t.now;
    if (maintained) {
      // A key that comes back once a day keeps its entry; what it sent 49.7 days ago must not return.
      while (t.now < start + milliseconds(kWrapMs)) {
        EXPECT_EQ(t.admitted(9, 1), 1);
        t.now += hours(24);
      }
    }
    t.now = start + milliseconds(kWrapMs);
    EXPECT_EQ(t.admitted(7, 40), 30) << maintained;
    EXPECT_EQ(t.limiter.check(8, t.now).verdict, Verdict::Blocked);
  }
}

TEST(WindowLimiter, ListsWithACursor) {
  Table t(1000);
  std::map<std::uint64_t, int> seen;
  for (std::uint64_t key = 1; key <= 300; ++key) EXPECT_EQ(t.admitted(key, static_cast<int>(key % 5) + 1), static_cast<int>(key % 5) + 1);
  EXPECT_EQ(t.admitted(1, 40), 28);
  ASSERT_TRUE(t.limiter.block(5, t.now + seconds(90), t.now));
  std::uint64_t cursor = 0;
  int calls = 0;
  do {
    int rows = 0;
    cursor = t.limiter.list(cursor, 200, 32, t.now, [&](const WindowLimiter::Row& row) {
      ++rows;
      ++seen[row.key];
      if (row.key == 1) {
        EXPECT_EQ(row.refused, 12U);
      }
      if (row.key == 5) {
        EXPECT_TRUE(row.blocked);
        EXPECT_GE(row.blocked_until, t.now + seconds(90));
        EXPECT_LE(row.blocked_until, t.now + seconds(90) + milliseconds(1));
      }
      if (row.key == 8) {
        EXPECT_EQ(row.in_window, 4U);
      }
    });
    EXPECT_LE(rows, 32);
    ++calls;
  } while (cursor != 0);
  EXPECT_EQ(seen.size(), 300U);
  EXPECT_GE(calls, 10);
  EXPECT_EQ(t.limiter.list(1'000'000, 100, 32, t.now, [](const auto&) { FAIL(); }), 0U) << "a cursor out of range";
}

TEST(WindowLimiter, SmallAndLargeBudgets) {
  for (const std::uint32_t requests : {1U, 2U, 15U, 255U}) {
    Table t(50, requests);
    EXPECT_EQ(t.limiter.limits().requests, std::min(requests, 30U));
    ASSERT_TRUE(t.limiter.set_limits({requests, seconds(1), {}}));
    EXPECT_EQ(t.admitted(1, 300), static_cast<int>(requests));
    t.now += milliseconds(1001);
    EXPECT_EQ(t.admitted(1, 300), static_cast<int>(requests));
  }
}

}  // namespace
}  // namespace ifgw
