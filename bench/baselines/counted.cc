// What tools/dev/baselines counts the instructions of, under valgrind: each part of the way of a packet, over and over, the
// same on every machine. Only what lies between start() and stop() is counted. Prints a JSON object per line: which compiler
// made it, then each name with how many operations its count is of.
//
// Run without valgrind it does the same and counts nothing.
#include <valgrind/callgrind.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "codecs/audio/cpu.h"
#include "codecs/base/window_limiter.h"
#include "dataplane/api/ring.h"
#include "dataplane/engine/pair_probe.h"

namespace ifgw::bench {
namespace {

constexpr unsigned kBurst = 32;
// The gateway's main codecs by every way, the others by theirs from PCMU and to it.
constexpr api::Codec kMain[] = {api::Codec::Pcmu, api::Codec::Pcma, api::Codec::G722, api::Codec::G729, api::Codec::Opus};
constexpr api::Codec kMore[] = {api::Codec::Speex8,  api::Codec::Speex16, api::Codec::Gsm,   api::Codec::G726_16, api::Codec::G726_24,
                                api::Codec::G726_32, api::Codec::G726_40, api::Codec::L16_8, api::Codec::L16_16};

[[gnu::noinline]] void start() {
  CALLGRIND_ZERO_STATS;
  CALLGRIND_TOGGLE_COLLECT;
}
[[gnu::noinline]] void stop(const std::string& name, unsigned operations) {
  CALLGRIND_TOGGLE_COLLECT;
  CALLGRIND_DUMP_STATS_AT(name.c_str());
  std::printf("{\"name\": \"%s\", \"operations\": %u}\n", name.c_str(), operations);
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "counted: %s\n", what);
  std::exit(1);
}

// An api::codec_pair() or recoded_pair().
void count_pair(std::size_t pair) {
  engine::PairProbe probe(pair);
  if (!probe.ready()) fail("this build cannot run every pair of codecs");
  for (const bool counted : {false, true}) {  // the first packets of a stream are not like the others
    probe.receive();
    if (counted) start();
    const unsigned left = probe.run();
    const std::string one{api::facts(api::pair_from(pair)).name}, other{api::facts(api::pair_to(pair)).name};
    const std::string name = one != other || api::is_recoded(pair) ? one + " > " + other : "relay " + one;
    if (counted) stop(name, engine::PairProbe::kPackets);
    if (left != engine::PairProbe::kPackets) fail("a packet was lost");
  }
}

// A full table, each source within its budget.
void count_limiter() {
  constexpr std::size_t kSources = 1024;
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> memory(WindowLimiter::required_bytes(kSources, 30) / sizeof(Line) + 1);
  WindowLimiter limiter(std::as_writable_bytes(std::span(memory)), kSources, 30, HashKey{});
  std::vector<std::uint64_t> keys;
  for (std::uint32_t i = 0; i < kSources; ++i) keys.push_back(limiter_key(IpAddress::v4(0x0A000000 + i)));
  Instant now = from_ns(1'000'000'000);
  WindowLimiter::Probe probes[kBurst];
  for (int round = 0; round < 3; ++round, now += std::chrono::milliseconds(500)) {
    if (round == 2) start();
    for (std::size_t at = 0; at < kSources; at += kBurst) {
      for (std::size_t i = 0; i < kBurst; ++i) probes[i] = limiter.begin(keys[at + i]);
      for (std::size_t i = 0; i < kBurst; ++i) limiter.locate(probes[i]);
      const WindowLimiter::Moment moment = limiter.at(now);
      for (std::size_t i = 0; i < kBurst; ++i) (void)limiter.check(probes[i], moment);
    }
    if (round == 2) stop("limiter", kSources);
  }
  if (limiter.stats().admitted != 3 * kSources) fail("the limiter refused a source");
}

template <typename T, api::Wipe kWipe>
void count_ring(const char* name) {
  constexpr std::uint32_t kCapacity = 256;
  std::vector<api::RingIndices> memory(api::ring_bytes<T>(kCapacity) / sizeof(api::RingIndices) + 1);
  api::RingProducer<T> producer(memory.data(), kCapacity);
  api::RingConsumer<T, kWipe> consumer(memory.data(), kCapacity);
  const std::vector<T> in(kBurst);
  std::vector<T> out(kBurst);
  std::size_t moved = 0;
  for (const bool counted : {false, true}) {
    if (counted) start();
    for (int i = 0; i < 64; ++i) {
      producer.push(std::span<const T>(in));
      moved += consumer.pop(std::span<T>(out));
    }
    if (counted) stop(name, 64 * kBurst);
  }
  if (moved != 2 * 64 * kBurst) fail("the ring lost a message");
}

void count_all() {
  audio::pin_cpu(audio::Cpu::Portable);
  std::printf("{\"compiler\": \"g++ %d\"}\n", __GNUC__);
  for (const api::Codec from : kMain)
    for (const api::Codec to : kMain)
      if (from != to || from == api::Codec::Pcmu) count_pair(api::codec_pair(from, to));
  for (const api::Codec codec : kMore) {
    count_pair(api::codec_pair(api::Codec::Pcmu, codec));
    count_pair(api::codec_pair(codec, api::Codec::Pcmu));
  }
  for (const api::Codec codec : {api::Codec::Pcmu, api::Codec::G729}) count_pair(api::recoded_pair(codec));
  count_limiter();
  count_ring<api::Command, api::Wipe::Yes>("ring command");
  count_ring<api::Event, api::Wipe::No>("ring event");
}

}  // namespace
}  // namespace ifgw::bench

int main() { ifgw::bench::count_all(); }
