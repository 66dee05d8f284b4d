// The whole way of a media packet through one worker, as the dataplane runs it: receive burst on a net_ring port,
// classify, engine, transmit burst. 100 000 legs, packets for legs in random order, bursts of 32 as they come from a
// busy NIC, and bursts of 1 as from an idle one.
//
// What is timed is Worker::iterate() alone, with the cycle counter; between two calls the harness takes the frames from
// the far end of the port, makes them new arrivals and puts them back. Their bytes are therefore in the cache, as a NIC
// that writes into the cache leaves them. Counters: ns_min (best window: the cost), ns_median (how quiet the host was),
// allocations (calls of malloc and its kin within iterate() per packet: more than 0 fails the run).
//
// Usage: ifgw-pipeline [--memory=auto|hugepages|none] [--legs=N] [google benchmark options]
#include <benchmark/benchmark.h>
#include <rte_cycles.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <string_view>

#include "bench/pipeline/allocations.h"
#include "dataplane/engine/headers.h"
#include "tests/support/worker_rig.h"

namespace ifgw::bench {
namespace {

constexpr std::size_t kPairsPerAddress = 12'500;
constexpr std::size_t kFrames = 1024;  // in flight
constexpr std::size_t kPacketsPerWindow = 32'768;
constexpr std::size_t kRtpBytes = 12 + 160;

std::size_t g_legs = 100'000;
bool g_hugepages = false;

// A worker with joined legs, and frames for them.
class Rig {
 public:
  Rig() : wires_(config(), g_hugepages) {
    add_legs();
    IFGW_CHECK(bench::allocations() > 0);  // or the counter is not in place, and 0 would say nothing
  }

  // One burst through the worker; returns the cycles it took.
  std::uint64_t burst(std::size_t packets) {
    rte_mbuf* buffers[nodes::kBurst];
    for (std::size_t i = 0; i < packets; ++i) buffers[i] = arrival();
    wires_.receive({buffers, packets});
    const std::uint64_t allocated = bench::allocations();
    const std::uint64_t before = rte_rdtsc();
    (void)wires_.iterate();
    const std::uint64_t spent = rte_rdtsc() - before;
    allocations_ += bench::allocations() - allocated;
    const std::size_t sent = wires_.sent(buffers);
    for (std::size_t i = 0; i < sent; ++i) free_.push_back(buffers[i]);
    relayed_ += sent;
    expected_ += packets;
    wires_.forget_captured();
    return spent;
  }
  // Captures what these addresses send and get; nothing: no capture.
  void capture(const char* source) {
    api::Command order;
    order.type = source == nullptr ? api::CommandType::StopCapture : api::CommandType::StartCapture;
    if (source == nullptr)
      order.stop_capture = {1};
    else
      order.start_capture = {1, api::kMaxCaptureMs, {}, *IpPrefix::parse(source), 0};
    wires_.command(order);
  }
  double bytes_per_leg() {
    const runtime::NextHopTable& hops = wires_.worker().media_next_hops();
    return static_cast<double>(engine::Engine::bytes_per_leg(wires_.config())) + static_cast<double>(hops.bytes()) / hops.capacity();
  }
  bool lossless() const { return relayed_ == expected_; }
  std::uint64_t allocations() const { return allocations_; }
  double allocations_per_packet() const { return static_cast<double>(allocations_) / static_cast<double>(expected_); }
  void set_codec(api::Codec b) {
    for (std::size_t i = 1; i < legs_.size(); i += 2) {
      api::Command update;
      update.type = api::CommandType::UpdateLeg;
      update.update_leg = {legs_[i].id, params(i, b)};
      wires_.command(update);
    }
  }

 private:
  struct Leg {
    api::LegId id;
    Endpoint local;
    std::uint16_t sequence = 0;
  };

