// Calls from end to end, also on a bad network.
#include <gtest/gtest.h>

#include <random>

#include "controlplane/sip/prescan.h"
#include "tests/sim/gateway_sim.h"

namespace ifgw::sip {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::audio_sdp;
using test::direction_in;
using test::kCalleeSdp;
using test::kCallerSdp;
using test::Sim;

TEST(GatewaySim, ACallFromInviteToByeLeavesNothing) {
  Sim sim{1};
  sim.answer_all();
  const core::LegKey leg = sim.call();
  sim.run_for(seconds{1});
  const auto* answered = Sim::last<core::LegAnswered>(sim.caller);
  ASSERT_NE(answered, nullptr);
  EXPECT_NE(answered->sdp.find("m=audio 20002 RTP/AVP 8 101"), std::string::npos) << answered->sdp;  // PCMA to the caller
  const auto* offered = Sim::last<core::LegOffered>(sim.callee);
  ASSERT_NE(offered, nullptr);
  EXPECT_EQ(offered->trace_id, "trace" + std::to_string(leg.value));
  EXPECT_EQ(offered->max_forwards, 68);
  EXPECT_NE(std::find(offered->headers.begin(), offered->headers.end(), std::pair<std::string, std::string>{"X-IF-Hazard", "fire"}),
            offered->headers.end());
  ASSERT_EQ(sim.calls.size(), 1u);
  EXPECT_EQ(sim.calls.list(1)[0]->state, core::CallState::Connected);
  sim.network.command(sim.caller, core::EndLeg{leg, 0, "", 0});
  sim.run_for(seconds{60});
  EXPECT_EQ(Sim::last<core::LegEnded>(sim.callee)->cause, core::EndCause::Bye);
  sim.expect_nothing_left();
}

TEST(GatewaySim, TheCalleeMayHangUpToo) {
  Sim sim{2};
  sim.answer_all();
  (void)sim.call();
  sim.run_for(seconds{1});
  sim.network.command(sim.callee, core::EndLeg{Sim::last<core::LegOffered>(sim.callee)->leg, 0, "", 0});
  sim.run_for(seconds{60});
  EXPECT_EQ(Sim::last<core::LegEnded>(sim.caller)->cause, core::EndCause::Bye);
  sim.expect_nothing_left();
}

TEST(GatewaySim, CancelReachesTheCallee) {
  Sim sim{3};
  sim.callee.on_event = [&](const core::LegEvent& event) {
    if (const auto* offered = std::get_if<core::LegOffered>(&event)) sim.network.command(sim.callee, core::RingLeg{offered->leg, 180, ""});
  };
  const core::LegKey leg = sim.call();
  sim.run_for(seconds{1});
  ASSERT_NE(Sim::last<core::LegProgressed>(sim.caller), nullptr);
  sim.network.command(sim.caller, core::EndLeg{leg, 0, "", 0});
  sim.run_for(seconds{60});
  EXPECT_EQ(Sim::last<core::LegEnded>(sim.callee)->cause, core::EndCause::Cancelled);
  sim.expect_nothing_left();
}

TEST(GatewaySim, BusyNoAnswerNoCodecAndNoDataplaneReachTheCaller) {
  for (const char* kind : {"busy", "no answer", "no codec", "no dataplane"}) {
    Sim sim{4};
    sim.callee.on_event = [&](const core::LegEvent& event) {
      const auto* offered = std::get_if<core::LegOffered>(&event);
      if (offered == nullptr) return;
      if (std::string{kind} == "busy") sim.network.command(sim.callee, core::EndLeg{offered->leg, 486, "Busy Here", 0});
      if (std::string{kind} == "no answer") sim.network.command(sim.callee, core::RingLeg{offered->leg, 180, ""});
    };
    (void)sim.call(std::string{kind} == "no codec" ? audio_sdp("10.0.0.9", 4000, "18") : kCallerSdp);
    if (std::string{kind} == "no dataplane") sim.media.is_attached = false;
    sim.run_for(seconds{80});
    const auto* ended = Sim::last<core::LegEnded>(sim.caller);
    ASSERT_NE(ended, nullptr) << kind;
    const int expected = std::string{kind} == "busy"           ? 486
                         : std::string{kind} == "no codec"     ? 488
                         : std::string{kind} == "no dataplane" ? 503
                                                               : 480;
    EXPECT_EQ(ended->status, expected) << kind;
    sim.expect_nothing_left();
  }
}

TEST(GatewaySim, HoldAndResumeReachTheOtherParty) {
  Sim sim{5};
  sim.answer_all();
  const core::LegKey leg = sim.call();
  sim.run_for(seconds{1});
  const core::LegKey far = Sim::last<core::LegOffered>(sim.callee)->leg;
  sim.callee.on_event = [&](const core::LegEvent& event) {
    const auto* updated = std::get_if<core::LegUpdated>(&event);
    if (updated == nullptr || !updated->is_offer) return;
    const bool held = direction_in(updated->sdp) == wire::sdp::Direction::SendOnly;
    sim.network.command(sim.callee, core::AnswerLeg{far, audio_sdp("192.0.2.7", 6000, "0", held ? "a=recvonly\r\n" : "")});
  };
  sim.network.command(sim.caller, core::UpdateLeg{leg, audio_sdp("10.0.0.9", 4000, "0 8", "a=sendonly\r\n")});
  sim.run_for(seconds{2});
  ASSERT_NE(Sim::last<core::LegUpdated>(sim.caller), nullptr);
  EXPECT_EQ(direction_in(Sim::last<core::LegUpdated>(sim.caller)->sdp), wire::sdp::Direction::RecvOnly);
  EXPECT_EQ(direction_in(Sim::last<core::LegUpdated>(sim.callee)->sdp), wire::sdp::Direction::SendOnly);
  EXPECT_EQ(sim.calls.list(1)[0]->state, core::CallState::Hold);
  sim.network.command(sim.caller, core::UpdateLeg{leg, kCallerSdp});
  sim.run_for(seconds{2});
  EXPECT_EQ(direction_in(Sim::last<core::LegUpdated>(sim.callee)->sdp), wire::sdp::Direction::SendRecv);
  EXPECT_EQ(sim.calls.list(1)[0]->state, core::CallState::Connected);
  sim.network.command(sim.caller, core::EndLeg{leg, 0, "", 0});
  sim.run_for(seconds{60});
  sim.expect_nothing_left();
}

TEST(GatewaySim, LateOfferIsAnsweredInTheAck) {
  Sim sim{6};
  sim.answer_all();
  const core::LegKey leg = sim.call("");
  sim.run_for(seconds{1});
  const auto* answered = Sim::last<core::LegAnswered>(sim.caller);
  ASSERT_NE(answered, nullptr);
  EXPECT_NE(answered->sdp.find("PCMA"), std::string::npos);
  sim.network.command(sim.caller, core::AnswerLeg{leg, audio_sdp("10.0.0.9", 4000, "8")});
  sim.run_for(seconds{1});
  ASSERT_EQ(sim.calls.size(), 1u);
  EXPECT_EQ(sim.calls.list(1)[0]->side(core::Party::Caller).agreed.codec, api::Codec::Pcma);
  sim.network.command(sim.caller, core::EndLeg{leg, 0, "", 0});
  sim.run_for(seconds{60});
  sim.expect_nothing_left();
}

// The caller holds and hangs up at once, so that our BYE to the callee crosses its answer to our re-INVITE. `late`: that
// answer arrives after the one to the BYE.
TEST(GatewaySim, AByeThatCrossesTheAnswerToAReInviteDoesNotSpoilItsAck) {
  for (const bool late : {false, true}) {
    SCOPED_TRACE(late ? "the BYE is answered first" : "the re-INVITE is answered first");
    Sim sim{7};
    sim.callee.on_event = [&](const core::LegEvent& event) {
      if (const auto* offered = std::get_if<core::LegOffered>(&event))
        sim.network.command(sim.callee, core::AnswerLeg{offered->leg, kCalleeSdp});
      const auto* updated = std::get_if<core::LegUpdated>(&event);
      if (updated == nullptr || !updated->is_offer) return;
      NetworkQuality& quality = sim.network.quality();
      quality.min_delay = quality.max_delay = milliseconds{late ? 60 : 5};
      sim.network.command(sim.callee, core::AnswerLeg{updated->leg, audio_sdp("192.0.2.7", 6000, "0", "a=recvonly\r\n")});
      quality.min_delay = quality.max_delay = milliseconds{5};
    };
    const core::LegKey leg = sim.call();
    sim.run_for(seconds{1});
    sim.network.command(sim.caller, core::UpdateLeg{leg, audio_sdp("10.0.0.9", 4000, "0 8", "a=sendonly\r\n")});
    sim.run_for(milliseconds{1});
    sim.network.command(sim.caller, core::EndLeg{leg, 0, "", 0});
    sim.run_for(seconds{80});
    std::vector<std::string> said;  // by the gateway to the callee, and its answers
    for (const WireMessage& message : sim.gateway.wire) {
      if (message.peer != sim.callee.address || message.status == 100) continue;
      said.push_back((message.sent ? "> " : "< ") + (message.status == 0 ? "" : std::to_string(message.status) + " ") + message.method +
                     " " + std::to_string(prescan(as_bytes(*message.bytes)).cseq));
    }
    const std::vector<std::string> begin{"> INVITE 1", "< 200 INVITE 1", "> ACK 1", "> INVITE 2", "> BYE 3"};
    const std::vector<std::string> reinvite{"< 200 INVITE 2", "> ACK 2"};
    std::vector<std::string> expected = begin;
    if (late) expected.push_back("< 200 BYE 3");
    expected.insert(expected.end(), reinvite.begin(), reinvite.end());
    if (!late) expected.push_back("< 200 BYE 3");
    EXPECT_EQ(said, expected);
    sim.expect_nothing_left();
  }
}

// Both parties do what they like whenever they like, over a network that loses, repeats and overtakes.
TEST(GatewaySim, WhateverTheNetworkDoesNothingIsLeft) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Sim sim{seed, NetworkQuality{0.1, 0.05, milliseconds{5}, milliseconds{200}}};
    std::mt19937_64 random{seed};
    std::vector<core::LegKey> legs;
    sim.callee.on_event = [&](const core::LegEvent& event) {
      if (const auto* offered = std::get_if<core::LegOffered>(&event)) {
        if (random() % 2 == 0) sim.network.command(sim.callee, core::RingLeg{offered->leg, 180, ""});
        if (random() % 4 != 0) sim.network.command(sim.callee, core::AnswerLeg{offered->leg, kCalleeSdp});
        if (random() % 6 == 0) sim.network.command(sim.callee, core::EndLeg{offered->leg, 486, "Busy Here", 0});
      }
      if (const auto* updated = std::get_if<core::LegUpdated>(&event); updated != nullptr && updated->is_offer) {
        if (random() % 3 != 0) {
          sim.network.command(sim.callee, core::AnswerLeg{updated->leg, kCalleeSdp});
        } else {
          sim.network.command(sim.callee, core::RefuseUpdate{updated->leg, 488, "no"});
        }
      }
    };
    for (int i = 0; i < 60; ++i) {
      legs.push_back(sim.call(random() % 8 == 0 ? audio_sdp("10.0.0.9", 4000, "18") : kCallerSdp));
      sim.run_for(milliseconds{random() % 1500});
      const core::LegKey some = legs[random() % legs.size()];
      if (random() % 3 == 0)
        sim.network.command(sim.caller,
                            core::UpdateLeg{some, audio_sdp("10.0.0.9", 4000, "8 0", random() % 2 == 0 ? "a=sendonly\r\n" : "")});
      if (random() % 3 == 0) sim.network.command(sim.caller, core::EndLeg{some, 0, "", 0});
    }
    for (const core::LegKey leg : legs) sim.network.command(sim.caller, core::EndLeg{leg, 0, "", 0});
    sim.run_for(seconds{400});
    sim.expect_nothing_left();
    EXPECT_GT(sim.calls.statistics().connected, 10u);
    if (::testing::Test::HasFailure()) return;
  }
}

