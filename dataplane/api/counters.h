// THE plane contract, part 2: what the dataplane publishes, in a region the other side maps read-only.
//
// One writer per datum: each row and each worker block is written by exactly one worker. A field of type Counter is a
// single-writer 64-bit number, readable at any time without locks. Fields that belong together (identity of a leg)
// are guarded by the row's seqlock; read them through read_leg().
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>

#include "dataplane/api/messages.h"

namespace ifgw::api {

// Single writer, any readers. add() is a plain load and store, not a locked instruction.
template <typename Number>
class BasicCounter {
  static_assert(std::atomic<Number>::is_always_lock_free);

 public:
  void add(Number n) noexcept { value_.store(static_cast<Number>(value_.load(std::memory_order_relaxed) + n), std::memory_order_relaxed); }
  void set(Number v) noexcept { value_.store(v, std::memory_order_relaxed); }
  Number get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<Number> value_{0};
};
using Counter = BasicCounter<std::uint64_t>;
// Where a cache line has no room for more. Wraps: of one leg's packets, at 50 a second, after 2.7 years.
using Counter32 = BasicCounter<std::uint32_t>;

// Log-linear histogram of nanoseconds: 32 sub-buckets per power of two, so a bucket is at most 3.2 % wide.
// Values below 32 ns are exact; values of 2^32 ns (4.3 s) and more share the last bucket.
struct LatencyHistogram {
  static constexpr unsigned kSubBits = 5;
  static constexpr unsigned kOctaves = 32 - kSubBits;
  static constexpr unsigned kBuckets = (kOctaves + 1) << kSubBits;
  std::array<Counter, kBuckets> counts;
  Counter maximum_ns;

  static constexpr unsigned bucket(std::uint64_t ns) noexcept {
    if (ns < (1u << kSubBits)) return static_cast<unsigned>(ns);
    const unsigned top = 63u - static_cast<unsigned>(__builtin_clzll(ns));
    if (top >= 32) return kBuckets - 1;
    return ((top - kSubBits + 1) << kSubBits) + static_cast<unsigned>((ns >> (top - kSubBits)) & ((1u << kSubBits) - 1));
  }
  // Largest value that falls into bucket `b`: what a quantile reports (never too good).
  static constexpr std::uint64_t upper_bound(unsigned b) noexcept {
    if (b < (1u << kSubBits)) return b;
    const unsigned octave = (b >> kSubBits) - 1;
    const std::uint64_t sub = b & ((1u << kSubBits) - 1);
    return (((std::uint64_t{1} << kSubBits) + sub + 1) << octave) - 1;
  }
  void record(std::uint64_t ns, std::uint64_t count) noexcept {
    counts[bucket(ns)].add(count);
    if (ns > maximum_ns.get()) maximum_ns.set(ns);
  }
};

// What a cache line of a leg has room for: packets by the power of two of their nanoseconds. Bucket b counts those of at
// most 2^(12 + b) ns (4.1 us to 1.05 ms), the last one all that took longer.
struct LegLatency {
  static constexpr unsigned kFirstBits = 12;
  static constexpr unsigned kBuckets = 10;
  std::array<Counter32, kBuckets> counts;
  Counter32 maximum_ns;  // exact; 4.29 s and more read as 2^32 - 1

