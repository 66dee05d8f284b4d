// In which order the frames of a burst are transcoded, and since when a burst waits. Values and arithmetic.
//
// Light frames come first, as they arrived, then heavy ones, those of the oldest stream first. So when a worker is behind
// and gives heavy frames up, from some point of the burst on, it is those of the newest streams. That point comes the sooner the further
// it is behind, and never at once: older streams go on while newer ones are given up.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "codecs/base/check.h"
#include "codecs/base/time.h"

namespace ifgw::engine {

template <std::size_t kFrames>
class FrameOrder {
  static_assert(kFrames <= 64);

 public:
  void clear() noexcept { next_ = size_ = 0; }
  // The burst's frame `index`, below kFrames, each once. `stream`: rises from one stream to a newer one; below 2^56.
  void add(std::size_t index, bool heavy, std::uint64_t stream) noexcept {
    IFGW_CHECK(size_ < kFrames && index < kFrames);
    sorted_ = sorted_ && !heavy;
    keys_[size_++] = (heavy ? kHeavy | stream << kIndexBits : 0) | index;
  }
  std::size_t waiting() const noexcept { return size_ - next_; }
  // After sort(), and while some wait: the next one.
  bool heavy() const noexcept { return (keys_[next_] & kHeavy) != 0; }
  std::size_t take() noexcept { return keys_[next_++] & (kFrames - 1); }

  // After the last add().
  void sort() noexcept {
    if (!sorted_) std::sort(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(size_));
    sorted_ = true;
  }

 private:
  static constexpr unsigned kIndexBits = 6;
  static constexpr std::uint64_t kHeavy = std::uint64_t{1} << 63;
  static_assert((kFrames & (kFrames - 1)) == 0);

  std::array<std::uint64_t, kFrames> keys_{};
  std::size_t size_ = 0;
  std::size_t next_ = 0;
  bool sorted_ = true;
};

// Since when the packets of one queue may have been waiting. A burst that is not full took all there were: they came since
// the last look. Behind a full one others wait, for as long as bursts have been full without a break.
class Backlog {
 public:
  // A burst was received at `now`. When its packets count as having come.
  Instant burst(bool full, Instant now) noexcept {
    if (since_ == kNever) since_ = now;
    const Instant due = since_;
    if (!full) since_ = kNever;
    return due;
  }
  // The queue was found empty.
  void empty() noexcept { since_ = kNever; }

 private:
  Instant since_ = kNever;  // the first of the full bursts
};

// For how long heavy frames of a burst may begin, when its packets have waited so long already: `late` when they have not, half of it when
// they have waited that long, and so on. A worker with k times the work that it can do stays some k times `late` behind, not more.
constexpr Duration heavy_allowance(Duration waited, Duration late) noexcept {
  return Duration(late.count() * late.count() / (late + std::max(waited, Duration::zero())).count());
}

// What a frame's turn is judged by.
struct FrameTime {
  Instant received;  // its burst: `now` of everything about the packet
  Instant due;       // Backlog::burst()
  Instant current;   // at this moment
};

}  // namespace ifgw::engine
