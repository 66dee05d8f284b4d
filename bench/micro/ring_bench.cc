// A message through a plane ring, push and pop together, in bursts of 32 as a worker and its client move them: commands
// (slots wiped when consumed) and events of at most 128 bytes, and datagrams of 500 bytes in 2 KB slots. Rings are as
// long as the attach makes them. threads:1 is the cost of both ends; with threads:2 a producer spins on another core
// and the time is the consumer's, so a message's way between two caches is in it.
#include <atomic>
#include <memory>
#include <thread>
#include <type_traits>

#include "bench/micro/windows.h"
#include "dataplane/api/region.h"

namespace ifgw::bench {
namespace {

constexpr std::size_t kBurst = 32;
constexpr std::uint16_t kDatagramPayload = 500;

template <typename T>
std::vector<T> one_burst() {
  std::vector<T> values(kBurst);
  if constexpr (std::is_same_v<T, api::Datagram>)
    for (T& datagram : values) datagram.header.length = kDatagramPayload;
  return values;
}

// What the attach hands over, in ordinary memory: shared memory costs the same once it is mapped.
template <typename T, api::Wipe kWipe>
struct Ring {
  explicit Ring(std::uint32_t capacity)
      : memory(api::ring_bytes<T>(capacity), PageSize::Small), producer(start(), capacity), consumer(memory.span().data(), capacity) {}
  void* start() { return new (memory.span().data()) api::RingIndices; }

  Pages memory;
  api::RingProducer<T> producer;
  api::RingConsumer<T, kWipe> consumer;
};

template <typename T, api::Wipe kWipe>
void one_thread(benchmark::State& state, Ring<T, kWipe>& ring, std::size_t operations) {
  const std::vector<T> in = one_burst<T>();
  std::vector<T> out = in;
  std::uint64_t moved = 0;
  measure(state, operations, [&] {
    for (std::size_t done = 0; done < operations; done += kBurst) {
      ring.producer.push(std::span<const T>(in));
      moved += ring.consumer.pop(std::span<T>(out));
      benchmark::ClobberMemory();
    }
  });
  if (moved != operations * static_cast<std::uint64_t>(state.iterations())) state.SkipWithError("messages were lost");
}

template <typename T, api::Wipe kWipe>
void two_threads(benchmark::State& state, Ring<T, kWipe>& ring, std::size_t operations) {
  if (std::thread::hardware_concurrency() < 2) return state.SkipWithError("needs two processors");
  std::atomic<bool> stop{false};
  std::thread source([&] {
    const std::vector<T> in = one_burst<T>();
    while (!stop.load(std::memory_order_relaxed)) {
      std::span<const T> left(in);
      while (!left.empty() && !stop.load(std::memory_order_relaxed)) left = left.subspan(ring.producer.push(left));
    }
  });
  std::vector<T> out = one_burst<T>();
  measure(state, operations, [&] {
    for (std::size_t done = 0; done < operations;) {
      done += ring.consumer.pop(std::span<T>(out));
      benchmark::ClobberMemory();
    }
  });
  stop = true;
  source.join();
}

template <typename T, api::Wipe kWipe>
void run(benchmark::State& state, std::uint32_t capacity) {
  constexpr std::size_t kOperations = std::size_t{1} << (sizeof(T) > 128 ? 14 : 16);
  Ring<T, kWipe> ring(capacity);
  if (state.range(0) == 1)
    one_thread(state, ring, kOperations);
  else
    two_threads(state, ring, kOperations);
  if (ring.producer.corrupt() || ring.consumer.corrupt()) state.SkipWithError("an index was found impossible");
  state.counters["bytes_per_message"] = sizeof(T) > 128 ? kDatagramPayload : sizeof(T);
}

void ring_command(benchmark::State& state) { run<api::Command, api::Wipe::Yes>(state, api::RingSizes{}.commands); }
void ring_event(benchmark::State& state) { run<api::Event, api::Wipe::No>(state, api::RingSizes{}.events); }
void ring_datagram(benchmark::State& state) { run<api::Datagram, api::Wipe::No>(state, api::RingSizes{}.datagrams_up); }
BENCHMARK(ring_command)->ArgName("threads")->Arg(1)->Arg(2)->Iterations(60)->UseManualTime();
BENCHMARK(ring_event)->ArgName("threads")->Arg(1)->Arg(2)->Iterations(60)->UseManualTime();
BENCHMARK(ring_datagram)->ArgName("threads")->Arg(1)->Arg(2)->Iterations(60)->UseManualTime();

}  // namespace
}  // namespace ifgw::bench
