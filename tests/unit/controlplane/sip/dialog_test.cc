// Inside a call, against messages written by hand: routes, order, re-negotiation and what ends a dialog.
#include "tests/unit/controlplane/sip/user_agent_fixture.h"

namespace ifgw::sip {
namespace {

using std::chrono::seconds;
using test::answer_to;
using test::line_of;
using test::Text;
using test::UserAgentTest;

class DialogTest : public UserAgentTest {
 protected:
  // The peer's re-INVITE of an established() call.
  static Text reinvite(const std::string& our_tag) {
    Text text;
    text.to_tag = our_tag;
    text.branch = "z9hG4bKr1";
    text.cseq = 2;
    text.body = sample_sdp(4);
    return text;
  }
  // `branch`: the INVITE's own for a refusal, another for a 2xx.
  static Text ack_of(Text invite, const std::string& branch) {
    invite.method = "ACK";
    invite.branch = branch;
    invite.body.clear();
    return invite;
  }
  // Of every ACK in the wire record: was it marked as a retransmission?
  std::vector<bool> acks_recorded() const {
    std::vector<bool> out;
    for (const WireMessage& message : gw->wire) {
      if (prescan(as_bytes(*message.bytes)).method == "ACK") out.push_back(message.retransmission);
    }
    return out;
  }
};

TEST_F(DialogTest, FollowsALooseRouteSet) {
  established("Record-Route: <sip:192.0.2.9:5080;lr>, <sip:198.51.100.7;lr>\r\nRecord-Route: <sip:198.51.100.8;lr>\r\n");
  net->command(*gw, core::EndLeg{leg, 0, "done \"now\"\r\nX: y", 0});
  const std::string bye = arrived().at(0);
  EXPECT_EQ(bye.substr(0, bye.find("\r\n")), "BYE sip:peer@192.0.2.9:5080 SIP/2.0");
  EXPECT_NE(bye.find("Route: <sip:192.0.2.9:5080;lr>\r\nRoute: <sip:198.51.100.7;lr>\r\nRoute: <sip:198.51.100.8;lr>\r\n"),
            std::string::npos)
      << bye;
  EXPECT_EQ(line_of(bye, "Reason"), "Reason: SIP ;cause=480 ;text=\"done \\\"now\\\"  X: y\"");
}

TEST_F(DialogTest, FollowsAStrictRouter) {
  established("Record-Route: <sip:192.0.2.9:5080>, <sip:198.51.100.7;lr>\r\n");
  net->command(*gw, core::EndLeg{leg, 0, {}, 0});
  const std::string bye = arrived().at(0);
  EXPECT_EQ(bye.substr(0, bye.find("\r\n")), "BYE sip:192.0.2.9:5080 SIP/2.0");
  EXPECT_NE(bye.find("Route: <sip:198.51.100.7;lr>\r\nRoute: <sip:peer@192.0.2.9:5080>\r\n"), std::string::npos) << bye;
}

TEST_F(DialogTest, CallerTakesTheRouteSetInReverse) {
  const std::string invite = calling();
  const auto sent = exchange(answer_to(invite, 200, "x",
                                       "Record-Route: <sip:198.51.100.7;lr>\r\nRecord-Route: <sip:192.0.2.9:5080;lr>\r\n"
                                       "Contact: <sip:far@203.0.113.3>\r\n",
                                       sample_sdp(9)));
  ASSERT_EQ(sent.size(), 1u) << "to the first route, not to the Contact";
  EXPECT_EQ(sent[0].substr(0, sent[0].find("\r\n")), "ACK sip:far@203.0.113.3 SIP/2.0");
  EXPECT_NE(sent[0].find("Route: <sip:192.0.2.9:5080;lr>\r\nRoute: <sip:198.51.100.7;lr>\r\n"), std::string::npos);
}

TEST_F(DialogTest, ChecksTheOrderAndTheOwnerOfInDialogRequests) {
  Text bye;
  bye.to_tag = established();
  bye.method = "BYE";
  bye.branch = "z9hG4bK2";
  EXPECT_EQ(status_of(bye.str()), "500") << "CSeq 1 again, by another transaction";
  bye.cseq = 2;
  bye.from_tag = "stranger";
  EXPECT_EQ(status_of(bye.str()), "481");
  bye.from_tag = "peer";
  bye.call_id = "other";
  EXPECT_EQ(status_of(bye.str()), "481");
  bye.call_id = "call-1";
  bye.branch = "z9hG4bK3";
  EXPECT_EQ(status_of(bye.str()), "200");
  EXPECT_EQ(count<core::LegEnded>(), 1);
  EXPECT_EQ(status_of(bye.str()), "200") << "repeated: from memory";
  bye.branch = "z9hG4bK4";
  bye.cseq = 3;
  EXPECT_EQ(status_of(bye.str()), "481") << "the dialog is gone";
}

TEST_F(DialogTest, UpdateRefreshesTheTargetAndCarriesAnOffer) {
  Text update;
  update.to_tag = established();
  update.method = "UPDATE";
  update.branch = "z9hG4bKu1";
  update.cseq = 2;
  update.extra = "Contact: <sip:moved@192.0.2.9:5080>\r\n";
  EXPECT_EQ(status_of(update.str()), "200") << "no offer: nothing for core to decide";
  update.branch = "z9hG4bKu2";
  update.cseq = 3;
  update.body = sample_sdp(4);
  EXPECT_TRUE(exchange(update.str()).empty());
  EXPECT_EQ(std::get<core::LegUpdated>(gw->events.back()).sdp, sample_sdp(4));
  net->command(*gw, core::AnswerLeg{leg, sample_sdp(5)});
  EXPECT_EQ(arrived().at(0).substr(8, 3), "200");
  net->command(*gw, core::EndLeg{leg, 0, {}, 0});
  EXPECT_EQ(arrived().at(0).substr(0, 28), "BYE sip:moved@192.0.2.9:5080");
}

TEST_F(DialogTest, ASecondReInviteWaitsItsTurn) {
  Text first;
  first.to_tag = established();
  first.branch = "z9hG4bKr1";
  first.cseq = 2;
  first.body = sample_sdp(4);
  EXPECT_EQ(exchange(first.str()).at(0).substr(8, 3), "100");
  Text second = first;
  second.branch = "z9hG4bKr2";
  second.cseq = 3;
  const std::string refused = only_answer(second.str());
  EXPECT_EQ(refused.substr(8, 3), "500");
  EXPECT_NE(line_of(refused, "Retry-After"), "");
  Text cancel = first;
  cancel.method = "CANCEL";
  cancel.body.clear();
  const auto sent = exchange(cancel.str());
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].substr(8, 3), "200");
  EXPECT_EQ(sent[1].substr(8, 3), "487");
  EXPECT_EQ(count<core::LegEnded>(), 0) << "only the re-negotiation is cancelled";
}

