// One worker's next hops: the engine asks it for an index, the main thread's Neighbours answers with MAC addresses.
// The two threads meet only in two in-process value rings, so the worker never waits and never takes a lock.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "codecs/base/hash.h"
#include "dataplane/api/ring.h"
#include "dataplane/engine/next_hops.h"

namespace ifgw::runtime {

struct NextHopRequest {
  IpAddress destination;
  engine::NextHopIndex index = 0;
  std::uint32_t generation = 0;  // of the index: another one for every destination it had
};
struct NextHopUpdate {
  engine::NextHop hop;
  engine::NextHopIndex index = 0;
  std::uint32_t generation = 0;
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
  // `capacity`: destinations known at once, from 1. With as many as there are legs, acquire() never fails.
  NextHopTable(const HashKey& key, std::uint32_t capacity);

  // Worker. A few cache misses, whatever the table holds; no allocation.
  engine::NextHopIndex lookup(const IpAddress& destination) noexcept override;
  engine::NextHopIndex acquire(const IpAddress& destination) noexcept override;
  void release(engine::NextHopIndex index) noexcept override;
  // Takes in what the main thread learned, at most kAppliedAtOnce of it: packets wait meanwhile. Worker, between two bursts.
  void apply() noexcept;
  static constexpr std::uint32_t kAppliedAtOnce = 256;  // tens of microseconds, most of them cache misses
  bool updates_waiting() noexcept { return !updates_.consumer.empty(); }
  // Whether requests wait for the main thread since the last call. Worker.
  bool take_requested() noexcept;

  // Main thread's ends.
  api::RingConsumer<NextHopRequest>& requests() noexcept { return requests_.consumer; }
  // Nothing told is lost: what the ring has no room for waits, of each index the newest, until catch_up(). Allocates then.
  void tell(const NextHopUpdate& update);
  // Goes on with what waits, as far as there is room. Whether anything was told.
  bool catch_up();
  bool behind() const noexcept { return !waiting_.empty(); }
  std::uint32_t capacity() const noexcept { return static_cast<std::uint32_t>(entries_.size()); }
  std::size_t bytes() const noexcept {
    return hops_.size() * sizeof(engine::NextHop) + entries_.size() * sizeof(Entry) + slots_.size() * sizeof(engine::NextHopIndex);
  }

 private:
  struct Entry {
    IpAddress destination;
    std::uint32_t generation = 0;
    std::uint32_t holders = 0;
    // Among the entries that nobody holds, by when they were asked for.
    engine::NextHopIndex older = engine::kNoNextHop;
    engine::NextHopIndex newer = engine::kNoNextHop;
  };
  engine::NextHopIndex find_or_add(const IpAddress& destination) noexcept;
  engine::NextHopIndex make_room() noexcept;
  std::size_t slot_of(const IpAddress& destination) const noexcept;
  void erase_slot(std::size_t at) noexcept;
  void request(engine::NextHopIndex index) noexcept;
  void link_newest(engine::NextHopIndex index) noexcept;
  void unlink(engine::NextHopIndex index) noexcept;

  HashKey key_;
  std::vector<engine::NextHop> hops_;
  std::vector<Entry> entries_;               // of hops_
  std::vector<engine::NextHopIndex> slots_;  // by destination: open addressing, a power of two, at most half full
  std::uint32_t used_ = 0;                   // entries that ever had a destination
  engine::NextHopIndex oldest_ = engine::kNoNextHop;
  engine::NextHopIndex newest_ = engine::kNoNextHop;
  bool requested_ = false;
  OwnedRing<NextHopRequest> requests_;
  OwnedRing<NextHopUpdate> updates_;
  std::map<engine::NextHopIndex, NextHopUpdate> waiting_;  // main thread's
};

}  // namespace ifgw::runtime
