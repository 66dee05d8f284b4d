// What SIP costs the control plane, per message and per call. One iteration of Call is a whole call between two user
// agents in virtual time (INVITE 100 180 200 ACK BYE 200, 28 message handlings): the same work as one call through the
// back-to-back user agent, one caller's leg and one callee's. Calls arrive every 4 ms of virtual time, so that tables
// hold what 250 calls/s leave behind (32 s of lingering transactions).
#include <benchmark/benchmark.h>
#include <malloc.h>

#include "controlplane/sip/message/message.h"
#include "controlplane/sip/reply.h"
#include "tests/sim/sip_network.h"

namespace ifgw::sip {
namespace {

using std::chrono::milliseconds;

const std::string& invite() {
  static const std::string text =
      "INVITE sip:expert-safety@198.51.100.20:5060;transport=udp SIP/2.0\r\n"
      "Via: SIP/2.0/UDP 203.0.113.20:5060;branch=z9hG4bK-524287-1---b1d4d3c0e9a9a14b;rport\r\n"
      "Max-Forwards: 70\r\nContact: <sip:agent@203.0.113.20:5060>\r\nTo: <sip:expert-safety@external.advisor>\r\n"
      "From: \"Agent\" <sip:agent@swarm.example>;tag=9f2a4e11\r\nCall-ID: 97820ZTc3YzQ2NjgwZDNkNzQ4ZGU5\r\nCSeq: 1 INVITE\r\n"
      "Allow: OPTIONS, INVITE, ACK, CANCEL, BYE\r\nSupported: replaces\r\nUser-Agent: bench\r\nX-IF-Trace-ID: 5b0b9f4e\r\n"
      "X-IF-Hazard: safety\r\nContent-Type: application/sdp\r\nContent-Length: " +
      std::to_string(sample_sdp(4000).size()) + "\r\n\r\n" + sample_sdp(4000);
  return text;
}

void Prescan(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(prescan(as_bytes(invite())));
}
BENCHMARK(Prescan);

void ParseInvite(benchmark::State& state) {
  const auto bytes = std::make_shared<const std::string>(invite());
  for (auto _ : state) benchmark::DoNotOptimize(Message::parse(bytes));
}
BENCHMARK(ParseInvite);

// One address, by which of its parts is how long: what a stranger may choose.
void ParseAddress(benchmark::State& state, const char* before, const char* after) {
  const std::string address = before + std::string(static_cast<std::size_t>(state.range(0)), 'a') + after;
  for (auto _ : state) benchmark::DoNotOptimize(parse_name_addr(address));
}
BENCHMARK_CAPTURE(ParseAddress, user, "<sip:", "@host.example>;tag=1")->Arg(8)->Arg(128)->Arg(1000)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(ParseAddress, host, "<sip:user@", ".example>;tag=1")->Arg(8)->Arg(63)->Arg(1000)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(ParseAddress, http, "<http://", "/>;tag=1")->Arg(8)->Arg(1000)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(ParseAddress, parameter, "<sip:user@host.example;x=", ">;tag=1")->Arg(8)->Arg(1000)->Unit(benchmark::kMicrosecond);

// As many addresses as a message may have, each as long as it may be, within what a connection takes as one message.
void ParseDearestMessage(benchmark::State& state) {
  std::string text =
      "INVITE sip:x@host.example SIP/2.0\r\nVia: SIP/2.0/TCP 203.0.113.20:5060;branch=z9hG4bKx\r\nMax-Forwards: 70\r\nCall-ID: x\r\nCSeq: "
      "1 INVITE\r\n";
  const std::string address = "<sip:u@h.example;lr;x=" + std::string(1600, 'a') + ">";
  text += "From: " + address + ";tag=1\r\nTo: " + address + "\r\nContact: " + address + "\r\n";
  for (int i = 0; i < 16; ++i) text += "Record-Route: " + address + "\r\n";
  text += "Content-Length: 0\r\n\r\n";
  const auto bytes = std::make_shared<const std::string>(text);
  if (bytes->size() > 32 * 1024 || !Message::parse(bytes)) state.SkipWithError("it is not taken");
  for (auto _ : state) benchmark::DoNotOptimize(Message::parse(bytes));
}
BENCHMARK(ParseDearestMessage)->Unit(benchmark::kMicrosecond);

void WriteResponse(benchmark::State& state) {
  const PreScan scan = prescan(as_bytes(invite()));
  const std::string sdp = sample_sdp(4000);
  for (auto _ : state) {
    ResponseParts parts;
    parts.status = 200;
    parts.sdp = sdp;
    benchmark::DoNotOptimize(make_response(parts, make_stem(scan, *Endpoint::parse("203.0.113.20:5060"), "tag")));
  }
}
BENCHMARK(WriteResponse);

// An INVITE beyond the admitted rate: the whole cost of its 503.
void Shed(benchmark::State& state) {
  SipNetwork net(1);
  SipNetwork::Party& gw = net.add("192.0.2.2:5060");
  gw.ua->set_draining(true);
  InboundMessage message;
  message.source = *Endpoint::parse("203.0.113.20:5060");
  message.bytes = as_bytes(invite());
  Outputs outputs;
  for (auto _ : state) {
    gw.ua->on_message(message, net.now());
    gw.ua->drain(outputs);
  }
}
BENCHMARK(Shed);

struct Pair {
  SipNetwork net{1};
  SipNetwork::Party* caller;
  SipNetwork::Party* callee;
  core::LegKey answered;

