// THE plane contract, part 3: the ring. Single producer, single consumer, lock-free, elements are values.
//
// Only the two published indices and the slots are shared. Each side keeps its own index, its mask and the slots'
// address in private memory and never reads them back, so a peer that scribbles over the shared part can lose or
// garble messages, but cannot make this side read or write outside the slots or spin. An index of the peer that is
// impossible marks the ring corrupt: it then behaves as full (producer) or empty (consumer), and the owner detaches.
//
// Producer and consumer are each used by one thread. Nothing here allocates, blocks or calls the kernel.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>

#include "codecs/base/check.h"

namespace ifgw::api {

inline constexpr std::size_t kCacheLine = 64;

// How an element is copied between a slot and private memory. `Slot` memory may change under our feet: copy what
// decides the length first, then use only the copy. Specialised for elements that are mostly empty.
template <typename T>
struct SlotCopy {
  static void into_slot(T& slot, const T& value) noexcept { std::memcpy(&slot, &value, sizeof(T)); }
  static void from_slot(T& value, const T& slot) noexcept { std::memcpy(&value, &slot, sizeof(T)); }
};

// The shared part. Slots follow at once.
struct RingIndices {
  alignas(kCacheLine) std::atomic<std::uint32_t> tail{0};  // written by the producer: elements ever pushed
  alignas(kCacheLine) std::atomic<std::uint32_t> head{0};  // written by the consumer: elements ever popped
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(RingIndices) == 2 * kCacheLine);

constexpr bool valid_ring_capacity(std::uint32_t capacity) noexcept {
  return capacity >= 2 && capacity <= (1u << 20) && (capacity & (capacity - 1)) == 0;
}

template <typename T>
constexpr std::size_t ring_bytes(std::uint32_t capacity) noexcept {
  return sizeof(RingIndices) + std::size_t{capacity} * sizeof(T);
}

// One side's view of a ring whose shared part lies at `memory` (zeroed when new, cache-line aligned, ring_bytes long).
template <typename T>
class RingView {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  RingView() = default;
  RingView(void* memory, std::uint32_t capacity) noexcept
      : indices_(static_cast<RingIndices*>(memory)),
        slots_(reinterpret_cast<T*>(static_cast<std::uint8_t*>(memory) + sizeof(RingIndices))),
        mask_(capacity - 1) {
    IFGW_CHECK(valid_ring_capacity(capacity));
    IFGW_CHECK(reinterpret_cast<std::uintptr_t>(memory) % kCacheLine == 0);
  }

  bool attached() const noexcept { return indices_ != nullptr; }
  bool corrupt() const noexcept { return corrupt_; }
  std::uint32_t capacity() const noexcept { return mask_ + 1; }

 protected:
  RingIndices* indices_ = nullptr;
  T* slots_ = nullptr;
  std::uint32_t mask_ = 0;
  std::uint32_t own_ = 0;   // this side's index: elements ever pushed (producer) or popped (consumer)
  std::uint32_t peer_ = 0;  // the other side's, as last believed
  bool corrupt_ = false;
};

template <typename T>
class RingProducer : public RingView<T> {
 public:
  using RingView<T>::RingView;

  // Copies in as many of `values` as fit, in order, and publishes them together. Returns how many; the rest is the
  // caller's to count as overflow. Cost: bench/micro (ring_*).
  std::size_t push(std::span<const T> values) noexcept {
    if (values.size() > free()) refresh();
    const std::size_t count = values.size() < free() ? values.size() : free();
    for (std::size_t i = 0; i < count; ++i) SlotCopy<T>::into_slot(slot(i), values[i]);
    if (count != 0) {
      this->own_ += static_cast<std::uint32_t>(count);
      this->indices_->tail.store(this->own_, std::memory_order_release);
    }
    return count;
  }
  [[nodiscard]] bool push(const T& value) noexcept { return push(std::span<const T>(&value, 1)) == 1; }

