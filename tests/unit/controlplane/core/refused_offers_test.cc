// Offers of ours inside a call that the party refuses: what was agreed before holds, and what it shall know is offered again.
#include <gtest/gtest.h>

#include "tests/support/call_world.h"

namespace ifgw::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::audio_sdp;
using test::CallWorld;
using wire::sdp::Direction;

class RefusedOffers : public ::testing::Test {
 protected:
  RefusedOffers() { w.connect(audio_sdp("10.0.0.9", 4000, "0 8")); }
  void caller_offers(const std::string& direction) {
    w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "0 8", direction)});
    w.settle_media();
  }
  void callee_answers(const std::string& direction) {
    w.give(LegUpdated{w.callee, audio_sdp("192.0.2.7", 6000, "0", direction), false});
    w.settle_media();
  }
  void callee_refuses(int status, std::optional<Duration> retry_after = std::nullopt) {
    w.give(LegUpdated{w.callee, "", false, status, retry_after});
    w.settle_media();
  }
  // The callee agreed to a hold, and refuses the offer that would end it.
  void refuse_resume(int status, std::optional<Duration> retry_after = std::nullopt) {
    caller_offers("a=sendonly\r\n");
    callee_answers("a=recvonly\r\n");
    caller_offers("");
    ASSERT_EQ(offers(), 2);
    callee_refuses(status, retry_after);
  }
  long offers() const {
    return std::count_if(w.commands.begin(), w.commands.end(), [](const LegCommand& c) { return std::holds_alternative<UpdateLeg>(c); });
  }
  Direction offered() const {
    const auto s = wire::sdp::parse(w.last<UpdateLeg>()->sdp);
    return s->direction_of(s->media.at(0));
  }
  void expect_end() {
    w.end(w.caller);
    w.settle_media();
    w.settle_legs();
    w.settle_media();
    EXPECT_TRUE(w.nothing_left());
  }
  CallWorld w;
};

