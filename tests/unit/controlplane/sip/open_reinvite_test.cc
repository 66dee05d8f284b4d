// A re-INVITE of ours that gets a 1xx and no final answer: cancelled after 64*T1, forgotten after as much again, and a 2xx that
// comes later still acknowledged.
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

class GivenUpReInviteTest : public OpenReInviteTest {
 protected:
  GivenUpReInviteTest() {
    exchange(answer_to(cancelled(), 200, ""));
    net->run_for(seconds(33));
    EXPECT_EQ(std::get<core::LegUpdated>(gw->events.back()).status, 408);
    arrived();
  }
  std::string accepted() const { return answer_to(ours, 200, "", "Contact: <sip:elsewhere@192.0.2.99:5080>\r\n", sample_sdp(8)); }
  void expect_ack(const std::string& ack) const {
    EXPECT_EQ(ack.substr(0, ack.find('\r')), "ACK sip:peer@192.0.2.9:5080 SIP/2.0");
    EXPECT_EQ(line_of(ack, "CSeq"), "CSeq: 1 ACK");
    const PreScan scan = prescan(as_bytes(ack));
    const PreScan invite = prescan(as_bytes(ours));
    EXPECT_EQ(scan.from_tag, invite.from_tag);
    EXPECT_EQ(scan.to_tag, invite.to_tag);
    EXPECT_EQ(scan.call_id, invite.call_id);
    EXPECT_NE(scan.via.branch, invite.via.branch) << "a transaction of its own";
    EXPECT_TRUE(scan.body.empty());
  }
};

TEST_F(GivenUpReInviteTest, EachCopyOfALateAnswerIsAcknowledged) {
  for (int copy = 0; copy < 3; ++copy) expect_ack(only_answer(accepted()));
  net->run_for(seconds(3'600));
  expect_ack(only_answer(accepted()));
  EXPECT_EQ(gw->ua->statistics().late_answers, 4u);
  EXPECT_EQ(gw->ua->statistics().stray_responses, 0u);
  EXPECT_EQ(count<core::LegUpdated>(), 1) << "for core it was refused";
  EXPECT_EQ(count<core::LegEnded>(), 0);
  EXPECT_EQ(gw->wire.back().leg.value, leg.value);
}

TEST_F(GivenUpReInviteTest, ALateAnswerIsNotThatOfTheNextOne) {
  net->command(*gw, core::UpdateLeg{leg, sample_sdp(7)});
  const std::string next = arrived().at(0);
  expect_ack(only_answer(accepted()));
  EXPECT_EQ(count<core::LegUpdated>(), 1);
  EXPECT_EQ(line_of(only_answer(answer_to(next, 200, "", {}, sample_sdp(9))), "CSeq"), "CSeq: 2 ACK");
  EXPECT_EQ(std::get<core::LegUpdated>(gw->events.back()).sdp, sample_sdp(9));
}

TEST_F(GivenUpReInviteTest, WhatIsNotOfThisDialogIsNotAcknowledged) {
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = accepted();
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const PreScan scan = prescan(as_bytes(ours));
  EXPECT_TRUE(exchange(changed(std::string(scan.from_tag), "nobody")).empty());
  EXPECT_TRUE(exchange(changed(";tag=" + std::string(scan.to_tag), ";tag=other")).empty());
  EXPECT_TRUE(exchange(changed(";tag=" + std::string(scan.to_tag), "")).empty());
  EXPECT_TRUE(exchange(changed(std::string(scan.call_id), "another")).empty());
  EXPECT_TRUE(exchange(changed("CSeq: 1 INVITE", "CSeq: 2 INVITE")).empty()) << "never sent";
  EXPECT_TRUE(exchange(changed("CSeq: 1 INVITE", "CSeq: 1 BYE")).empty());
  EXPECT_TRUE(exchange(changed("SIP/2.0 200", "SIP/2.0 180")).empty());
  EXPECT_TRUE(exchange(changed("SIP/2.0 200", "SIP/2.0 500")).empty()) << "its transaction acknowledged it, or is gone";
  EXPECT_EQ(gw->ua->statistics().stray_responses, 8u);
  EXPECT_EQ(gw->ua->statistics().late_answers, 0u);
}

}  // namespace
}  // namespace ifgw::sip
