#include "controlplane/guard/allow_all.h"

#include <gtest/gtest.h>

namespace ifgw::guard {
namespace {

TEST(AllowAll, AllowsAtOnceAndSaysByWhichRule) {
  AllowAll guard;
  std::uint64_t call = 0;
  core::Decision decision;
  guard.set_on_decision([&](std::uint64_t id, const core::Decision& d, Instant) {
    call = id;
    decision = d;
  });
  core::LegOffered offered;
  offered.security.source = *Endpoint::parse("192.0.2.1:5060");
  guard.decide(core::CallRequest{9, offered, "r", "sip:x"}, from_ns(0));
  EXPECT_EQ(call, 9u);
  EXPECT_TRUE(decision.allow);
  EXPECT_EQ(decision.layer, "policy");
  EXPECT_EQ(decision.rule, "allow-all");
  EXPECT_EQ(decision.observed, "192.0.2.1:5060");
}

}  // namespace
}  // namespace ifgw::guard
