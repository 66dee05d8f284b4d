// What transcoding does to time: a packet's way through a whole worker, pair by pair of codecs, in real time on rings.
//
//   burst      a relayed packet as the last of a burst of 32: alone, behind 31 other relays, behind 31 frames for Opus, or for
//              G.722. By the worker's own measure (rx burst to tx burst), all by turns
//   packets    ten streams of one pair, their packets spread over 20 ms: from when a packet was due until its audio was sent
//   stall      a stream of each pair; its sender stops for 45 ms, sends what it missed at once, and goes on in time: how much
//              later than before the first packet in time is. The median of the rounds
//   onset      the beginning of a tone, decoded from what was sent, against the same chain of encoder, decoder, resampler,
//              encoder and decoder without the gateway: milliseconds that the gateway adds to the codecs' own delay
//   allocations  calls of malloc and its kin within Worker::iterate(), of all pairs
//
// What happens in real time runs with real-time priority where that is allowed, half a second at most without a pause: the kernel
// takes the processor away from who holds it for longer.
//
// Prints a JSON object; `realtime` says whether it had that priority. Exit status 1: a packet was lost, which should not be.
//
// Usage: ifgw-frames [--memory=auto|hugepages|none] [--seconds=S] [--rounds=N]
//   S seconds of each pair for `packets` (1), N rounds of `burst` (300) and N / 60 of `stall`
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "bench/pipeline/frames_rig.h"
#include "codecs/audio/resample.h"
#include "dataplane/engine/audio_path.h"
#include "tests/support/signals.h"

namespace ifgw::bench {
namespace {

using api::Codec;
using std::chrono::milliseconds;
using test::Pcm;

constexpr std::array kNames{"-", "PCMU", "PCMA", "G722", "G729", "opus"};
constexpr Duration kPacketTime = milliseconds(20);

// The codecs of goals and of results.md come first in the list: 20 pairs.
constexpr auto kLastCodec = static_cast<std::uint8_t>(Codec::Opus);

std::string name(Codec codec) { return kNames[static_cast<std::size_t>(codec)]; }

bool g_lost = false;

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// ---- burst ---------------------------------------------------------------------------------------------------------

void measure_burst(Frames& frames, unsigned rounds) {
  constexpr std::size_t kOthers = nodes::kBurst - 1;
  frames.open(Codec::Pcmu, Codec::Pcmu);
  for (std::size_t i = 0; i < kOthers; ++i) frames.open(Codec::Pcmu, Codec::Pcmu);
  for (std::size_t i = 0; i < kOthers; ++i) frames.open(Codec::Pcmu, Codec::Opus);
  for (std::size_t i = 0; i < kOthers; ++i) frames.open(Codec::Pcmu, Codec::G722);
  const std::array<std::size_t, 4> first{0, 1, 1 + kOthers, 1 + 2 * kOthers};  // of those that come with it
  std::array<std::vector<double>, 4> ns;
  std::size_t overtaken = 0;
  for (unsigned round = 0; round < rounds + 10; ++round)
    for (std::size_t variant = 0; variant < first.size(); ++variant) {
      std::vector<rte_mbuf*> burst;
      for (std::size_t i = 0; variant != 0 && i < kOthers; ++i) burst.push_back(frames.next_packet(frames.streams()[first[variant] + i]));
      burst.push_back(frames.next_packet(frames.streams()[0]));
      frames.row(frames.streams()[0]).inside.clear();
      frames.through(burst);
      const std::vector<Sent> sent = frames.take();
      g_lost = g_lost || sent.size() != burst.size();
      if (round < 10) continue;
      ns[variant].push_back(static_cast<double>(frames.row(frames.streams()[0]).inside.maximum_ns.get()));
      if (variant < 2) continue;
      const auto relay = std::find_if(sent.begin(), sent.end(), [](const Sent& s) { return s.stream == 0; });
      overtaken += static_cast<std::size_t>(relay - sent.begin());
    }
  std::printf("\"burst\": {\"frames_before_relay\": %zu", overtaken);
  const std::array kinds{"alone", "with_relays", "with_opus", "with_g722"};
  for (std::size_t i = 0; i < ns.size(); ++i)
    std::printf(", \"%s_ns_min\": %.0f, \"%s_ns_median\": %.0f", kinds[i], *std::min_element(ns[i].begin(), ns[i].end()), kinds[i],
                median(ns[i]));
  std::printf("}");
  frames.close_all();
}

// ---- in real time --------------------------------------------------------------------------------------------------

// While it lives, nobody but the kernel takes the processor away.
class RealTime {
 public:
  RealTime() {
    const sched_param priority{.sched_priority = 10};
    granted_ = sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
  }
  ~RealTime() {
    const sched_param none{};
    (void)sched_setscheduler(0, SCHED_OTHER, &none);
    if (!granted_) return;
    const timespec pause{.tv_sec = 0, .tv_nsec = 200'000'000};
    nanosleep(&pause, nullptr);  // within the kernel's budget for what comes next
  }
  RealTime(const RealTime&) = delete;
  RealTime& operator=(const RealTime&) = delete;
  bool granted() const { return granted_; }

