// One worker's next hops against a plain map and a list: what is held never moves, and what makes room is always the
// one that was not asked for the longest.
#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <map>
#include <random>

#include "dataplane/runtime/next_hop_table.h"

namespace ifgw::runtime {
namespace {

constexpr std::uint32_t kCapacity = 24;

// Tells the last byte of a destination as its MAC address, when it comes to it.
class Answers {
 public:
  void take(NextHopTable& table) {
    NextHopRequest request;
    while (table.requests().pop(request)) waiting_.push_back(request);
  }
  void give(NextHopTable& table, std::mt19937& random) {
    for (int i = static_cast<int>(random() % 6); i > 0 && !waiting_.empty(); --i) {
      const auto at = waiting_.begin() + static_cast<std::ptrdiff_t>(random() % waiting_.size());
      NextHopUpdate update;
      update.index = at->index;
      update.generation = at->generation;
      update.hop.usable = 1;
      update.hop.destination[5] = at->destination.bytes[3];
      table.tell(update);
      waiting_.erase(at);
    }
    table.apply();
  }

 private:
  std::vector<NextHopRequest> waiting_;
};

struct Model {
  struct Known {
    engine::NextHopIndex index;
    std::uint32_t holders = 0;
  };
  std::map<IpAddress, Known> known;
  std::list<IpAddress> unheld;  // oldest first

  engine::NextHopIndex find_or_add(const IpAddress& destination) {
    if (const auto at = known.find(destination); at != known.end()) {
      unheld.remove(destination);
      return at->second.index;
    }
    auto index = static_cast<engine::NextHopIndex>(known.size());
    if (known.size() == kCapacity) {
      if (unheld.empty()) return engine::kNoNextHop;
      index = known.at(unheld.front()).index;
      known.erase(unheld.front());
      unheld.pop_front();
    }
    known[destination] = {index, 0};
    return index;
  }
};

class NextHopProperty : public testing::TestWithParam<std::uint32_t> {};

TEST_P(NextHopProperty, WhatIsHeldStaysAndTheOldestMakesRoom) {
  std::mt19937 random(GetParam());
  NextHopTable table(HashKey{GetParam(), 7}, kCapacity);
  Model model;
  Answers answers;
  std::vector<IpAddress> held;
  for (int step = 0; step < 20'000; ++step) {
    const IpAddress destination = IpAddress::v4(static_cast<std::uint32_t>(0x0A000000 + random() % 60));
    const unsigned what = static_cast<unsigned>(random() % 8);
    // For a while much is held, then little.
    const bool grow = step / 500 % 2 == 0;
    if (what < 3) {
      const auto index = model.find_or_add(destination);
      ASSERT_EQ(table.lookup(destination), index);
      if (index != engine::kNoNextHop && model.known.at(destination).holders == 0) model.unheld.push_back(destination);
    } else if (what < (grow ? 7U : 4U)) {
      const auto index = model.find_or_add(destination);
      ASSERT_EQ(table.acquire(destination), index);
      if (index == engine::kNoNextHop) continue;
      ++model.known.at(destination).holders;
      held.push_back(destination);
    } else if (!held.empty()) {
      std::swap(held[random() % held.size()], held.back());
      Model::Known& known = model.known.at(held.back());
      table.release(known.index);
      if (--known.holders == 0) model.unheld.push_back(held.back());
      held.pop_back();
    }
    answers.take(table);
    answers.give(table, random);
    for (const auto& [address, known] : model.known) {
      const engine::NextHop& hop = table.table()[known.index];
      ASSERT_TRUE(hop.usable == 0 || hop.destination[5] == address.bytes[3]) << "another destination's next hop, step " << step;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, NextHopProperty, testing::Range(1U, 11U));

}  // namespace
}  // namespace ifgw::runtime
