// The exact limiter against a plain model: a deque of admission times per key. Random traffic on few keys and many,
// changed limits, blocks, long pauses, the wrap of the tick counter.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <random>

#include "codecs/base/window_limiter.h"
#include "tests/support/aligned_bytes.h"

namespace ifgw {
namespace {

using std::chrono::milliseconds;
using Verdict = WindowLimiter::Verdict;

constexpr std::uint32_t kMaxRequests = 30;
constexpr Duration kTick = milliseconds(1);

struct Admission {
  Instant time;
  bool sure = true;  // false: the key was idle since, so the limiter may have let go of it
};
struct Source {
  std::deque<Admission> admitted;  // the last kMaxRequests
  bool blocked = false;
  Instant blocked_until{};
};

class Model {
 public:
  Model(std::uint32_t seed, std::size_t keys, Instant start)
      : random_(seed),
        keys_(keys),
        memory_(WindowLimiter::required_bytes(keys, kMaxRequests)),
        limiter_(memory_.span(), keys, kMaxRequests, HashKey{seed, seed * 3 + 1}),
        now_(start) {}

  void step() {
    switch (random(200)) {
      case 0: return change_limits();
      case 1: return block();
      case 2: return unblock();
      case 3: now_ += milliseconds(random(20'000)); return;
      case 4: limiter_.maintain(random(20), now_, [](std::uint64_t) {}); return;
      default: break;
    }
    now_ += Duration(random(3'000'000));
    if (random(2) == 0) return burst();
    for (std::uint64_t i = random(8); i > 0; --i) {
      const std::uint64_t k = key();
      judge(k, limiter_.check(k, now_).verdict);
    }
  }

 private:
  std::uint64_t random(std::uint64_t below) { return std::uniform_int_distribution<std::uint64_t>(0, below - 1)(random_); }
  // Few keys get most of the traffic.
  std::uint64_t key() { return random(3) != 0 ? 1 + random(4) : 1 + random(keys_); }

  // In three steps, as packets are: with keys that come twice, keys that are new, and others that come or go between the steps.
  void burst() {
    std::array<WindowLimiter::Probe, 8> probes;
    const std::size_t count = 1 + random(probes.size());
    for (std::size_t i = 0; i < count; ++i) probes[i] = limiter_.begin(key());
    for (std::size_t i = 0; i < count; ++i) limiter_.locate(probes[i]);
    if (random(4) == 0) unblock();
    if (random(4) == 0) limiter_.maintain(random(20), now_, [](std::uint64_t) {});
    if (random(4) == 0) {
      const std::uint64_t k = key();
      judge(k, limiter_.check(k, now_).verdict);
    }
    const WindowLimiter::Moment moment = limiter_.at(now_);
    for (std::size_t i = 0; i < count; ++i) judge(probes[i].key, limiter_.check(probes[i], moment).verdict);
  }

  void judge(std::uint64_t key, Verdict verdict) {
    Source& source = sources_[key];
    ASSERT_NE(verdict, Verdict::Full);
    if (source.blocked && now_ < source.blocked_until) {
      ASSERT_EQ(verdict, Verdict::Blocked);
      return;
    }
    // Rounding may hold a block for one more tick (and one for a duration that is no whole number of them).
    if (source.blocked && verdict == Verdict::Blocked) {
      ASSERT_LT(now_, source.blocked_until + 3 * kTick);
      return;
    }
    source.blocked = false;
    let_go(source);
    const auto within = [&](Duration window, bool sure_only) {
      return std::count_if(source.admitted.begin(), source.admitted.end(),
                           [&](const Admission& a) { return now_ - a.time < window && (a.sure || !sure_only); });
    };
    if (verdict == Verdict::Admitted) {
      ASSERT_LT(within(limits_.window, true), limits_.requests) << "one too many in a window";
      source.admitted.push_back({now_});
      if (source.admitted.size() > kMaxRequests) source.admitted.pop_front();
    } else {
      ASSERT_EQ(verdict, Verdict::Limited);
      ASSERT_GE(within(limits_.window + kTick, false), limits_.requests) << "refused within the budget";
    }
  }

  // An idle key may lose its entry. That changes nothing, until the window is made longer.
  void let_go(Source& source) {
    if (source.admitted.empty() || now_ - source.admitted.back().time < limits_.window) return;
    for (Admission& admission : source.admitted) admission.sure = false;
  }

  void change_limits() {
    for (auto& [key, source] : sources_) let_go(source);
    limits_.requests = static_cast<std::uint32_t>(1 + random(kMaxRequests));
    limits_.window = milliseconds(100 + random(12'000));
    ASSERT_TRUE(limiter_.set_limits(limits_));
  }
  void block() {
    const std::uint64_t k = key();
    Source& source = sources_[k];
    source.blocked = true;
    source.blocked_until = random(2) == 0 ? kNever - milliseconds(10) : now_ + Duration(random(5'000'000'000));
    const bool forever = source.blocked_until > now_ + std::chrono::hours(1);
    ASSERT_TRUE(limiter_.block(k, forever ? kNever : source.blocked_until, now_));
  }
  void unblock() {
    const std::uint64_t k = key();
    (void)limiter_.unblock(k);
    sources_.erase(k);
  }

  std::mt19937_64 random_;
  std::size_t keys_;
  test::AlignedBytes memory_;
  WindowLimiter limiter_;
  WindowLimits limits_;
  std::map<std::uint64_t, Source> sources_;
  Instant now_;
};

class LimiterProperty : public testing::TestWithParam<std::uint32_t> {};

TEST_P(LimiterProperty, AgreesWithADequePerKey) {
  // Starts shortly before the tick counter wraps.
  const Instant start = from_ns(((std::int64_t{1} << 32) - 60'000) * 1'000'000);
  Model model(GetParam(), 5 + GetParam() * 37 % 400, start);
  for (int i = 0; i < 30'000 && !testing::Test::HasFatalFailure(); ++i) model.step();
}

INSTANTIATE_TEST_SUITE_P(Seeds, LimiterProperty, testing::Range(1U, 21U));

}  // namespace
}  // namespace ifgw