TEST_F(DialogTest, CallerMayHangUpAnEarlyDialog) {
  exchange(Text().str());
  leg = std::get<core::LegOffered>(gw->events.back()).leg;
  net->command(*gw, core::RingLeg{leg, 180, {}});
  Text bye;
  bye.method = "BYE";
  bye.branch = "z9hG4bKbye";
  bye.to_tag = std::string(prescan(as_bytes(arrived().at(0))).to_tag);
  bye.cseq = 2;
  const auto sent = exchange(bye.str());
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].substr(8, 3), "200");
  EXPECT_EQ(sent[1].substr(8, 3), "487");
  EXPECT_EQ(gw->ua->occupancy().setups_in_flight, 0u);
}

// ---- refusals inside a dialog: answered by a transaction, never judged anew -------------------------------------

TEST_F(DialogTest, ARefusedReInviteStaysRefusedHoweverLateItsCopyComes) {
  Text theirs = reinvite(established());
  net->command(*gw, core::UpdateLeg{leg, sample_sdp(6)});
  const std::string ours = arrived().at(0);
  const std::string refused = only_answer(theirs.str());
  EXPECT_EQ(refused.substr(8, 3), "491");
  exchange(answer_to(ours, 488, "", {}));  // from here on a re-INVITE would be welcome
  EXPECT_EQ(only_answer(theirs.str()), refused) << "a copy within the life of the transaction";
  EXPECT_EQ(arrived(seconds(1)).size(), 1u) << "timer G: not acknowledged yet";
  EXPECT_TRUE(exchange(ack_of(theirs, theirs.branch).str()).empty());
  EXPECT_TRUE(exchange(theirs.str()).empty()) << "acknowledged";
  EXPECT_TRUE(arrived(seconds(40)).empty());
  EXPECT_EQ(status_of(theirs.str()), "500") << "the transaction is forgotten, the number is not";
  EXPECT_TRUE(arrived(seconds(40)).empty());
  EXPECT_EQ(count<core::LegEnded>(), 0);
  EXPECT_EQ(count<core::LegUpdated>(), 1) << "only the end of our own";
  EXPECT_EQ(gw->ua->occupancy().server_transactions, 0u);
}

TEST_F(DialogTest, ARefusalThatIsNeverAcknowledgedIsGivenUp) {
  Text theirs = reinvite(established());
  theirs.extra += "Require: 100rel\r\n";
  EXPECT_EQ(status_of(theirs.str()), "420");
  EXPECT_EQ(arrived(seconds(40)).size(), 10u) << "timer G until timer H";
  EXPECT_EQ(gw->ua->statistics().ack_timeouts, 1u);
  EXPECT_EQ(gw->ua->occupancy().server_transactions, 0u);
  EXPECT_EQ(count<core::LegEnded>(), 0) << "the call goes on as it was (section 14.2)";
}

