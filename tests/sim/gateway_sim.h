// The gateway's stack and calls between two SIP parties on a network, in virtual time: the real user agents, the real call
// machine, a model of the dataplane's leg table.
#pragma once

#include <gtest/gtest.h>

#include "tests/sim/sip_network.h"
#include "tests/support/call_world.h"

namespace ifgw::sip::test {

using ifgw::test::audio_sdp;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline const std::string kCallerSdp = audio_sdp("10.0.0.9", 4000, "0 8 101", "a=rtpmap:101 telephone-event/8000\r\n");
inline const std::string kCalleeSdp = audio_sdp("192.0.2.7", 6000, "0");

class Sim {
 public:
  explicit Sim(std::uint64_t seed, NetworkQuality quality = {})
      : network(seed, quality),
        caller(network.add("10.0.0.9:5060")),
        gateway(network.add("10.0.0.1:5060")),
        callee(network.add("192.0.2.7:5060")),
        calls(settings(), core::CallPorts{guard, media, witness, [this] { return network.new_leg(); }, nullptr}, HashKey{}) {
    guard.calls = &calls;
    gateway.on_event = [this](const core::LegEvent& event) {
      calls.on_leg(event, network.now());
      pump();
    };
  }

  void pump() {
    for (bool more = true; more;) {
      more = false;
      for (const core::LegCommand& c : calls.take_commands()) {
        network.command(gateway, c);
        more = true;
      }
      while (!media.answers.empty()) {
        const core::MediaDone done = media.answers.front();
        media.answers.pop_front();
        calls.on_media(done, network.now());
        more = true;
      }
    }
  }
  void run_for(Duration duration) {
    const Instant until = network.now() + duration;
    while (network.now() < until) {
      network.run_for(std::min<Duration>(milliseconds{20}, until - network.now()));
      calls.on_timer(network.now());
      pump();
    }
  }
  core::LegKey call(const std::string& sdp = kCallerSdp) {
    core::OfferLeg offer;
    offer.leg = network.new_leg();
    offer.trace_id = "trace" + std::to_string(offer.leg.value);
    offer.request_uri = "sip:expert-safety@10.0.0.1:5060";
    offer.from = "sip:agent@swarm.example";
    offer.to = "sip:expert-safety@external.advisor";
    offer.transport = "udp";
    offer.headers = {{"X-IF-Hazard", "fire"}};
    offer.sdp = sdp;
    network.command(caller, offer);
    return offer.leg;
  }
  template <typename Event>
  static const Event* last(const SipNetwork::Party& party) {
    for (auto it = party.events.rbegin(); it != party.events.rend(); ++it) {
      if (const auto* e = std::get_if<Event>(&*it)) return e;
    }
    return nullptr;
  }
  // The callee rings and answers every call.
  void answer_all() {
    callee.on_event = [this](const core::LegEvent& event) {
      if (const auto* offered = std::get_if<core::LegOffered>(&event)) {
        network.command(callee, core::RingLeg{offered->leg, 180, ""});
        network.command(callee, core::AnswerLeg{offered->leg, kCalleeSdp});
      }
    };
  }
  void expect_nothing_left() {
    EXPECT_EQ(calls.size(), 0u);
    EXPECT_EQ(calls.timers(), 0u);
    EXPECT_TRUE(media.legs.empty()) << media.legs.size();
    for (const SipNetwork::Party* party : {&caller, &gateway, &callee}) {
      const Occupancy o = party->ua->occupancy();
      EXPECT_EQ(o.legs + o.client_transactions + o.server_transactions + o.setups_in_flight, 0u)
          << party->address.text() << ": " << o.legs << " legs, " << o.client_transactions << " client and " << o.server_transactions
          << " server transactions, " << o.setups_in_flight << " setups";
      for (const LegView& leg : party->ua->legs())
        ADD_FAILURE() << "leg " << leg.leg.value << " " << leg.state << (leg.is_caller ? " caller" : " callee");
    }
    EXPECT_EQ(calls.statistics().forced_clear, 0u);
    EXPECT_EQ(calls.statistics().unexpected_events, 0u);
  }

  SipNetwork network;
  SipNetwork::Party& caller;
  SipNetwork::Party& gateway;
  SipNetwork::Party& callee;
  ifgw::test::ModelMedia media;
  ifgw::test::MemoryWitness witness;
  ifgw::test::PlainGuard guard;
  core::Calls calls;

 private:
  static std::shared_ptr<const core::CallSettings> settings() {
    auto s = std::make_shared<core::CallSettings>(*ifgw::test::CallWorld{}.settings);
    s->timers.answer = seconds{20};
    return s;
  }
};

inline wire::sdp::Direction direction_in(const std::string& sdp) {
  const auto s = wire::sdp::parse(sdp);
  EXPECT_TRUE(s.ok()) << sdp;
  return s.ok() ? s->direction_of(s->media.at(0)) : wire::sdp::Direction::Inactive;
}

}  // namespace ifgw::sip::test
