#include <gtest/gtest.h>

#include "tests/support/call_world.h"

namespace ifgw::core {
namespace {

using test::audio_sdp;
using test::CallWorld;
using wire::sdp::Direction;

const std::string kOffer = audio_sdp("10.0.0.9", 4000, "0 8");

Direction direction_in(const std::string& sdp) {
  const auto s = wire::sdp::parse(sdp);
  EXPECT_TRUE(s.ok());
  return s->direction_of(s->media.at(0));
}

class Renegotiation : public ::testing::Test {
 protected:
  Renegotiation() { w.connect(kOffer); }
  std::size_t answers() const {
    return static_cast<std::size_t>(
        std::count_if(w.commands.begin(), w.commands.end(), [](const LegCommand& c) { return std::holds_alternative<AnswerLeg>(c); }));
  }
  const api::MediaParams& params(Party party) { return w.media.legs.at(w.only_call().side(party).media.value).media; }
  CallWorld w;
};

TEST_F(Renegotiation, HoldIsAnsweredAndTheOtherPartyIsTold) {
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "0 8", "a=sendonly\r\n"), true});
  EXPECT_EQ(answers(), 1u);  // only the call's own answer until the dataplane has it
  w.settle_media();
  EXPECT_EQ(answers(), 2u);
  EXPECT_EQ(direction_in(w.last<AnswerLeg>()->sdp), Direction::RecvOnly);
  ASSERT_NE(w.last<UpdateLeg>(), nullptr);
  EXPECT_EQ(w.last<UpdateLeg>()->leg, w.callee);
  EXPECT_EQ(direction_in(w.last<UpdateLeg>()->sdp), Direction::SendOnly);
  EXPECT_EQ(w.only_call().state, CallState::Hold);
  EXPECT_EQ(params(Party::Caller).send, 0);
  EXPECT_EQ(params(Party::Caller).receive, 1);
  EXPECT_EQ(params(Party::Callee).send, 1);
  EXPECT_EQ(params(Party::Callee).receive, 0);
}

TEST_F(Renegotiation, ResumeWorksWhateverTheHeldPartyAnswered) {
  for (const char* held : {"a=recvonly\r\n", "a=inactive\r\n", "refused"}) {
    w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "0 8", "a=sendonly\r\n"), true});
    w.settle_media();
    const bool refused = std::string{held} == "refused";
    w.give(LegUpdated{w.callee, refused ? "" : audio_sdp("192.0.2.7", 6000, "0", held), false, refused ? 488 : 0, std::nullopt});
    w.settle_media();
    w.give(LegUpdated{w.caller, kOffer, true});
    w.settle_media();
    EXPECT_EQ(w.only_call().state, CallState::Connected) << held;
    EXPECT_EQ(direction_in(w.last<AnswerLeg>()->sdp), Direction::SendRecv);
    EXPECT_EQ(direction_in(w.last<UpdateLeg>()->sdp), refused ? Direction::SendOnly : Direction::SendRecv)
        << "who refused the hold need not be told of its end";
    w.give(LegUpdated{w.callee, audio_sdp("192.0.2.7", 6000, "0"), false});
    w.settle_media();
    EXPECT_EQ(params(Party::Callee).receive, 1) << held;
    EXPECT_EQ(params(Party::Callee).send, 1) << held;
  }
}

class SeveralCodecs : public ::testing::Test {
 protected:
  SeveralCodecs() {
    auto settings = std::make_shared<CallSettings>(*w.settings);
    settings->routes[0].callee.codecs = {api::Codec::Pcma, api::Codec::Pcmu};
    w.settings = settings;
    w.caller = w.offer(kOffer);
    w.settle_media();
    w.give(LegAnswered{w.callee, audio_sdp("192.0.2.7", 6000, "8 0")});
    w.settle_media();
  }
  CallWorld w;
};

// RFC 3264 section 10.2.
TEST_F(SeveralCodecs, AnAnswerWithSeveralIsFollowedByAnOfferOfOne) {
  const auto* offer = w.last<UpdateLeg>();
  ASSERT_NE(offer, nullptr);
  EXPECT_EQ(offer->leg, w.callee);
  EXPECT_NE(offer->sdp.find("RTP/AVP 8\r\n"), std::string::npos) << offer->sdp;
  w.commands.clear();
  w.give(LegUpdated{w.callee, audio_sdp("192.0.2.7", 6000, "8"), false});
  w.settle_media();
  EXPECT_EQ(w.last<UpdateLeg>(), nullptr);
  EXPECT_EQ(w.only_call().state, CallState::Connected);
  EXPECT_EQ(w.only_call().side(Party::Callee).agreed.codec, api::Codec::Pcma);
}

TEST_F(SeveralCodecs, WhoRefusesThatOfferOrRepeatsItselfIsNotAskedAgain) {
  for (const std::string& answer : {std::string{}, audio_sdp("192.0.2.7", 6000, "8 0")}) {
    ASSERT_NE(w.last<UpdateLeg>(), nullptr);
    w.give(LegUpdated{w.callee, answer, false});
    w.settle_media();
    EXPECT_EQ(w.only_call().state, CallState::Connected);
    EXPECT_EQ(w.only_call().side(Party::Callee).agreed.codec, api::Codec::Pcma);
    EXPECT_FALSE(w.only_call().side(Party::Callee).offer_pending);
  }
  EXPECT_EQ(std::count_if(w.commands.begin(), w.commands.end(), [](const LegCommand& c) { return std::holds_alternative<UpdateLeg>(c); }),
            1);
}

