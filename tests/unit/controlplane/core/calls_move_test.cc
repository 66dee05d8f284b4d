// Calls that turn out to be heavy, and the worker that is set apart for them.
#include <gtest/gtest.h>

#include "tests/support/call_world.h"

namespace ifgw::core {
namespace {

using api::Codec;
using test::audio_sdp;
using test::CallWorld;

// PCMA beside another codec stands for a heavy one.
class CallsMove : public testing::Test {
 protected:
  CallsMove() {
    auto s = std::make_shared<CallSettings>(*w.settings);
    s->routes[0].callee.codecs = {Codec::Pcma, Codec::Pcmu};
    w.settings = s;
    w.media.divided = true;
  }
  void offer(const char* formats = "0") {
    w.caller = w.offer(audio_sdp("10.0.0.9", 4000, formats));
    w.settle_media();
  }
  void answer(const char* formats) {
    w.give(LegAnswered{w.callee, audio_sdp("192.0.2.7", 6000, formats)});
    w.settle_media();
  }
  unsigned worker_of(Party party) { return w.only_call().side(party).media.worker(); }
  void expect_ended(const char* rule) {
    bool refused = false;
    for (const LegCommand& command : w.commands)
      if (const auto* end = std::get_if<EndLeg>(&command)) refused |= end->leg == w.caller && end->status == 503;
    EXPECT_TRUE(refused);
    EXPECT_EQ(w.witness.last("BRIDGE_ERROR")->details.at("rule"), rule);
    w.settle_legs();
    w.settle_media();
    EXPECT_TRUE(w.nothing_left());
  }
  CallWorld w;
};

TEST_F(CallsMove, AnAnswerThatNeedsNoTranscodingStays) {
  offer();
  answer("0");
  EXPECT_EQ(w.only_call().state, CallState::Connected);
  EXPECT_EQ(w.only_call().worker, 3);
  EXPECT_EQ(w.media.moves, 0U);
}

TEST_F(CallsMove, AnAnswerThatMakesTheCallHeavyMovesItBeforeItIsJoined) {
  offer();
  const Endpoint told = w.only_call().side(Party::Callee).local;
  answer("8");
  const Call& call = w.only_call();
  EXPECT_EQ(call.state, CallState::Connected);
  EXPECT_EQ(call.worker, 5);
  EXPECT_EQ(worker_of(Party::Caller), 5U);
  EXPECT_EQ(worker_of(Party::Callee), 5U);
  EXPECT_EQ(call.side(Party::Callee).local, told) << "its party knows that port";
  const auto& leg = w.media.legs.at(call.side(Party::Caller).media.value);
  EXPECT_EQ(leg.peer, call.side(Party::Callee).media);
  EXPECT_EQ(w.witness.last("MEDIA_MOVED")->details.at("to"), "5");
  EXPECT_EQ(w.witness.last("BRIDGE_ESTABLISHED")->details.at("worker"), "5");
  EXPECT_EQ(w.calls().call_of(call.side(Party::Caller).media, nullptr), &call);
  w.end(w.caller);
  w.settle_legs();
  w.settle_media();
  EXPECT_TRUE(w.nothing_left());
}

TEST_F(CallsMove, WhatCanOnlyBeHeavyBeginsWhereItBelongs) {
  w.media.heavy = Codec::Pcmu;
  auto s = std::make_shared<CallSettings>(*w.settings);
  s->routes[0].callee.codecs = {Codec::Pcma};
  w.settings = s;
  offer("0");
  EXPECT_EQ(w.only_call().worker, 5);
  answer("8");
  EXPECT_EQ(w.only_call().state, CallState::Connected);
  EXPECT_EQ(w.media.moves, 0U);
}

TEST_F(CallsMove, EarlyMediaMovesTheCallOnce) {
  offer();
  w.give(LegProgressed{w.callee, 183, "", audio_sdp("192.0.2.7", 6000, "8")});
  answer("8");
  EXPECT_EQ(w.only_call().state, CallState::Connected);
  EXPECT_EQ(w.only_call().worker, 5);
  EXPECT_EQ(w.media.moves, 1U);
}

TEST_F(CallsMove, AMoveWaitsForWhatIsUnderWay) {
  offer();
  w.give(LegProgressed{w.callee, 183, "", audio_sdp("192.0.2.7", 6000, "0")});
  w.give(LegAnswered{w.callee, audio_sdp("192.0.2.7", 6000, "8")});  // the dataplane has answered nothing yet
  EXPECT_EQ(w.media.moves, 0U);
  EXPECT_NE(w.only_call().state, CallState::Connected);
  w.settle_media();
  EXPECT_EQ(w.media.moves, 1U);
  EXPECT_EQ(w.only_call().state, CallState::Connected);
  EXPECT_EQ(w.media.legs.at(w.only_call().side(Party::Callee).media.value).media.codec, Codec::Pcma);
}

TEST_F(CallsMove, AnOfferInTheAnswerMakesTheCallHeavyWithTheAck) {
  w.caller = w.offer("");
  w.settle_media();
  answer("0");
  ASSERT_NE(w.last<AnswerLeg>(), nullptr);
  EXPECT_EQ(w.only_call().worker, 3);
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "8"), false});
  w.settle_media();
  const Call& call = w.only_call();
  EXPECT_EQ(call.state, CallState::Connected);
  EXPECT_EQ(call.worker, 5);
  const auto& leg = w.media.legs.at(call.side(Party::Caller).media.value);
  EXPECT_EQ(leg.media.codec, Codec::Pcma);
  EXPECT_EQ(leg.peer, call.side(Party::Callee).media) << "joined as before";
}

