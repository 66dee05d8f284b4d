// Two parties whose audio is relayed, and what they say.
#pragma once

#include <gtest/gtest.h>

#include "tests/support/plane.h"

namespace ifgw::test {

inline const Endpoint kAlice = *Endpoint::parse("198.51.100.10:40000");
inline const Endpoint kBob = *Endpoint::parse("203.0.113.20:50000");

inline Frame speech(std::size_t size = 160) {
  Frame f;
  for (std::size_t i = 0; i < size; ++i) f.push_back(static_cast<std::uint8_t>(i * 7 + 3));
  return f;
}

// Two joined legs: alice on local address 0, bob as told.
class MediaTest : public testing::Test {
 protected:
  void connect(const api::MediaParams& a, const api::MediaParams& b, std::uint8_t b_address = 0) {
    const api::CommandDone alice = plane.add(a);
    const api::CommandDone bob = plane.add(b, b_address);
    ASSERT_EQ(alice.status, api::CommandStatus::Ok);
    ASSERT_EQ(bob.status, api::CommandStatus::Ok);
    alice_leg = alice.leg;
    bob_leg = bob.leg;
    alice_port = alice.local;
    bob_port = bob.local;
    ASSERT_EQ(plane.join(alice_leg, bob_leg).status, api::CommandStatus::Ok);
  }
  void connect_relay() { connect(media_to("198.51.100.10:40000"), media_to("203.0.113.20:50000")); }
  Plane::Sent from_alice(const Frame& rtp) { return plane.send(udp_frame(kAlice, alice_port, rtp)); }
  api::LegRow& row(api::LegId leg) { return plane.engine.row(leg.index()); }

  Plane plane;
  api::LegId alice_leg, bob_leg;
  Endpoint alice_port, bob_port;
};

inline void expect_drop(const Plane::Sent& sent, api::DropReason reason) {
  EXPECT_EQ(sent.packet.verdict, engine::PacketVerdict::Drop);
  EXPECT_EQ(api::info(sent.packet.drop).label, api::info(reason).label);
}

}  // namespace ifgw::test
