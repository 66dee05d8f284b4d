// What a called party sends before it answers: each 1xx with a tag of its own began a dialog (RFC 3261 section 12.1.2).
#include "tests/unit/controlplane/sip/user_agent_fixture.h"

namespace ifgw::sip {
namespace {

using test::answer_to;
using test::line_of;
using test::Text;
using test::UserAgentTest;

const std::string kContact = "Contact: <sip:peer@192.0.2.9:5080>\r\n";

class EarlyDialogTest : public UserAgentTest {
 protected:
  // Our INVITE rings at a branch with this tag.
  void ring(const std::string& tag) { exchange(answer_to(invite, 180, tag, kContact)); }
  // A request of the called party's, from the branch with this tag.
  Text request(const std::string& method, const std::string& tag, int cseq = 1) {
    const PreScan sent = prescan(as_bytes(invite));
    Text text;
    text.method = method;
    text.from_tag = tag;
    text.to_tag = std::string(sent.from_tag);
    text.call_id = std::string(sent.call_id);
    text.branch = "z9hG4bK" + method + tag + std::to_string(cseq);
    text.cseq = cseq;
    return text;
  }
  std::string invite;
};

TEST_F(EarlyDialogTest, AnUpdateWhileItRingsIsAnsweredAndTheCallGoesOn) {
  invite = calling();
  EXPECT_NE(line_of(invite, "Allow").find("UPDATE"), std::string::npos);
  ring("a");
  const Text update = request("UPDATE", "a", 7);
  const std::string ok = only_answer(update.str());
  EXPECT_EQ(ok.substr(8, 3), "200");
  EXPECT_EQ(line_of(ok, "Contact"), line_of(invite, "Contact"));
  EXPECT_EQ(only_answer(update.str()), ok) << "a copy: from memory";
  const std::string ack = only_answer(answer_to(invite, 200, "a", kContact, sample_sdp(9)));
  EXPECT_EQ(ack.substr(0, 3), "ACK");
  EXPECT_EQ(count<core::LegAnswered>(), 1);
  EXPECT_EQ(status_of(request("BYE", "a", 7).str()), "500") << "the dialog is the one of the UPDATE";
  EXPECT_EQ(status_of(request("BYE", "a", 8).str()), "200");
  EXPECT_EQ(count<core::LegEnded>(), 1);
}

// RFC 3311 section 5.2: our INVITE's offer is not answered, as no 1xx is reliable without PRACK.
TEST_F(EarlyDialogTest, AnOfferBeforeTheAnswerIsRefusedAndTheCallGoesOn) {
  invite = calling();
  exchange(answer_to(invite, 183, "a", kContact, sample_sdp(8)));
  Text update = request("UPDATE", "a");
  update.body = sample_sdp(7);
  EXPECT_EQ(status_of(update.str()), "491");
  Text reinvite = request("INVITE", "a", 2);
  reinvite.body = sample_sdp(7);
  EXPECT_EQ(status_of(reinvite.str()), "491") << "RFC 3261 section 14.2";
  EXPECT_EQ(count<core::LegUpdated>(), 0);
  EXPECT_EQ(only_answer(answer_to(invite, 200, "a", kContact, sample_sdp(9))).substr(0, 3), "ACK");
  update.branch += "again";
  update.cseq = 3;
  EXPECT_TRUE(exchange(update.str()).empty()) << "for core now";
  EXPECT_EQ(count<core::LegUpdated>(), 1);
  EXPECT_EQ(count<core::LegEnded>(), 0);
}

TEST_F(EarlyDialogTest, EachBranchHasADialogAndAnOrderOfItsOwn) {
  invite = calling();
  ring("a");
  ring("b");
  EXPECT_EQ(status_of(request("UPDATE", "a", 50).str()), "200");
  EXPECT_EQ(status_of(request("UPDATE", "b", 2).str()), "200") << "not the order of the other branch";
  EXPECT_EQ(status_of(request("UPDATE", "b", 1).str()), "500");
  EXPECT_EQ(status_of(request("OPTIONS", "b", 3).str()), "200");
  EXPECT_EQ(status_of(request("UPDATE", "c").str()), "481") << "no 1xx had this tag";
  Text stranger = request("UPDATE", "a", 51);
  stranger.call_id = "other";
  EXPECT_EQ(status_of(stranger.str()), "481");
  exchange(answer_to(invite, 200, "b", kContact, sample_sdp(9)));
  EXPECT_EQ(status_of(request("UPDATE", "a", 52).str()), "481") << "the other branch has the call";
  EXPECT_EQ(status_of(request("UPDATE", "b", 4).str()), "200");
}

TEST_F(EarlyDialogTest, OnlyTheCallerHangsUpAnEarlyDialog) {
  invite = calling();
  ring("a");
  EXPECT_EQ(status_of(request("BYE", "a").str()), "481");
  EXPECT_EQ(count<core::LegEnded>(), 0);
  net->command(*gw, core::EndLeg{leg, 0, {}, 0});
  EXPECT_EQ(arrived().at(0).substr(0, 6), "CANCEL");
  EXPECT_EQ(status_of(request("UPDATE", "a", 2).str()), "200") << "until the INVITE is answered";
  exchange(answer_to(invite, 487, "a"));
  EXPECT_EQ(status_of(request("UPDATE", "a", 3).str()), "481");
}

TEST_F(EarlyDialogTest, A100BeginsNoneAndTheirNumberIsBounded) {
  invite = calling();
  exchange(answer_to(invite, 100, "z"));
  EXPECT_EQ(status_of(request("UPDATE", "z").str()), "481");
  for (char tag = 'a'; tag <= 'i'; ++tag) ring(std::string(1, tag));
  ring("a");
  EXPECT_EQ(status_of(request("UPDATE", "h").str()), "200");
  EXPECT_EQ(status_of(request("UPDATE", "i").str()), "481");
  EXPECT_EQ(gw->ua->statistics().early_dialogs_full, 1u);
  EXPECT_EQ(only_answer(answer_to(invite, 200, "i", kContact, sample_sdp(9))).substr(0, 3), "ACK") << "it may answer all the same";
}

TEST_F(EarlyDialogTest, ACallersUpdateWithoutAnOfferMovesItsTarget) {
  Text first;
  first.body = sample_sdp(1);
  exchange(first.str());
  leg = std::get<core::LegOffered>(gw->events.back()).leg;
  net->command(*gw, core::RingLeg{leg, 180, {}});
  Text update;
  update.method = "UPDATE";
  update.branch = "z9hG4bKu";
  update.to_tag = std::string(prescan(as_bytes(arrived().at(0))).to_tag);
  update.cseq = 2;
  update.extra = "Contact: <sip:moved@192.0.2.9:5080>\r\n";
  EXPECT_EQ(status_of(update.str()), "200");
  net->command(*gw, core::AnswerLeg{leg, sample_sdp(2)});
  arrived();
  Text ack;
  ack.method = "ACK";
  ack.branch = "z9hG4bKack";
  ack.to_tag = update.to_tag;
  EXPECT_TRUE(exchange(ack.str()).empty());
  net->command(*gw, core::EndLeg{leg, 0, {}, 0});
  EXPECT_EQ(arrived().at(0).substr(0, 28), "BYE sip:moved@192.0.2.9:5080");
}

TEST_F(EarlyDialogTest, TheTargetOfALaterUpdateOutlivesThatOfAnOpenReInvite) {
  Text reinvite;
  reinvite.to_tag = established();
  reinvite.branch = "z9hG4bKr";
  reinvite.cseq = 2;
  reinvite.body = sample_sdp(4);
  EXPECT_EQ(status_of(reinvite.str()), "100");
  Text update = reinvite;
  update.method = "UPDATE";
  update.branch = "z9hG4bKu";
  update.cseq = 3;
  update.body.clear();
  update.extra = "Contact: <sip:moved@192.0.2.9:5080>\r\n";
  EXPECT_EQ(status_of(update.str()), "200") << "it negotiates nothing";
  net->command(*gw, core::AnswerLeg{leg, sample_sdp(5)});
  arrived();
  net->command(*gw, core::EndLeg{leg, 0, {}, 0});
  EXPECT_EQ(arrived().at(0).substr(0, 28), "BYE sip:moved@192.0.2.9:5080");
}

}  // namespace
}  // namespace ifgw::sip
