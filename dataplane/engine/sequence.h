// How many packets of a stream were expected, and how many came out of order: RFC 3550 appendices A.1 and A.3, for a
// relay. A new SSRC, or a jump confirmed by a second packet (A.1), starts a new count that is added to the old one.
#pragma once

#include <cstdint>

#include "codecs/base/serial.h"

namespace ifgw::engine {

class SequenceTracker {
 public:
  struct Change {
    std::int64_t expected = 0;  // how much `expected` grew
    bool reordered = false;     // older than one already seen
  };

  bool started() const noexcept { return started_ != 0; }
  std::uint32_t ssrc() const noexcept { return ssrc_; }
  std::uint16_t highest() const noexcept { return highest_; }
  void reset() noexcept { *this = SequenceTracker{}; }

  Change packet(std::uint32_t ssrc, std::uint16_t sequence) noexcept {
    if (started_ == 0 || ssrc != ssrc_) return restart(ssrc, sequence);
    const std::int32_t distance = serial_distance(highest_, sequence);
    if (distance > 0 && distance < kMaxDropout) {
      highest_ = sequence;
      jump_pending_ = 0;
      if (serial_distance(first_, sequence) > kMaxMisorder) near_first_ = 0;
      return {distance, false};
    }
    if (distance <= 0 && distance > -kMaxMisorder) {
      // Older than the first one seen: it was expected after all.
      if (serial_distance(first_, sequence) < 0 && near_first_ != 0) {
        const std::int64_t more = serial_distance(sequence, first_);
        first_ = sequence;
        return {more, true};
      }
      return {0, distance != 0};
    }
    return jump(ssrc, sequence);
  }

 private:
  static constexpr std::int32_t kMaxDropout = 3000;
  static constexpr std::int32_t kMaxMisorder = 100;

  Change restart(std::uint32_t ssrc, std::uint16_t sequence) noexcept {
    ssrc_ = ssrc;
    first_ = highest_ = sequence;
    near_first_ = 1;
    started_ = 1;
    jump_pending_ = 0;
    return {1, false};
  }
  // Two packets in a row after a jump: the party restarted without a new SSRC. The first of them counts as well.
  Change jump(std::uint32_t ssrc, std::uint16_t sequence) noexcept {
    if (jump_pending_ != 0 && sequence == after_jump_) {
      const Change change = restart(ssrc, sequence);
      return {change.expected + 1, false};
    }
    jump_pending_ = 1;
    after_jump_ = static_cast<std::uint16_t>(sequence + 1);
    return {0, false};
  }

  std::uint32_t ssrc_ = 0;
  std::uint16_t first_ = 0;
  std::uint16_t highest_ = 0;
  std::uint16_t after_jump_ = 0;
  std::uint8_t started_ = 0;
  std::uint8_t jump_pending_ = 0;
  std::uint8_t near_first_ = 0;  // packets older than first_ may still come
};

}  // namespace ifgw::engine
