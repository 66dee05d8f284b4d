#include "controlplane/guard/stream_limiter.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "codecs/base/check.h"

namespace ifgw::guard {
namespace {

constexpr Duration kTimerInterval = std::chrono::seconds{1};
constexpr std::size_t kSetsPerTimer = 256;
constexpr Instant kLongAgo = from_ns(std::numeric_limits<std::int64_t>::min() / 2);

std::size_t limiter_bytes(const StreamLimiterSettings& s) { return WindowLimiter::required_bytes(s.sources, s.limits.requests); }

std::span<std::byte> aligned(std::vector<std::byte>& memory, std::size_t bytes) {
  void* at = memory.data();
  std::size_t space = memory.size();
  IFGW_CHECK(std::align(64, bytes, at, space) != nullptr);
  return {static_cast<std::byte*>(at), bytes};
}

}  // namespace

StreamLimiter::StreamLimiter(const StreamLimiterSettings& settings, const HashKey& key)
    : memory_(limiter_bytes(settings) + 64),
      sources_(aligned(memory_, limiter_bytes(settings)), settings.sources, settings.limits.requests, key) {
  WindowLimits limits = settings.limits;
  limits.block = Duration::zero();
  IFGW_CHECK(sources_.set_limits(limits));
  for (const StreamLimiterSettings::Budget& b : settings.budgets)
    prefixes_.push_back({b.prefix, b.window, std::vector<Instant>(b.requests, kLongAgo)});
  for (const IpPrefix& exempt : settings.exemptions) prefixes_.push_back({exempt, {}, {}});
  // An exemption wins over a budget of the same prefix.
  std::stable_sort(prefixes_.begin(), prefixes_.end(), [](const Prefix& a, const Prefix& b) {
    return a.prefix.length != b.prefix.length ? a.prefix.length > b.prefix.length : a.admitted.empty() && !b.admitted.empty();
  });
}

StreamLimiter::Prefix* StreamLimiter::covering(const IpAddress& source) noexcept {
  const auto it = std::find_if(prefixes_.begin(), prefixes_.end(), [&](const Prefix& p) { return p.prefix.contains(source); });
  return it == prefixes_.end() ? nullptr : &*it;
}

StreamLimiter::Decision StreamLimiter::spend(Prefix& prefix, Instant now) noexcept {
  const auto limit = static_cast<std::uint32_t>(prefix.admitted.size());
  if (limit == 0) return {};
  Instant& oldest = prefix.admitted[prefix.oldest];
  if (now - oldest < prefix.window) return {false, !std::exchange(prefix.told, true), limit};
  oldest = now;
  prefix.oldest = (prefix.oldest + 1) % prefix.admitted.size();
  prefix.told = false;
  return {true, false, limit};
}

StreamLimiter::Decision StreamLimiter::on_message(const IpAddress& source, Instant now) {
  Decision decision;
  if (Prefix* prefix = covering(source); prefix != nullptr) {
    decision = spend(*prefix, now);
  } else {
    const WindowLimiter::Decision counted = sources_.check(limiter_key(source), now);
    decision = {counted.verdict == WindowLimiter::Verdict::Admitted, counted.first_refusal, sources_.limits().requests};
    if (next_timer_ == kNever) next_timer_ = now + kTimerInterval;
  }
  if (!decision.pass) ++refused_;
  return decision;
}

void StreamLimiter::on_timer(Instant now) {
  if (now < next_timer_) return;
  sources_.maintain(kSetsPerTimer, now, [](std::uint64_t) {});
  next_timer_ = sources_.stats().sources != 0 ? now + kTimerInterval : kNever;
}

}  // namespace ifgw::guard
