#include "controlplane/guard/stream_limiter.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace ifgw::guard {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const IpAddress kSource = *IpAddress::parse("198.51.100.7");

StreamLimiterSettings small() {
  StreamLimiterSettings s;
  s.sources = 100;
  return s;
}

TEST(StreamLimiter, ThirtyInTenSecondsHoweverManyConnections) {
  StreamLimiter limiter(small(), {});
  Instant now = from_ns(1'000'000'000);
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(limiter.on_message(kSource, now).pass) << i;
  const StreamLimiter::Decision refused = limiter.on_message(kSource, now);
  EXPECT_FALSE(refused.pass);
  EXPECT_TRUE(refused.first_refusal);
  EXPECT_EQ(refused.limit, 30u);
  EXPECT_FALSE(limiter.on_message(kSource, now).first_refusal) << "one record a time";
  EXPECT_EQ(limiter.refused(), 2u);
  EXPECT_TRUE(limiter.on_message(*IpAddress::parse("198.51.100.8"), now).pass);
  EXPECT_FALSE(limiter.on_message(kSource, now + milliseconds(9999)).pass);
  EXPECT_TRUE(limiter.on_message(kSource, now + milliseconds(10'001)).pass);
}

TEST(StreamLimiter, IPv6CountsBySlash64) {
  StreamLimiter limiter(small(), {});
  const Instant now = from_ns(1'000'000'000);
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(limiter.on_message(*IpAddress::parse("2001:db8::" + std::to_string(i + 1)), now).pass);
  EXPECT_FALSE(limiter.on_message(*IpAddress::parse("2001:db8::ffff"), now).pass);
  EXPECT_TRUE(limiter.on_message(*IpAddress::parse("2001:db8:0:1::1"), now).pass);
}

TEST(StreamLimiter, TheMostSpecificPrefixDecides) {
  StreamLimiterSettings s = small();
  s.budgets.push_back({*IpPrefix::parse("10.0.0.0/8"), 100, seconds(1)});
  s.budgets.push_back({*IpPrefix::parse("10.2.0.0/16"), 5, seconds(1)});
  s.exemptions.push_back(*IpPrefix::parse("10.1.0.0/16"));
  s.exemptions.push_back(*IpPrefix::parse("10.3.0.0/16"));
  s.budgets.push_back({*IpPrefix::parse("10.3.0.0/16"), 1, seconds(1)});
  StreamLimiter limiter(s, {});
  const Instant now = from_ns(1'000'000'000);
  const auto passed = [&](const char* prefix, int messages) {
    int count = 0;
    for (int i = 0; i < messages; ++i) count += limiter.on_message(*IpAddress::parse(prefix + std::to_string(i % 200)), now).pass ? 1 : 0;
    return count;
  };
  EXPECT_EQ(passed("10.1.0.", 1000), 1000) << "exempt";
  EXPECT_EQ(passed("10.3.0.", 1000), 1000) << "exempt wins over a budget of the same prefix";
  EXPECT_EQ(passed("10.2.0.", 1000), 5);
  EXPECT_EQ(passed("10.9.0.", 1000), 100) << "one budget for all of it";
}

TEST(StreamLimiter, APrefixBudgetIsExact) {
  StreamLimiterSettings s = small();
  s.budgets.push_back({*IpPrefix::parse("10.0.0.0/8"), 7, milliseconds(500)});
  StreamLimiter limiter(s, {});
  std::mt19937 random(1);
  std::deque<Instant> model;
  Instant now = from_ns(1'000'000'000);
  for (int i = 0; i < 20'000; ++i) {
    now += milliseconds(random() % 100);
    while (!model.empty() && now - model.front() >= milliseconds(500)) model.pop_front();
    const bool expected = model.size() < 7;
    if (expected) model.push_back(now);
    ASSERT_EQ(limiter.on_message(*IpAddress::parse("10.1.2.3"), now).pass, expected) << i;
  }
}

TEST(StreamLimiter, ForgetsSourcesAndRests) {
  StreamLimiter limiter(small(), {});
  Instant now = from_ns(1'000'000'000);
  EXPECT_EQ(limiter.next_deadline(), kNever);
  (void)limiter.on_message(kSource, now);
  for (int i = 0; i < 100 && limiter.next_deadline() != kNever; ++i) {
    now = limiter.next_deadline();
    limiter.on_timer(now);
  }
  EXPECT_EQ(limiter.next_deadline(), kNever);
}

}  // namespace
}  // namespace ifgw::guard
