// The exact window limiter: never more than `requests` admitted per key in ANY window of `window`, and never a
// refusal while fewer than `requests` were admitted in the last `window` plus one tick (1 ms) of rounding. Not a token
// bucket: it keeps the times of the last admissions themselves. Both planes count with it.
//
// Time is rounded to ticks of 1 ms, always against the source. Ticks are 32 bits and wrap after 49.7 days; a sweep
// (some entries per maintain(), the whole table at once if nobody calls that) keeps old stamps from looking young.
//
// Only admitted requests count. `Blocked` is a state of its own: nothing is admitted while it lasts, whatever the
// window says. An automatic block starts with the first refusal and lasts `block` from the last refused request; an
// operator's block lasts as long as it was asked for.
//
// Memory is fixed and belongs to the caller. Layout: sets of eight, each with one cache line of keys, then the
// entries; a key may live in either of two sets named by a keyed hash. Only an entry whose window is empty and that is
// not blocked may give way, so a flood of new keys can never free a counted or a blocked one: when both sets are full
// the NEW key is refused and counted as `Full`.
//
// One thread. No allocation, no clock. Cost: two to four cache lines per check.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <cstddef>
#include <cstdint>
#include <span>

#include "codecs/base/check.h"
#include "codecs/base/hash.h"
#include "codecs/base/ip.h"
#include "codecs/base/time.h"

namespace ifgw {

// What one source is: an IPv4 address, or an IPv6 /64 (one customer commonly owns a whole /64). IPv4 addresses live at
// 0000:0001::/32, inside 0000::/8, which RFC 4291 section 2.4 keeps unassigned, so they cannot meet an IPv6 source.
// Never 0. The address must be present.
std::uint64_t limiter_key(const IpAddress& address) noexcept;
// The IPv4 address, or the first address of the /64.
IpAddress limiter_source(std::uint64_t key) noexcept;

struct WindowLimits {
  std::uint32_t requests = 30;                 // 1..the bound given at construction
  Duration window = std::chrono::seconds(10);  // 1 ms..kMaxWindow, rounded up to whole ms
  Duration block = Duration::zero();           // 0: no automatic block; ..kMaxBlock
};

class WindowLimiter {
 public:
  static constexpr unsigned kWays = 8;
  static constexpr std::uint32_t kMaxRequests = 255;
  static constexpr Duration kMaxWindow = std::chrono::hours(24);
  static constexpr Duration kMaxBlock = std::chrono::hours(240);

  enum class Verdict : std::uint8_t {
    Admitted,
    Limited,  // over the budget of the window
    Blocked,
    Full,  // a new key, and no room to count it
  };
  struct Decision {
    Verdict verdict = Verdict::Full;
    bool first_refusal = false;  // the first since the last admission: worth an event
    bool block_began = false;
    bool block_ended = false;  // a block ran out, noticed by this request
  };
  struct Stats {
    std::uint64_t sources = 0;           // keys held now: counted, blocked, or idle and not yet swept
    std::uint64_t blocked = 0;           // now
    std::uint64_t automatic_blocks = 0;  // of `blocked`
    std::uint64_t admitted = 0;
    std::uint64_t limited = 0;
    std::uint64_t refused_blocked = 0;
    std::uint64_t refused_full = 0;
    std::uint64_t blocks_suppressed = 0;  // automatic blocks not begun because their bound was reached
  };
  struct Row {
    std::uint64_t key = 0;
    std::uint32_t in_window = 0;  // requests admitted in the window that ends now
    std::uint32_t refused = 0;    // since the key is held; saturates at 2^20 - 1
    bool blocked = false;
    Instant blocked_until = kNever;  // only with `blocked`; kNever: until unblocked
  };

  // Memory for `keys` keys at once, `max_requests` (1..kMaxRequests) stamps each. Half as many slots more than keys are
  // laid out, so that a new key practically always finds room in one of its two sets. 30 stamps: 204 bytes per key.
  static std::size_t required_bytes(std::size_t keys, std::uint32_t max_requests) noexcept;

