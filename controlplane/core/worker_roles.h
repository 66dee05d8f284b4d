// Which worker of the dataplane carries which call: decisions over what the workers' counters say. Values and arithmetic.
#pragma once

#include <cstdint>
#include <span>
#include <tuple>

namespace ifgw::core {

inline constexpr std::uint32_t kMaxWorkers = 32;  // of a dataplane

// Of a call, by the dearer of its two directions (api::kHeavyCostNs).
enum class CallWeight : std::uint8_t { Light, Heavy };

struct WorkerLoad {
  std::uint64_t booked_ppm = 0;  // of its time, promised to calls
  std::uint64_t legs = 0;
};

class WorkerRoles {
 public:
  WorkerRoles() = default;
  // `heavy`: bit n: worker n is set apart for heavy calls; those from `workers` on do not count. When that leaves no worker for
  // either kind, every worker carries every call. `workers`: 0..32.
  WorkerRoles(std::uint32_t heavy, std::uint32_t workers) noexcept : workers_(workers) {
    const auto all = static_cast<std::uint32_t>((std::uint64_t{1} << workers) - 1);
    if ((heavy & all) != all) heavy_ = heavy & all;
  }

  bool divided() const noexcept { return heavy_ != 0; }
  // Heavy calls stay with their workers; a light call may be anywhere, because one that was moved stays where it is.
  bool carries(std::uint8_t worker, CallWeight weight) const noexcept {
    return weight == CallWeight::Light || !divided() || is_heavy(worker);
  }
  // Whether the worker was set apart. False for all where none is.
  bool is_heavy(std::uint8_t worker) const noexcept { return worker < kMaxWorkers && (heavy_ >> worker & 1) != 0; }

  // The worker that a new call of this weight goes to: the least loaded of its kind. `load(worker)` is a WorkerLoad. 0 when there
  // are no workers.
  template <typename Load>
  std::uint8_t choose(CallWeight weight, const Load& load) const {
    std::uint8_t best = 0;
    std::tuple<std::uint64_t, std::uint64_t> least{};
    bool found = false;
    for (std::uint8_t w = 0; w < workers_; ++w) {
      if (divided() && is_heavy(w) != (weight == CallWeight::Heavy)) continue;
      const WorkerLoad seen = load(w);
      const std::tuple rank{seen.booked_ppm / kSameLoadPpm, seen.legs};
      if (found && rank >= least) continue;
      least = rank;
      best = w;
      found = true;
    }
    return best;
  }

 private:
  static constexpr std::uint64_t kSameLoadPpm = 10'000;  // workers whose load differs by less than a hundredth take turns by legs

  std::uint32_t heavy_ = 0;
  std::uint32_t workers_ = 0;
};

}  // namespace ifgw::core
