// What the call does with, and without, the dataplane.
#include <gtest/gtest.h>

#include "tests/support/call_world.h"

namespace ifgw::core {
namespace {

using test::audio_sdp;
using test::CallWorld;

const std::string kOffer = audio_sdp("10.0.0.9", 4000, "0 8");
const std::string kAnswer = audio_sdp("192.0.2.7", 6000, "0");

TEST(CallsMedia, CodecsTheDataplaneCannotRunAreNotAccepted) {
  CallWorld w;
  w.media.mask = 1u << static_cast<unsigned>(api::Codec::Pcmu);
  w.caller = w.offer(audio_sdp("10.0.0.9", 4000, "8 0"));
  w.settle_media();
  w.give(LegAnswered{w.callee, kAnswer});
  w.settle_media();
  EXPECT_EQ(w.only_call().side(Party::Caller).agreed.codec, api::Codec::Pcmu);
}

TEST(CallsMedia, MediaRefusalsAre503AndLeakNoLeg) {
  for (const MediaStatus status : {MediaStatus::TableFull, MediaStatus::PortsExhausted, MediaStatus::Overloaded}) {
    for (const bool second : {false, true}) {
      CallWorld w;
      if (second) w.media.fail_next.push_back(MediaStatus::Ok);
      w.media.fail_next.push_back(status);
      w.offer(kOffer);
      w.settle_media();
      EXPECT_EQ(w.last<EndLeg>()->status, 503);
      EXPECT_NE(w.witness.last("BRIDGE_ERROR"), nullptr);
      w.settle_legs();
      w.settle_media();
      EXPECT_TRUE(w.nothing_left());
    }
  }
}

TEST(CallsMedia, WithoutADataplaneTheCallIsRefused) {
  CallWorld w;
  w.media.is_attached = false;
  w.offer(kOffer);
  EXPECT_EQ(w.last<EndLeg>()->status, 503);
  EXPECT_EQ(w.witness.last("REJECTED")->details.at("rule"), "no-dataplane");
}

TEST(CallsMedia, WithoutTimeForTheCodecsTheCallIsRefusedBeforeAPhoneRings) {
  CallWorld w;
  w.media.no_time_to_transcode = true;
  w.offer(audio_sdp("10.0.0.9", 4000, "8"));
  EXPECT_EQ(w.last<EndLeg>()->status, 503);
  EXPECT_EQ(w.witness.last("REJECTED")->details.at("rule"), "no-headroom");
  EXPECT_EQ(w.last<OfferLeg>(), nullptr);
  EXPECT_TRUE(w.media.answers.empty());
  w.settle_legs();
  EXPECT_TRUE(w.nothing_left());
}

// It looked as if there were time; the dataplane, which counts, says no.
TEST(CallsMedia, AJoinThatTheWorkerHasNoTimeForEndsTheCallWith503) {
  CallWorld w;
  w.caller = w.offer(kOffer);
  w.settle_media();
  w.media.fail_next = {MediaStatus::Ok, MediaStatus::NoHeadroom};
  w.give(LegAnswered{w.callee, kAnswer});
  w.settle_media();
  EXPECT_EQ(w.witness.last("BRIDGE_ERROR")->details.at("rule"), "no-headroom");
  bool caller_refused = false;
  for (const LegCommand& command : w.commands)
    if (const auto* end = std::get_if<EndLeg>(&command)) caller_refused |= end->leg == w.caller && end->status == 503;
  EXPECT_TRUE(caller_refused);
  w.settle_legs();
  w.settle_media();
  EXPECT_TRUE(w.nothing_left());
}

TEST(CallsMedia, ARemovalThatFoundTheRingFullIsTriedAgain) {
  CallWorld w;
  w.connect();
  w.media.fail_next = {MediaStatus::Overloaded, MediaStatus::Ok};
  w.end(w.caller);
  w.settle_legs();
  w.settle_media();
  EXPECT_EQ(w.media.legs.size(), 1u);
  EXPECT_EQ(w.calls().size(), 1u);
  w.advance(std::chrono::milliseconds{100});
  w.settle_media();
  EXPECT_TRUE(w.nothing_left());
}

TEST(CallsMedia, LosingTheDataplaneEndsCallsInError) {
  CallWorld w;
  w.connect();
  w.media.legs.clear();
  w.calls().on_media(MediaDetached{}, w.now);
  w.collect();
  EXPECT_EQ(w.only_call().state, CallState::Error);
  w.settle_legs();
  EXPECT_TRUE(w.nothing_left());
  EXPECT_EQ(w.calls().ended().back().refusal->rule, "dataplane-lost");
}

TEST(CallsMedia, SilenceEndsAConnectedCallButNotAHeldOne) {
  CallWorld w;
  w.connect();
  const api::LegId leg = w.only_call().side(Party::Callee).media;
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "0 8", "a=sendonly\r\n"), true});
  w.settle_media();
  EXPECT_EQ(w.only_call().state, CallState::Hold);
  EXPECT_EQ(w.media.legs.at(leg.value).media.media_timeout_ms, 0u);
  w.calls().on_media(MediaTimedOut{leg, std::chrono::seconds{60}}, w.now);
  EXPECT_EQ(w.only_call().state, CallState::Hold);
  w.give(LegUpdated{w.callee, audio_sdp("192.0.2.7", 6000, "0", "a=recvonly\r\n"), false});
  w.give(LegUpdated{w.caller, kOffer, true});
  w.settle_media();
  EXPECT_EQ(w.only_call().state, CallState::Connected);
  EXPECT_EQ(w.media.legs.at(leg.value).media.media_timeout_ms, 60000u);
  w.calls().on_media(MediaTimedOut{leg, std::chrono::seconds{60}}, w.now);
  w.collect();
  EXPECT_EQ(w.only_call().state, CallState::Disconnecting);
  EXPECT_EQ(w.witness.last("TERMINATED")->details.at("rule"), "media-timeout");
}

