// The INVITEs that were refused without a transaction (overload, full tables), known again by a keyed hash while a copy
// of them may still be under way: the copy gets the same refusal, its ACK is absorbed, and neither begins a call.
// Bounded: one allocation, made by the constructor. An entry may stand in one of kWays places only; when all of these are
// taken, the oldest of them is forgotten, and a late copy of that INVITE counts as new.
// Cost: kWays comparisons in two cache lines.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "codecs/base/time.h"

namespace ifgw::sip {

class ShedInvites {
 public:
  static constexpr std::size_t kWays = 8;

  // `capacity` is rounded up to a multiple of kWays, 16 bytes each. `life`: 64*T1, as the transaction would have had
  // (RFC 3261 section 17.2.1, timer H).
  ShedInvites(std::size_t capacity, Duration life)
      : life_(life), entries_(std::max<std::size_t>(1, (capacity + kWays - 1) / kWays) * kWays) {}

  // `invite`: ServerTransactions::hash_of.
  bool contains(std::uint64_t invite, Instant now) const noexcept {
    const Entry* const set = entries_.data() + first_of(invite);
    return std::any_of(set, set + kWays, [&](const Entry& e) { return e.invite == invite && now < e.until; });
  }
  // One that is known keeps its first deadline.
  void add(std::uint64_t invite, Instant now) noexcept {
    if (contains(invite, now)) return;
    Entry* const set = entries_.data() + first_of(invite);
    *std::min_element(set, set + kWays, [](const Entry& a, const Entry& b) { return a.until < b.until; }) = {invite, now + life_};
  }

 private:
  struct Entry {
    std::uint64_t invite = 0;
    Instant until{};
  };
  std::size_t first_of(std::uint64_t invite) const noexcept { return invite % (entries_.size() / kWays) * kWays; }

  Duration life_;
  std::vector<Entry> entries_;
};

}  // namespace ifgw::sip