// Both parties re-negotiate at will, often at the same time, over a network whose copies come up to half a minute late. Nobody
// hangs up, so nobody may be hung up on.
TEST(GatewaySim, CallsThatNobodyEndsSurviveTheNetwork) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Sim sim{seed, NetworkQuality{0.1, 0.1, milliseconds{5}, milliseconds{200}, seconds{30}}};
    std::mt19937_64 random{seed};
    std::vector<core::LegKey> callers;
    std::vector<core::LegKey> callees;
    sim.caller.on_event = [&](const core::LegEvent& event) {
      const auto* updated = std::get_if<core::LegUpdated>(&event);
      if (updated != nullptr && updated->is_offer) sim.network.command(sim.caller, core::AnswerLeg{updated->leg, kCallerSdp});
    };
    sim.callee.on_event = [&](const core::LegEvent& event) {
      if (const auto* offered = std::get_if<core::LegOffered>(&event)) {
        callees.push_back(offered->leg);
        sim.network.command(sim.callee, core::AnswerLeg{offered->leg, kCalleeSdp});
      }
      const auto* updated = std::get_if<core::LegUpdated>(&event);
      if (updated != nullptr && updated->is_offer) sim.network.command(sim.callee, core::AnswerLeg{updated->leg, kCalleeSdp});
    };
    for (int i = 0; i < 20; ++i) callers.push_back(sim.call());
    sim.run_for(seconds{10});
    ASSERT_EQ(sim.calls.statistics().connected, 20u);
    for (int i = 0; i < 300; ++i) {
      const std::string direction = random() % 2 == 0 ? "a=sendonly\r\n" : "";
      const std::size_t which = random() % 20;
      if (random() % 2 == 0) {
        sim.network.command(sim.caller, core::UpdateLeg{callers[which], audio_sdp("10.0.0.9", 4000, "8 0", direction)});
      } else {
        sim.network.command(sim.callee, core::UpdateLeg{callees[which], audio_sdp("192.0.2.7", 6000, "0", direction)});
      }
      sim.run_for(milliseconds{random() % 300});
    }
    sim.run_for(seconds{200});
    EXPECT_EQ(sim.calls.size(), 20u);
    for (const SipNetwork::Party* party : {&sim.caller, &sim.gateway, &sim.callee}) {
      EXPECT_EQ(Sim::last<core::LegEnded>(*party), nullptr) << party->address.text();
      for (const LegView& leg : party->ua->legs()) EXPECT_EQ(leg.state, "confirmed") << party->address.text();
      const Occupancy o = party->ua->occupancy();
      EXPECT_EQ(o.client_transactions + o.server_transactions, 0u);
    }
    EXPECT_GT(sim.calls.statistics().renegotiations, 50u);
    for (const core::LegKey leg : callers) sim.network.command(sim.caller, core::EndLeg{leg, 0, "", 0});
    sim.run_for(seconds{100});
    sim.expect_nothing_left();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace ifgw::sip