TEST(CallsMedia, ADataplaneThatDoesNotJoinIsBounded) {
  CallWorld w;
  w.offer(kOffer);
  w.settle_media();
  w.give(LegAnswered{w.callee, kAnswer});
  w.advance(std::chrono::seconds{5});
  EXPECT_EQ(w.witness.last("TERMINATED")->details.at("rule"), "bridge-timeout");
  EXPECT_EQ(w.last<AnswerLeg>(), nullptr);
}

TEST(CallsMedia, EarlyMediaIsBridgedBeforeTheAnswer) {
  CallWorld w;
  w.caller = w.offer(kOffer);
  w.settle_media();
  w.give(LegProgressed{w.callee, 183, "Session Progress", kAnswer});
  w.settle_media();
  EXPECT_EQ(w.last<RingLeg>()->status, 183);
  const std::string early = w.last<RingLeg>()->sdp;
  EXPECT_FALSE(early.empty());
  EXPECT_TRUE(w.media.legs.at(w.only_call().side(Party::Caller).media.value).peer.present());
  EXPECT_EQ(w.only_call().state, CallState::Ringing);
  w.give(LegAnswered{w.callee, kAnswer});
  w.settle_media();
  EXPECT_EQ(w.last<AnswerLeg>()->sdp, early);  // RFC 3264: the same answer
}

TEST(CallsMedia, ResyncEndsCallsWhoseLegsAreGoneAndRemovesLegsNobodyOwns) {
  CallWorld w;
  w.connect();
  const api::LegId caller_leg = w.only_call().side(Party::Caller).media;
  api::LegInfo orphan;
  orphan.id = api::LegId::make(3, 77, 1);
  orphan.tag = w.media.legs.at(caller_leg.value).added.tag;
  orphan.tag[9] ^= 0x40;  // of a call that does not exist
  w.media.legs[orphan.id.value] = {};
  w.media.legs.erase(caller_leg.value);
  api::LegInfo kept;
  kept.id = w.only_call().side(Party::Callee).media;
  kept.tag = w.media.legs.at(kept.id.value).added.tag;
  w.calls().on_media(MediaResync{{orphan, kept}}, w.now);
  w.collect();
  EXPECT_EQ(w.only_call().state, CallState::Error);
  w.settle_media();
  w.settle_legs();
  w.settle_media();
  EXPECT_TRUE(w.nothing_left());
  EXPECT_EQ(w.calls().statistics().orphans_removed, 1u);
}

}  // namespace
}  // namespace ifgw::core