  static std::uint64_t ns_to_addresses(std::size_t legs) { return (legs + kPairsPerAddress - 1) / kPairsPerAddress; }
  static Endpoint remote(std::size_t leg) {
    return {IpAddress::v4(0x0A000002 + static_cast<std::uint32_t>(leg / 1000)), static_cast<std::uint16_t>(20'000 + 2 * (leg % 1000))};
  }
  static api::MediaParams params(std::size_t leg, api::Codec codec) {
    api::MediaParams media;
    media.remote = remote(leg);
    media.codec = codec;
    media.payload_type = codec == api::Codec::Pcmu ? 0 : 8;
    return media;
  }

  static engine::EngineConfig config() {
    engine::EngineConfig config;
    config.first_media_port = 16384;
    config.last_media_port = static_cast<std::uint16_t>(16384 + 2 * kPairsPerAddress - 1);
    for (std::uint32_t i = 0; i < ns_to_addresses(g_legs); ++i) config.local_addresses.push_back(IpAddress::v4(0xC0A80001 + i));
    config.sip_udp_ports = {5060};
    return config;
  }

  void add_legs() {
    for (std::size_t i = 0; i < g_legs; ++i) {
      api::Command add;
      add.type = api::CommandType::AddLeg;
      add.add_leg = {};
      add.add_leg.local_address = static_cast<std::uint8_t>(i / kPairsPerAddress);
      add.add_leg.media = params(i, api::Codec::Pcmu);
      const api::CommandDone done = wires_.command(add);
      legs_.push_back({done.leg, done.local, 0});
      if (i % 2 == 0) continue;
      api::Command join;
      join.type = api::CommandType::JoinLegs;
      join.join_legs = {legs_[i - 1].id, legs_[i].id};
      wires_.command(join);
    }
    order_.resize(g_legs);
    std::iota(order_.begin(), order_.end(), 0);
    std::shuffle(order_.begin(), order_.end(), std::mt19937(1));
    std::erase_if(order_, [](std::uint32_t leg) { return leg % 2 == 1; });  // from the PCMU side
    free_.resize(kFrames);
    IFGW_CHECK(rte_pktmbuf_alloc_bulk(wires_.pool(), free_.data(), kFrames) == 0);
  }

  // The next frame off the wire: 20 ms of G.711 for the next leg.
  rte_mbuf* arrival() {
    rte_mbuf* buffer = free_.back();
    free_.pop_back();
    const std::size_t number = order_[next_++ % order_.size()];
    Leg& leg = legs_[number];
    rte_pktmbuf_reset(buffer);
    constexpr std::size_t kHeaders = engine::kEthernetBytes + engine::kIpv4Bytes + engine::kUdpBytes;
    auto* frame = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(buffer, kHeaders + kRtpBytes));
    std::memset(frame, 0, 12);
    store_be16(frame + 12, 0x0800);
    std::uint8_t* rtp = frame + kHeaders;
    rtp[0] = 0x80;
    rtp[1] = 0;
    store_be16(rtp + 2, leg.sequence++);
    store_be32(rtp + 4, leg.sequence * 160u);
    store_be32(rtp + 8, static_cast<std::uint32_t>(number));
    // A checksum of 0 (none) is what many endpoints send on IPv4; a set one costs the relay the same.
    const auto path = engine::make_udp_template(remote(number), leg.local, 46);
    engine::write_udp_headers(path, frame + engine::kEthernetBytes, kRtpBytes, 0);
    return buffer;
  }

  test::WorkerRig wires_;
  std::vector<Leg> legs_;
  std::vector<std::uint32_t> order_;
  std::vector<rte_mbuf*> free_;
  std::size_t next_ = 0;
  std::uint64_t allocations_ = 0;
  std::uint64_t relayed_ = 0;
  std::uint64_t expected_ = 0;
};

Rig& rig() {
  static Rig& only = *new Rig;  // one EAL per process, and no order of destruction to get wrong
  return only;
}

void run(benchmark::State& state, api::Codec b, const char* captured = nullptr) {
  Rig& r = rig();
  r.set_codec(b);
  if (captured != nullptr) r.capture(captured);
  const auto packets = static_cast<std::size_t>(state.range(0));
  const double ns_per_cycle = 1e9 / static_cast<double>(rte_get_tsc_hz());
  std::vector<double> ns;
  for (auto _ : state) {
    std::uint64_t cycles = 0;
    for (std::size_t done = 0; done < kPacketsPerWindow / 32 * packets; done += packets) cycles += r.burst(packets);
    ns.push_back(static_cast<double>(cycles) * ns_per_cycle / static_cast<double>(kPacketsPerWindow / 32 * packets));
    state.SetIterationTime(static_cast<double>(cycles) * ns_per_cycle * 1e-9);
  }
  if (captured != nullptr) r.capture(nullptr);
  if (!r.lossless()) state.SkipWithError("the worker did not relay every packet");
  std::sort(ns.begin(), ns.end());
  state.counters["ns_min"] = ns.front();
  state.counters["ns_median"] = ns[ns.size() / 2];
  state.counters["allocations"] = r.allocations_per_packet();
  state.counters["bytes_per_leg"] = r.bytes_per_leg();
  state.counters["legs"] = static_cast<double>(g_legs);
  state.SetLabel(g_hugepages ? "huge pages" : "ordinary pages");
}

void BM_Relay(benchmark::State& state) { run(state, api::Codec::Pcmu); }
void BM_TranscodePcmuToPcma(benchmark::State& state) { run(state, api::Codec::Pcma); }
// While packets of somebody else are captured, and while these are, as they come and as they go.
void BM_RelayBesideACapture(benchmark::State& state) { run(state, api::Codec::Pcmu, "203.0.113.1/32"); }
void BM_RelayCaptured(benchmark::State& state) { run(state, api::Codec::Pcmu, "0.0.0.0/0"); }
BENCHMARK(BM_Relay)->ArgName("burst")->Arg(32)->Arg(1)->UseManualTime();
BENCHMARK(BM_TranscodePcmuToPcma)->ArgName("burst")->Arg(32)->UseManualTime();
BENCHMARK(BM_RelayBesideACapture)->ArgName("burst")->Arg(32)->UseManualTime();
BENCHMARK(BM_RelayCaptured)->ArgName("burst")->Arg(32)->UseManualTime();

}  // namespace
}  // namespace ifgw::bench

int main(int argc, char** argv) {
  auto memory = ifgw::runtime::MemoryChoice::Auto;
  std::vector<char*> rest{argv[0]};
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg.starts_with("--legs="))
      ifgw::bench::g_legs = static_cast<std::size_t>(std::atol(arg.data() + 7)) / 2 * 2;
    else if (!ifgw::test::read_memory_option(arg, memory))
      rest.push_back(argv[i]);
  }
  int count = static_cast<int>(rest.size());
  benchmark::Initialize(&count, rest.data());
  if (benchmark::ReportUnrecognizedArguments(count, rest.data()) || ifgw::bench::g_legs < 2 || ifgw::bench::g_legs > 100'000) return 2;
  if (!ifgw::test::start_eal(memory, ifgw::bench::g_hugepages)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  // The one number that does not depend on the host, so the one that is a gate.
  ifgw::bench::Rig& rig = ifgw::bench::rig();
  if (rig.lossless() && rig.allocations() == 0) return 0;
  std::fprintf(stderr, "FAILED: %s\n", rig.lossless() ? "a packet's way through the worker allocated memory" : "the worker lost packets");
  return 1;
}
