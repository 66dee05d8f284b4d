// The frames that wait to be transcoded, in which order, and which of them are given up when there are too many. Values and arithmetic.
//
// Light frames come before heavy ones, and of each those of the oldest stream first; a stream's own as they came. What is given up is at
// the other end: of the newest heavy stream, the frame that has waited longest. So a worker that is behind goes on serving its older
// streams whole.
//
// Thread: one. Allocates when it is made.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
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
  std::uint32_t work_ns = 0;  // what it will probably take
  Instant received{};
};

class FrameQueue {
 public:
  static constexpr std::uint16_t kCapacity = 1024;

  FrameQueue() : frames_(kCapacity) {
    for (std::size_t i = 0; i < kCapacity; ++i) free_[i] = static_cast<std::uint16_t>(i);
  }

  std::size_t size() const noexcept { return size_; }
  // Of all that wait.
  std::uint64_t work_ns() const noexcept { return work_ns_; }

  // While size() < kCapacity. `stream`: rises from one stream to a newer one, 1 to 2^52.
  void add(const WaitingFrame& frame, bool heavy, std::uint64_t stream) noexcept {
    IFGW_CHECK(size_ < kCapacity);
    const std::uint16_t slot = free_[kCapacity - 1 - size_];
    frames_[slot] = frame;
    work_ns_ += frame.work_ns;
    const std::uint64_t rank = (heavy ? kHeavy : 0) | stream << kSlotBits;
    // Few overtake many: most come behind what is there.
    std::size_t at = 0;
    if (size_ != 0 && this->rank(order_[0]) > rank) at = index_of(rank);
    std::copy_backward(order_.begin() + at, order_.begin() + size_, order_.begin() + size_ + 1);
    order_[at] = rank | slot;
    ++size_;
  }

  // While there are some: whether the next one is heavy, and that one. It stays where it is until the next add().
  bool heavy() const noexcept { return (order_[size_ - 1] & kHeavy) != 0; }
  WaitingFrame& take() noexcept {
    if (hurried_ != 0) --hurried_;
    return release(order_[--size_]);
  }
  // While there are some: the one to be given up. Likewise.
  WaitingFrame& give_up() noexcept {
    std::size_t last = 0;  // of the newest stream's
    while (last + 1 < size_ && rank(order_[last + 1]) == rank(order_[0])) ++last;
    const std::uint64_t key = order_[last];
    std::copy(order_.begin() + last + 1, order_.begin() + size_, order_.begin() + last);
    --size_;
    hurried_ = std::min(hurried_, size_);
    return release(key);
  }

  // The leg's frames come first from now on, before any other.
  void hurry(std::uint32_t leg) noexcept {
    std::array<std::uint64_t, kCapacity> first;
    std::size_t moved = 0, kept = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      const std::uint64_t key = order_[i];
      if (rank(key) != 0 && frames_[slot(key)].packet.leg_index == leg)
        first[moved++] = slot(key);
      else
        order_[kept++] = key;
    }
    std::copy_n(first.begin(), moved, order_.begin() + kept);
    hurried_ += moved;
  }
  // How many of those there are still.
  std::size_t hurried() const noexcept { return hurried_; }

 private:
  static constexpr unsigned kSlotBits = 10;
  static_assert(kCapacity == std::size_t{1} << kSlotBits);
  static constexpr std::uint64_t kHeavy = std::uint64_t{1} << 63;

  static std::uint64_t rank(std::uint64_t key) noexcept { return key & ~std::uint64_t{kCapacity - 1}; }
  static std::size_t slot(std::uint64_t key) noexcept { return key & (kCapacity - 1); }
  // Where one of this rank belongs: behind its equals, which is before them in order_.
  std::size_t index_of(std::uint64_t rank) const noexcept {
    const auto above = [](std::uint64_t key, std::uint64_t than) { return FrameQueue::rank(key) > than; };
    return static_cast<std::size_t>(std::lower_bound(order_.begin(), order_.begin() + size_, rank, above) - order_.begin());
  }
  WaitingFrame& release(std::uint64_t key) noexcept {
    free_[kCapacity - 1 - size_] = static_cast<std::uint16_t>(slot(key));
    WaitingFrame& frame = frames_[slot(key)];
    work_ns_ -= frame.work_ns;
    return frame;
  }

  std::vector<WaitingFrame> frames_;
  std::array<std::uint16_t, kCapacity> free_;   // [0, kCapacity - size_): slots in which nothing waits
  std::array<std::uint64_t, kCapacity> order_;  // rank and slot; the first to be taken stands last
  std::size_t size_ = 0;
  std::size_t hurried_ = 0;
  std::uint64_t work_ns_ = 0;
};

}  // namespace ifgw::engine
