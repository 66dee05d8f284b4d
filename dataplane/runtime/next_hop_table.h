// One worker's next hops: the engine asks it for an index, the main thread's Neighbours answers with MAC addresses.
// The two threads meet only in two in-process value rings, so the worker never waits and never takes a lock.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "codecs/base/hash.h"
#include "dataplane/api/ring.h"
#include "dataplane/engine/next_hops.h"

namespace ifgw::runtime {

struct NextHopRequest {
  IpAddress destination;
  engine::NextHopIndex index = 0;
  std::uint32_t epoch = 0;  // of the table the index belongs to
};
struct NextHopUpdate {
  engine::NextHop hop;
  engine::NextHopIndex index = 0;
  std::uint32_t epoch = 0;
};

// In-process memory for a value ring.
template <typename T>
class OwnedRing {
 public:
  explicit OwnedRing(std::uint32_t capacity)
      : memory_(new (std::align_val_t{api::kCacheLine}) std::uint8_t[api::ring_bytes<T>(capacity)]()),
        producer(memory_.get(), capacity),
        consumer(memory_.get(), capacity) {
    new (memory_.get()) api::RingIndices;
  }

 private:
  struct Free {
    void operator()(std::uint8_t* p) const { ::operator delete[](p, std::align_val_t{api::kCacheLine}); }
  };
  std::unique_ptr<std::uint8_t[], Free> memory_;

 public:
  api::RingProducer<T> producer;
  api::RingConsumer<T> consumer;
};

class NextHopTable final : public engine::NextHops {
 public:
  // Destinations known at once. When they run out, all are forgotten and asked for anew.
  static constexpr std::uint32_t kCapacity = 8192;

  explicit NextHopTable(const HashKey& key);

  engine::NextHopIndex lookup(const IpAddress& destination) noexcept override;  // worker
  // Takes in what the main thread learned. Worker, between two bursts.
  void apply() noexcept;
  bool updates_waiting() noexcept { return !updates_.consumer.empty(); }
  // Whether requests wait for the main thread since the last call. Worker.
  bool take_requested() noexcept;

  // Main thread's ends.
  api::RingConsumer<NextHopRequest>& requests() noexcept { return requests_.consumer; }
  api::RingProducer<NextHopUpdate>& updates() noexcept { return updates_.producer; }
  std::uint32_t resets() const noexcept { return epoch_ - 1; }

 private:
  struct Slot {
    IpAddress destination;
    engine::NextHopIndex index = engine::kNoNextHop;
  };
  void reset() noexcept;

  HashKey key_;
  std::vector<engine::NextHop> hops_;
  std::vector<Slot> slots_;  // open addressing, at most half full
  std::uint32_t used_ = 0;
  std::uint32_t epoch_ = 1;
  bool requested_ = false;
  OwnedRing<NextHopRequest> requests_;
  OwnedRing<NextHopUpdate> updates_;
};

}  // namespace ifgw::runtime
