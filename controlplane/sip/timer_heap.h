// Deadlines of the slots of a table: a binary heap that knows where each slot sits. Setting, moving and clearing a
// deadline is O(log n), the next one O(1), and there is never more than one entry per slot.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "codecs/base/time.h"

namespace ifgw::sip {

class TimerHeap {
 public:
  Instant next() const noexcept { return heap_.empty() ? kNever : heap_.front().at; }
  std::size_t size() const noexcept { return heap_.size(); }

  // kNever clears.
  void set(std::uint32_t slot, Instant at) {
    if (slot >= place_.size()) place_.resize(slot + 1, kNowhere);
    std::uint32_t place = place_[slot];
    if (at == kNever) {
      if (place != kNowhere) remove(place);
      return;
    }
    if (place == kNowhere) {
      place = static_cast<std::uint32_t>(heap_.size());
      heap_.push_back({at, slot});
      place_[slot] = place;
    }
    heap_[place].at = at;
    sift_down(sift_up(place));
  }

  // The slot whose deadline is due first, its entry removed; nullopt when nothing is due.
  std::optional<std::uint32_t> pop_due(Instant now) {
    if (heap_.empty() || heap_.front().at > now) return std::nullopt;
    const std::uint32_t slot = heap_.front().slot;
    remove(0);
    return slot;
  }

 private:
  struct Entry {
    Instant at;
    std::uint32_t slot;
  };
  static constexpr std::uint32_t kNowhere = UINT32_MAX;

  void put(std::uint32_t place, const Entry& entry) {
    heap_[place] = entry;
    place_[entry.slot] = place;
  }
  std::uint32_t sift_up(std::uint32_t place) {
    const Entry entry = heap_[place];
    while (place > 0 && entry.at < heap_[(place - 1) / 2].at) {
      put(place, heap_[(place - 1) / 2]);
      place = (place - 1) / 2;
    }
    put(place, entry);
    return place;
  }
  void sift_down(std::uint32_t place) {
    const Entry entry = heap_[place];
    const auto size = static_cast<std::uint32_t>(heap_.size());
    for (std::uint32_t child = 2 * place + 1; child < size; child = 2 * place + 1) {
      if (child + 1 < size && heap_[child + 1].at < heap_[child].at) ++child;
      if (heap_[child].at >= entry.at) break;
      put(place, heap_[child]);
      place = child;
    }
    put(place, entry);
  }
  void remove(std::uint32_t place) {
    place_[heap_[place].slot] = kNowhere;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (place == heap_.size()) return;
    put(place, last);
    sift_down(sift_up(place));
  }

  std::vector<Entry> heap_;
  std::vector<std::uint32_t> place_;  // by slot
};

}  // namespace ifgw::sip