 private:
  bool granted_;
};
bool g_realtime = true;

// When a packet comes, and when its sender would have sent it in time.
struct Arrival {
  Instant at;
  Instant due;
  std::size_t stream = 0;
};

// Latencies in microseconds by stream and frame, from when a packet was due until its audio was sent; negative: it was not.
std::vector<std::vector<double>> play(Frames& frames, std::vector<Arrival> arrivals) {
  std::stable_sort(arrivals.begin(), arrivals.end(), [](const Arrival& a, const Arrival& b) { return a.at < b.at; });
  std::vector<std::vector<Instant>> due(frames.streams().size());
  for (const Arrival& a : arrivals) due[a.stream].push_back(a.due);
  std::vector<std::vector<double>> latency(due.size());
  const RealTime priority;
  g_realtime = g_realtime && priority.granted();
  for (std::size_t s = 0; s < due.size(); ++s) latency[s].assign(due[s].size(), -1);
  const auto hear = [&] {
    const Instant now = runtime::monotonic_now();
    for (const Sent& sent : frames.take())
      if (sent.frame < due[sent.stream].size())
        latency[sent.stream][sent.frame] = static_cast<double>((now - due[sent.stream][sent.frame]).count()) / 1000;
  };
  for (std::size_t next = 0; next < arrivals.size();) {
    std::vector<rte_mbuf*> burst;
    const Instant now = runtime::monotonic_now();
    for (; next < arrivals.size() && arrivals[next].at <= now && burst.size() < nodes::kBurst; ++next)
      burst.push_back(frames.next_packet(frames.streams()[arrivals[next].stream]));
    frames.through(burst);
    hear();
  }
  for (const auto& of_stream : latency)
    for (const double us : of_stream) g_lost = g_lost || us < 0;
  return latency;
}

template <typename Each>
void each_pair(const Each& each) {
  for (std::uint8_t from = 1; from <= kLastCodec; ++from)
    for (std::uint8_t to = 1; to <= kLastCodec; ++to)
      if (from != to) each(static_cast<Codec>(from), static_cast<Codec>(to));
}

std::map<std::pair<Codec, Codec>, std::array<double, 2>> measure_packets(Frames& frames, double seconds) {
  constexpr std::size_t kStreams = 10;
  constexpr double kSpell = 0.4;  // seconds
  std::map<std::pair<Codec, Codec>, std::array<double, 2>> quantiles;
  each_pair([&](Codec from, Codec to) {
    (void)voice(from);
    std::vector<double> all;
    for (double left = seconds; left > 0; left -= kSpell) {
      for (std::size_t i = 0; i < kStreams; ++i) frames.open(from, to);
      std::vector<Arrival> arrivals;
      const Instant start = runtime::monotonic_now() + milliseconds(2);
      for (std::size_t i = 0; i < kStreams; ++i)
        for (int n = 0; n < std::max(static_cast<int>(std::min(left, kSpell) * 50), 5); ++n) {
          // Not in step with each other, as streams of different senders are not.
          const Instant at = start + kPacketTime * n + std::chrono::microseconds(i * 2000 + i * i % 7 * 130);
          arrivals.push_back({at, at, i});
        }
      for (const auto& of_stream : play(frames, arrivals)) all.insert(all.end(), of_stream.begin() + 2, of_stream.end());
      frames.close_all();
    }
    std::sort(all.begin(), all.end());
    quantiles[{from, to}] = {all[all.size() / 2], all[all.size() * 99 / 100]};
  });
  return quantiles;
}

std::map<std::pair<Codec, Codec>, double> measure_stall(Frames& frames, unsigned rounds) {
  constexpr int kBefore = 12, kAfter = 8;
  constexpr Duration kStall = milliseconds(45);
  constexpr Duration kApart = std::chrono::microseconds(900);  // so that nobody waits for what another one sends after its stall
  std::map<std::pair<Codec, Codec>, std::vector<double>> later;
  for (unsigned round = 0; round < std::max(rounds, 1U); ++round) {
    each_pair([&](Codec from, Codec to) { frames.open(from, to); });
    std::vector<Arrival> arrivals;
    const Instant start = runtime::monotonic_now() + milliseconds(5);
    // The first packet after the stall that is in time.
    constexpr int kInTime = kBefore + static_cast<int>(kStall / kPacketTime) + 1;
    for (std::size_t i = 0; i < frames.streams().size(); ++i)
      for (int n = 0; n < kInTime + kAfter; ++n) {
        const Instant due = start + kPacketTime * n + kApart * i;
        const Instant resumed = start + kPacketTime * kBefore + kStall + kApart * i;
        arrivals.push_back({n < kBefore ? due : std::max(due, resumed), due, i});
      }
    const auto latency = play(frames, arrivals);
    for (std::size_t i = 0; i < latency.size(); ++i) {
      const double before = median({latency[i].begin() + 2, latency[i].begin() + kBefore});
      later[{frames.streams()[i].from, frames.streams()[i].to}].push_back(latency[i][kInTime] - before);
    }
    frames.close_all();
  }
  std::map<std::pair<Codec, Codec>, double> medians;
  for (const auto& [pair, values] : later) medians[pair] = median(values);
  return medians;
}

// ---- onset ---------------------------------------------------------------------------------------------------------

// Silence, then a tone: where it begins, in milliseconds.
constexpr double kToneHz = 1000, kLoud = 8000;
double onset_ms(const Pcm& pcm, std::uint32_t rate_hz) {
  for (std::size_t i = 0; i < pcm.size(); ++i)
    if (std::abs(static_cast<int>(pcm[i])) > kLoud / 4) return 1000.0 * static_cast<double>(i) / rate_hz;
  return -1;
}

// The same rates as in the gateway: Opus runs at the other side's.
audio::CodecSettings settings_of(Codec codec, Codec other) {
  audio::CodecSettings settings = engine::encoder_settings(params({}, codec));
  if (codec == Codec::Opus && other != Codec::Opus) settings.pcm_rate_hz = audio::pcm_rate_hz(engine::codec_settings(other));
  return settings;
}

double measure_onset(Frames& frames, Codec from, Codec to) {
  const audio::CodecSettings near = settings_of(from, to), far = settings_of(to, from);
  const std::uint32_t near_hz = audio::pcm_rate_hz(near), far_hz = audio::pcm_rate_hz(far);
  Pcm said(near_hz / 5);
  const Pcm tone = test::tone(kToneHz, near_hz, kLoud, near_hz / 5);
  said.insert(said.end(), tone.begin(), tone.end());
  test::OwnedEncoder speaker(near), middle(far);
  const std::vector<Payload> payloads = encode(speaker, said, near_hz / 50);

  test::OwnedDecoder near_decoder(near), far_decoder(far), listener(far);
  audio::Resampler resampler(near_hz, far_hz);
  Pcm decoded(near_hz / 50), resampled(far_hz / 50), alone, through;
  const auto hear = [&](test::OwnedDecoder& decoder, const Payload& payload, Pcm& heard) {
    Pcm pcm(far_hz / 50);
    (void)decoder->decode(payload, pcm);
    heard.insert(heard.end(), pcm.begin(), pcm.end());
  };
  frames.open(from, to);
  for (const Payload& payload : payloads) {
    (void)near_decoder->decode(payload, decoded);
    (void)resampler.process(decoded, resampled);
    Payload again(audio::kMaxPayloadBytes);
    again.resize(middle->encode(resampled, again).size);
    hear(far_decoder, again, alone);
    std::array<rte_mbuf*, 1> one{frames.packet(frames.streams()[0], payload)};
    frames.through(one);
    for (const Sent& sent : frames.take()) {
      through.resize(sent.frame * (far_hz / 50));  // where its time stamp says that it belongs
      hear(listener, sent.payload, through);
    }
  }
  frames.close_all();
  const double here = onset_ms(through, far_hz), without = onset_ms(alone, far_hz);
  g_lost = g_lost || here < 0 || without < 0;
  return here - without;
}

int run(runtime::MemoryChoice memory, double seconds, unsigned rounds) {
  bool hugepages = false;
  if (!test::start_eal(memory, hugepages)) return 1;
  static Frames& frames = *new Frames(hugepages);  // one EAL per process, and no order of destruction to get wrong
  std::printf("{");
  measure_burst(frames, rounds);
  const auto packets = measure_packets(frames, seconds);
  const auto stall = measure_stall(frames, rounds / 60);
  std::printf(",\n\"pairs\": [");
  const char* separator = "\n";
  each_pair([&](Codec from, Codec to) {
    const auto pair = std::pair{from, to};
    std::printf("%s {\"from\": \"%s\", \"to\": \"%s\", \"p50_us\": %.1f, \"p99_us\": %.1f, \"after_stall_us\": %.1f, \"onset_ms\": %.3f}",
                separator, name(from).c_str(), name(to).c_str(), packets.at(pair)[0], packets.at(pair)[1], stall.at(pair),
                measure_onset(frames, from, to));
    separator = ",\n";
  });
  std::printf("],\n\"allocations\": %g, \"realtime\": %s}\n", frames.allocations_per_packet(), g_realtime ? "true" : "false");
  if (g_lost) std::fprintf(stderr, "FAILED: audio was lost\n");
  return g_lost ? 1 : 0;
}

}  // namespace
}  // namespace ifgw::bench

int main(int argc, char** argv) {
  auto memory = ifgw::runtime::MemoryChoice::Auto;
  double seconds = 1;
  long rounds = 300;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("--seconds="))
      seconds = std::atof(argv[i] + 10);
    else if (argument.starts_with("--rounds="))
      rounds = std::atol(argv[i] + 9);
    else if (!ifgw::test::read_memory_option(argument, memory))
      return std::fprintf(stderr, "unknown: %s\n", argv[i]), 2;
  }
  if (seconds <= 0 || seconds > 3600 || rounds < 1 || rounds > 1'000'000) return 2;
  return ifgw::bench::run(memory, seconds, static_cast<unsigned>(rounds));
}