// The frames that wait to be transcoded: in which order they are made, and which of them are given up. Values and arithmetic.
//
// Light frames come before heavy ones, and of each those of the oldest stream first; those of a stream that sends more than it may come
// behind all others. A stream's own come as they came. So a worker that is behind goes on serving its older streams whole, and what waits
// too long is of the newest ones.
//
// Thread: one. Allocates when it is made.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "codecs/base/check.h"
#include "codecs/base/time.h"
#include "codecs/wire/rtp.h"
#include "dataplane/engine/packet.h"

namespace ifgw::engine {

enum class FrameKind : std::uint8_t { Audio, Event, Noise };

// One packet of a direction that is transcoded, and its buffer with it.
struct WaitingFrame {
  Packet packet;
  RtpHeader rtp;  // as received
  FrameKind kind = FrameKind::Audio;
  Instant received{};
};

// Before which others a stream's frames come.
struct FrameRank {
  bool greedy = false;
  bool heavy = false;
  std::uint64_t stream = 1;  // rises from one stream to a newer one, 1 to 2^50
};

class FrameQueue {
 public:
  static constexpr std::uint16_t kCapacity = 2048;

  FrameQueue() : frames_(kCapacity) {
    for (std::uint16_t i = 0; i < kCapacity; ++i) free_[i] = i;
    earlier_[kCapacity] = later_[kCapacity] = kCapacity;
  }

  std::size_t size() const noexcept { return size_; }

  // While size() < kCapacity.
  void add(const WaitingFrame& frame, const FrameRank& rank) noexcept {
    IFGW_CHECK(size_ < kCapacity);
    const std::uint16_t slot = free_[kCapacity - 1 - size_];
    frames_[slot] = frame;
    link(slot);
    insert(bits(rank) | slot);
  }

  // While there are some: whether the next one is heavy, and that one. It stays where it is until the next add().
  bool heavy() const noexcept { return (order_[size_ - 1] & kHeavy) != 0; }
  WaitingFrame& take() noexcept {
    if (hurried_ != 0) --hurried_;
    return release(order_[--size_]);
  }

  // The one that came first; nullptr: none.
  const WaitingFrame* longest() const noexcept { return later_[kCapacity] == kCapacity ? nullptr : &frames_[later_[kCapacity]]; }
  // While there is one, takes it.
  WaitingFrame& take_longest() noexcept { return remove(find(later_[kCapacity])); }
  // It is the next one from now on, behind those that are so already, and longest() forgets it.
  void hurry_longest() noexcept {
    const std::uint16_t slot = later_[kCapacity];
    erase(find(slot));
    unlink(slot);
    insert(slot);
    ++hurried_;
  }
  // While there are some, takes the one that others need the place of: of those that come last, the one that has waited longest.
  WaitingFrame& take_last() noexcept {
    std::size_t last = 0;
    while (last + 1 < size_ && rank(order_[last + 1]) == rank(order_[0])) ++last;
    return remove(last);
  }

  // The leg's frames are the next from now on, behind those that are so already. Whether there were any.
  bool hurry(std::uint32_t leg) noexcept {
    const std::size_t before = hurried_;
    move(leg, 0, true);
    return hurried_ != before;
  }
  // The leg's frames that wait are of this rank from now on, but for those that are hurried.
  void rank_again(std::uint32_t leg, const FrameRank& rank) noexcept { move(leg, bits(rank), false); }
  // How many of those there are still.
  std::size_t hurried() const noexcept { return hurried_; }

 private:
  static constexpr unsigned kSlotBits = 11;
  static_assert(kCapacity == 1 << kSlotBits);
  static constexpr std::uint64_t kGreedy = std::uint64_t{1} << 63;
  static constexpr std::uint64_t kHeavy = std::uint64_t{1} << 62;

  static std::uint64_t rank(std::uint64_t key) noexcept { return key & ~std::uint64_t{kCapacity - 1}; }
  static std::uint16_t slot(std::uint64_t key) noexcept { return static_cast<std::uint16_t>(key & (kCapacity - 1)); }

  static std::uint64_t bits(const FrameRank& rank) noexcept {
    return (rank.greedy ? kGreedy : 0) | (rank.heavy ? kHeavy : 0) | rank.stream << kSlotBits;
  }

  void move(std::uint32_t leg, std::uint64_t to, bool hurried) noexcept {
    std::array<std::uint16_t, kCapacity> moved;  // the last of them first, as in order_
    std::size_t count = 0, kept = 0;
    for (std::size_t i = 0; i < size_ - hurried_; ++i) {
      if (frames_[slot(order_[i])].packet.leg_index == leg)
        moved[count++] = slot(order_[i]);
      else
        order_[kept++] = order_[i];
    }
    std::copy(order_.begin() + size_ - hurried_, order_.begin() + size_, order_.begin() + kept);
    size_ -= count;
    for (std::size_t i = count; i > 0; --i) insert(to | moved[i - 1]);
    if (hurried) hurried_ += count;
  }

  // Behind its equals, which is before them in order_.
  void insert(std::uint64_t key) noexcept {
    std::size_t at = 0;
    if (size_ != 0 && rank(order_[0]) > rank(key)) {  // few overtake many: most come behind what is there
      const auto above = [](std::uint64_t one, std::uint64_t than) { return rank(one) > than; };
      at = static_cast<std::size_t>(std::lower_bound(order_.begin(), order_.begin() + size_, rank(key), above) - order_.begin());
    }
    std::copy_backward(order_.begin() + at, order_.begin() + size_, order_.begin() + size_ + 1);
    order_[at] = key;
    ++size_;
  }
  // In order_.
  std::size_t find(std::uint16_t of) const noexcept {
    std::size_t at = 0;
    while (slot(order_[at]) != of) ++at;
    return at;
  }
  void erase(std::size_t at) noexcept {
    if (at >= size_ - hurried_) --hurried_;
    std::copy(order_.begin() + at + 1, order_.begin() + size_, order_.begin() + at);
    --size_;
  }
  WaitingFrame& remove(std::size_t at) noexcept {
    const std::uint64_t key = order_[at];
    erase(at);
    return release(key);
  }
  // No longer in order_.
  WaitingFrame& release(std::uint64_t key) noexcept {
    unlink(slot(key));
    free_[kCapacity - 1 - size_] = slot(key);
    return frames_[slot(key)];
  }
  void link(std::uint16_t slot) noexcept {
    earlier_[slot] = std::exchange(earlier_[kCapacity], slot);
    later_[slot] = kCapacity;
    later_[earlier_[slot]] = slot;
  }
  // Twice is as good as once.
  void unlink(std::uint16_t slot) noexcept {
    later_[earlier_[slot]] = later_[slot];
    earlier_[later_[slot]] = earlier_[slot];
    earlier_[slot] = later_[slot] = slot;
  }

  std::vector<WaitingFrame> frames_;
  std::array<std::uint16_t, kCapacity> free_;         // [0, kCapacity - size_): slots in which nothing waits
  std::array<std::uint64_t, kCapacity> order_;        // rank and slot; the first to be taken stands last
  std::array<std::uint16_t, kCapacity + 1> earlier_;  // slots as they came, in a ring that begins and ends at kCapacity
  std::array<std::uint16_t, kCapacity + 1> later_;
  std::size_t size_ = 0;
  std::size_t hurried_ = 0;
};

}  // namespace ifgw::engine
