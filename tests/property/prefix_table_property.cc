// The prefix table against a linear scan over a list.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "dataplane/engine/prefix_table.h"

namespace ifgw::engine {
namespace {

class PrefixProperty : public testing::TestWithParam<std::uint32_t> {};

// Addresses with few distinct bytes, so that prefixes contain each other and addresses hit them.
IpAddress random_address(std::mt19937& random) {
  IpAddress address;
  address.family = random() % 2 == 0 ? IpFamily::V4 : IpFamily::V6;
  const std::size_t bytes = address.is_v4() ? 4 : 16;
  for (std::size_t i = 0; i < bytes; ++i) address.bytes[i] = random() % 4 == 0 ? static_cast<std::uint8_t>(random() % 4 * 85) : 0xFF;
  return address;
}

TEST_P(PrefixProperty, TheMostSpecificMatchIsFound) {
  std::mt19937 random(GetParam());
  constexpr std::uint32_t kCapacity = 40;
  PrefixTable table(kCapacity, HashKey{GetParam(), 7});
  std::map<IpPrefix, PrefixEntry*> model;
  for (int step = 0; step < 5000; ++step) {
    const IpAddress address = random_address(random);
    const auto length = static_cast<std::uint8_t>(random() % (address.is_v4() ? 33 : 129));
    const IpPrefix prefix{mask(address, length), length};
    const auto known = model.find(prefix);
    if (random() % 3 == 0 && known == model.end()) {
      PrefixEntry* entry = table.add(prefix);
      ASSERT_EQ(entry == nullptr, model.size() == kCapacity);
      if (entry != nullptr) {
        entry->exempt = random() % 8 != 0;
        model[prefix] = entry;
      }
    } else if (random() % 3 == 0 && !model.empty()) {
      auto victim = model.begin();
      std::advance(victim, random() % model.size());
      table.remove(*victim->second);
      model.erase(victim);
    } else if (random() % 8 == 0) {
      std::erase_if(model, [](const auto& e) { return !e.second->exempt; });
      table.remove_unused();
    }
    const IpAddress asked = random_address(random);
    const PrefixEntry* best = nullptr;
    for (const auto& [candidate, entry] : model) {
      if (candidate.contains(asked) && (best == nullptr || candidate.length > best->prefix.length)) best = entry;
    }
    ASSERT_EQ(table.find(asked), best) << asked.text();
    ASSERT_EQ(table.exact(prefix) != nullptr, model.count(prefix) != 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, PrefixProperty, testing::Range(1U, 11U));

}  // namespace
}  // namespace ifgw::engine
