// Time as values. Deciding code gets `now` handed in and gives deadlines back; it cannot read a clock, because
// MonotonicTag has no now(). The shells fill an Instant from CLOCK_MONOTONIC (nanoseconds since boot), which both
// processes share, so an Instant may cross a ring.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace ifgw {

using Duration = std::chrono::nanoseconds;

struct MonotonicTag {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicTag, Duration>;
  static constexpr bool is_steady = true;
};

using Instant = std::chrono::time_point<MonotonicTag, Duration>;

// "No deadline": later than every real instant.
inline constexpr Instant kNever{Duration{std::numeric_limits<std::int64_t>::max()}};

constexpr std::int64_t to_ns(Instant t) noexcept { return t.time_since_epoch().count(); }
constexpr Instant from_ns(std::int64_t ns) noexcept { return Instant{Duration{ns}}; }

}  // namespace ifgw
