#include "codecs/base/window_limiter.h"

#include <algorithm>
#include <cstring>

#include "codecs/base/bytes.h"

namespace ifgw {
namespace {

constexpr std::uint64_t kV4Space = std::uint64_t{1} << 32;
constexpr std::uint64_t kZeroPrefix = std::uint64_t{2} << 32;  // stands for ::/64, whose own key would be 0

std::uint64_t ticks_rounded_up(Duration d) noexcept { return (static_cast<std::uint64_t>(d.count()) + 999'999) / 1'000'000; }

}  // namespace

std::uint64_t limiter_key(const IpAddress& address) noexcept {
  IFGW_CHECK(address.present());
  if (address.is_v4()) return kV4Space | load_be32(address.bytes.data());
  const std::uint64_t prefix = load_be64(address.bytes.data());
  return prefix != 0 ? prefix : kZeroPrefix;
}

IpAddress limiter_source(std::uint64_t key) noexcept {
  if (key >> 32 == 1) return IpAddress::v4(static_cast<std::uint32_t>(key));
  IpAddress address;
  address.family = IpFamily::V6;
  if (key == kZeroPrefix) return address;
  store_be32(address.bytes.data(), static_cast<std::uint32_t>(key >> 32));
  store_be32(address.bytes.data() + 4, static_cast<std::uint32_t>(key));
  return address;
}

std::size_t WindowLimiter::entry_bytes(std::uint32_t max_requests) noexcept {
  return (sizeof(Entry) + sizeof(Tick) * max_requests + 63) / 64 * 64;
}

std::uint32_t WindowLimiter::set_count(std::size_t keys) noexcept {
  const std::size_t slots = keys + (keys + 1) / 2;
  return static_cast<std::uint32_t>(std::max<std::size_t>((slots + kWays - 1) / kWays, 2));
}

std::size_t WindowLimiter::required_bytes(std::size_t keys, std::uint32_t max_requests) noexcept {
  return set_count(keys) * (sizeof(TagLine) + kWays * entry_bytes(max_requests));
}

WindowLimiter::WindowLimiter(std::span<std::byte> memory, std::size_t keys, std::uint32_t max_requests, const HashKey& hash_key,
                             std::size_t max_automatic_blocks) noexcept
    : entry_bytes_(entry_bytes(max_requests)), sets_(set_count(keys)), max_requests_(max_requests), hash_key_(hash_key) {
  IFGW_CHECK(max_requests >= 1 && max_requests <= kMaxRequests);
  IFGW_CHECK(keys >= 1 && keys < (std::size_t{1} << 31));
  IFGW_CHECK(memory.size() >= required_bytes(keys, max_requests));
  IFGW_CHECK(reinterpret_cast<std::uintptr_t>(memory.data()) % 64 == 0);
  tags_ = reinterpret_cast<TagLine*>(memory.data());
  entries_ = memory.data() + sets_ * sizeof(TagLine);
  std::memset(static_cast<void*>(tags_), 0, sets_ * sizeof(TagLine));
  max_automatic_blocks_ = max_automatic_blocks != 0 ? max_automatic_blocks : slots() / 4;
  limits_.requests = std::min(limits_.requests, max_requests_);
  IFGW_CHECK(set_limits(limits_));
}

bool WindowLimiter::set_limits(const WindowLimits& limits) noexcept {
  if (limits.requests < 1 || limits.requests > max_requests_) return false;
  if (limits.window < std::chrono::milliseconds(1) || limits.window > kMaxWindow) return false;
  if (limits.block < Duration::zero() || limits.block > kMaxBlock) return false;
  limits_ = limits;
  window_ticks_ = static_cast<Tick>(ticks_rounded_up(limits.window));
  block_ticks_ = static_cast<Tick>(ticks_rounded_up(limits.block));
  return true;
}

std::uint32_t WindowLimiter::find_in(std::uint32_t set, std::uint64_t key) const noexcept {
  const unsigned hits = match(tags(set), key);
  return hits == 0 ? kNoSlot : set * kWays + static_cast<std::uint32_t>(__builtin_ctz(hits)) / 2;
}

void WindowLimiter::empty_window(Entry& e, Tick now) noexcept {
  Tick* stamp = stamps(e);
  std::fill(stamp, stamp + max_requests_, now - kOld);
  e.head = 0;
}

void WindowLimiter::reset(std::uint32_t slot, Tick now) noexcept {
  Entry& e = entry(slot);
  e = Entry{};
  empty_window(e, now);
}

// A free slot of the emptier set, else one that an idle key gives up.
std::uint32_t WindowLimiter::insert(const Probe& probe, Tick now) noexcept {
  unsigned free[2] = {0, 0};
  for (unsigned i = 0; i < 2; ++i) free[i] = static_cast<unsigned>(__builtin_popcount(match(tags(probe.set[i]), 0)));
  const std::uint32_t set = free[1] > free[0] ? probe.set[1] : probe.set[0];
  std::uint32_t slot = find_in(set, 0);
  if (slot == kNoSlot) slot = evict(probe, now);
  if (slot == kNoSlot) return kNoSlot;
  tag(slot) = probe.key;
  reset(slot, now);
  ++stats_.sources;
  return slot;
}

// From the set with more idle keys, so that two choices keep their effect in a table full of idle keys.
std::uint32_t WindowLimiter::evict(const Probe& probe, Tick now) noexcept {
  std::uint32_t victim[2] = {kNoSlot, kNoSlot};
  unsigned idle_keys[2] = {0, 0};
  for (unsigned i = 0; i < 2; ++i) {
    for (std::uint32_t way = 0; way < kWays; ++way) {
      const std::uint32_t slot = probe.set[i] * kWays + way;
      if (!idle(entry(slot), now)) continue;
      victim[i] = slot;
      ++idle_keys[i];
    }
  }
  const std::uint32_t slot = victim[idle_keys[1] > idle_keys[0] ? 1 : 0];
  if (slot != kNoSlot) release(slot);
  return slot;
}

void WindowLimiter::release(std::uint32_t slot) noexcept {
  end_block(entry(slot));
  tag(slot) = 0;
  --stats_.sources;
}

void WindowLimiter::end_block(Entry& e) noexcept {
  if (!is_block(e)) return;
  --stats_.blocked;
  if (e.automatic != 0) --stats_.automatic_blocks;
  e.automatic = 0;
  e.operated = 0;
  e.forever = 0;
}

bool WindowLimiter::idle(Entry& e, Tick now) const noexcept { return !is_block(e) && now - stamps(e)[position(e, 1)] > window_ticks_; }

std::uint32_t WindowLimiter::in_window(Entry& e, Tick now) const noexcept {
  const Tick* stamp = stamps(e);
  return static_cast<std::uint32_t>(std::count_if(stamp, stamp + max_requests_, [&](Tick t) { return now - t <= window_ticks_; }));
}

WindowLimiter::Decision WindowLimiter::refuse_blocked(Entry& e, Tick now) noexcept {
  Decision decision{Verdict::Blocked};
  decision.first_refusal = e.told == 0;
  e.told = 1;
  if (e.refused < kMaxRefused) e.refused = (e.refused + 1) & kMaxRefused;
  if (e.automatic != 0) e.blocked_until = now + block_ticks_ + 1;
  ++stats_.refused_blocked;
  return decision;
}

WindowLimiter::Decision WindowLimiter::refuse_limited(Entry& e, bool block_ended, Tick now) noexcept {
  Decision decision{Verdict::Limited};
  decision.block_ended = block_ended;
  decision.first_refusal = e.told == 0;
  e.told = 1;
  if (e.refused < kMaxRefused) e.refused = (e.refused + 1) & kMaxRefused;
  ++stats_.limited;
  if (block_ticks_ == 0) return decision;
  if (stats_.automatic_blocks >= max_automatic_blocks_) {
    ++stats_.blocks_suppressed;
    return decision;
  }
  e.automatic = 1;
  e.blocked_until = now + block_ticks_ + 1;
  ++stats_.blocked;
  ++stats_.automatic_blocks;
  decision.block_began = true;
  return decision;
}

WindowLimiter::Decision WindowLimiter::check_slowly(const Probe& probe, Tick tick) noexcept {
  std::uint32_t slot = find(probe);
  if (slot == kNoSlot) slot = insert(probe, tick);
  if (slot == kNoSlot) {
    ++stats_.refused_full;
    return {Verdict::Full};
  }
  Entry& e = entry(slot);
  bool block_ended = false;
  if (__builtin_expect(is_block(e), 0)) {
    const bool withdrawn = e.automatic != 0 && block_ticks_ == 0;  // the configuration no longer blocks
    if (!withdrawn && !expired(e, tick)) return refuse_blocked(e, tick);
    end_block(e);
    block_ended = true;
  }
  Tick* stamp = stamps(e);
  if (tick - stamp[position(e, limits_.requests)] <= window_ticks_) return refuse_limited(e, block_ended, tick);
  stamp[e.head] = tick;
  const std::uint32_t next = e.head + 1;
  e.head = static_cast<std::uint8_t>(next == max_requests_ ? 0 : next);
  e.told = 0;
  ++stats_.admitted;
  Decision decision{Verdict::Admitted};
  decision.block_ended = block_ended;
  return decision;
}

bool WindowLimiter::is_blocked(const Probe& probe, Moment moment, bool by_operator) noexcept {
  const std::uint32_t slot = find(probe);
  if (slot == kNoSlot) return false;
  const Entry& e = entry(slot);
  if (by_operator && e.operated == 0) return false;
  return is_block(e) && !expired(e, moment.tick_);
}

bool WindowLimiter::block(std::uint64_t key, Instant until, Instant now) noexcept {
  IFGW_CHECK(until == kNever || until - now <= kMaxBlock);
  const Tick tick = enter(now);
  const Probe probe = begin(key);
  std::uint32_t slot = find(probe);
  if (slot == kNoSlot) slot = insert(probe, tick);
  if (slot == kNoSlot) return false;
  Entry& e = entry(slot);
  end_block(e);
  e.operated = 1;
  e.forever = until == kNever ? 1 : 0;
  const Duration left = until == kNever || until < now ? Duration::zero() : until - now;
  e.blocked_until = tick + static_cast<Tick>(ticks_rounded_up(left)) + 1;
  e.told = 0;
  ++stats_.blocked;
  return true;
}

bool WindowLimiter::unblock(std::uint64_t key) noexcept {
  const std::uint32_t slot = find(begin(key));
  if (slot == kNoSlot) return false;
  release(slot);
  return true;
}

// Keeps stamps from ageing into the wrap: what is older than kOld twice over becomes kOld old again.
void WindowLimiter::age(Entry& e, Tick now) noexcept {
  Tick* stamp = stamps(e);
  for (std::uint32_t i = 0; i < max_requests_; ++i) {
    if (now - stamp[i] > 2 * kOld) stamp[i] = now - kOld;
  }
}

bool WindowLimiter::sweep_slot(std::uint32_t slot, Tick now) noexcept {
  Entry& e = entry(slot);
  const bool ended = is_block(e) && expired(e, now);
  if (ended) end_block(e);
  if (idle(e, now)) {
    release(slot);
    return ended;
  }
  age(e, now);
  return ended;
}

void WindowLimiter::begin_pass(std::uint64_t now) noexcept {
  previous_pass_ = current_pass_;
  current_pass_ = now;
}

// Nobody called maintain() for days. After more than half the tick space every stamp and every timed block is over:
// stamps are at most kSweepTicks older than the last call, and blocks last at most kMaxBlock.
void WindowLimiter::overdue_sweep(std::uint64_t now) noexcept {
  static_assert(kMaxBlock / std::chrono::milliseconds(1) < (std::int64_t{1} << 31) - static_cast<std::int64_t>(2 * kSweepTicks));
  const bool all_over = now - previous_pass_ > (std::uint64_t{1} << 31);
  const Tick tick = static_cast<Tick>(now);
  for (std::uint32_t slot = 0; stats_.sources != 0 && slot < slots(); ++slot) {
    if (tag(slot) == 0) continue;
    Entry& e = entry(slot);
    if (all_over) {
      if (e.forever == 0) end_block(e);
      const bool keep = is_block(e);
      empty_window(e, tick);
      if (!keep) release(slot);
    } else {
      (void)sweep_slot(slot, tick);
    }
  }
  sweep_set_ = 0;
  previous_pass_ = current_pass_ = now;
}

WindowLimiter::Row WindowLimiter::row_of(std::uint32_t slot, Instant now) const noexcept {
  const Tick tick = static_cast<Tick>(ticks(now));
  Entry& e = entry(slot);
  Row row;
  row.key = tag(slot);
  row.in_window = in_window(e, tick);
  row.refused = e.refused;
  row.blocked = is_block(e) && !expired(e, tick);
  if (row.blocked && e.forever == 0) {
    const std::uint64_t until = ticks(now) + static_cast<Tick>(e.blocked_until - tick);
    row.blocked_until = from_ns(static_cast<std::int64_t>(until) * kTickNs);
  }
  return row;
}

}  // namespace ifgw
