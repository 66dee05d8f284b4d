#include "dataplane/runtime/next_hop_table.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ifgw::runtime {
namespace {

std::uint64_t hash(const IpAddress& address, const HashKey& key) noexcept {
  std::uint64_t halves[2];
  std::memcpy(halves, address.bytes.data(), sizeof halves);
  return keyed_hash(halves[0] ^ keyed_hash(halves[1], key), key);
}

}  // namespace

NextHopTable::NextHopTable(const HashKey& key) : key_(key), hops_(kCapacity), slots_(kCapacity * 2), requests_(1024), updates_(4096) {
  table_ = hops_;
}

engine::NextHopIndex NextHopTable::lookup(const IpAddress& destination) noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash(destination, key_) & mask;
  while (slots_[at].index != engine::kNoNextHop && slots_[at].destination != destination) at = (at + 1) & mask;
  if (slots_[at].index != engine::kNoNextHop) {
    const engine::NextHopIndex index = slots_[at].index;
    // Asked again although it is known: it is still not usable, and the first request may have been lost.
    if (hops_[index].usable == 0) requested_ |= requests_.producer.push(NextHopRequest{destination, index, epoch_});
    return index;
  }
  if (used_ == kCapacity) {
    reset();
    at = hash(destination, key_) & mask;
  }
  const engine::NextHopIndex index = used_++;
  slots_[at] = {destination, index};
  hops_[index] = {};
  requested_ |= requests_.producer.push(NextHopRequest{destination, index, epoch_});
  return index;
}

void NextHopTable::apply() noexcept {
  NextHopUpdate update;
  while (updates_.consumer.pop(update))
    if (update.epoch == epoch_ && update.index < used_) hops_[update.index] = update.hop;
}

bool NextHopTable::take_requested() noexcept { return std::exchange(requested_, false); }

void NextHopTable::reset() noexcept {
  std::fill(slots_.begin(), slots_.end(), Slot{});
  std::fill(hops_.begin(), hops_.end(), engine::NextHop{});
  used_ = 0;
  ++epoch_;
  ++generation_;
}

}  // namespace ifgw::runtime