TEST_F(RefusedOffers, AResumeIsOfferedAgainWhenRetryAfterIsOver) {
  refuse_resume(500, seconds(2));
  EXPECT_EQ(w.witness.last("OFFER_REFUSED")->details.at("again"), "after 2000 ms");
  EXPECT_EQ(w.calls().statistics().offers_refused, 1u);
  w.advance(milliseconds(1'999));
  EXPECT_EQ(offers(), 2);
  w.advance(milliseconds(1));
  EXPECT_EQ(offers(), 3);
  EXPECT_EQ(offered(), Direction::SendRecv);
  callee_answers("");
  w.advance(seconds(120));
  EXPECT_EQ(offers(), 3);
  EXPECT_EQ(w.media.legs.at(w.only_call().side(Party::Callee).media.value).media.receive, 1);
  expect_end();
}

TEST_F(RefusedOffers, WithoutRetryAfterFiveSecondsAreWaitedAndTheTriesAreBounded) {
  refuse_resume(503);
  for (int offer = 3; offer <= 6; ++offer) {
    w.advance(milliseconds(4'999));
    EXPECT_EQ(offers(), offer - 1);
    w.advance(milliseconds(1));
    EXPECT_EQ(offers(), offer);
    callee_refuses(503);
  }
  w.advance(seconds(600));
  EXPECT_EQ(offers(), 6);
  EXPECT_EQ(w.witness.last("OFFER_REFUSED")->details.at("again"), "with the next change");
  caller_offers("");
  EXPECT_EQ(offers(), 7) << "the caller says again that it has resumed";
  callee_refuses(503);
  w.advance(seconds(5));
  EXPECT_EQ(offers(), 8) << "and may be tried as often again";
  expect_end();
}

TEST_F(RefusedOffers, AHoldIsOfferedAgainToo) {
  caller_offers("a=sendonly\r\n");
  callee_refuses(500, seconds(1));
  w.advance(seconds(1));
  EXPECT_EQ(offers(), 2);
  EXPECT_EQ(offered(), Direction::SendOnly);
  expect_end();
}

TEST_F(RefusedOffers, OtherRefusalsWaitForTheNextReNegotiation) {
  refuse_resume(488);
  w.advance(seconds(600));
  EXPECT_EQ(offers(), 2);
  caller_offers("");
  EXPECT_EQ(offers(), 3);
  EXPECT_EQ(offered(), Direction::SendRecv);
}

TEST_F(RefusedOffers, WhoAsksForMoreThanAMinuteIsNotOfferedAgainByItself) {
  refuse_resume(503, seconds(61));
  w.advance(seconds(600));
  EXPECT_EQ(offers(), 2);
}

TEST_F(RefusedOffers, NoOfferIsMadeDuringTheWaitAndThenWhatHolds) {
  refuse_resume(491, seconds(3));
  caller_offers("a=inactive\r\n");
  EXPECT_EQ(offers(), 2);
  w.advance(seconds(3));
  EXPECT_EQ(offers(), 3);
  EXPECT_EQ(offered(), Direction::Inactive);
}

TEST_F(RefusedOffers, NothingIsOfferedThatThePartyStillHasFromBefore) {
  refuse_resume(491, seconds(3));
  caller_offers("a=sendonly\r\n");  // held again: the callee never left the hold
  w.advance(seconds(60));
  EXPECT_EQ(offers(), 2);
}

TEST_F(RefusedOffers, AnotherWishThanTheRefusedOneIsOfferedAtOnce) {
  caller_offers("a=sendonly\r\n");
  caller_offers("a=inactive\r\n");  // while the first offer is out
  ASSERT_EQ(offers(), 1);
  callee_refuses(488);
  EXPECT_EQ(offers(), 2);
  EXPECT_EQ(offered(), Direction::Inactive);
}

// While ours only waits, the party's own offer is taken; its answer says all that ours would have said.
TEST_F(RefusedOffers, ThePartyMayOfferDuringTheWait) {
  refuse_resume(491, seconds(3));
  w.give(LegUpdated{w.callee, audio_sdp("192.0.2.7", 6000, "0")});
  w.settle_media();
  ASSERT_EQ(w.last<RefuseUpdate>(), nullptr);
  ASSERT_EQ(w.last<AnswerLeg>()->leg, w.callee);
  const auto answer = wire::sdp::parse(w.last<AnswerLeg>()->sdp);
  EXPECT_EQ(answer->direction_of(answer->media.at(0)), Direction::SendRecv);
  w.advance(seconds(60));
  EXPECT_EQ(offers(), 2);
  expect_end();
}

TEST_F(RefusedOffers, AnAckWithoutAnAnswerLeavesWhatWasAgreed) {
  refuse_resume(488);
  w.give(LegUpdated{w.callee, ""});  // asks for our offer
  callee_refuses(0);
  caller_offers("");
  EXPECT_EQ(offers(), 3) << "the callee is still held";
  EXPECT_EQ(offered(), Direction::SendRecv);
}

TEST_F(RefusedOffers, TheOfferThatKeepsToOneCodecIsMadeAgainToo) {
  CallWorld several;
  auto settings = std::make_shared<CallSettings>(*several.settings);
  settings->routes[0].callee.codecs = {api::Codec::Pcma, api::Codec::Pcmu};
  several.settings = settings;
  several.caller = several.offer(audio_sdp("10.0.0.9", 4000, "0 8"));
  several.settle_media();
  several.give(LegAnswered{several.callee, audio_sdp("192.0.2.7", 6000, "8 0")});
  several.settle_media();
  const std::string narrow = several.last<UpdateLeg>()->sdp;
  several.commands.clear();
  several.give(LegUpdated{several.callee, "", false, 491, seconds(3)});
  several.advance(milliseconds(2'999));
  EXPECT_EQ(several.last<UpdateLeg>(), nullptr);
  several.advance(milliseconds(1));
  ASSERT_NE(several.last<UpdateLeg>(), nullptr);
  EXPECT_EQ(several.last<UpdateLeg>()->sdp, narrow);
  several.commands.clear();
  several.give(LegUpdated{several.callee, "", false, 488, std::nullopt});
  several.advance(seconds(60));
  EXPECT_EQ(several.last<UpdateLeg>(), nullptr) << "who refuses for good is not asked again";
}

TEST_F(RefusedOffers, ACallThatEndsDuringTheWaitLeavesNoTimer) {
  refuse_resume(500, seconds(20));
  expect_end();
}

}  // namespace
}  // namespace ifgw::core
