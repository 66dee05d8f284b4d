// A call refused without a transaction stays refused: its copies and its ACK are known for 64*T1.
#include "controlplane/sip/shed_invites.h"

#include "tests/unit/controlplane/sip/user_agent_fixture.h"

namespace ifgw::sip {
namespace {

using test::line_of;
using test::milliseconds;
using test::seconds;
using test::Text;

class ShedInvitesTest : public test::UserAgentTest {
 protected:
  // Admits one call a second; the first one is spent.
  ShedInvitesTest() {
    Limits limits;
    limits.setups_per_second = 1;
    limits.setup_burst = 1;
    build(limits);
    exchange(numbered(0).str());
  }
  static Text numbered(int n) {
    Text text;
    text.call_id = "n" + std::to_string(n);
    text.branch = "z9hG4bKn" + std::to_string(n);
    return text;
  }
  std::string acknowledgement(const Text& invite, const std::string& refusal) {
    Text ack = invite;
    ack.method = "ACK";
    ack.to_tag = std::string(prescan(as_bytes(refusal)).to_tag);
    return ack.str();
  }
};

TEST_F(ShedInvitesTest, ALateCopyIsNoNewCall) {
  const std::string invite = numbered(1).str();
  const std::string refused = only_answer(invite);
  ASSERT_EQ(refused.substr(8, 3), "503");
  EXPECT_TRUE(exchange(acknowledgement(numbered(1), refused)).empty());
  EXPECT_EQ(gw->ua->statistics().stray_acks, 0u);
  net->run_for(seconds(30));
  EXPECT_EQ(only_answer(invite), refused) << "there is room again, but this one was refused";
  EXPECT_EQ(gw->ua->statistics().calls_offered, 1u);
  EXPECT_EQ(gw->ua->statistics().calls_shed, 1u);
  EXPECT_EQ(gw->ua->statistics().request_retransmissions_received, 1u);
  EXPECT_EQ(exchange(numbered(2).str()).at(0).substr(8, 3), "100") << "a copy spends no token";
}

TEST_F(ShedInvitesTest, IsForgottenAfter64T1CountedFromTheFirst) {
  const std::string invite = numbered(1).str();
  only_answer(invite);
  net->run_for(seconds(31));
  EXPECT_EQ(status_of(invite), "503");
  net->run_for(seconds(1));
  EXPECT_EQ(exchange(invite).at(0).substr(8, 3), "100");
}

TEST_F(ShedInvitesTest, ANewAttemptOfTheSameCallIsAdmitted) {
  Text again = numbered(1);
  only_answer(again.str());
  net->run_for(seconds(2));
  again.branch = "z9hG4bKanother";
  again.cseq = 2;
  EXPECT_EQ(exchange(again.str()).at(0).substr(8, 3), "100");
}

TEST_F(ShedInvitesTest, WithoutTheMagicCookieTheOldFieldsTell) {
  Text old = numbered(1);
  old.branch = "1";
  EXPECT_EQ(status_of(old.str()), "503");
  net->run_for(seconds(2));
  EXPECT_EQ(status_of(old.str()), "503");
  old.cseq = 2;
  EXPECT_EQ(exchange(old.str()).at(0).substr(8, 3), "100") << "the same branch, another request";
}

TEST_F(ShedInvitesTest, AnAckOfNothingIsStillStray) {
  exchange(acknowledgement(numbered(7), "SIP/2.0 503 X\r\nTo: <sip:a@b.example>;tag=x\r\n\r\n"));
  EXPECT_EQ(gw->ua->statistics().stray_acks, 1u);
}

TEST(ShedInvites, FullForgetsTheOldestAndKeepsTheRest) {
  const Instant start = from_ns(1'000);
  ShedInvites set(ShedInvites::kWays, seconds(32));
  for (std::uint64_t i = 0; i < ShedInvites::kWays; ++i) set.add(100 + i, start + milliseconds(i));
  for (std::uint64_t i = 0; i < ShedInvites::kWays; ++i) EXPECT_TRUE(set.contains(100 + i, start + seconds(1)));
  set.add(999, start + seconds(1));
  EXPECT_TRUE(set.contains(999, start + seconds(1)));
  EXPECT_FALSE(set.contains(100, start + seconds(1)));
  for (std::uint64_t i = 1; i < ShedInvites::kWays; ++i) EXPECT_TRUE(set.contains(100 + i, start + seconds(1))) << i;
}

TEST(ShedInvites, WhatRanOutMakesRoomBeforeWhatDidNot) {
  const Instant start = from_ns(1'000);
  ShedInvites set(1, seconds(1));
  set.add(1, start);
  for (std::uint64_t i = 2; i <= ShedInvites::kWays; ++i) set.add(i, start + milliseconds(500));
  set.add(77, start + milliseconds(1'200));
  for (std::uint64_t i = 2; i <= ShedInvites::kWays; ++i) EXPECT_TRUE(set.contains(i, start + milliseconds(1'200))) << i;
  EXPECT_FALSE(set.contains(2, start + milliseconds(1'500))) << "a second is over";
}

TEST(ShedInvites, AHashOfZeroIsNotThereByItself) { EXPECT_FALSE(ShedInvites(8, seconds(1)).contains(0, from_ns(0))); }

}  // namespace
}  // namespace ifgw::sip
