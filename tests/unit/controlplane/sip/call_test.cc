// Two user agents, back to back: whole calls in virtual time.
#include <gtest/gtest.h>

#include "tests/sim/sip_network.h"

namespace ifgw::sip {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

template <typename T>
std::vector<T> all(const SipNetwork::Party& party) {
  std::vector<T> out;
  for (const core::LegEvent& event : party.events) {
    if (const T* wanted = std::get_if<T>(&event)) out.push_back(*wanted);
  }
  return out;
}

class CallTest : public ::testing::Test {
 protected:
  void build(std::uint64_t seed = 1, NetworkQuality quality = {}) {
    net = std::make_unique<SipNetwork>(seed, quality);
    alice = &net->add("192.0.2.1:5060");
    bob = &net->add("192.0.2.2:5060");
  }
  core::LegKey call(const char* transport = "udp", std::string sdp = sample_sdp(4000)) {
    core::OfferLeg offer;
    offer.leg = net->new_leg();
    offer.trace_id = "trace-1";
    offer.request_uri = "sip:bob@192.0.2.2";
    offer.from = "sip:alice@192.0.2.1";
    offer.to = "sip:bob@192.0.2.2";
    offer.from_display = "Alice \"A\"";
    offer.transport = transport;
    offer.headers = {{"X-IF-Hazard", "safety"}, {"Contact", "<sip:evil@203.0.113.9>"}};
    offer.sdp = std::move(sdp);
    offer.answer_timeout = seconds(30);
    net->command(*alice, offer);
    return offer.leg;
  }
  core::LegKey offered() { return all<core::LegOffered>(*bob).at(0).leg; }
  // Everything is over and forgotten once the last timer has run out.
  void expect_empty() {
    net->run_for(minutes(5));
    for (const SipNetwork::Party* party : {alice, bob}) {
      const Occupancy left = party->ua->occupancy();
      EXPECT_EQ(left.client_transactions, 0u);
      EXPECT_EQ(left.server_transactions, 0u);
      EXPECT_EQ(left.legs, 0u);
      EXPECT_EQ(left.setups_in_flight, 0u);
      EXPECT_EQ(party->ua->next_deadline(), kNever);
    }
  }

