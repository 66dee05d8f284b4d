// The engine's own cost per media packet: classify and relay (or transcode) bursts of 32 RTP packets of 20 ms G.711 that
// arrive for legs in random order. "receive" is what the bench itself does per packet (writing the 54 bytes of headers
// that the last pass overwrote); subtract it, or do not and read an upper bound.
#include <cstring>
#include <memory>
#include <numeric>
#include <random>

#include "bench/micro/windows.h"
#include "dataplane/engine/engine.h"
#include "tests/support/frames.h"

namespace ifgw::bench {
namespace {

constexpr std::size_t kBurst = 32;
constexpr std::size_t kBuffers = 512;
constexpr std::size_t kBufferBytes = 128 + 512;
constexpr std::size_t kHeaderBytes = 64;  // Ethernet, IPv4, UDP, RTP and ten bytes of audio
constexpr std::size_t kAudioBytes = 160;
constexpr std::size_t kFrameBytes = 14 + 20 + 8 + 12 + kAudioBytes;

class OneHop : public engine::NextHops {
 public:
  OneHop() {
    hop_.usable = 1;
    table_ = {&hop_, 1};
  }
  engine::NextHopIndex lookup(const IpAddress&) noexcept override { return 0; }
  engine::NextHopIndex acquire(const IpAddress&) noexcept override { return 0; }
  void release(engine::NextHopIndex) noexcept override {}

