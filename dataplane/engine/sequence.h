// How many packets of a stream were expected, and how many came out of order: RFC 3550 appendices A.1 and A.3, for a
// relay. A new SSRC, or a jump confirmed by a second packet (A.1), starts a new count that is added to the old one.
#pragma once

#include <cstdint>

#include "codecs/base/serial.h"

namespace ifgw::engine {

class SequenceTracker {
 public:
  enum class Order : std::uint8_t {
    Next,         // newer than all before it
    Late,         // one already seen is newer; or a copy
    Restart,      // another stream begins with it: the first of all, another SSRC, or a jump that it confirms
    Unconfirmed,  // a jump; whether it is a restart the next packet tells
  };
  struct Change {
    std::int64_t expected = 0;  // how much `expected` grew
    Order order = Order::Next;
    bool reordered = false;  // late, and not a copy of the newest
  };

  bool started() const noexcept { return started_; }
  std::uint32_t ssrc() const noexcept { return ssrc_; }
  std::uint16_t first() const noexcept { return first_; }
  std::uint16_t highest() const noexcept { return highest_; }

  // Whether it is the one right after the newest. Then advance() does what packet() would, which would say
  // {1, Order::Next, false}.
  bool is_next(std::uint32_t ssrc, std::uint16_t sequence) const noexcept {
    return ssrc == ssrc_ && static_cast<std::uint16_t>(sequence - highest_) == 1 && started_ && !jump_pending_;
  }
  void advance() noexcept { reach(static_cast<std::uint16_t>(highest_ + 1)); }

  Change packet(std::uint32_t ssrc, std::uint16_t sequence) noexcept {
    if (!started_ || ssrc != ssrc_) return restart(ssrc, sequence);
    const std::int32_t distance = serial_distance(highest_, sequence);
    if (distance > 0 && distance < kMaxDropout) {
      jump_pending_ = false;
      reach(sequence);
      return {distance, Order::Next, false};
    }
    if (distance <= 0 && distance > -kMaxMisorder) {
      // Older than the first one seen: it was expected after all.
      if (serial_distance(first_, sequence) < 0 && near_first_) {
        const std::int64_t more = serial_distance(sequence, first_);
        first_ = sequence;
        return {more, Order::Late, true};
      }
      return {0, Order::Late, distance != 0};
    }
    return jump(ssrc, sequence);
  }

  static constexpr std::int32_t kMaxDropout = 3000;
  static constexpr std::int32_t kMaxMisorder = 100;

 private:
  void reach(std::uint16_t sequence) noexcept {
    highest_ = sequence;
    if (near_first_ && serial_distance(first_, sequence) > kMaxMisorder) near_first_ = false;
  }
  Change restart(std::uint32_t ssrc, std::uint16_t sequence) noexcept {
    ssrc_ = ssrc;
    first_ = highest_ = sequence;
    near_first_ = true;
    started_ = true;
    jump_pending_ = false;
    return {1, Order::Restart, false};
  }
  // Two packets in a row after a jump: the party restarted without a new SSRC. The first of them counts as well.
  Change jump(std::uint32_t ssrc, std::uint16_t sequence) noexcept {
    if (jump_pending_ && sequence == after_jump_) {
      Change change = restart(ssrc, sequence);
      ++change.expected;
      return change;
    }
    jump_pending_ = true;
    after_jump_ = static_cast<std::uint16_t>(sequence + 1);
    return {0, Order::Unconfirmed, false};
  }

  std::uint32_t ssrc_ = 0;
  std::uint16_t first_ = 0;
  std::uint16_t highest_ = 0;
  std::uint16_t after_jump_ = 0;
  bool started_ : 1 = false;
  bool jump_pending_ : 1 = false;
  bool near_first_ : 1 = false;  // packets older than first_ may still come
};
static_assert(sizeof(SequenceTracker) == 12);

}  // namespace ifgw::engine