TEST_F(CallsMove, AFullHeavyWorkerRefusesTheCall) {
  w.media.heavy_worker_full = true;
  offer();
  ASSERT_NE(w.last<OfferLeg>(), nullptr) << "it might have been a relay";
  answer("8");
  EXPECT_EQ(w.witness.last("BRIDGE_ERROR")->details.at("observed"), "worker 5 has no time left for these codecs");
  expect_ended("no-headroom");
}

TEST_F(CallsMove, AMoveThatFailsEndsACallThatIsNotAnswered) {
  for (const MediaStatus status : {MediaStatus::TableFull, MediaStatus::NoTranscoder, MediaStatus::Overloaded, MediaStatus::UnknownLeg}) {
    CallsMove::w.commands.clear();
    offer();
    w.media.fail_next = {status};
    answer("8");
    expect_ended("move-failed");
  }
}

TEST_F(CallsMove, APartyThatHangsUpMeanwhileLeavesNothing) {
  offer();
  w.give(LegAnswered{w.callee, audio_sdp("192.0.2.7", 6000, "8")});
  ASSERT_EQ(w.media.moves, 1U);
  w.end(w.caller, EndCause::Cancelled);
  w.settle_legs();
  w.settle_media();
  EXPECT_TRUE(w.nothing_left());
}

TEST_F(CallsMove, ARenegotiationMovesARunningCall) {
  offer();
  answer("0");
  w.commands.clear();
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "8"), true});
  w.settle_media();
  EXPECT_EQ(w.only_call().worker, 5);
  ASSERT_NE(w.last<AnswerLeg>(), nullptr);
  EXPECT_EQ(w.media.legs.at(w.only_call().side(Party::Caller).media.value).media.codec, Codec::Pcma);
  EXPECT_EQ(w.media.legs.at(w.only_call().side(Party::Caller).media.value).peer, w.only_call().side(Party::Callee).media);
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "0"), true});
  w.settle_media();
  EXPECT_EQ(w.only_call().worker, 5) << "a call that was moved stays";
  EXPECT_EQ(w.media.moves, 1U);
}

TEST_F(CallsMove, ARenegotiationThatTheHeavyWorkerHasNoTimeForIsRefused) {
  offer();
  answer("0");
  for (const bool seen : {true, false}) {
    w.commands.clear();
    w.media.heavy_worker_full = seen;
    if (!seen) w.media.fail_next = {MediaStatus::PortsExhausted};
    w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "8"), true});
    w.settle_media();
    ASSERT_NE(w.last<RefuseUpdate>(), nullptr);
    EXPECT_EQ(w.last<RefuseUpdate>()->status, 503);
    EXPECT_EQ(w.only_call().state, CallState::Connected) << "as it was";
    EXPECT_EQ(w.only_call().side(Party::Caller).agreed.codec, Codec::Pcmu);
    EXPECT_EQ(w.media.legs.at(w.only_call().side(Party::Caller).media.value).media.codec, Codec::Pcmu);
  }
}

TEST(WorkerRoles, EachKindGoesToTheLeastLoadedOfItsWorkers) {
  const WorkerLoad loads[] = {{500'000, 10}, {100'000, 2}, {700'000, 1}, {705'000, 0}};
  const auto load = [&](std::uint8_t w) { return loads[w]; };
  const WorkerRoles roles(0b1100, 4);
  EXPECT_TRUE(roles.divided());
  EXPECT_EQ(roles.choose(CallWeight::Light, load), 1);
  EXPECT_EQ(roles.choose(CallWeight::Heavy, load), 3) << "the same hundredth: by legs";
  EXPECT_FALSE(roles.carries(1, CallWeight::Heavy));
  EXPECT_TRUE(roles.carries(3, CallWeight::Heavy));
  EXPECT_TRUE(roles.carries(3, CallWeight::Light));
}

TEST(WorkerRoles, WithoutWorkersForBothKindsEveryWorkerCarriesAll) {
  const auto load = [](std::uint8_t w) { return WorkerLoad{10'000U * (4U - w), 0}; };
  for (const WorkerRoles& roles : {WorkerRoles(0, 4), WorkerRoles(0b1111, 4), WorkerRoles(0b110000, 4), WorkerRoles(0xFFFFFFFF, 4)}) {
    EXPECT_FALSE(roles.divided());
    EXPECT_EQ(roles.choose(CallWeight::Light, load), 3);
    EXPECT_EQ(roles.choose(CallWeight::Heavy, load), 3);
    EXPECT_TRUE(roles.carries(0, CallWeight::Heavy));
    EXPECT_FALSE(roles.is_heavy(0));
  }
  EXPECT_EQ(WorkerRoles().choose(CallWeight::Light, load), 0);
  EXPECT_TRUE(WorkerRoles(1U << 31, 32).is_heavy(31));
  EXPECT_FALSE(WorkerRoles(0xFFFFFFFF, 32).divided());
}

}  // namespace
}  // namespace ifgw::core