TEST_F(DialogTest, ASecondReInviteIsRefusedForGoodToo) {
  Text first = reinvite(established());
  exchange(first.str());
  Text second = first;
  second.branch = "z9hG4bKr2";
  second.cseq = 3;
  const std::string refused = only_answer(second.str());
  net->command(*gw, core::AnswerLeg{leg, sample_sdp(5)});
  arrived();
  exchange(ack_of(first, "z9hG4bKr1ack").str());
  EXPECT_EQ(only_answer(second.str()), refused) << "the same Retry-After: from memory";
  EXPECT_EQ(count<core::LegUpdated>(), 1);
}

TEST_F(DialogTest, OptionsKeepTheOrderToo) {
  Text options = reinvite(established());
  options.method = "OPTIONS";
  options.body.clear();
  options.cseq = 5;
  EXPECT_EQ(status_of(options.str()), "200");
  options.branch = "z9hG4bKo2";
  options.cseq = 4;
  EXPECT_EQ(status_of(options.str()), "500");
  Text bye = options;
  bye.method = "BYE";
  bye.branch = "z9hG4bKo3";
  EXPECT_EQ(status_of(bye.str()), "500") << "overtaken by the OPTIONS";
  bye.branch = "z9hG4bKo4";
  bye.cseq = 6;
  EXPECT_EQ(status_of(bye.str()), "200");
}

TEST_F(DialogTest, NumberZeroCountsLikeAnyOther) {
  exchange(answer_to(calling(), 200, "x", "Contact: <sip:peer@192.0.2.9:5080>\r\n", sample_sdp(9)));
  const auto sent = gw->wire.back();
  Text options;
  options.method = "OPTIONS";
  options.call_id = std::string(prescan(as_bytes(*sent.bytes)).call_id);
  options.to_tag = std::string(prescan(as_bytes(*sent.bytes)).from_tag);
  options.from_tag = "x";
  options.cseq = 0;
  EXPECT_EQ(status_of(options.str()), "200");
  options.branch = "z9hG4bKb";
  EXPECT_EQ(status_of(options.str()), "500");
}

TEST_F(DialogTest, AnEarlyUpdateDoesNotMoveTheNumberOfTheInvite) {
  Text invite;
  invite.body = sample_sdp(1);
  exchange(invite.str());
  leg = std::get<core::LegOffered>(gw->events.back()).leg;
  net->command(*gw, core::RingLeg{leg, 180, {}});
  Text update = reinvite(std::string(prescan(as_bytes(arrived().at(0))).to_tag));
  update.method = "UPDATE";
  EXPECT_EQ(status_of(update.str()), "500") << "the INVITE's own offer is not answered yet";
  net->command(*gw, core::AnswerLeg{leg, sample_sdp(2)});
  arrived();
  Text ack = ack_of(invite, "z9hG4bKack");
  ack.to_tag = update.to_tag;
  exchange(ack.str());
  EXPECT_TRUE(arrived(seconds(40)).empty()) << "the ACK of the INVITE was recognised";
  EXPECT_EQ(count<core::LegEnded>(), 0);
}

TEST_F(DialogTest, OurByeEndsTheDialogForTheirRequests) {
  Text theirs = reinvite(established());
  net->command(*gw, core::UpdateLeg{leg, sample_sdp(6)});
  net->command(*gw, core::EndLeg{leg, 0, {}, 0});  // our re-INVITE is still open
  arrived();
  EXPECT_EQ(status_of(theirs.str()), "481");
  theirs.method = "UPDATE";
  theirs.branch = "z9hG4bKu";
  theirs.cseq = 3;
  EXPECT_EQ(status_of(theirs.str()), "481");
  theirs.method = "OPTIONS";
  theirs.branch = "z9hG4bKo";
  theirs.cseq = 4;
  EXPECT_EQ(status_of(theirs.str()), "481");
}

// ---- our re-INVITE and a BYE that crosses it ----------------------------------------------------------------------

TEST_F(DialogTest, TheAckOfOurReInviteHasItsNumberAfterOurByeToo) {
  established();
  net->command(*gw, core::UpdateLeg{leg, sample_sdp(6)});
  const std::string ours = arrived().at(0);
  net->command(*gw, core::EndLeg{leg, 0, {}, 0});
  const std::string bye = arrived().at(0);
  ASSERT_EQ(line_of(bye, "CSeq"), "CSeq: 2 BYE");
  const std::string ok = answer_to(ours, 200, "", "Contact: <sip:moved@192.0.2.9:5080>\r\n", sample_sdp(7));
  const std::string ack = only_answer(ok);
  EXPECT_EQ(line_of(ack, "CSeq"), "CSeq: 1 ACK");
  EXPECT_EQ(ack.substr(0, ack.find("\r\n")), "ACK sip:moved@192.0.2.9:5080 SIP/2.0");
  EXPECT_TRUE(exchange(answer_to(bye, 200, "")).empty());
  EXPECT_EQ(count<core::LegEnded>(), 1);
  EXPECT_EQ(only_answer(ok), ack) << "repeated after the call";
  EXPECT_EQ(count<core::LegUpdated>(), 0) << "the call was over";
}