  // `memory`: at least required_bytes(), aligned to 64, kept by the caller as long as the limiter lives; overwritten.
  // `max_automatic_blocks`: bound on keys in an automatic block; 0 means a quarter of the slots.
  WindowLimiter(std::span<std::byte> memory, std::size_t keys, std::uint32_t max_requests, const HashKey& hash_key,
                std::size_t max_automatic_blocks = 0) noexcept;
  WindowLimiter(const WindowLimiter&) = delete;
  WindowLimiter& operator=(const WindowLimiter&) = delete;

  // Takes effect at once on every key, also on requests admitted before; but a longer window cannot count what the
  // shorter one had already let go of (keys that were idle under it). False, nothing changed: a value out of range.
  [[nodiscard]] bool set_limits(const WindowLimits& limits) noexcept;
  const WindowLimits& limits() const noexcept { return limits_; }
  std::uint32_t max_requests() const noexcept { return max_requests_; }

  // A time as this limiter counts it, for the requests that come together. `now` must not run backwards.
  class Moment {
   public:
    Instant now() const noexcept { return now_; }

   private:
    friend class WindowLimiter;
    Moment(Instant now, std::uint32_t tick) noexcept : now_(now), tick_(tick) {}
    Instant now_;
    std::uint32_t tick_;
  };
  Moment at(Instant now) noexcept { return {now, enter(now)}; }

  // One request of `key` (never 0).
  Decision check(std::uint64_t key, Instant now) noexcept { return check_slowly(begin(key), enter(now)); }

  // The same in three steps, for a burst: begin() all, locate() all, check() all. Each step prefetches what the next
  // one reads. Other calls in between are allowed.
  struct Probe {
    std::uint64_t key = 0;
    std::uint32_t set[2] = {0, 0};
    const std::uint64_t* tag = &kNoKey;  // where locate() found the key; check() looks again
    std::byte* entry = nullptr;          // of that tag
  };
  Probe begin(std::uint64_t key) const noexcept;
  void locate(Probe& probe) const noexcept;
  Decision check(const Probe& probe, Moment moment) noexcept;

  // Counts nothing. `by_operator`: leave automatic blocks aside.
  bool is_blocked(const Probe& probe, Moment moment, bool by_operator = false) noexcept;
  // `until` kNever: until unblocked; at most kMaxBlock from now. Replaces an earlier block. False: no room for the key.
  [[nodiscard]] bool block(std::uint64_t key, Instant until, Instant now) noexcept;
  // Ends a block and forgets the window: the key starts with a full budget. False: the key is not held.
  bool unblock(std::uint64_t key) noexcept;

  // Visits at most `max_slots` slots from `cursor` (0: start) and calls row(const Row&) for each key held, until
  // `max_rows` were reported. Returns the next cursor, 0 when the table's end was reached. A key that goes and comes back
  // between two calls may be missed or be reported twice.
  template <typename Callback>
  std::uint64_t list(std::uint64_t cursor, std::size_t max_slots, std::size_t max_rows, Instant now, Callback&& row) noexcept;

  // Housekeeping of the next `sets` sets: ends blocks that ran out, frees idle keys, keeps stamps from ageing past the
  // wrap. released(key) is called for each block that ended. Call it from a timer; cost is bounded by `sets`.
  template <typename Callback>
  void maintain(std::size_t sets, Instant now, Callback&& released) noexcept;

  const Stats& stats() const noexcept { return stats_; }
  std::size_t slots() const noexcept { return std::size_t{sets_} * kWays; }
  std::size_t max_automatic_blocks() const noexcept { return max_automatic_blocks_; }

 private:
  using Tick = std::uint32_t;
  static constexpr std::int64_t kTickNs = 1'000'000;
  // Stamps are kept at most this old by the sweep; an "empty" stamp is simply an old one.
  static constexpr Tick kOld = Tick{1} << 29;
  static constexpr std::uint64_t kSweepTicks = std::uint64_t{1} << 29;
  static constexpr std::uint32_t kMaxRefused = (1U << 20) - 1;

  struct TagLine {
    std::uint64_t keys[kWays];  // 0: free
  };
  // Followed by max_requests_ stamps, a ring whose oldest is at `head`.
  struct Entry {
    std::uint32_t head : 8;
    std::uint32_t automatic : 1;
    std::uint32_t operated : 1;  // blocked by an operator
    std::uint32_t forever : 1;   // ... until unblocked
    std::uint32_t told : 1;      // a refusal was reported since the last admission
    std::uint32_t refused : 20;
    Tick blocked_until;
  };
  static_assert(sizeof(Entry) == 8);