  // Room for `count` elements, or for as many as the ring is long when that is less; asks the peer's index if need be.
  bool has_room(std::size_t count) noexcept {
    if (!this->attached()) return false;
    const std::size_t wanted = count < this->capacity() ? count : this->capacity();
    if (free() < wanted) refresh();
    return !this->corrupt_ && free() >= wanted;
  }

  // In two steps, for elements that are completed when later ones are there already: the next slot, to be written and not
  // read back, or nullptr when the ring is full; the consumer sees all of them after publish(). Not between these: push().
  T* reserve() noexcept {
    if (free() <= reserved_) refresh();
    return free() <= reserved_ ? nullptr : &slot(reserved_++);
  }
  // `end`: of those reserved, the first that is not complete yet; nullptr: all are. Whether there was something to publish.
  bool publish(const T* end = nullptr) noexcept {
    const std::uint32_t complete = end == nullptr ? reserved_ : (static_cast<std::uint32_t>(end - this->slots_) - this->own_) & this->mask_;
    if (complete == 0) return false;
    this->own_ += complete;
    reserved_ -= complete;
    this->indices_->tail.store(this->own_, std::memory_order_release);
    return true;
  }

 private:
  T& slot(std::size_t i) noexcept { return this->slots_[(this->own_ + static_cast<std::uint32_t>(i)) & this->mask_]; }
  std::uint32_t free() const noexcept { return this->corrupt_ || !this->attached() ? 0 : this->capacity() - (this->own_ - this->peer_); }
  void refresh() noexcept {
    if (this->corrupt_ || !this->attached()) return;
    const std::uint32_t head = this->indices_->head.load(std::memory_order_acquire);
    // The consumer can only have moved forward, and not past what was pushed.
    if (head - this->peer_ > this->own_ - this->peer_) {
      this->corrupt_ = true;
      return;
    }
    this->peer_ = head;
  }

  std::uint32_t reserved_ = 0;
};

// Whether a consumed slot is overwritten with zeros before it is given back: for rings that may carry keys.
enum class Wipe : bool { No = false, Yes = true };

template <typename T, Wipe kWipe = Wipe::No>
class RingConsumer : public RingView<T> {
 public:
  using RingView<T>::RingView;

  // Copies out up to values.size() elements and gives their slots back together. The values are untrusted.
  std::size_t pop(std::span<T> values) noexcept {
    if (used() < values.size()) refresh();
    const std::size_t count = values.size() < used() ? values.size() : used();
    for (std::size_t i = 0; i < count; ++i) {
      T& slot = this->slots_[(this->own_ + static_cast<std::uint32_t>(i)) & this->mask_];
      SlotCopy<T>::from_slot(values[i], slot);
      if constexpr (kWipe == Wipe::Yes) wipe(slot);
    }
    if (count != 0) {
      this->own_ += static_cast<std::uint32_t>(count);
      this->indices_->head.store(this->own_, std::memory_order_release);
    }
    return count;
  }
  [[nodiscard]] bool pop(T& value) noexcept { return pop(std::span<T>(&value, 1)) == 1; }

  bool empty() noexcept {
    if (used() == 0) refresh();
    return used() == 0;
  }

 private:
  static void wipe(T& slot) noexcept {
    std::memset(static_cast<void*>(&slot), 0, sizeof slot);
    __asm__ volatile("" : : "r"(&slot) : "memory");  // the zeros are for others to see: keep them
  }
  std::uint32_t used() const noexcept { return this->corrupt_ || !this->attached() ? 0 : this->peer_ - this->own_; }
  void refresh() noexcept {
    if (this->corrupt_ || !this->attached()) return;
    const std::uint32_t tail = this->indices_->tail.load(std::memory_order_acquire);
    // The producer can only have moved forward, and not further ahead than the ring is long.
    if (tail - this->own_ > this->capacity() || tail - this->own_ < this->peer_ - this->own_) {
      this->corrupt_ = true;
      return;
    }
    this->peer_ = tail;
  }
};

}  // namespace ifgw::api