  Pair() {
    Limits limits;
    limits.setups_per_second = 0;
    caller = &net.add("192.0.2.1:5060", limits);
    callee = &net.add("192.0.2.2:5060", limits);
    net.quality().min_delay = net.quality().max_delay = std::chrono::microseconds(100);
    callee->on_event = [this](const core::LegEvent& event) {
      const auto* offered = std::get_if<core::LegOffered>(&event);
      if (offered == nullptr) return;
      answered = offered->leg;
      net.command(*callee, core::RingLeg{offered->leg, 180, {}});
      net.command(*callee, core::AnswerLeg{offered->leg, sample_sdp(5000)});
    };
  }
  core::LegKey call() {
    core::OfferLeg offer;
    offer.leg = net.new_leg();
    offer.trace_id = "5b0b9f4e";
    offer.request_uri = "sip:expert-safety@192.0.2.2";
    offer.from = "sip:agent@swarm.example";
    offer.to = "sip:expert-safety@external.advisor";
    offer.transport = "udp";
    offer.sdp = sample_sdp(4000);
    net.command(*caller, offer);
    net.run_for(milliseconds(1));
    return offer.leg;
  }
  void forget() {
    for (SipNetwork::Party* party : {caller, callee}) {
      party->events.clear();
      party->wire.clear();
    }
  }
};

void Call(benchmark::State& state) {
  Pair pair;
  const auto one = [&pair] {
    const core::LegKey leg = pair.call();
    pair.net.command(*pair.caller, core::EndLeg{leg, 0, {}, 0});
    pair.net.run_for(milliseconds(3));
    pair.forget();
  };
  for (int i = 0; i < 8000; ++i) one();  // 32 s of virtual time: from here on as many expire as begin
  for (auto _ : state) one();
  const Statistics& a = pair.caller->ua->statistics();
  const Statistics& b = pair.callee->ua->statistics();
  state.counters["calls/s"] = benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  state.counters["retransmissions"] = static_cast<double>(a.request_retransmissions_sent + b.response_retransmissions_sent);
  state.counters["lingering"] = static_cast<double>(pair.caller->ua->occupancy().client_transactions);
}
BENCHMARK(Call)->Unit(benchmark::kMicrosecond);

// Heap of a held call, both legs, once its transactions have run out.
void HeldCall(benchmark::State& state) {
  constexpr int kCalls = 2000;
  double bytes = 0;
  for (auto _ : state) {
    Pair pair;
    pair.call();
    pair.forget();
    const std::size_t before = mallinfo2().uordblks;
    for (int i = 0; i < kCalls; ++i) {
      pair.call();
      pair.forget();
    }
    pair.net.run_for(std::chrono::seconds(40));
    pair.forget();
    bytes = static_cast<double>(mallinfo2().uordblks - before) / kCalls;
  }
  state.counters["bytes_per_call"] = bytes;
}
BENCHMARK(HeldCall)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace ifgw::sip

BENCHMARK_MAIN();
