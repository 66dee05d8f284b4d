// What a worker's calls cost it, by what a packet of each pair of codecs was measured to cost, and whether another call
// fits. Arithmetic over values; parts per million (ppm) of one worker's time.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/api/counters.h"
#include "dataplane/api/messages.h"

namespace ifgw::engine {

// Nanoseconds of 20 ms of audio in one direction, by api::codec_pair(): what dataplane/engine/pair_probe.h measures.
using PairCostsNs = std::array<std::uint32_t, api::kCodecPairs>;

// When nothing was measured: a processor of about 2.6 GHz with Debian 12's libraries, rounded up.
constexpr PairCostsNs declared_costs() noexcept {
  constexpr std::array<std::uint32_t, api::kMaxCodec + 1> kDecode{0, 300, 300, 9000, 8000, 12'000};
  constexpr std::array<std::uint32_t, api::kMaxCodec + 1> kEncode{0, 500, 500, 12'000, 40'000, 100'000};
  PairCostsNs costs{};
  for (std::size_t pair = 0; pair < costs.size(); ++pair) {
    const auto from = static_cast<std::size_t>(api::pair_from(pair));
    const auto to = static_cast<std::size_t>(api::pair_to(pair));
    if (from != 0 && to != 0) costs[pair] = from == to ? 60 : from <= 2 && to <= 2 ? 120 : kDecode[from] + kEncode[to];
  }
  return costs;
}

class Headroom {
 public:
  // `percent`: of a worker's time that may be promised to calls, 1..100.
  Headroom(const PairCostsNs& costs, std::uint32_t percent) noexcept : costs_(costs), limit_ppm_(percent * 10'000) {}

  // A frame of such a direction keeps others waiting noticeably: it comes after all others, and is the first to be given up.
  bool heavy(std::uint8_t pair) const noexcept { return costs_[pair] >= api::kHeavyCostNs; }
  // One direction, all of the time.
  std::uint32_t load_ppm(std::uint8_t pair) const noexcept { return (costs_[pair] + kNsPerPpm - 1) / kNsPerPpm; }

  // Whether directions of `added` ppm fit, when some of `freed` end at the same time. What costs no more always does.
  bool fits(std::uint64_t freed, std::uint64_t added) const noexcept { return added <= freed || booked_ppm_ - freed + added <= limit_ppm_; }
  // A direction that took `before` takes `after` from now on.
  void rebook(std::uint32_t before, std::uint32_t after) noexcept { booked_ppm_ += std::uint64_t{after} - before; }

  std::uint64_t booked_ppm() const noexcept { return booked_ppm_; }
  std::uint64_t limit_ppm() const noexcept { return limit_ppm_; }
  const PairCostsNs& costs() const noexcept { return costs_; }

 private:
  static constexpr std::uint32_t kNsPerPpm = 20;  // of 20 ms

  PairCostsNs costs_;
  std::uint64_t limit_ppm_;
  std::uint64_t booked_ppm_ = 0;
};

}  // namespace ifgw::engine
