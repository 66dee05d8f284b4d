#include "dataplane/api/ring.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "dataplane/api/region.h"

namespace ifgw::api {
namespace {

struct Value {
  std::uint64_t number = 0;
  std::uint64_t check = 0;
  std::array<std::uint8_t, 48> filler{};
};
Value make(std::uint64_t n) { return {n, ~n, {}}; }

// Shared part of a ring in memory of its own; the index words can be scribbled on as a hostile peer would.
struct Shared {
  explicit Shared(std::uint32_t capacity) : bytes(ring_bytes<Value>(capacity)) {
    memory = std::aligned_alloc(kCacheLine, round_up(bytes, kCacheLine));
    std::memset(memory, 0, bytes);
  }
  ~Shared() { std::free(memory); }
  RingIndices& indices() { return *static_cast<RingIndices*>(memory); }
  Value* slots() { return reinterpret_cast<Value*>(static_cast<std::uint8_t*>(memory) + sizeof(RingIndices)); }
  std::size_t bytes;
  void* memory;
};

TEST(Ring, KeepsOrderAndRefusesWhenFull) {
  Shared shared(4);
  RingProducer<Value> producer(shared.memory, 4);
  RingConsumer<Value> consumer(shared.memory, 4);
  const std::array<Value, 6> values{make(1), make(2), make(3), make(4), make(5), make(6)};
  EXPECT_EQ(producer.push(values), 4u) << "takes what fits and says so";
  EXPECT_FALSE(producer.push(make(7)));
  std::array<Value, 8> out;
  EXPECT_EQ(consumer.pop(out), 4u);
  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(out[i].number, i + 1);
  EXPECT_TRUE(consumer.empty());
  EXPECT_TRUE(producer.push(make(7))) << "room again";
}

TEST(Ring, ReservedSlotsAreSeenOncePublishedAndNotBefore) {
  Shared shared(4);
  RingProducer<Value> producer(shared.memory, 4);
  RingConsumer<Value> consumer(shared.memory, 4);
  ASSERT_TRUE(producer.push(make(1)));
  Value* second = producer.reserve();
  Value* third = producer.reserve();
  ASSERT_NE(second, nullptr);
  ASSERT_NE(third, nullptr);
  *third = make(3);
  Value out;
  ASSERT_TRUE(consumer.pop(out));
  EXPECT_FALSE(consumer.pop(out));
  *second = make(2);  // in any order
  ASSERT_NE(producer.reserve(), nullptr);
  ASSERT_NE(producer.reserve(), nullptr) << "the slot that was read is free again";
  EXPECT_EQ(producer.reserve(), nullptr) << "full";
  EXPECT_TRUE(producer.publish());
  EXPECT_FALSE(producer.publish());
  ASSERT_TRUE(consumer.pop(out));
  EXPECT_EQ(out.number, 2u);
  ASSERT_TRUE(consumer.pop(out));
  EXPECT_EQ(out.number, 3u);
  EXPECT_TRUE(producer.push(make(6)));
  EXPECT_EQ(RingProducer<Value>().reserve(), nullptr);
  shared.indices().head = 1000;
  while (producer.reserve() != nullptr) {
  }
  EXPECT_TRUE(producer.corrupt());
}

TEST(Ring, ReservedSlotsArePublishedUpToTheFirstThatIsNotComplete) {
  Shared shared(4);
  RingProducer<Value> producer(shared.memory, 4);
  RingConsumer<Value> consumer(shared.memory, 4);
  Value out;
  for (std::uint64_t round = 0; round < 6; ++round) {  // round and round the ring
    std::array<Value*, 3> slots{};
    for (std::size_t i = 0; i < slots.size(); ++i) {
      ASSERT_NE(slots[i] = producer.reserve(), nullptr);
      *slots[i] = make(10 * round + i);
    }
    EXPECT_FALSE(producer.publish(slots[0])) << "not even the first";
    EXPECT_TRUE(producer.publish(slots[2]));
    for (std::uint64_t i = 0; i < 2; ++i) {
      ASSERT_TRUE(consumer.pop(out));
      EXPECT_EQ(out.number, 10 * round + i);
    }
    EXPECT_FALSE(consumer.pop(out));
    EXPECT_TRUE(producer.publish());
    ASSERT_TRUE(consumer.pop(out));
    EXPECT_EQ(out.number, 10 * round + 2);
  }
}

TEST(Ring, SaysWhetherSoManyHaveRoom) {
  Shared shared(8);
  RingProducer<Value> producer(shared.memory, 8);
  RingConsumer<Value> consumer(shared.memory, 8);
  EXPECT_TRUE(producer.has_room(8));
  EXPECT_TRUE(producer.has_room(33)) << "more than the ring is long: all of it";
  for (std::uint64_t i = 0; i < 5; ++i) ASSERT_TRUE(producer.push(make(i)));
  EXPECT_TRUE(producer.has_room(3));
  EXPECT_FALSE(producer.has_room(4));
  EXPECT_FALSE(producer.has_room(33));
  Value value;
  ASSERT_TRUE(consumer.pop(value));
  EXPECT_TRUE(producer.has_room(4)) << "asks how far the consumer is";
  EXPECT_FALSE(RingProducer<Value>().has_room(1));
  shared.indices().head = 1000;
  EXPECT_FALSE(producer.has_room(5)) << "corrupt";
  EXPECT_FALSE(producer.has_room(0)) << "for good";
}

// The ring against a plain queue: random pushes and pops, many times around.
TEST(Ring, BehavesAsAQueue) {
  Shared shared(8);
  RingProducer<Value> producer(shared.memory, 8);
  RingConsumer<Value> consumer(shared.memory, 8);
  std::deque<std::uint64_t> model;
  std::mt19937 random(7);
  std::uint64_t next = 0;
  for (int step = 0; step < 200'000; ++step) {
    const std::size_t n = random() % 5;
    if (random() % 2 == 0) {
      std::vector<Value> values;
      for (std::size_t i = 0; i < n; ++i) values.push_back(make(next + i));
      const std::size_t pushed = producer.push(values);
      ASSERT_EQ(pushed, std::min(n, 8 - model.size()));
      for (std::size_t i = 0; i < pushed; ++i) model.push_back(next++);
    } else {
      std::array<Value, 5> out;
      const std::size_t popped = consumer.pop(std::span(out).first(n));
      ASSERT_EQ(popped, std::min(n, model.size()));
      for (std::size_t i = 0; i < popped; ++i) {
        ASSERT_EQ(out[i].number, model.front());
        model.pop_front();
      }
    }
  }
  EXPECT_GT(next, 100'000u) << "the walk went round the ring many times";
}

TEST(Ring, TwoThreadsLoseAndDuplicateNothing) {
  Shared shared(64);
  constexpr std::uint64_t kCount = 300'000;
  std::thread sender([&] {
    RingProducer<Value> producer(shared.memory, 64);
    for (std::uint64_t i = 0; i < kCount;)
      if (producer.push(make(i)))
        ++i;
      else
        std::this_thread::yield();
  });
  RingConsumer<Value> consumer(shared.memory, 64);
  std::uint64_t expected = 0;
  std::array<Value, 16> out;
  while (expected < kCount) {
    const std::size_t n = consumer.pop(out);
    if (n == 0) std::this_thread::yield();
    for (std::size_t i = 0; i < n; ++i, ++expected) {
      ASSERT_EQ(out[i].number, expected);
      ASSERT_EQ(out[i].check, ~expected) << "a torn element";
    }
  }
  sender.join();
}

// A hostile or broken peer writes any index it likes: this side must notice, or go on with a possible index; it never
// touches memory outside the slots (ASan watches) and never spins.
TEST(Ring, SurvivesEveryIndexAPeerCanWrite) {
  std::mt19937 random(11);
  for (int round = 0; round < 20'000; ++round) {
    Shared shared(4);
    RingProducer<Value> producer(shared.memory, 4);
    RingConsumer<Value> consumer(shared.memory, 4);
    for (auto i = random() % 5; i > 0; --i) (void)producer.push(make(i));
    shared.indices().tail.store(static_cast<std::uint32_t>(random()));
    shared.indices().head.store(static_cast<std::uint32_t>(random()));
    std::array<Value, 8> out;
    EXPECT_LE(consumer.pop(out), 4u);
    EXPECT_LE(producer.push(out), 4u);
  }
}

TEST(Ring, ImpossibleIndexMarksItCorruptForGood) {
  Shared shared(4);
  RingProducer<Value> producer(shared.memory, 4);
  RingConsumer<Value> consumer(shared.memory, 4);
  for (std::uint64_t i = 0; i < 4; ++i) ASSERT_TRUE(producer.push(make(i)));
  shared.indices().head.store(5);  // popped more than was ever pushed
  EXPECT_FALSE(producer.push(make(9)));
  EXPECT_TRUE(producer.corrupt());
  shared.indices().head.store(4);
  EXPECT_FALSE(producer.push(make(9))) << "no way back: the owner detaches";

  shared.indices().tail.store(6);  // more than the ring holds
  EXPECT_TRUE(consumer.empty());
  EXPECT_TRUE(consumer.corrupt());
}

TEST(Ring, ConsumerThatStepsBackIsCorrupt) {
  Shared shared(4);
  RingProducer<Value> producer(shared.memory, 4);
  for (std::uint64_t i = 0; i < 4; ++i) ASSERT_TRUE(producer.push(make(i)));
  shared.indices().head.store(3);
  ASSERT_TRUE(producer.push(make(4)));
  ASSERT_TRUE(producer.push(make(5)));
  ASSERT_TRUE(producer.push(make(6)));
  shared.indices().head.store(1);
  EXPECT_FALSE(producer.push(make(7)));
  EXPECT_TRUE(producer.corrupt());
}

TEST(Ring, WipesConsumedSlots) {
  Shared shared(2);
  RingProducer<Value> producer(shared.memory, 2);
  RingConsumer<Value, Wipe::Yes> consumer(shared.memory, 2);
  Value secret = make(0xDEADBEEF);
  secret.filler.fill(0x5A);
  ASSERT_TRUE(producer.push(secret));
  Value out;
  ASSERT_TRUE(consumer.pop(out));
  EXPECT_EQ(out.number, 0xDEADBEEFu);
  EXPECT_EQ(shared.slots()[0].number, 0u);
  for (const std::uint8_t byte : shared.slots()[0].filler) ASSERT_EQ(byte, 0);
}

TEST(Ring, DatagramLengthFromTheOtherSideIsBounded) {
  const std::size_t bytes = ring_bytes<Datagram>(2);
  void* memory = std::aligned_alloc(kCacheLine, round_up(bytes, kCacheLine));
  std::memset(memory, 0, bytes);
  {
    RingProducer<Datagram> producer(memory, 2);
    RingConsumer<Datagram> consumer(memory, 2);
    auto datagram = std::make_unique<Datagram>();
    datagram->header.length = 0xFFFF;  // a liar: the copy must stay inside the slot
    ASSERT_TRUE(producer.push(*datagram));
    auto out = std::make_unique<Datagram>();
    ASSERT_TRUE(consumer.pop(*out));
    EXPECT_EQ(out->header.length, 0xFFFF) << "the receiver sees the lie and refuses it";
  }
  std::free(memory);
}

TEST(LatencyHistogram, BucketsCoverAndOrder) {
  unsigned last = 0;
  for (std::uint64_t ns = 0; ns < 1'000'000; ns = ns < 100 ? ns + 1 : ns + ns / 37) {
    const unsigned b = LatencyHistogram::bucket(ns);
    EXPECT_GE(b, last);
    EXPECT_GE(LatencyHistogram::upper_bound(b), ns);
    EXPECT_LE(LatencyHistogram::upper_bound(b), ns + ns / 31 + 1) << "at most 3.2 % wide";
    last = b;
  }
  EXPECT_EQ(LatencyHistogram::bucket(~0ULL), LatencyHistogram::kBuckets - 1);
  EXPECT_EQ(LatencyHistogram::bucket((1ULL << 32) - 1), LatencyHistogram::kBuckets - 1);
}

TEST(LegRow, ReaderSeesWholeIdentitiesOnly) {
  auto row = std::make_unique<LegRow>();
  EXPECT_FALSE(read_leg(*row)) << "free";
  constexpr int kRounds = 100'000;
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::uint32_t i = 1; i <= kRounds; ++i) {
      LegInfo info;
      info.id = LegId::make(1, i & 0xFFFF, i);
      info.peer = LegId::make(1, i & 0xFFFF, i);
      info.created_ns = i;
      write_leg(*row, info);
    }
    done = true;
  });
  std::uint64_t seen = 0;
  while (!done) {
    const auto info = read_leg(*row);
    if (!info) continue;
    ++seen;
    ASSERT_EQ(info->id.value, info->peer.value);
    ASSERT_EQ(info->id.generation(), info->created_ns) << "a torn row";
  }
  writer.join();
  EXPECT_EQ(read_leg(*row)->created_ns, static_cast<std::uint64_t>(kRounds));
  row->seqlock.store(1);  // a writer that died inside
  EXPECT_FALSE(read_leg(*row)) << "the reader gives up instead of hanging";
}

}  // namespace
}  // namespace ifgw::api