  static constexpr std::uint32_t kNoSlot = 0xFFFFFFFF;
  static constexpr std::uint64_t kNoKey = 0;

  static std::uint64_t ticks(Instant now) noexcept { return static_cast<std::uint64_t>(to_ns(now)) / kTickNs; }
  static std::size_t entry_bytes(std::uint32_t max_requests) noexcept;
  static std::uint32_t set_count(std::size_t keys) noexcept;

  TagLine& tags(std::uint32_t set) const noexcept { return tags_[set]; }
  std::uint64_t& tag(std::uint32_t slot) const noexcept { return tags_[slot / kWays].keys[slot % kWays]; }
  Entry& entry(std::uint32_t slot) const noexcept { return *reinterpret_cast<Entry*>(entries_ + std::size_t{slot} * entry_bytes_); }
  Tick* stamps(Entry& e) const noexcept { return reinterpret_cast<Tick*>(&e + 1); }

  static unsigned match(const TagLine& line, std::uint64_t key) noexcept;
  std::uint32_t find_in(std::uint32_t set, std::uint64_t key) const noexcept;
  std::uint32_t search(const Probe& probe) const noexcept;
  std::uint32_t find(const Probe& probe) const noexcept {
    return *probe.tag == probe.key ? static_cast<std::uint32_t>(probe.tag - tags_->keys) : search(probe);
  }
  Decision check_slowly(const Probe& probe, Tick now) noexcept;
  std::uint32_t insert(const Probe& probe, Tick now) noexcept;
  std::uint32_t evict(const Probe& probe, Tick now) noexcept;
  void reset(std::uint32_t slot, Tick now) noexcept;
  void release(std::uint32_t slot) noexcept;
  void empty_window(Entry& e, Tick now) noexcept;
  void age(Entry& e, Tick now) noexcept;
  void end_block(Entry& e) noexcept;
  Decision refuse_blocked(Entry& e, Tick now) noexcept;
  Decision refuse_limited(Entry& e, bool block_ended, Tick now) noexcept;
  std::uint32_t in_window(Entry& e, Tick now) const noexcept;
  bool idle(Entry& e, Tick now) const noexcept;
  std::uint32_t position(const Entry& e, std::uint32_t back) const noexcept {  // `back`: 1 = newest stamp
    return e.head >= back ? e.head - back : e.head + max_requests_ - back;
  }
  bool sweep_slot(std::uint32_t slot, Tick now) noexcept;  // true: a block ended
  void begin_pass(std::uint64_t now) noexcept;
  void overdue_sweep(std::uint64_t now) noexcept;
  static bool expired(const Entry& e, Tick now) noexcept { return e.forever == 0 && static_cast<std::int32_t>(now - e.blocked_until) >= 0; }
  // Every path that reads stamps goes through here first.
  Tick enter(Instant now) noexcept {
    const std::uint64_t t = ticks(now);
    if (__builtin_expect(t > previous_pass_ + kSweepTicks, 0)) overdue_sweep(t);
    return static_cast<Tick>(t);
  }
  Row row_of(std::uint32_t slot, Instant now) const noexcept;
  static bool is_block(const Entry& e) noexcept { return e.automatic != 0 || e.operated != 0; }

