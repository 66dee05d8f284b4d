// A bounded table of values with stable ids and one deadline each. An id names a slot and its generation: once its
// value is erased, the id finds nothing, also after the slot is used again.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "codecs/base/time.h"
#include "controlplane/sip/timer_heap.h"

namespace ifgw::sip {

// 0 is no id.
using SlotId = std::uint64_t;

template <typename T>
class SlotTable {
 public:
  explicit SlotTable(std::size_t capacity) : capacity_(capacity) {}

  std::size_t size() const noexcept { return slots_.size() - free_.size(); }
  bool full() const noexcept { return size() >= capacity_; }

  // Only when not full(). References to values stay good until they are erased.
  SlotId insert(T value) {
    std::uint32_t index;
    if (free_.empty()) {
      index = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      index = free_.back();
      free_.pop_back();
    }
    slots_[index].value.emplace(std::move(value));
    return id_of(index);
  }
  T* find(SlotId id) noexcept {
    const auto index = static_cast<std::uint32_t>(id);
    if (id == 0 || index >= slots_.size() || slots_[index].generation != id >> 32 || !slots_[index].value) return nullptr;
    return &*slots_[index].value;
  }
  void erase(SlotId id) {
    if (find(id) == nullptr) return;
    const auto index = static_cast<std::uint32_t>(id);
    timers_.set(index, kNever);
    slots_[index].value.reset();
    if (++slots_[index].generation == 0) slots_[index].generation = 1;
    free_.push_back(index);
  }

  void set_deadline(SlotId id, Instant at) {
    if (find(id) != nullptr) timers_.set(static_cast<std::uint32_t>(id), at);
  }
  Instant next_deadline() const noexcept { return timers_.next(); }
  // Id of a value whose deadline is due; its deadline is cleared. 0: none.
  SlotId pop_due(Instant now) {
    const auto index = timers_.pop_due(now);
    return index ? id_of(*index) : 0;
  }

  template <typename Visit>
  void for_each(Visit&& visit) {
    for (std::uint32_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].value) visit(id_of(i), *slots_[i].value);
    }
  }

 private:
  struct Slot {
    std::uint32_t generation = 1;
    std::optional<T> value;
  };
  SlotId id_of(std::uint32_t index) const noexcept { return static_cast<SlotId>(slots_[index].generation) << 32 | index; }

  std::size_t capacity_;
  std::deque<Slot> slots_;  // a deque: growing moves nothing
  std::vector<std::uint32_t> free_;
  TimerHeap timers_;
};

}  // namespace ifgw::sip