  std::unique_ptr<SipNetwork> net;
  SipNetwork::Party* alice = nullptr;
  SipNetwork::Party* bob = nullptr;
};

TEST_F(CallTest, RingsAnswersAndEndsOverEveryTransport) {
  for (const char* transport : {"udp", "tcp", "tls"}) {
    SCOPED_TRACE(transport);
    build();
    const core::LegKey out = call(transport);
    net->run_for(milliseconds(20));
    const auto offers = all<core::LegOffered>(*bob);
    ASSERT_EQ(offers.size(), 1u);
    EXPECT_EQ(offers[0].trace_id, "trace-1");
    EXPECT_EQ(offers[0].sdp, sample_sdp(4000));
    EXPECT_EQ(offers[0].from, "sip:alice@192.0.2.1");
    EXPECT_EQ(offers[0].max_forwards, 69);
    EXPECT_EQ(offers[0].security.transport, transport);
    EXPECT_NE(std::find(offers[0].headers.begin(), offers[0].headers.end(), std::pair<std::string, std::string>("X-IF-Hazard", "safety")),
              offers[0].headers.end());
    net->command(*bob, core::RingLeg{offered(), 180, {}});
    net->run_for(milliseconds(20));
    ASSERT_EQ(all<core::LegProgressed>(*alice).size(), 1u);
    net->command(*bob, core::AnswerLeg{offered(), sample_sdp(5000)});
    net->run_for(milliseconds(20));
    ASSERT_EQ(all<core::LegAnswered>(*alice).size(), 1u);
    EXPECT_EQ(all<core::LegAnswered>(*alice)[0].sdp, sample_sdp(5000));
    EXPECT_EQ(alice->ua->legs().at(0).state, "confirmed");
    EXPECT_EQ(bob->ua->legs().at(0).state, "confirmed");
    net->run_for(minutes(10));  // nothing happens in a quiet call
    EXPECT_EQ(alice->ua->legs().size(), 1u);
    net->command(*alice, core::EndLeg{out, 0, "done", 0});
    net->run_for(milliseconds(20));
    ASSERT_EQ(all<core::LegEnded>(*bob).size(), 1u);
    EXPECT_EQ(all<core::LegEnded>(*bob)[0].cause, core::EndCause::Bye);
    EXPECT_EQ(all<core::LegEnded>(*alice).size(), 1u);
    EXPECT_EQ(alice->ua->statistics().request_retransmissions_sent + bob->ua->statistics().response_retransmissions_sent, 0u);
    expect_empty();
  }
}

TEST_F(CallTest, CalleeHangsUp) {
  build();
  call();
  net->run_for(milliseconds(20));
  net->command(*bob, core::AnswerLeg{offered(), sample_sdp(5000)});
  net->run_for(milliseconds(20));
  net->command(*bob, core::EndLeg{offered(), 0, {}, 0});
  net->run_for(milliseconds(20));
  EXPECT_EQ(all<core::LegEnded>(*alice).at(0).cause, core::EndCause::Bye);
  expect_empty();
}

TEST_F(CallTest, CalleeHangsUpBeforeTheAckAndWaitsForIt) {
  build();
  call();
  net->run_for(milliseconds(20));
  net->command(*bob, core::AnswerLeg{offered(), sample_sdp(5000)});
  net->command(*bob, core::EndLeg{offered(), 0, {}, 0});
  EXPECT_EQ(bob->wire.back().status, 200) << "no BYE before the ACK (RFC 3261 section 15)";
  net->run_for(milliseconds(50));
  EXPECT_EQ(all<core::LegEnded>(*bob).size(), 1u);
  EXPECT_EQ(all<core::LegEnded>(*alice).size(), 1u);
  expect_empty();
}

TEST_F(CallTest, BothHangUpAtOnce) {
  build();
  const core::LegKey out = call();
  net->run_for(milliseconds(20));
  net->command(*bob, core::AnswerLeg{offered(), sample_sdp(5000)});
  net->run_for(milliseconds(20));
  net->command(*bob, core::EndLeg{offered(), 0, {}, 0});
  net->command(*alice, core::EndLeg{out, 0, {}, 0});
  net->run_for(milliseconds(20));
  EXPECT_EQ(all<core::LegEnded>(*alice).size(), 1u);
  EXPECT_EQ(all<core::LegEnded>(*bob).size(), 1u);
  expect_empty();
}

TEST_F(CallTest, RefusalReachesTheCaller) {
  build();
  call();
  net->run_for(milliseconds(20));
  net->command(*bob, core::EndLeg{offered(), 486, "Busy Here", 7});
  net->run_for(milliseconds(20));
  const auto ended = all<core::LegEnded>(*alice);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].cause, core::EndCause::Rejected);
  EXPECT_EQ(ended[0].status, 486);
  EXPECT_EQ(ended[0].reason, "Busy Here");
  EXPECT_EQ(all<core::LegEnded>(*bob).at(0).status, 486);
  expect_empty();
}

TEST_F(CallTest, CallerGivesUpWhileRinging) {
  build();
  const core::LegKey out = call();
  net->run_for(milliseconds(20));
  net->command(*bob, core::RingLeg{offered(), 180, {}});
  net->run_for(milliseconds(20));
  net->command(*alice, core::EndLeg{out, 0, "gone", 0});
  net->run_for(milliseconds(20));
  EXPECT_EQ(all<core::LegEnded>(*bob).at(0).cause, core::EndCause::Cancelled);
  EXPECT_EQ(all<core::LegEnded>(*alice).at(0).cause, core::EndCause::Cancelled);
  EXPECT_EQ(all<core::LegEnded>(*alice).at(0).status, 487);
  expect_empty();
}

TEST_F(CallTest, CancelWaitsForTheFirstProvisional) {
  build();
  const core::LegKey out = call();
  net->command(*alice, core::EndLeg{out, 0, {}, 0});
  EXPECT_EQ(alice->wire.size(), 1u) << "no CANCEL before a 1xx (section 9.1)";
  net->run_for(milliseconds(50));
  EXPECT_EQ(all<core::LegEnded>(*bob).at(0).cause, core::EndCause::Cancelled);
  expect_empty();
}

TEST_F(CallTest, AnswerCrossesTheCancelAndIsHungUp) {
  build();
  const core::LegKey out = call();
  net->run_for(milliseconds(20));
  net->command(*bob, core::AnswerLeg{offered(), sample_sdp(5000)});
  net->command(*alice, core::EndLeg{out, 0, {}, 0});
  net->run_for(milliseconds(100));
  EXPECT_TRUE(all<core::LegAnswered>(*alice).empty());
  EXPECT_EQ(all<core::LegEnded>(*alice).at(0).cause, core::EndCause::Cancelled);
  EXPECT_EQ(all<core::LegEnded>(*bob).at(0).cause, core::EndCause::Bye);
  expect_empty();
}