  TagLine* tags_ = nullptr;
  std::byte* entries_ = nullptr;
  std::size_t entry_bytes_ = 0;
  std::uint32_t sets_ = 0;
  std::uint32_t max_requests_ = 0;
  HashKey hash_key_;
  WindowLimits limits_;
  Tick window_ticks_ = 0;
  Tick block_ticks_ = 0;
  std::size_t max_automatic_blocks_ = 0;
  Stats stats_;
  std::uint32_t sweep_set_ = 0;
  std::uint64_t previous_pass_ = 0;  // ticks: every entry was swept at or after this
  std::uint64_t current_pass_ = 0;   // ticks: when the pass under way began
};

inline WindowLimiter::Probe WindowLimiter::begin(std::uint64_t key) const noexcept {
  const std::uint64_t hash = keyed_hash(key, hash_key_);
  Probe probe;
  probe.key = key;
  probe.set[0] = static_cast<std::uint32_t>(((hash & 0xFFFFFFFF) * sets_) >> 32);
  probe.set[1] = static_cast<std::uint32_t>(((hash >> 32) * sets_) >> 32);
  if (__builtin_expect(probe.set[1] == probe.set[0], 0)) probe.set[1] = probe.set[0] + 1 < sets_ ? probe.set[0] + 1 : 0;
  __builtin_prefetch(&tags(probe.set[0]));
  __builtin_prefetch(&tags(probe.set[1]));
  return probe;
}

// Bit 2 * way is set where the key stands.
inline unsigned WindowLimiter::match(const TagLine& line, std::uint64_t key) noexcept {
#if defined(__SSE2__)
  const __m128i wanted = _mm_set1_epi64x(static_cast<long long>(key));
  const auto* at = reinterpret_cast<const __m128i*>(line.keys);
  const __m128i low = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_load_si128(at), wanted), _mm_cmpeq_epi32(_mm_load_si128(at + 1), wanted));
  const __m128i high = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_load_si128(at + 2), wanted), _mm_cmpeq_epi32(_mm_load_si128(at + 3), wanted));
  const auto halves = static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(low, high)));
  return halves & (halves >> 1) & 0x5555;
#else
  unsigned hits = 0;
  for (unsigned way = 0; way < kWays; ++way) hits |= static_cast<unsigned>(line.keys[way] == key) << (2 * way);
  return hits;
#endif
}

// Both sets at once: which of them has the key is a coin toss no branch predictor wins.
inline std::uint32_t WindowLimiter::search(const Probe& probe) const noexcept {
  const unsigned hits = match(tags(probe.set[0]), probe.key) | match(tags(probe.set[1]), probe.key) << 16;
  if (hits == 0) return kNoSlot;
  const auto first = static_cast<unsigned>(__builtin_ctz(hits));
  return probe.set[first >> 4] * kWays + (first & 15) / 2;
}

inline void WindowLimiter::locate(Probe& probe) const noexcept {
  const std::uint32_t slot = search(probe);
  if (slot == kNoSlot) return;
  probe.tag = &tag(slot);
  probe.entry = entries_ + std::size_t{slot} * entry_bytes_;
  __builtin_prefetch(probe.entry, 1);
  // Which stamp is read depends on the head, which is not here yet: the usual two lines are cheaper than a third step.
  __builtin_prefetch(probe.entry + 64, 1);
}

inline WindowLimiter::Decision WindowLimiter::check(const Probe& probe, Moment moment) noexcept {
  const Tick tick = moment.tick_;
  if (__builtin_expect(*probe.tag != probe.key, 0)) return check_slowly(probe, tick);
  Entry& e = *reinterpret_cast<Entry*>(probe.entry);
  Tick* stamp = stamps(e);
  if (is_block(e) || tick - stamp[position(e, limits_.requests)] <= window_ticks_) return check_slowly(probe, tick);
  stamp[e.head] = tick;
  const std::uint32_t next = e.head + 1;
  e.head = static_cast<std::uint8_t>(next == max_requests_ ? 0 : next);
  e.told = 0;
  ++stats_.admitted;
  return {Verdict::Admitted};
}

template <typename Callback>
std::uint64_t WindowLimiter::list(std::uint64_t cursor, std::size_t max_slots, std::size_t max_rows, Instant now, Callback&& row) noexcept {
  (void)enter(now);
  std::uint64_t slot = cursor;
  for (; slot < slots() && max_slots > 0 && max_rows > 0; ++slot, --max_slots) {
    if (tag(static_cast<std::uint32_t>(slot)) == 0) continue;
    row(row_of(static_cast<std::uint32_t>(slot), now));
    --max_rows;
  }
  return slot < slots() ? slot : 0;
}

template <typename Callback>
void WindowLimiter::maintain(std::size_t sets, Instant now, Callback&& released) noexcept {
  const Tick tick = enter(now);
  if (sets > sets_) sets = sets_;
  for (; sets > 0; --sets) {
    for (std::uint32_t way = 0; way < kWays; ++way) {
      const std::uint32_t slot = sweep_set_ * kWays + way;
      const std::uint64_t key = tag(slot);
      if (key != 0 && sweep_slot(slot, tick)) released(key);
    }
    if (++sweep_set_ == sets_) {
      sweep_set_ = 0;
      begin_pass(ticks(now));
    }
  }
}

}  // namespace ifgw
