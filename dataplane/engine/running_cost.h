// What something that is done over and over costs at present, from the times that it took: 20 ms of audio of one pair of codecs, or the
// way of a packet through the ports. A value, written by one worker.
//
// A thread that is not running makes frames look dear, never cheap, and by far; what a codec is given to encode changes its cost by
// some tens of per cent. So the estimate goes by the median of each kWindow frames, which a few interrupted ones do not move (the
// least of them would be that of silence), and takes an eighth of the way to it: a host that slows down for good is followed within
// some 500 frames, ten seconds of one direction. It stays within its bounds, whatever is seen.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace ifgw::engine {

class RunningCost {
 public:
  static constexpr unsigned kWindow = 32;
  static constexpr std::uint32_t kBound = 4;

  // `start_ns`: as measured before, and what is seen counts within kBound of it; 0: the pair cannot be run.
  explicit RunningCost(std::uint32_t start_ns = 0) noexcept
      : start_ns_(start_ns), least_ns_(start_ns / kBound), most_ns_(std::int64_t{start_ns} * kBound) {}
  // Nothing is known at start.
  RunningCost(std::uint32_t least_ns, std::uint32_t most_ns) noexcept : least_ns_(least_ns), most_ns_(most_ns) {}

  // At start, and now; 0: nothing was seen yet.
  std::uint32_t start_ns() const noexcept { return start_ns_; }
  std::uint32_t now_ns() const noexcept { return now_ns_; }
  // What to go by.
  std::uint32_t ns() const noexcept { return now_ns_ != 0 ? now_ns_ : start_ns_; }

  // Once, it took so long. True: ns() is another number now.
  bool took(std::uint32_t ns) noexcept {
    times_[seen_++] = ns;
    if (seen_ < kWindow) return false;
    seen_ = 0;
    std::nth_element(times_.begin(), times_.begin() + kWindow / 2, times_.end());
    const std::int64_t median = std::clamp<std::int64_t>(times_[kWindow / 2], least_ns_, most_ns_);
    const std::uint32_t before = this->ns();
    now_ns_ = static_cast<std::uint32_t>(std::max<std::int64_t>(now_ns_ == 0 ? median : now_ns_ + (median - now_ns_) / kSmoothing, 1));
    return now_ns_ != before;
  }

 private:
  static constexpr std::int64_t kSmoothing = 8;

  std::uint32_t start_ns_ = 0;
  std::int64_t least_ns_;
  std::int64_t most_ns_;
  std::uint32_t now_ns_ = 0;
  unsigned seen_ = 0;
  std::array<std::uint32_t, kWindow> times_{};
};

}  // namespace ifgw::engine