 private:
  engine::NextHop hop_;
};

// One packet in makes one packet out here.
class NoSpares : public engine::PacketSource {
 public:
  engine::Packet* take() noexcept override { return nullptr; }
};

class Answers : public engine::EventSink {
 public:
  bool on_event(const api::Event& event) noexcept override {
    if (event.type == api::EventType::CommandDone) done = event.command_done;
    return true;
  }
  api::CommandDone done;
};

engine::EngineConfig bench_config(std::size_t legs) {
  engine::EngineConfig config;
  config.first_media_port = 1024;
  config.last_media_port = 65535;
  config.limiter_sources = 1000;
  for (std::uint32_t i = 0; i * 32'256 < legs; ++i) config.local_addresses.push_back(IpAddress::v4(0xC0000201 + i));
  return config;
}

struct Gateway {
  Gateway(std::size_t legs, PageSize page, api::Codec a, api::Codec b)
      : config(bench_config(legs)),
        memory(engine::Engine::required_bytes(config), page),
        row_memory(sizeof(api::LegRow) * engine::Engine::leg_rows(config), page),
        buffer_memory(kBuffers * kBufferBytes, page) {
    if (memory.empty() || row_memory.empty() || buffer_memory.empty()) return;
    auto* rows = new (row_memory.span().data()) api::LegRow[engine::Engine::leg_rows(config)];
    gateway =
        std::make_unique<engine::Engine>(config, memory.span(), std::span(rows, engine::Engine::leg_rows(config)), *block, hops, answers);
    for (std::size_t i = 0; i < legs; i += 2) {
      const api::CommandDone first = add(i, a);
      const api::CommandDone second = add(i + 1, b);
      api::Command join{};
      join.type = api::CommandType::JoinLegs;
      join.join_legs = {first.leg, second.leg};
      gateway->on_command(join, now, none);
    }
    std::mt19937 random(1);
    std::shuffle(headers.begin(), headers.end(), random);
    for (std::size_t i = 0; i < kBuffers; ++i)
      buffers[i] = reinterpret_cast<std::uint8_t*>(buffer_memory.span().data()) + i * kBufferBytes + 128;
  }

  api::CommandDone add(std::size_t number, api::Codec codec) {
    api::Command command{};
    command.type = api::CommandType::AddLeg;
    command.add_leg = api::AddLeg{};
    command.add_leg.local_address = static_cast<std::uint8_t>(number / 32'256);
    command.add_leg.media.remote = {IpAddress::v4(0x0A000000 + static_cast<std::uint32_t>(number / 1000)),
                                    static_cast<std::uint16_t>(10'000 + 2 * (number % 1000))};
    command.add_leg.media.codec = codec;
    command.add_leg.media.payload_type = codec == api::Codec::Pcmu ? 0 : 8;
    gateway->on_command(command, now, none);
    const test::Frame frame = test::udp_frame(
        command.add_leg.media.remote, answers.done.local,
        test::rtp_packet(command.add_leg.media.payload_type, 1, 160, static_cast<std::uint32_t>(number), test::Frame(kAudioBytes, 0x55)));
    std::array<std::uint8_t, kHeaderBytes> header;
    std::memcpy(header.data(), frame.data(), kHeaderBytes);
    headers.push_back(header);
    return answers.done;
  }

  // The next burst as a port would give it.
  void receive() {
    for (std::size_t i = 0; i < kBurst; ++i) {
      engine::Packet& p = packets[i];
      p = engine::Packet{};
      p.data = buffers[(next_buffer + i) % kBuffers];
      p.length = kFrameBytes;
      p.headroom = 128;
      p.l4_checksum = verified;
      std::memcpy(p.data, headers[next_header].data(), kHeaderBytes);
      if (++next_header == headers.size()) next_header = 0;
    }
    next_buffer += kBurst;
  }
  void handle() {
    gateway->classify(packets);
    gateway->media(pointers, now, none);
    now += Duration(2000);
  }

  engine::EngineConfig config;
  NoSpares none;
  Pages memory;
  Pages row_memory;
  Pages buffer_memory;
  std::unique_ptr<api::WorkerBlock> block = std::make_unique<api::WorkerBlock>();
  OneHop hops;
  Answers answers;
  std::unique_ptr<engine::Engine> gateway;
  std::vector<std::array<std::uint8_t, kHeaderBytes>> headers;
  std::array<std::uint8_t*, kBuffers> buffers{};
  std::array<engine::Packet, kBurst> packets;
  std::array<engine::Packet*, kBurst> pointers = [this] {
    std::array<engine::Packet*, kBurst> all;
    for (std::size_t i = 0; i < kBurst; ++i) all[i] = &packets[i];
    return all;
  }();
  std::size_t next_buffer = 0;
  std::size_t next_header = 0;
  engine::Checksum verified = engine::Checksum::Unknown;
  Instant now = from_ns(1'000'000'000);
};

void run(benchmark::State& state, api::Codec from, api::Codec to, bool handle) {
  const auto legs = static_cast<std::size_t>(state.range(0));
  const PageSize page = state.range(1) != 0 ? PageSize::Huge : PageSize::Small;
  Gateway g(legs, page, from, to);
  if (g.gateway == nullptr) return state.SkipWithError("not enough 2 MB pages reserved (vm.nr_hugepages)");
  // As a network card reports it. Transcoding looks at it; a relay carries the checksum on.
  g.verified = engine::Checksum::Good;
  constexpr std::size_t kOperations = std::size_t{1} << 17;
  std::uint64_t sent = 0;
  measure(state, kOperations, [&] {
    for (std::size_t done = 0; done < kOperations; done += kBurst) {
      g.receive();
      if (!handle) {
        benchmark::DoNotOptimize(g.packets);
        benchmark::ClobberMemory();
        continue;
      }
      g.handle();
      sent += g.packets[0].verdict == engine::PacketVerdict::Transmit ? 1 : 0;
    }
  });
  if (handle && sent * kBurst != kOperations * static_cast<std::uint64_t>(state.iterations())) state.SkipWithError("packets were dropped");
  state.SetLabel(name(page));
}

void receive(benchmark::State& state) { run(state, api::Codec::Pcmu, api::Codec::Pcmu, false); }
void relay(benchmark::State& state) { run(state, api::Codec::Pcmu, api::Codec::Pcmu, true); }
void transcode(benchmark::State& state) { run(state, api::Codec::Pcmu, api::Codec::Pcma, true); }

// What a card could do of a frame that we made: the checksum of its RTP. Another payload each time, as in a burst.
void fresh_checksum(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  const engine::UdpTemplate path = engine::make_udp_template(*Endpoint::parse("192.0.2.1:20000"), *Endpoint::parse("10.0.0.1:10000"), 46);
  std::vector<std::uint8_t> payloads(kBurst * 512);
  std::mt19937 random(1);
  for (auto& byte : payloads) byte = static_cast<std::uint8_t>(random());
  constexpr std::size_t kOperations = std::size_t{1} << 17;
  measure(state, kOperations, [&] {
    for (std::size_t i = 0; i < kOperations; ++i)
      benchmark::DoNotOptimize(engine::fresh_udp_checksum(path, Bytes(payloads).subspan(i % kBurst * 512, bytes)));
  });
}
BENCHMARK(fresh_checksum)->ArgName("bytes")->Arg(12 + 20)->Arg(12 + 160)->Arg(12 + 320)->Iterations(40)->UseManualTime();
BENCHMARK(receive)->ArgNames({"legs", "huge"})->ArgsProduct({{1000, 100'000}, {0, 1}})->Iterations(40)->UseManualTime();
BENCHMARK(relay)->ArgNames({"legs", "huge"})->ArgsProduct({{1000, 10'000, 100'000}, {0, 1}})->Iterations(40)->UseManualTime();
BENCHMARK(transcode)->ArgNames({"legs", "huge"})->ArgsProduct({{1000, 100'000}, {0, 1}})->Iterations(40)->UseManualTime();

}  // namespace
}  // namespace ifgw::bench