TEST_F(Renegotiation, AnAnswersOwnNumbersAreWhatThePartyIsSent) {
  const std::string renumbered = audio_sdp("192.0.2.7", 6000, "97 110", "a=rtpmap:97 PCMU/8000\r\na=rtpmap:110 telephone-event/8000\r\n");
  CallWorld other;
  other.caller = other.offer(audio_sdp("10.0.0.9", 4000, "0 8 101", "a=rtpmap:101 telephone-event/8000\r\n"));
  other.settle_media();
  other.give(LegAnswered{other.callee, renumbered});
  other.settle_media();
  const api::MediaParams& callee = other.media.legs.at(other.only_call().side(Party::Callee).media.value).media;
  EXPECT_EQ((std::pair{callee.payload_type, callee.telephone_event_payload_type}), (std::pair<std::uint8_t, std::uint8_t>{97, 110}));
  EXPECT_EQ((std::pair{callee.received_payload_type, callee.received_telephone_event_payload_type}),
            (std::pair<std::uint8_t, std::uint8_t>{0, 101}));
}

TEST_F(Renegotiation, AChangeWhileOurOfferIsOutIsToldAfterItsAnswer) {
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "0 8", "a=sendonly\r\n"), true});
  w.settle_media();
  w.give(LegUpdated{w.caller, kOffer, true});
  w.settle_media();
  const auto updates = [&] {
    return std::count_if(w.commands.begin(), w.commands.end(), [](const LegCommand& c) { return std::holds_alternative<UpdateLeg>(c); });
  };
  EXPECT_EQ(updates(), 1);
  w.give(LegUpdated{w.callee, audio_sdp("192.0.2.7", 6000, "0", "a=recvonly\r\n"), false});
  w.settle_media();
  EXPECT_EQ(updates(), 2);
  EXPECT_EQ(direction_in(w.last<UpdateLeg>()->sdp), Direction::SendRecv);
}

TEST_F(Renegotiation, ARefreshWithTheSameOfferIsAnsweredAtOnceWithTheSameText) {
  const std::string before = w.last<AnswerLeg>()->sdp;
  w.give(LegUpdated{w.caller, kOffer, true});
  EXPECT_EQ(answers(), 2u);
  EXPECT_EQ(w.last<AnswerLeg>()->sdp, before);
  EXPECT_EQ(w.last<UpdateLeg>(), nullptr);
}

TEST_F(Renegotiation, ANewAddressReachesTheDataplaneAndTheVersionGrowsOnlyWithChanges) {
  w.give(LegUpdated{w.callee, audio_sdp("192.0.2.8", 7000, "0"), true});
  w.settle_media();
  EXPECT_EQ(params(Party::Callee).remote.text(), "192.0.2.8:7000");
  EXPECT_EQ(w.only_call().state, CallState::Connected);
}

TEST_F(Renegotiation, OldStyleHoldWithAZeroAddress) {
  w.give(LegUpdated{w.caller, audio_sdp("0.0.0.0", 4000, "0 8"), true});
  w.settle_media();
  EXPECT_EQ(w.only_call().state, CallState::Hold);
  EXPECT_FALSE(params(Party::Caller).remote.present());
  EXPECT_EQ(params(Party::Caller).send, 0);
}

TEST_F(Renegotiation, AnOfferWeCannotTakeLeavesTheCallAsItWas) {
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "3"), true});
  ASSERT_NE(w.last<RefuseUpdate>(), nullptr);
  EXPECT_EQ(w.last<RefuseUpdate>()->status, 488);
  EXPECT_EQ(w.only_call().state, CallState::Connected);
  EXPECT_EQ(params(Party::Caller).codec, api::Codec::Pcma);
}

TEST_F(Renegotiation, ACodecTheDataplaneRefusesLeavesTheCallAsItWas) {
  w.media.fail_next = {MediaStatus::NoTranscoder};
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "0"), true});
  w.settle_media();
  EXPECT_EQ(w.last<RefuseUpdate>()->status, 488);
  EXPECT_EQ(w.only_call().side(Party::Caller).agreed.codec, api::Codec::Pcma);
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "0"), true});
  w.settle_media();
  EXPECT_EQ(params(Party::Caller).codec, api::Codec::Pcmu);
}

TEST_F(Renegotiation, ACodecTheWorkerHasNoTimeForIsRefusedAndTheCallGoesOn) {
  w.media.fail_next = {MediaStatus::NoHeadroom};
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4002, "0"), true});
  w.settle_media();
  ASSERT_NE(w.last<RefuseUpdate>(), nullptr);
  EXPECT_EQ(w.last<RefuseUpdate>()->status, 503);
  EXPECT_EQ(w.only_call().state, CallState::Connected);
}