  static constexpr unsigned bucket(std::uint64_t ns) noexcept {
    const unsigned bits = ns <= 1 ? 0 : 64u - static_cast<unsigned>(__builtin_clzll(ns - 1));
    return bits <= kFirstBits ? 0 : bits < kFirstBits + kBuckets ? bits - kFirstBits : kBuckets - 1;
  }
  // Largest value of bucket `b`; the last one has none and says 0.
  static constexpr std::uint64_t upper_bound(unsigned b) noexcept { return b + 1 < kBuckets ? std::uint64_t{1} << (kFirstBits + b) : 0; }
  static constexpr std::uint32_t clamp(std::uint64_t ns) noexcept { return ns < 0xFFFFFFFF ? static_cast<std::uint32_t>(ns) : 0xFFFFFFFF; }
  void record(std::uint64_t ns) noexcept { record(bucket(ns), clamp(ns)); }
  // The same, for many that took as long.
  void record(unsigned bucket_of_ns, std::uint32_t clamped_ns) noexcept {
    counts[bucket_of_ns].add(1);
    if (clamped_ns > maximum_ns.get()) maximum_ns.set(clamped_ns);
  }
  void clear() noexcept {
    for (Counter32& count : counts) count.set(0);
    maximum_ns.set(0);
  }
};

// Everything the dataplane shows of one leg.
struct LegInfo {
  LegId id;
  LegId peer;
  CallTag tag{};
  Endpoint local;
  MediaParams media;        // as last set; `media.remote` is the negotiated address
  Endpoint current_remote;  // where packets go now (differs from media.remote after latching)
  std::uint64_t created_ns = 0;
};

// A leg's identity as words, so that a reader may copy it while the owner writes without a data race.
using LegInfoWords = std::array<std::atomic<std::uint64_t>, sizeof(LegInfo) / sizeof(std::uint64_t)>;
static_assert(sizeof(LegInfoWords) == sizeof(LegInfo) && std::is_trivially_copyable_v<LegInfo>);

struct alignas(64) LegRow {
  std::atomic<std::uint32_t> seqlock{0};  // odd: being written
  Counter32 unreachable;                  // ICMP errors about what was sent to the party
  LegInfoWords info{};                    // a LegInfo; id absent: row is free
  Counter tx_rtcp;
  Counter rtt_ns;         // to the party and back, by RTCP; 0: not known
  Counter remote_report;  // what the party says of what it hears; see remote_report()
  // One cache line per direction, because a packet touches one leg's first and the other leg's second.
  alignas(64) Counter rx_packets;  // valid RTP from the party
  Counter rx_bytes;                // UDP payload
  Counter rx_rtcp;
  Counter dropped;     // packets for this leg that were dropped (reasons: worker block)
  Counter last_rx_ns;  // of RTP; 0: nothing yet
  Counter expected;    // by sequence number; loss = expected - rx_packets (RFC 3550 appendix A.3)
  Counter reordered;
  Counter jitter;  // of arrival (RFC 3550 appendix A.8): low half 16 times the jitter in time stamp units; see jitter_units()
  alignas(64) Counter tx_packets;  // RTP sent to the party
  Counter tx_bytes;
  Counter32 transcoded;  // frames decoded and encoded on the way to the party
  LegLatency inside;     // of RTP sent to the party: from its rx burst to its tx burst
};
static_assert(sizeof(LegRow) == 320);

// Of arrival of the party's stream, in units of its RTP clock.
inline std::uint32_t jitter_units(const LegRow& row) noexcept { return static_cast<std::uint32_t>(row.jitter.get()) >> 4; }

// The newest report block (RFC 3550 section 6.4.1) of the leg's party; none: it has not reported.
struct RemoteReport {
  std::uint32_t lost = 0;    // packets, at most 0x7FFFFF
  std::uint32_t jitter = 0;  // units of the RTP clock
};
inline std::optional<RemoteReport> remote_report(const LegRow& row) noexcept {
  const std::uint64_t packed = row.remote_report.get();
  if (packed == 0) return std::nullopt;
  return RemoteReport{static_cast<std::uint32_t>(packed >> 32) & 0x7FFFFF, static_cast<std::uint32_t>(packed)};
}
// Owner only.
inline void set_remote_report(LegRow& row, const RemoteReport& report) noexcept {
  row.remote_report.set(std::uint64_t{1} << 63 | std::uint64_t{report.lost & 0x7FFFFF} << 32 | report.jitter);
}

// Consistent copy, or nothing when the row is free. Spins while the writer is inside (tens of ns); gives up and
// reports the row as free after `attempts`, so that a dead writer cannot hang a reader.
inline std::optional<LegInfo> read_leg(const LegRow& row, int attempts = 1000) noexcept {
  while (attempts-- > 0) {
    const std::uint32_t before = row.seqlock.load(std::memory_order_acquire);
    if ((before & 1) != 0) continue;
    std::array<std::uint64_t, std::tuple_size_v<LegInfoWords>> words;
    for (std::size_t i = 0; i < words.size(); ++i) words[i] = row.info[i].load(std::memory_order_acquire);
    if (row.seqlock.load(std::memory_order_relaxed) != before) continue;
    LegInfo copy;
    std::memcpy(static_cast<void*>(&copy), words.data(), sizeof copy);
    if (!copy.id.present()) return std::nullopt;
    return copy;
  }
  return std::nullopt;
}
// Owner only.
inline void write_leg(LegRow& row, const LegInfo& info) noexcept {
  std::array<std::uint64_t, std::tuple_size_v<LegInfoWords>> words;
  std::memcpy(words.data(), &info, sizeof info);
  const std::uint32_t sequence = row.seqlock.load(std::memory_order_relaxed);
  row.seqlock.store(sequence + 1, std::memory_order_relaxed);
  for (std::size_t i = 0; i < words.size(); ++i) row.info[i].store(words[i], std::memory_order_release);
  row.seqlock.store(sequence + 2, std::memory_order_release);
}

// What a call of two directions is called heavy for, when one of them costs as much for 20 ms of audio: a thousandth of the time.
inline constexpr std::uint32_t kHeavyCostNs = 20'000;

struct alignas(64) WorkerBlock {
  Counter polls;       // iterations of the loop
  Counter busy_polls;  // iterations that received at least one packet
  Counter sleeps;
  Counter rx_packets;
  Counter tx_packets;
  Counter exception_to_kernel;
  Counter exception_from_kernel;
  Counter handed_over;  // packets given to the worker that owns them
  Counter taken_over;   // packets that other workers gave
  Counter datagrams_up;
  Counter datagrams_down;
  Counter commands;
  Counter events;
  Counter events_lost;       // event ring full: newest dropped
  Counter invalid_messages;  // failed validation on receipt
  Counter legs_in_use;
  Counter limiter_sources;  // sources being counted
  Counter limiter_blocked;
  Counter limiter_admitted;
  Counter heartbeat_ns;  // time of the last iteration
  // What calls were promised of this worker's time, what of it is their packets' way through the ports, and the most they may be (0:
  // anything); parts per million. By what 20 ms of audio of each codec_pair() cost now, where that is known, else at start, and a
  // packet's way each 20 ms.
  Counter load_booked_ppm;
  Counter load_ports_ppm;
  Counter load_limit_ppm;
  Counter ports_cost_now_ns;                          // of a packet, out of one queue and into one, measured while running; 0: not yet
  std::array<Counter, kCodecPairs> pair_cost_ns;      // measured at start
  std::array<Counter, kCodecPairs> pair_cost_now_ns;  // measured while running; 0: nothing was transcoded yet
  std::array<Counter, kMaxPorts> capture_lost;        // packets of each network port that a capture had no room for
  std::array<Counter, kDropReasonCount> drops;
  // Rx burst to tx burst of RTP packets, by codec_pair(): what came in, what went out.
  std::array<LatencyHistogram, kCodecPairs> inside;
  LatencyHistogram poll_gap;  // between two iterations that found packets waiting, so preemption can be told from queueing
};

}  // namespace ifgw::api
