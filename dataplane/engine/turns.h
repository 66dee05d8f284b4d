// When a worker may turn to the frames that wait to be transcoded: when no packets seem to wait in its queues. Pure; one worker.
#pragma once

#include <cstddef>

#include "codecs/base/time.h"

namespace ifgw::engine {

class Turns {
 public:
  // A look at all ports and at the rings of other workers: whether one of them gave a full burst, so that others may wait behind it, how
  // many packets came, and how many of those were relays.
  void looked(bool full, std::size_t packets, std::size_t relays, Instant now) noexcept {
    if (!full) {
      since_ = kNever;
      return;
    }
    if (since_ == kNever) begin(now);
    packets_ += packets;
    relays_ += relays;
  }
  // Queues that stay full may hold relays, which no frame may cost. But when most of what comes is none (a flood that is refused packet by
  // packet), frames have a turn in kPatience: they are given up for relays, not for that.
  bool frames(Instant now) const noexcept { return since_ == kNever || (now - since_ >= kPatience && relays_ * 2 < packets_); }
  // They had one.
  void frames_ran(Instant now) noexcept {
    if (since_ != kNever) begin(now);
  }

 private:
  static constexpr Duration kPatience = std::chrono::milliseconds(1);

  void begin(Instant now) noexcept {
    since_ = now;
    packets_ = relays_ = 0;
  }

  Instant since_ = kNever;  // bursts have been full, or frames ran
  std::size_t packets_ = 0;
  std::size_t relays_ = 0;
};

}  // namespace ifgw::engine
