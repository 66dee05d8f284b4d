#include "controlplane/sip/slot_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace ifgw::sip {
namespace {

TEST(SlotTable, AnErasedIdFindsNothingForGood) {
  SlotTable<int> table(2);
  const SlotId a = table.insert(1);
  table.erase(a);
  const SlotId b = table.insert(2);
  EXPECT_EQ(table.find(a), nullptr);
  EXPECT_EQ(*table.find(b), 2);
  EXPECT_EQ(table.find(0), nullptr);
  EXPECT_EQ(table.find(~SlotId{0}), nullptr);
  table.insert(3);
  EXPECT_TRUE(table.full());
}

TEST(SlotTable, ErasingForgetsTheDeadline) {
  SlotTable<int> table(2);
  const SlotId a = table.insert(1);
  table.set_deadline(a, from_ns(5));
  table.erase(a);
  EXPECT_EQ(table.next_deadline(), kNever);
  EXPECT_EQ(table.pop_due(kNever), 0u);
}

// Against an ordered map: random sets, moves, clears and expiries give the same order of deadlines.
TEST(TimerHeap, AgreesWithAnOrderedMap) {
  std::mt19937_64 random(42);
  TimerHeap heap;
  std::map<std::uint32_t, std::int64_t> model;  // slot -> deadline
  for (int step = 0; step < 200000; ++step) {
    const auto slot = static_cast<std::uint32_t>(random() % 300);
    const auto at = static_cast<std::int64_t>(random() % 1000);
    if (random() % 4 == 0) {
      heap.set(slot, kNever);
      model.erase(slot);
    } else {
      heap.set(slot, from_ns(at));
      model[slot] = at;
    }
    if (random() % 8 == 0) {
      const Instant now = from_ns(static_cast<std::int64_t>(random() % 500));
      while (const auto due = heap.pop_due(now)) {
        ASSERT_EQ(model.count(*due), 1u);
        for (const auto& [other, deadline] : model) ASSERT_GE(deadline, model[*due]) << other;
        model.erase(*due);
      }
    }
    std::int64_t first = to_ns(kNever);
    for (const auto& [other, deadline] : model) first = std::min(first, deadline);
    ASSERT_EQ(to_ns(heap.next()), first);
    ASSERT_EQ(heap.size(), model.size());
  }
}

}  // namespace
}  // namespace ifgw::sip