TEST_F(DialogTest, OurReInviteIsAcknowledgedWhoeverEndedTheCallBefore) {
  for (const bool theirs : {false, true}) {
    for (const int status : {200, 487}) {
      SCOPED_TRACE((theirs ? "their BYE, " : "our BYE, ") + std::to_string(status));
      build({});
      Text bye;
      bye.to_tag = established();
      net->command(*gw, core::UpdateLeg{leg, sample_sdp(6)});
      const std::string ours = arrived().at(0);
      exchange(answer_to(ours, 100, ""));  // no timer of the transaction runs any more
      if (theirs) {
        bye.method = "BYE";
        bye.branch = "z9hG4bKb";
        bye.cseq = 2;
        EXPECT_EQ(status_of(bye.str()), "200");
      } else {
        net->command(*gw, core::EndLeg{leg, 0, {}, 0});
        exchange(answer_to(arrived().at(0), 200, ""));
      }
      EXPECT_EQ(count<core::LegEnded>(), 1) << "core does not wait";
      Text options;
      options.method = "OPTIONS";
      options.branch = "z9hG4bKo";
      options.to_tag = bye.to_tag;
      options.cseq = 3;
      EXPECT_EQ(status_of(options.str()), "481");
      const std::string extra = status == 200 ? "Contact: <sip:peer@192.0.2.9:5080>\r\n" : "";
      const std::string answer = answer_to(ours, status, "", extra, status == 200 ? sample_sdp(7) : "");
      const std::string ack = only_answer(answer);
      EXPECT_EQ(line_of(ack, "CSeq"), "CSeq: 1 ACK");
      EXPECT_EQ(only_answer(answer), ack) << "repeated";
      EXPECT_EQ(gw->ua->occupancy().legs, 0u);
      EXPECT_EQ(count<core::LegEnded>(), 1);
      net->run_for(seconds(40));
      EXPECT_EQ(gw->ua->occupancy().client_transactions, 0u);
    }
  }
}

TEST_F(DialogTest, AReInviteThatIsNeverAnsweredIsForgottenAfterTheCall) {
  established();
  net->command(*gw, core::UpdateLeg{leg, sample_sdp(6)});
  exchange(answer_to(arrived().at(0), 180, ""));
  net->command(*gw, core::EndLeg{leg, 0, {}, 0});
  exchange(answer_to(arrived().at(0), 200, ""));
  EXPECT_EQ(gw->ua->occupancy().legs, 1u);
  net->run_for(seconds(33));
  EXPECT_EQ(gw->ua->occupancy().legs + gw->ua->occupancy().client_transactions, 0u);
  EXPECT_EQ(count<core::LegEnded>(), 1);
}

// ---- ACK -------------------------------------------------------------------------------------------------------

TEST_F(DialogTest, AnAckIsRecordedOnceWhateverItsBranch) {
  for (const char* branch : {"z9hG4bKown", "z9hG4bKa"}) {  // RFC 3261 says its own; old phones repeat the INVITE's
    build({});
    Text invite;
    invite.body = sample_sdp(1);
    exchange(invite.str());
    leg = std::get<core::LegOffered>(gw->events.back()).leg;
    net->command(*gw, core::AnswerLeg{leg, sample_sdp(2)});
    Text ack = ack_of(invite, branch);
    ack.to_tag = std::string(prescan(as_bytes(arrived().at(0))).to_tag);
    exchange(ack.str());
    exchange(ack.str());
    EXPECT_EQ(acks_recorded(), (std::vector<bool>{false})) << branch;
    EXPECT_EQ(gw->ua->statistics().stray_acks, 1u) << branch;
    EXPECT_TRUE(arrived(seconds(40)).empty());
  }
}

TEST_F(DialogTest, ARepeatedAckOfARefusalIsRecordedAsSuch) {
  exchange(Text().str());
  net->command(*gw, core::EndLeg{std::get<core::LegOffered>(gw->events.back()).leg, 404, {}, 0});
  const Text ack = ack_of(Text(), Text().branch);
  exchange(ack.str());
  exchange(ack.str());
  EXPECT_EQ(acks_recorded(), (std::vector<bool>{false, true}));
}

}  // namespace
}  // namespace ifgw::sip
