// The queue of frames that wait against a plain model: what is next, what is given up, what is hurried and ranked again.
#include "dataplane/engine/frame_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <tuple>

namespace ifgw::test {
namespace {

using engine::FrameKind;
using engine::FrameQueue;
using engine::FrameRank;
using engine::WaitingFrame;

constexpr std::uint32_t kLegs = 12;

struct Model {
  struct Entry {
    std::uint64_t id = 0;  // as they came
    std::uint32_t leg = 0;
    FrameRank rank;
    bool timed = true;         // longest() knows it
    std::uint64_t placed = 0;  // of equal rank, who was placed first is next
    bool hurried = false;
    auto order() const { return std::tuple(!hurried, !hurried && rank.greedy, !hurried && rank.heavy, hurried ? 0 : rank.stream, placed); }
    auto group() const { return std::tuple(!hurried, !hurried && rank.greedy, !hurried && rank.heavy, hurried ? 0 : rank.stream); }
  };
  using It = std::vector<Entry>::iterator;

  It next() {
    return std::min_element(all.begin(), all.end(), [](const Entry& a, const Entry& b) { return a.order() < b.order(); });
  }
  // Of those that come last, the one placed first.
  It last() {
    const It end = std::max_element(all.begin(), all.end(), [](const Entry& a, const Entry& b) { return a.order() < b.order(); });
    return std::min_element(all.begin(), all.end(), [&](const Entry& a, const Entry& b) {
      const bool a_in = a.group() == end->group(), b_in = b.group() == end->group();
      return a_in != b_in ? a_in : a.placed < b.placed;
    });
  }
  It longest() {
    return std::min_element(all.begin(), all.end(), [](const Entry& a, const Entry& b) {
      return std::pair(!a.timed, a.id) < std::pair(!b.timed, b.id);
    });
  }
  // The leg's frames that are not hurried, in their order, each placed anew.
  template <typename Change>
  bool move(std::uint32_t leg, const Change& change) {
    std::vector<Entry*> moved;
    for (Entry& one : all)
      if (one.leg == leg && !one.hurried) moved.push_back(&one);
    std::sort(moved.begin(), moved.end(), [](const Entry* a, const Entry* b) { return a->order() < b->order(); });
    for (Entry* one : moved) {
      one->placed = ++places;
      change(*one);
    }
    return !moved.empty();
  }

  std::vector<Entry> all;
  std::uint64_t ids = 0, places = 0;
};

class Queue : public testing::TestWithParam<std::uint32_t> {};

TEST_P(Queue, IsThatOfThePlainModel) {
  std::mt19937 random(GetParam());
  FrameQueue queue;
  Model model;
  std::array<FrameRank, kLegs> ranks;
  for (std::uint32_t leg = 0; leg < kLegs; ++leg) ranks[leg] = {false, random() % 2 == 0, 1 + leg};
  const auto some = [&](std::uint32_t below) { return static_cast<std::uint32_t>(random() % below); };
  const std::uint32_t fullness = 2 + some(6);  // how much sooner it fills than it empties
  const auto same = [&](const WaitingFrame& frame, Model::It of) {
    const bool is = frame.received == from_ns(static_cast<std::int64_t>(of->id)) && frame.packet.leg_index == of->leg;
    model.all.erase(of);
    return is;
  };
  for (int step = 0; step < 30'000; ++step) {
    const std::uint32_t leg = some(kLegs);
    const std::uint32_t what = some(8 + fullness);
    if (what >= 8 && queue.size() < FrameQueue::kCapacity) {
      WaitingFrame frame;
      frame.packet.leg_index = leg;
      frame.received = from_ns(static_cast<std::int64_t>(++model.ids));
      queue.add(frame, ranks[leg]);
      model.all.push_back({model.ids, leg, ranks[leg], true, ++model.places, false});
    } else if (what == 0) {
      ASSERT_EQ(queue.hurry(leg), model.move(leg, [](Model::Entry& one) { one.hurried = true; }));
    } else if (what == 1) {
      ranks[leg].greedy = !ranks[leg].greedy;
      queue.rank_again(leg, ranks[leg]);
      model.move(leg, [&](Model::Entry& one) { one.rank = ranks[leg]; });
    } else if (!model.all.empty()) {
      const Model::It longest = model.longest();
      ASSERT_EQ(queue.longest() != nullptr, longest->timed);
      if (longest->timed) {
        ASSERT_EQ(queue.longest()->received, from_ns(static_cast<std::int64_t>(longest->id)));
      }
      const bool next_is_heavy = !model.next()->hurried && model.next()->rank.heavy;
      ASSERT_EQ(queue.heavy(), next_is_heavy);
      if (what == 2 && longest->timed && !longest->hurried) {
        queue.hurry_longest();
        longest->timed = false;
        longest->hurried = true;
        longest->placed = ++model.places;
      } else if (what == 3 && longest->timed) {
        ASSERT_TRUE(same(queue.take_longest(), longest));
      } else if (what == 4) {
        ASSERT_TRUE(same(queue.take_last(), model.last()));
      } else {
        ASSERT_TRUE(same(queue.take(), model.next()));
      }
    }
    ASSERT_EQ(queue.size(), model.all.size());
    const auto hurried = std::count_if(model.all.begin(), model.all.end(), [](const Model::Entry& one) { return one.hurried; });
    ASSERT_EQ(queue.hurried(), static_cast<std::size_t>(hurried));
    if (step % 10'000 != 9'999) continue;
    while (!model.all.empty()) ASSERT_TRUE(same(queue.take(), model.next()));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Queue, testing::Range(1U, 9U));

TEST(FrameQueue, HoldsAsManyAsItSays) {
  FrameQueue queue;
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < FrameQueue::kCapacity; ++i) queue.add({}, {false, i % 2 == 0, 1 + i % 50});
    EXPECT_EQ(queue.size(), FrameQueue::kCapacity);
    while (queue.size() != 0) (void)(queue.size() % 3 == 0 ? queue.take() : queue.size() % 3 == 1 ? queue.take_last() : queue.take_longest());
    EXPECT_EQ(queue.longest(), nullptr);
  }
}

}  // namespace
}  // namespace ifgw::test
