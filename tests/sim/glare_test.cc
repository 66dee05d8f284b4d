// Two offers that meet (RFC 3261 section 14.1), with the real call machine above the real user agent.
#include "tests/sim/gateway_sim.h"

namespace ifgw::sip {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::audio_sdp;
using test::direction_in;
using test::kCallerSdp;
using test::Sim;
using wire::sdp::Direction;

const std::string kCallerHolds = audio_sdp("10.0.0.9", 4000, "0 8", "a=sendonly\r\n");
const std::string kCalleeHolds = audio_sdp("192.0.2.7", 6000, "0", "a=sendonly\r\n");

class Glare : public ::testing::Test {
 protected:
  Glare() : sim(1) {
    sim.answer_all();
    leg = sim.call();
    sim.run_for(seconds{1});
    far = Sim::last<core::LegOffered>(sim.callee)->leg;
    sim.callee.on_event = [this](const core::LegEvent& event) {
      const auto* updated = std::get_if<core::LegUpdated>(&event);
      if (updated == nullptr) return;
      if (updated->is_offer) {
        offered.push_back(direction_in(updated->sdp));
        sim.network.command(sim.callee, core::AnswerLeg{far, answer});
      } else {
        outcomes.push_back(*updated);
      }
    };
  }
  // Both parties hold at once: the gateway's offer of the caller's hold meets the callee's own, and each refuses the other.
  void meet() {
    sim.network.command(sim.caller, core::UpdateLeg{leg, kCallerHolds});
    sim.run_for(milliseconds{6});
    sim.network.command(sim.callee, core::UpdateLeg{far, kCalleeHolds});
    sim.run_for(milliseconds{100});
    ASSERT_EQ(outcomes.size(), 1u);
    ASSERT_EQ(outcomes[0].status, 491);
    ASSERT_TRUE(offered.empty());
  }
  void expect_end() {
    sim.network.command(sim.caller, core::EndLeg{leg, 0, "", 0});
    sim.run_for(seconds{60});
    sim.expect_nothing_left();
  }

  Sim sim;
  core::LegKey leg, far;
  std::string answer = audio_sdp("192.0.2.7", 6000, "0", "a=recvonly\r\n");
  std::vector<Direction> offered;          // to the callee
  std::vector<core::LegUpdated> outcomes;  // of its own offers
};

TEST_F(Glare, WhileOursWaitsThePartysOfferIsAnswered) {
  meet();
  sim.network.command(sim.callee, core::UpdateLeg{far, kCalleeHolds});
  sim.run_for(milliseconds{100});
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(outcomes[1].status, 0);
  EXPECT_EQ(direction_in(outcomes[1].sdp), Direction::Inactive) << "both hold, and it is told so at once";
  sim.run_for(seconds{30});
  EXPECT_TRUE(offered.empty()) << "nothing is left to be said";
  expect_end();
}

TEST_F(Glare, APartyThatDoesNotTryAgainGetsOurs) {
  meet();
  sim.run_for(seconds{2});
  EXPECT_TRUE(offered.empty()) << "not before 2.1 s: the gateway owns the Call-ID";
  sim.run_for(seconds{2} + milliseconds{100});
  EXPECT_EQ(offered, std::vector<Direction>{Direction::SendOnly});
  sim.run_for(seconds{30});
  EXPECT_EQ(offered.size(), 1u);
  expect_end();
}

TEST_F(Glare, WhatIsOfferedAfterTheWaitIsWhatHoldsThen) {
  meet();
  sim.network.command(sim.caller, core::UpdateLeg{leg, kCallerSdp});  // resumed meanwhile
  sim.run_for(seconds{30});
  EXPECT_TRUE(offered.empty()) << "the callee never heard of the hold";
  EXPECT_EQ(sim.calls.list(1)[0]->state, core::CallState::Connected);
  expect_end();
}

}  // namespace
}  // namespace ifgw::sip
