// Hash index from text to slot ids with a keyed hash: keys come from the network.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "codecs/base/hash.h"
#include "controlplane/sip/slot_table.h"

namespace ifgw::sip {

class KeyedIndex {
 public:
  explicit KeyedIndex(const HashKey& key) : map_(16, Hash{key}) {}

  // 0: not there.
  SlotId find(std::string_view key) const {
    const auto found = map_.find(key);
    return found == map_.end() ? 0 : found->second;
  }
  void insert(std::string key, SlotId id) { map_.insert_or_assign(std::move(key), id); }
  // Only when `key` still belongs to `id`.
  void erase(std::string_view key, SlotId id) {
    const auto found = map_.find(key);
    if (found != map_.end() && found->second == id) map_.erase(found);
  }
  std::size_t size() const noexcept { return map_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    HashKey key;
    std::size_t operator()(std::string_view text) const noexcept { return keyed_hash(text, key); }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const noexcept { return a == b; }
  };
  std::unordered_map<std::string, SlotId, Hash, Equal> map_;
};

}  // namespace ifgw::sip