TEST_F(CallTest, NobodyAnswersInTime) {
  build();
  call();
  net->run_for(milliseconds(20));
  net->command(*bob, core::RingLeg{offered(), 180, {}});
  net->run_for(seconds(31));
  EXPECT_EQ(all<core::LegEnded>(*alice).at(0).cause, core::EndCause::TimedOut);
  EXPECT_EQ(all<core::LegEnded>(*bob).at(0).cause, core::EndCause::Cancelled);
  expect_empty();
  EXPECT_EQ(all<core::LegEnded>(*alice).size(), 1u);
}

TEST_F(CallTest, NobodyIsThere) {
  build();
  net->quality().loss = 1;
  call();
  net->run_for(seconds(33));
  EXPECT_EQ(all<core::LegEnded>(*alice).at(0).cause, core::EndCause::TimedOut);
  EXPECT_EQ(alice->ua->statistics().request_retransmissions_sent, 6u) << "timer A: 0.5 1.5 3.5 7.5 15.5 31.5";
  expect_empty();
}

TEST_F(CallTest, TransportFailureEndsTheLegAtOnce) {
  build();
  core::OfferLeg offer;
  offer.leg = net->new_leg();
  offer.request_uri = "sip:bob@192.0.2.2";
  offer.from = "sip:a@host.example";
  offer.to = "sip:b@host.example";
  alice->ua->on_command(offer, net->now());
  Outputs outputs;
  alice->ua->drain(outputs);
  ASSERT_EQ(outputs.messages.size(), 1u);
  alice->ua->on_send_failed(outputs.messages[0].ticket, net->now());
  alice->ua->drain(outputs);
  ASSERT_EQ(outputs.events.size(), 1u);
  EXPECT_EQ(std::get<core::LegEnded>(outputs.events[0]).cause, core::EndCause::Transport);
  expect_empty();
}

TEST_F(CallTest, UnacknowledgedAnswerIsRepeatedThenHungUp) {
  build();
  call();
  net->run_for(milliseconds(20));
  net->quality().loss = 1;
  net->command(*bob, core::AnswerLeg{offered(), sample_sdp(5000)});
  net->run_for(seconds(31));
  // 0.5 1.5 3.5 then every 4 s up to 31.5 (section 13.3.1.4)
  EXPECT_EQ(bob->ua->statistics().response_retransmissions_sent, 9u);
  net->run_for(seconds(40));
  EXPECT_EQ(all<core::LegEnded>(*bob).at(0).cause, core::EndCause::TimedOut);
  expect_empty();
}

TEST_F(CallTest, LateOfferIsAnsweredInTheAck) {
  build();
  const core::LegKey out = call("udp", {});
  net->run_for(milliseconds(20));
  EXPECT_TRUE(all<core::LegOffered>(*bob).at(0).sdp.empty());
  net->command(*bob, core::AnswerLeg{offered(), sample_sdp(5000)});
  net->run_for(seconds(2));
  EXPECT_EQ(all<core::LegAnswered>(*alice).at(0).sdp, sample_sdp(5000));
  net->command(*alice, core::AnswerLeg{out, sample_sdp(4000)});
  net->run_for(seconds(10));
  const auto updated = all<core::LegUpdated>(*bob);
  ASSERT_EQ(updated.size(), 1u);
  EXPECT_FALSE(updated[0].is_offer);
  EXPECT_EQ(updated[0].sdp, sample_sdp(4000));
  net->command(*alice, core::EndLeg{out, 0, {}, 0});
  expect_empty();
}

