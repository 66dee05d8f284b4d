// Two parties of one worker's engine that are joined: Alice at 198.51.100.10:40000, who speaks, and whoever hears her.
#pragma once

#include <gtest/gtest.h>

#include "tests/support/plane.h"

namespace ifgw::test {

class TwoParties : public ::testing::Test {
 protected:
  void connect(const api::MediaParams& a, const api::MediaParams& b) {
    const api::CommandDone added_a = plane.add(a), added_b = plane.add(b);
    alice = added_a.leg;
    bob = added_b.leg;
    alice_port = added_a.local;
    ASSERT_EQ(plane.join(alice, bob).status, api::CommandStatus::Ok);
  }
  static Frame frame_of_alice(const Endpoint& port, const Frame& rtp) {
    return udp_frame(*Endpoint::parse("198.51.100.10:40000"), port, rtp);
  }
  Plane::Sent from_alice(const Frame& rtp) { return plane.send(frame_of_alice(alice_port, rtp)); }
  struct Seen {
    RtpHeader rtp;
    Frame payload;
  };
  static Seen seen(const Frame& frame) {
    const Datagram d = read_udp(frame.data(), frame.size());
    EXPECT_TRUE(d.ok);
    Seen s;
    EXPECT_TRUE(parse_rtp(d.payload, s.rtp));
    s.payload.assign(d.payload.begin() + s.rtp.payload_offset, d.payload.begin() + s.rtp.payload_offset + s.rtp.payload_length);
    return s;
  }

  Plane plane{transcoding_config()};
  api::LegId alice, bob;
  Endpoint alice_port;
};

}  // namespace ifgw::test
