// A bound on a rate: at most `burst` packets at once, `per_second` of them in the long run. One thread's; knows no clock.
#pragma once

#include <algorithm>
#include <cstdint>

#include "codecs/base/check.h"
#include "codecs/base/time.h"

namespace ifgw::engine {

class TokenBucket {
 public:
  // Full at first. `per_second`: 1..1e9; what it means for the time between two packets is rounded down to whole ns. `burst` >= 1.
  TokenBucket(std::uint32_t per_second, std::uint32_t burst) noexcept : interval_(kSecondNs / per_second), depth_(interval_ * burst) {
    IFGW_CHECK(burst != 0 && interval_.count() != 0);
  }

  // Whether one more may pass. A `now` that goes back finds less room, never more.
  bool take(Instant now) noexcept {
    const Instant full_again = std::max(full_at_, now) + interval_;
    if (full_again > now + depth_) return false;
    full_at_ = full_again;
    return true;
  }

 private:
  static constexpr std::int64_t kSecondNs = 1'000'000'000;

  Duration interval_;
  Duration depth_;
  Instant full_at_{};  // when the bucket is full again
};

}  // namespace ifgw::engine