TEST_F(CallTest, ReInviteIsAnsweredRefusedAndCollides) {
  build();
  const core::LegKey out = call();
  net->run_for(milliseconds(20));
  net->command(*bob, core::AnswerLeg{offered(), sample_sdp(5000)});
  net->run_for(milliseconds(20));
  net->command(*alice, core::UpdateLeg{out, sample_sdp(4002)});
  net->run_for(milliseconds(20));
  ASSERT_EQ(all<core::LegUpdated>(*bob).size(), 1u);
  EXPECT_TRUE(all<core::LegUpdated>(*bob)[0].is_offer);
  net->command(*bob, core::AnswerLeg{offered(), sample_sdp(5002)});
  net->run_for(milliseconds(20));
  ASSERT_EQ(all<core::LegUpdated>(*alice).size(), 1u);
  EXPECT_EQ(all<core::LegUpdated>(*alice)[0].sdp, sample_sdp(5002));

  net->command(*bob, core::UpdateLeg{offered(), sample_sdp(5004)});
  net->run_for(milliseconds(20));
  net->command(*alice, core::RefuseUpdate{out, 488, {}});
  net->run_for(milliseconds(20));
  EXPECT_TRUE(all<core::LegUpdated>(*bob).back().sdp.empty());

  const auto answer = [this](SipNetwork::Party& party, int port) {
    return [this, &party, port](const core::LegEvent& event) {
      const auto* updated = std::get_if<core::LegUpdated>(&event);
      if (updated != nullptr && updated->is_offer) net->command(party, core::AnswerLeg{updated->leg, sample_sdp(port)});
    };
  };
  alice->on_event = answer(*alice, 4006);
  bob->on_event = answer(*bob, 5006);
  net->command(*alice, core::UpdateLeg{out, sample_sdp(4008)});  // both at once: 491 both ways, then one after the other
  net->command(*bob, core::UpdateLeg{offered(), sample_sdp(5008)});
  net->run_for(milliseconds(100));
  const core::LegUpdated alices = all<core::LegUpdated>(*alice).back();
  const core::LegUpdated bobs = all<core::LegUpdated>(*bob).back();
  for (const core::LegUpdated& refused : {alices, bobs}) EXPECT_TRUE(refused.status == 491 && !refused.is_offer && refused.retry_after);
  EXPECT_GE(*alices.retry_after, milliseconds(2'100)) << "she owns the Call-ID";
  EXPECT_LE(*alices.retry_after, milliseconds(4'000));
  EXPECT_LE(*bobs.retry_after, milliseconds(2'000));
  net->command(*bob, core::UpdateLeg{offered(), sample_sdp(5008)});
  net->run_for(milliseconds(100));
  EXPECT_EQ(all<core::LegUpdated>(*bob).back().sdp, sample_sdp(4006)) << "nothing of hers is outstanding";
  net->run_for(*alices.retry_after);
  net->command(*alice, core::UpdateLeg{out, sample_sdp(4008)});
  net->run_for(milliseconds(100));
  EXPECT_EQ(all<core::LegUpdated>(*alice).back().sdp, sample_sdp(5006));
  net->command(*alice, core::EndLeg{out, 0, {}, 0});
  expect_empty();
}

// Under loss, duplication and reordering, every call is set up and ended on both sides, or fails on both, exactly once.
TEST_F(CallTest, SurvivesABadNetwork) {
  int connected = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(seed);
    build(seed, {0.25, 0.2, milliseconds(1), milliseconds(900)});
    bob->on_event = [this](const core::LegEvent& event) {
      if (const auto* offer = std::get_if<core::LegOffered>(&event)) {
        net->command(*bob, core::RingLeg{offer->leg, 180, {}});
        net->command(*bob, core::AnswerLeg{offer->leg, sample_sdp(5000)});
      }
    };
    const core::LegKey out = call();
    net->run_for(seconds(40));
    connected += static_cast<int>(all<core::LegAnswered>(*alice).size());
    if (seed % 2 == 0) net->command(*alice, core::EndLeg{out, 0, {}, 0});
    if (seed % 3 == 0 && !all<core::LegOffered>(*bob).empty()) net->command(*bob, core::EndLeg{offered(), 0, {}, 0});
    net->run_for(minutes(2));
    net->command(*alice, core::EndLeg{out, 0, {}, 0});
    net->run_for(minutes(2));
    EXPECT_LE(all<core::LegOffered>(*bob).size(), 1u) << "one INVITE is one call, however often it arrives";
    EXPECT_EQ(all<core::LegEnded>(*alice).size(), 1u);
    EXPECT_LE(all<core::LegAnswered>(*alice).size(), 1u);
    for (const core::LegOffered& offer : all<core::LegOffered>(*bob)) net->command(*bob, core::EndLeg{offer.leg, 0, {}, 0});
    net->run_for(minutes(3));
    EXPECT_EQ(all<core::LegEnded>(*bob).size(), all<core::LegOffered>(*bob).size());
    expect_empty();
  }
  EXPECT_GT(connected, 120);
}

}  // namespace
}  // namespace ifgw::sip
