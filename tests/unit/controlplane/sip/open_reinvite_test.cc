// A re-INVITE of ours that gets a 1xx and no final answer: cancelled after 64*T1, forgotten after as much again.
#include "tests/unit/controlplane/sip/user_agent_fixture.h"

namespace ifgw::sip {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::answer_to;
using test::line_of;
using test::Text;
using test::UserAgentTest;

class OpenReInviteTest : public UserAgentTest {
 protected:
  OpenReInviteTest() {
    tag = established();
    net->command(*gw, core::UpdateLeg{leg, sample_sdp(6)});
    ours = arrived().at(0);
    EXPECT_TRUE(exchange(answer_to(ours, 100, "")).empty());
  }
  // What came in the 64*T1 for the answer: our CANCEL and its copies.
  std::string cancelled() {
    EXPECT_TRUE(arrived(seconds(31)).empty());
    exchange(answer_to(ours, 180, ""));  // a later 1xx buys no time
    const auto sent = arrived(milliseconds(1'100));
    EXPECT_EQ(sent.size(), 1u);
    return sent.empty() ? "" : sent[0];
  }
  std::string reinvited() {
    Text theirs;
    theirs.to_tag = tag;
    theirs.cseq = next_cseq++;
    theirs.branch = "z9hG4bKr" + std::to_string(theirs.cseq);
    theirs.body = sample_sdp(4);
    return status_of(theirs.str());
  }
  std::string tag, ours;
  int next_cseq = 2;
};

TEST_F(OpenReInviteTest, IsCancelledAndThePartyMayNegotiateAgain) {
  const std::string cancel = cancelled();
  EXPECT_EQ(cancel.substr(0, 6), "CANCEL");
  EXPECT_EQ(line_of(cancel, "CSeq"), "CSeq: 1 CANCEL");
  EXPECT_EQ(prescan(as_bytes(cancel)).via.branch, prescan(as_bytes(ours)).via.branch);
  exchange(answer_to(cancel, 200, ""));
  EXPECT_EQ(reinvited(), "491") << "until it is answered";
  EXPECT_EQ(only_answer(answer_to(ours, 487, "")).substr(0, 3), "ACK");
  const auto& refused = std::get<core::LegUpdated>(gw->events.back());
  EXPECT_TRUE(!refused.is_offer && refused.sdp.empty() && refused.status == 487);
  EXPECT_EQ(reinvited(), "100");
  EXPECT_EQ(count<core::LegEnded>(), 0);
}

TEST_F(OpenReInviteTest, IsForgottenWhenItsCancelDoesNotEndItEither) {
  exchange(answer_to(cancelled(), 200, ""));
  net->run_for(seconds(31));
  EXPECT_EQ(count<core::LegUpdated>(), 0);
  net->run_for(seconds(2));
  EXPECT_EQ(count<core::LegUpdated>(), 1);
  EXPECT_EQ(std::get<core::LegUpdated>(gw->events.back()).status, 408);
  EXPECT_EQ(gw->ua->occupancy().client_transactions, 0u);
  EXPECT_EQ(reinvited(), "100");
  net->run_for(seconds(3'600));
  EXPECT_EQ(count<core::LegEnded>(), 0) << "the call goes on";
}

TEST_F(OpenReInviteTest, OursMayComeAgainAfterwardsAndHasABoundToo) {
  exchange(answer_to(ours, 487, ""));
  net->run_for(seconds(100));
  EXPECT_EQ(count<core::LegUpdated>(), 1) << "its time ended with it";
  net->command(*gw, core::UpdateLeg{leg, sample_sdp(7)});
  ours = arrived().at(0);
  exchange(answer_to(ours, 100, ""));
  EXPECT_EQ(cancelled().substr(0, 6), "CANCEL");
}

TEST_F(OpenReInviteTest, AnAnswerThatCrossesTheCancelCounts) {
  cancelled();
  const std::string ack = only_answer(answer_to(ours, 200, "", "Contact: <sip:peer@192.0.2.9:5080>\r\n", sample_sdp(8)));
  EXPECT_EQ(line_of(ack, "CSeq"), "CSeq: 1 ACK");
  const auto& answer = std::get<core::LegUpdated>(gw->events.back());
  EXPECT_TRUE(!answer.is_offer && answer.sdp == sample_sdp(8));
  net->run_for(seconds(100));
  EXPECT_EQ(count<core::LegUpdated>(), 1);
  EXPECT_EQ(count<core::LegEnded>(), 0);
}

TEST_F(OpenReInviteTest, ACallThatEndsMeanwhileEndsAsEver) {
  cancelled();
  net->command(*gw, core::EndLeg{leg, 0, {}, 0});
  std::string bye;
  for (const std::string& sent : arrived())
    if (sent.substr(0, 3) == "BYE") bye = sent;
  exchange(answer_to(bye, 200, ""));
  EXPECT_EQ(count<core::LegEnded>(), 1);
  net->run_for(seconds(70));
  EXPECT_EQ(count<core::LegUpdated>(), 0);
  EXPECT_EQ(gw->ua->occupancy().legs + gw->ua->occupancy().client_transactions, 0u);
}

}  // namespace
}  // namespace ifgw::sip
