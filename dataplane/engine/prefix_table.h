// Prefixes with a budget of their own, and exempt ones; the most specific match wins. Bounded, changed by commands,
// read for every signalling packet: a hash of (length, masked address) is probed once per length in use.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "codecs/base/hash.h"
#include "codecs/base/ip.h"
#include "codecs/base/time.h"

namespace ifgw::engine {

struct PrefixEntry {
  IpPrefix prefix;
  std::uint64_t high = 0;  // the address as numbers
  std::uint64_t low = 0;
  std::uint64_t hash = 0;  // the same on every worker
  bool used = false;
  bool exempt = false;
  std::uint32_t requests = 0;  // budget; 0: none
  Duration window{};
  std::uint32_t limit_client = 0;   // SourceLimiter::client_ when the budget was set
  std::uint32_t exempt_client = 0;  // the same of the exemption
  std::uint32_t first_stamp = 0;    // into the stamp store: a ring of `requests` times of admission
  std::uint32_t head = 0;           // oldest
  std::uint32_t count = 0;
  std::uint64_t refused = 0;  // by the budget
  bool told = false;          // a refusal was reported since the last admission
};

class PrefixTable {
 public:
  PrefixTable(std::uint32_t max_prefixes, const HashKey& key);

  // Most specific entry that contains the address, or nullptr.
  PrefixEntry* find(const IpAddress& address) noexcept;
  const PrefixEntry* find(const IpAddress& address) const noexcept { return const_cast<PrefixTable*>(this)->find(address); }
  PrefixEntry* exact(const IpPrefix& prefix) noexcept;
  // Existing or new entry; nullptr when full.
  PrefixEntry* add(const IpPrefix& prefix) noexcept;
  // Pointers to other entries stay valid.
  void remove(PrefixEntry& entry) noexcept;
  // The same for every entry with neither a budget nor an exemption, at the cost of one.
  void remove_unused() noexcept;

  bool empty() const noexcept { return size_ == 0; }
  std::vector<PrefixEntry>& entries() noexcept { return entries_; }  // also unused ones

 private:
  static constexpr std::uint32_t kFree = 0xFFFFFFFF;
  struct Key {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    std::uint64_t hash = 0;
  };
  static Key words(const IpAddress& address) noexcept;
  Key masked(const Key& address, IpFamily family, unsigned length) const noexcept;
  PrefixEntry* find_exact(const Key& key, IpFamily family, unsigned length) noexcept;
  void index_all() noexcept;

  HashKey key_;
  std::vector<PrefixEntry> entries_;
  std::vector<std::uint32_t> index_;  // open addressing, a power of two, at most half full
  struct Lengths {
    std::array<std::uint8_t, 129> values{};  // present in the table, longest first
    std::uint8_t count = 0;
  };
  std::array<Lengths, 2> lengths_;  // IPv4, IPv6
  std::uint32_t size_ = 0;
};

}  // namespace ifgw::engine
