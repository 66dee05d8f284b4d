// What a worker's calls cost it, by what a packet of each pair of codecs was measured to cost at start and costs now and by what its way
// through the ports costs now, and whether another call fits. Arithmetic over values; parts per million (ppm) of one worker's time.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/api/counters.h"
#include "dataplane/api/messages.h"
#include "dataplane/engine/running_cost.h"

namespace ifgw::engine {

// Nanoseconds of 20 ms of audio in one direction, by api::codec_pair(): what dataplane/engine/pair_probe.h measures.
using PairCostsNs = std::array<std::uint32_t, api::kCodecPairs>;

// When nothing was measured: a processor of about 2.6 GHz with Debian 12's libraries, rounded up.
constexpr PairCostsNs declared_costs() noexcept {
  constexpr std::array<std::uint32_t, api::kMaxCodec + 1> kDecode{0,    300,    300,    9000,   8000,   12'000, 8000, 15'000,
                                                                  5000, 10'000, 10'000, 10'000, 10'000, 300,    1000};
  constexpr std::array<std::uint32_t, api::kMaxCodec + 1> kEncode{0,      500,    500,    12'000, 40'000, 100'000, 50'000, 120'000,
                                                                  15'000, 15'000, 15'000, 15'000, 15'000, 300,     1000};
  PairCostsNs costs{};
  for (std::size_t pair = 0; pair < costs.size(); ++pair) {
    const auto from = static_cast<std::size_t>(api::pair_from(pair));
    const auto to = static_cast<std::size_t>(api::pair_to(pair));
    if (from == 0 || to == 0) continue;
    const bool relay = from == to && !api::is_recoded(pair), law = from != to && from <= 2 && to <= 2;
    costs[pair] = relay ? 60 : law ? 120 : kDecode[from] + kEncode[to];
  }
  return costs;
}

class Headroom {
 public:
  // Two directions of a call, by what each costs in its codecs.
  struct Call {
    std::uint64_t codecs_ppm = 0;
    std::uint64_t directions = 0;
  };

  // `percent`: of a worker's time that may be promised to calls, 0..400; 0: calls are never refused for it.
  Headroom(const PairCostsNs& costs, std::uint32_t percent) noexcept : limit_ppm_(percent * 10'000) {
    for (std::size_t pair = 0; pair < costs_.size(); ++pair) costs_[pair] = RunningCost(costs[pair]);
  }

  // A frame of such a direction keeps others waiting noticeably: it comes after all others, and is the first to be given up. By the
  // measurement at start, so that the order of two streams does not change while they run.
  bool heavy(std::uint8_t pair) const noexcept { return costs_[pair].start_ns() >= api::kHeavyCostNs; }
  const RunningCost& cost(std::uint8_t pair) const noexcept { return costs_[pair]; }
  // One direction, all of the time, by what it costs now.
  std::uint32_t load_ppm(std::uint8_t pair) const noexcept { return (costs_[pair].ns() + kNsPerPpm - 1) / kNsPerPpm; }

  // One direction's packets, through the ports.
  std::uint32_t ports_ppm() const noexcept { return (ports_.ns() + kNsPerPpm - 1) / kNsPerPpm; }
  // Of all directions.
  std::uint64_t booked_ports_ppm() const noexcept { return running_ * ports_ppm(); }

  void add(Call& call, std::uint8_t pair) const noexcept {
    call.codecs_ppm += load_ppm(pair);
    call.directions += can_run(pair) ? 1 : 0;
  }
  // Whether `added` fits when `freed` ends at the same time. What costs no more always does. A relay takes next to nothing of its own,
  // and is what everything else is given up for: it needs room for its packets' ways only.
  bool fits(const Call& freed, const Call& added, bool relay) const noexcept {
    if (limit_ppm_ == 0) return true;
    const std::uint64_t less = freed.directions * ports_ppm(), more = added.directions * ports_ppm();
    if (relay) return more <= less || booked_ports_ppm() - less + more <= limit_ppm_;
    return added.codecs_ppm + more <= freed.codecs_ppm + less ||
           booked_ppm() - (freed.codecs_ppm + less) + added.codecs_ppm + more <= limit_ppm_;
  }
  // A direction that was of the pair `before` is of `after` from now on. Pairs that cannot be run cost nothing.
  void rebook(std::uint8_t before, std::uint8_t after) noexcept {
    if (before == after) return;
    book(before, -1);
    book(after, 1);
  }
  // 20 ms of audio of a pair took so long. True: its cost is another one now, and so is what was booked for it.
  bool took(std::uint8_t pair, std::uint32_t ns) noexcept {
    const std::uint64_t before = load_ppm(pair);
    if (!costs_[pair].took(ns)) return false;
    codecs_ppm_ += directions_[pair] * (load_ppm(pair) - before);
    return true;
  }

  // A packet's way through the ports took so long, from one and to one.
  bool ports_took(std::uint32_t ns) noexcept { return ports_.took(ns); }
  std::uint32_t ports_ns() const noexcept { return ports_.now_ns(); }  // 0: not known

  std::uint64_t booked_ppm() const noexcept { return codecs_ppm_ + booked_ports_ppm(); }
  std::uint64_t limit_ppm() const noexcept { return limit_ppm_; }

 private:
  static constexpr std::uint32_t kNsPerPpm = 20;            // of 20 ms
  static constexpr std::uint32_t kMostPortsNs = 1'000'000;  // no driver is that slow

  bool can_run(std::uint8_t pair) const noexcept { return costs_[pair].start_ns() != 0; }
  void book(std::uint8_t pair, int directions) noexcept {
    if (!can_run(pair)) return;
    directions_[pair] += static_cast<std::uint64_t>(directions);
    running_ += static_cast<std::uint64_t>(directions);
    codecs_ppm_ += static_cast<std::uint64_t>(directions) * load_ppm(pair);
  }

  std::array<RunningCost, api::kCodecPairs> costs_;
  std::array<std::uint64_t, api::kCodecPairs> directions_{};
  std::uint64_t running_ = 0;  // directions of all pairs
  RunningCost ports_{0, kMostPortsNs};
  std::uint64_t limit_ppm_;
  std::uint64_t codecs_ppm_ = 0;
};

}  // namespace ifgw::engine