// The dataplane would refuse it: a mistake of the party's, not of ours.
TEST_F(Renegotiation, AnOfferOfOurOwnAddressIsRefusedAndLeavesTheCallAsItWas) {
  w.give(LegUpdated{w.caller, audio_sdp("10.1.0.1", 4000, "0 8"), true});
  ASSERT_NE(w.last<RefuseUpdate>(), nullptr);
  EXPECT_EQ(w.last<RefuseUpdate>()->status, 488);
  EXPECT_EQ(w.last<RefuseUpdate>()->reason, "media address is ours: 10.1.0.1; an address that is not the gateway's");
  EXPECT_EQ(w.only_call().state, CallState::Connected);
  EXPECT_EQ(w.witness.last("BRIDGE_ERROR"), nullptr);
}

// The party believes its answer is in force: the call cannot go on as it was (RFC 3261 section 13.2.2.4).
TEST_F(Renegotiation, AnAnswerThatDoesNotAnswerOurOfferEndsTheCallWithTheReason) {
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "0 8", "a=sendonly\r\n"), true});
  w.settle_media();
  ASSERT_NE(w.last<UpdateLeg>(), nullptr);
  w.give(LegUpdated{w.callee, audio_sdp("192.0.2.7", 6000, "0", "a=recvonly\r\nm=video 5 RTP/AVP 31\r\n"), false});
  const EndLeg* ended = w.last<EndLeg>();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->status, 488);
  EXPECT_EQ(ended->leg, w.callee);
  EXPECT_EQ(ended->reason, "answer m line count: 2 m= lines; offered 1");
  EXPECT_EQ(w.told(w.caller), "the called party's answer cannot be used");
  EXPECT_EQ(w.witness.last("ANSWER_UNUSABLE")->details.at("party"), "callee");
  EXPECT_EQ(w.witness.last("TERMINATED")->details.at("rule"), "answer-m-line-count");
  EXPECT_EQ(w.witness.last("BRIDGE_ERROR"), nullptr) << "no failure of ours";
  EXPECT_EQ(w.calls().statistics().refused_negotiation, 1u);
  w.settle_media();
  w.settle_legs();
  w.settle_media();
  EXPECT_TRUE(w.nothing_left());
}

TEST_F(Renegotiation, MLinesMayBeAddedButNotRemoved) {
  w.give(LegUpdated{w.caller, kOffer + "m=video 5000 RTP/AVP 31\r\n", true});
  w.settle_media();
  const auto answer = wire::sdp::parse(w.last<AnswerLeg>()->sdp);
  ASSERT_TRUE(answer.ok());
  ASSERT_EQ(answer->media.size(), 2u);
  EXPECT_EQ(answer->media[1].type, "video");
  EXPECT_EQ(answer->media[1].port, 0);
  w.give(LegUpdated{w.caller, kOffer, true});
  EXPECT_EQ(w.last<RefuseUpdate>()->status, 488);
}

TEST_F(Renegotiation, AnOfferWithoutSdpIsAnsweredWithOurOffer) {
  w.give(LegUpdated{w.caller, "", true});
  EXPECT_EQ(answers(), 2u);
  const auto ours = wire::sdp::parse(w.last<AnswerLeg>()->sdp);
  EXPECT_EQ(ours->media.at(0).formats.size(), 3u);  // PCMA, PCMU, telephone-event
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4002, "0"), false});
  w.settle_media();
  EXPECT_EQ(params(Party::Caller).remote.text(), "10.0.0.9:4002");
  EXPECT_EQ(params(Party::Caller).codec, api::Codec::Pcmu);
}

TEST(LateOffer, TheAckCarriesTheAnswer) {
  CallWorld w;
  w.connect("");
  EXPECT_EQ(w.only_call().state, CallState::Connected);
  const auto ours = wire::sdp::parse(w.last<AnswerLeg>()->sdp);
  ASSERT_TRUE(ours.ok());
  EXPECT_EQ(ours->media.at(0).formats.at(0).encoding, "PCMA");
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "8"), false});
  w.settle_media();
  const auto& leg = w.media.legs.at(w.only_call().side(Party::Caller).media.value);
  EXPECT_EQ(leg.media.codec, api::Codec::Pcma);
  EXPECT_EQ(leg.media.remote.text(), "10.0.0.9:4000");
}

TEST(LateOffer, AnAckWithoutAnAnswerEndsTheCall) {
  CallWorld w;
  w.connect("");
  w.give(LegUpdated{w.caller, "", false});
  EXPECT_EQ(w.witness.last("ANSWER_UNUSABLE")->details.at("rule"), "ack-without-answer");
  EXPECT_EQ(w.told(w.caller), "ack without answer: the ACK brought no answer to our offer; RFC 3261 section 13.2.2.4");
  EXPECT_EQ(w.told(w.callee), "the calling party's answer cannot be used");
  EXPECT_EQ(w.only_call().state, CallState::Disconnecting);
  w.settle_legs();
  w.settle_media();
  EXPECT_TRUE(w.nothing_left());
}

}  // namespace
}  // namespace ifgw::core
