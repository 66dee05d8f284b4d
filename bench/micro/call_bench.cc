// What a call costs core/: the machine with its negotiation, media requests and audit records, without the SIP stack
// and without the dataplane. Virtual time.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include "controlplane/witness/json_record.h"
#include "tests/support/call_world.h"

namespace ifgw::core {
namespace {

// Forgets everything, so that the bench measures core and not its surroundings.
struct NoWitness : Witness {
  bool record(const AuditRecord& r, Instant now) override {
    bytes += with_json ? witness::json_record(r, 1, 0, now).size() : 1;
    return true;
  }
  bool with_json = false;
  std::size_t bytes = 0;
};

class Bench {
 public:
  Bench() {
    auto s = std::make_shared<CallSettings>(*world.settings);
    s->limits.calls = 1'000'000;
    settings = s;
    calls = std::make_unique<Calls>(settings, CallPorts{world.guard, world.media, witness, [this] { return LegKey{next_leg++}; }, nullptr},
                                    HashKey{});
    world.guard.calls = calls.get();
  }
  LegKey connect() {
    LegOffered e;
    e.leg = LegKey{next_leg++};
    e.trace_id = "5b0b9f4e7a6c4d21b0f2d1f1c9a3e6d7";
    e.request_uri = "sip:expert-safety@198.51.100.20:5060";
    e.from = "sip:agent@swarm.example";
    e.to = e.request_uri;
    e.call_id = "97820ZTc3YzQ2NjgwZDNkNzQ4ZGU5";
    e.security.source = *Endpoint::parse("10.0.0.9:5060");
    e.security.local = *Endpoint::parse("10.0.0.1:5060");
    e.security.transport = "udp";
    e.sdp = offer;
    calls->on_leg(e, now);
    media();
    LegKey callee;
    for (const LegCommand& c : calls->take_commands()) {
      if (const auto* o = std::get_if<OfferLeg>(&c)) callee = o->leg;
    }
    calls->on_leg(LegProgressed{callee, 180, "Ringing", ""}, now);
    calls->on_leg(LegAnswered{callee, answer}, now);
    media();
    benchmark::DoNotOptimize(calls->take_commands());
    return e.leg;
  }
  void hang_up(LegKey caller, LegKey callee) {
    calls->on_leg(LegEnded{caller, EndCause::Bye, 0, ""}, now);
    calls->on_leg(LegEnded{callee, EndCause::Bye, 0, ""}, now);
    media();
    benchmark::DoNotOptimize(calls->take_commands());
  }
  void media() {
    while (!world.media.answers.empty()) {
      const MediaDone done = world.media.answers.front();
      world.media.answers.pop_front();
      calls->on_media(done, now);
    }
  }

  test::CallWorld world;
  NoWitness witness;
  std::shared_ptr<const CallSettings> settings;
  std::unique_ptr<Calls> calls;
  std::uint64_t next_leg = 1;
  Instant now = from_ns(1);
  std::string offer = test::audio_sdp("10.0.0.9", 4000, "0 8 101", "a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n");
  std::string answer = test::audio_sdp("192.0.2.7", 6000, "0 101", "a=rtpmap:101 telephone-event/8000\r\n");
};

// A whole call: INVITE to the last record, both sides. Argument: 1 with JSON records made (and thrown away).
void WholeCall(benchmark::State& state) {
  Bench bench;
  bench.witness.with_json = state.range(0) != 0;
  for (auto _ : state) {
    const LegKey caller = bench.connect();
    bench.hang_up(caller, LegKey{caller.value + 1});
  }
}
BENCHMARK(WholeCall)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond);

// Heap of a held call, registry included. The model dataplane of the test keeps its legs on the same heap, so the
// figure is an upper bound.
void HeldCalls(benchmark::State& state) {
  for (auto _ : state) {
    Bench bench;
    constexpr std::size_t kHeld = 5000;
    const std::size_t before = mallinfo2().uordblks;
    for (std::size_t i = 0; i < kHeld; ++i) (void)bench.connect();
    state.counters["heap_bytes_per_call"] = static_cast<double>(mallinfo2().uordblks - before) / kHeld;
  }
}
BENCHMARK(HeldCalls)->Iterations(1);

}  // namespace
}  // namespace ifgw::core

BENCHMARK_MAIN();
