#include "dataplane/engine/prefix_table.h"

#include <algorithm>

#include "codecs/base/bytes.h"
#include "codecs/base/check.h"

namespace ifgw::engine {
namespace {

std::size_t family_index(IpFamily family) noexcept { return family == IpFamily::V6 ? 1 : 0; }
unsigned address_bits(IpFamily family) noexcept { return family == IpFamily::V6 ? 128 : 32; }

// The highest `bits` bits of a word set.
std::uint64_t high_bits(unsigned bits) noexcept { return bits == 0 ? 0 : ~std::uint64_t{0} << (64 - std::min(bits, 64U)); }

std::size_t index_size(std::uint32_t max_prefixes) noexcept {
  std::size_t size = 8;
  while (size < std::size_t{2} * max_prefixes) size *= 2;
  return size;
}

}  // namespace

PrefixTable::PrefixTable(std::uint32_t max_prefixes, const HashKey& key)
    : key_(key), entries_(max_prefixes), index_(index_size(max_prefixes), kFree) {}

// IPv4 addresses occupy the upper 32 bits of `high`, so that both families mask alike.
PrefixTable::Key PrefixTable::words(const IpAddress& address) noexcept {
  return {load_be64(address.bytes.data()), load_be64(address.bytes.data() + 8), 0};
}

PrefixTable::Key PrefixTable::masked(const Key& address, IpFamily family, unsigned length) const noexcept {
  Key key{address.high & high_bits(length), length > 64 ? address.low & high_bits(length - 64) : 0, 0};
  const std::uint64_t salt = static_cast<std::uint64_t>(family) << 8 | length;
  key.hash = keyed_hash(multiply_fold(key.high ^ key_.k0, key.low ^ key_.k1) ^ salt, key_);
  return key;
}

PrefixEntry* PrefixTable::find_exact(const Key& key, IpFamily family, unsigned length) noexcept {
  const std::size_t last = index_.size() - 1;
  for (std::size_t at = key.hash & last; index_[at] != kFree; at = (at + 1) & last) {
    PrefixEntry& entry = entries_[index_[at]];
    if (entry.high == key.high && entry.low == key.low && entry.prefix.length == length && entry.prefix.ip.family == family) {
      return &entry;
    }
  }
  return nullptr;
}

PrefixEntry* PrefixTable::find(const IpAddress& address) noexcept {
  if (size_ == 0) return nullptr;
  const Lengths& lengths = lengths_[family_index(address.family)];
  const Key whole = words(address);
  for (unsigned i = 0; i < lengths.count; ++i) {
    const unsigned length = lengths.values[i];
    PrefixEntry* entry = find_exact(masked(whole, address.family, length), address.family, length);
    if (entry != nullptr) return entry;
  }
  return nullptr;
}

PrefixEntry* PrefixTable::exact(const IpPrefix& prefix) noexcept {
  return find_exact(masked(words(prefix.ip), prefix.ip.family, prefix.length), prefix.ip.family, prefix.length);
}

PrefixEntry* PrefixTable::add(const IpPrefix& prefix) noexcept {
  IFGW_CHECK(prefix.ip.present() && prefix.length <= address_bits(prefix.ip.family));
  if (PrefixEntry* entry = exact(prefix)) return entry;
  const auto free = std::find_if(entries_.begin(), entries_.end(), [](const PrefixEntry& e) { return !e.used; });
  if (free == entries_.end()) return nullptr;
  const Key key = masked(words(prefix.ip), prefix.ip.family, prefix.length);
  *free = PrefixEntry{};
  free->prefix = prefix;
  free->high = key.high;
  free->low = key.low;
  free->hash = key.hash;
  free->used = true;
  ++size_;
  index_all();
  return &*free;
}

void PrefixTable::remove(PrefixEntry& entry) noexcept {
  IFGW_CHECK(entry.used);
  entry = PrefixEntry{};
  --size_;
  index_all();
}

void PrefixTable::remove_unused() noexcept {
  for (PrefixEntry& entry : entries_) {
    if (!entry.used || entry.exempt || entry.requests != 0) continue;
    entry = PrefixEntry{};
    --size_;
  }
  index_all();
}

// Rebuilt on each change: changes are rare, bounded, and leave no tombstones behind.
void PrefixTable::index_all() noexcept {
  std::fill(index_.begin(), index_.end(), kFree);
  std::array<std::array<bool, 129>, 2> present{};
  const std::size_t last = index_.size() - 1;
  for (std::uint32_t number = 0; number < entries_.size(); ++number) {
    const PrefixEntry& entry = entries_[number];
    if (!entry.used) continue;
    std::size_t at = entry.hash & last;
    while (index_[at] != kFree) at = (at + 1) & last;
    index_[at] = number;
    present[family_index(entry.prefix.ip.family)][entry.prefix.length] = true;
  }
  for (std::size_t family = 0; family < 2; ++family) {
    Lengths& lengths = lengths_[family];
    lengths.count = 0;
    for (unsigned length = 129; length-- > 0;) {
      if (present[family][length]) lengths.values[lengths.count++] = static_cast<std::uint8_t>(length);
    }
  }
}

}  // namespace ifgw::engine
