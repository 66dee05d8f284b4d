#include "dataplane/runtime/next_hop_table.h"

#include <bit>
#include <cstring>
#include <utility>

#include "codecs/base/check.h"

namespace ifgw::runtime {

using engine::kNoNextHop;
using engine::NextHopIndex;

namespace {

std::uint64_t hash(const IpAddress& address, const HashKey& key) noexcept {
  std::uint64_t halves[2];
  std::memcpy(halves, address.bytes.data(), sizeof halves);
  return keyed_hash(halves[0] ^ keyed_hash(halves[1], key), key);
}

}  // namespace

NextHopTable::NextHopTable(const HashKey& key, std::uint32_t capacity)
    : key_(key),
      hops_(capacity),
      entries_(capacity),
      slots_(std::bit_ceil(std::size_t{capacity} * 2), kNoNextHop),
      requests_(1024),
      updates_(4096) {
  IFGW_CHECK(capacity != 0);
  table_ = hops_;
}

NextHopIndex NextHopTable::lookup(const IpAddress& destination) noexcept {
  const NextHopIndex index = find_or_add(destination);
  if (index == kNoNextHop || entries_[index].holders != 0) return index;
  unlink(index);
  link_newest(index);
  return index;
}

NextHopIndex NextHopTable::acquire(const IpAddress& destination) noexcept {
  const NextHopIndex index = find_or_add(destination);
  if (index != kNoNextHop && entries_[index].holders++ == 0) unlink(index);
  return index;
}

void NextHopTable::release(NextHopIndex index) noexcept {
  IFGW_CHECK(index < used_ && entries_[index].holders != 0);
  if (--entries_[index].holders == 0) link_newest(index);
}

NextHopIndex NextHopTable::find_or_add(const IpAddress& destination) noexcept {
  if (const NextHopIndex known = slots_[slot_of(destination)]; known != kNoNextHop) {
    // Asked again although it is known: it is still not usable, and the first request may have been lost.
    if (hops_[known].usable == 0) request(known);
    return known;
  }
  const NextHopIndex index = make_room();
  if (index == kNoNextHop) return index;
  slots_[slot_of(destination)] = index;
  hops_[index] = {};
  entries_[index].destination = destination;
  ++entries_[index].generation;
  link_newest(index);
  request(index);
  return index;
}

// An entry without a destination, taken from the one nobody asked for the longest when there is no other.
NextHopIndex NextHopTable::make_room() noexcept {
  if (used_ < capacity()) return used_++;
  const NextHopIndex index = oldest_;
  if (index == kNoNextHop) return index;
  unlink(index);
  erase_slot(slot_of(entries_[index].destination));
  return index;
}

// Where the destination is, or the free slot where it would be.
std::size_t NextHopTable::slot_of(const IpAddress& destination) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash(destination, key_) & mask;
  while (slots_[at] != kNoNextHop && entries_[slots_[at]].destination != destination) at = (at + 1) & mask;
  return at;
}

// Moves those behind it forward, so that every search still ends at the first free slot.
void NextHopTable::erase_slot(std::size_t at) noexcept {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t next = (at + 1) & mask; slots_[next] != kNoNextHop; next = (next + 1) & mask) {
    const std::size_t home = hash(entries_[slots_[next]].destination, key_) & mask;
    if (((next - home) & mask) < ((next - at) & mask)) continue;
    slots_[at] = slots_[next];
    at = next;
  }
  slots_[at] = kNoNextHop;
}

void NextHopTable::request(NextHopIndex index) noexcept {
  requested_ |= requests_.producer.push(NextHopRequest{entries_[index].destination, index, entries_[index].generation});
}

void NextHopTable::link_newest(NextHopIndex index) noexcept {
  entries_[index].older = newest_;
  entries_[index].newer = kNoNextHop;
  (newest_ == kNoNextHop ? oldest_ : entries_[newest_].newer) = index;
  newest_ = index;
}

void NextHopTable::unlink(NextHopIndex index) noexcept {
  const Entry& entry = entries_[index];
  (entry.older == kNoNextHop ? oldest_ : entries_[entry.older].newer) = entry.newer;
  (entry.newer == kNoNextHop ? newest_ : entries_[entry.newer].older) = entry.older;
}

void NextHopTable::apply() noexcept {
  NextHopUpdate update;
  for (std::uint32_t i = 0; i < kAppliedAtOnce && updates_.consumer.pop(update); ++i)
    if (update.index < used_ && update.generation == entries_[update.index].generation) hops_[update.index] = update.hop;
}

// Never past what waits: an update must not come before an older one of the same index.
void NextHopTable::tell(const NextHopUpdate& update) {
  if (!waiting_.empty() || !updates_.producer.push(update)) waiting_.insert_or_assign(update.index, update);
}

bool NextHopTable::catch_up() {
  auto at = waiting_.begin();
  while (at != waiting_.end() && updates_.producer.push(at->second)) ++at;
  const bool told = at != waiting_.begin();
  waiting_.erase(waiting_.begin(), at);
  return told;
}

bool NextHopTable::take_requested() noexcept { return std::exchange(requested_, false); }

}  // namespace ifgw::runtime
