// Whose packets a leg takes, and what is said when none come.
#include "tests/unit/dataplane/engine/media_fixture.h"

namespace ifgw::test {
namespace {

using api::DropReason;
using engine::PacketVerdict;
using std::chrono::milliseconds;
using std::chrono::seconds;

api::MediaParams latching(const char* remote, std::uint16_t window_ms = 5000) {
  api::MediaParams media = media_to(remote);
  media.source_policy = api::SourcePolicy::Latch;
  media.latch_window_ms = window_ms;
  return media;
}

TEST_F(MediaTest, StrictSourceCheck) {
  connect_relay();
  const Frame rtp = rtp_packet(0, 1, 1, 1, speech());
  Endpoint other = kAlice;
  other.port = 40002;
  expect_drop(plane.send(udp_frame(other, alice_port, rtp)), DropReason::WrongMediaSource);
  expect_drop(plane.send(udp_frame(kBob, alice_port, rtp)), DropReason::WrongMediaSource);
  EXPECT_EQ(row(alice_leg).rx_packets.get(), 0U);
  EXPECT_EQ(row(alice_leg).dropped.get(), 2U);
  EXPECT_EQ(plane.drops(DropReason::WrongMediaSource), 2U);
}

TEST_F(MediaTest, LatchesOnTheFirstValidPacketAndSendsThere) {
  connect(latching("10.0.0.5:4000"), media_to("203.0.113.20:50000"));
  expect_drop(plane.send(udp_frame(kAlice, alice_port, {0x80, 0, 1})), DropReason::MalformedRtp);
  expect_drop(plane.send(udp_frame(kAlice, alice_port, rtp_packet(8, 1, 1, 1, speech()))), DropReason::UnexpectedPayloadType);
  const Plane::Sent first = from_alice(rtp_packet(0, 1, 1, 77, speech()));
  ASSERT_EQ(first.packet.verdict, PacketVerdict::Transmit);
  EXPECT_TRUE(first.datagram.ok);
  const api::Event* moved = plane.events.last(api::EventType::AddressChange);
  ASSERT_NE(moved, nullptr);
  EXPECT_EQ(moved->address_change.before, *Endpoint::parse("10.0.0.5:4000"));
  EXPECT_EQ(moved->address_change.after, kAlice);
  EXPECT_EQ(plane.events.count(api::EventType::FirstPacket), 1U);
  const Plane::Sent back = plane.send(udp_frame(kBob, bob_port, rtp_packet(0, 1, 1, 2, speech())));
  EXPECT_EQ(back.datagram.to, kAlice);
  EXPECT_EQ(api::read_leg(row(alice_leg))->current_remote, kAlice);
  // Another source, even with a valid packet, is too late.
  Endpoint intruder = kAlice;
  intruder.port = 1;
  expect_drop(plane.send(udp_frame(intruder, alice_port, rtp_packet(0, 2, 1, 78, speech()))), DropReason::WrongMediaSource);
}

TEST_F(MediaTest, InsideTheWindowTheSameStreamMayMove) {
  connect(latching("10.0.0.5:4000"), media_to("203.0.113.20:50000"));
  (void)from_alice(rtp_packet(0, 10, 1, 77, speech()));
  Endpoint moved = kAlice;
  moved.port = 40010;
  expect_drop(plane.send(udp_frame(moved, alice_port, rtp_packet(0, 10, 1, 77, speech()))), DropReason::WrongMediaSource);
  expect_drop(plane.send(udp_frame(moved, alice_port, rtp_packet(0, 500, 1, 77, speech()))), DropReason::WrongMediaSource);
  EXPECT_EQ(plane.send(udp_frame(moved, alice_port, rtp_packet(0, 11, 1, 77, speech()))).packet.verdict, PacketVerdict::Transmit);
  plane.advance(seconds(6));
  expect_drop(from_alice(rtp_packet(0, 12, 1, 77, speech())), DropReason::WrongMediaSource);
}

TEST_F(MediaTest, TheLatchWindowCloses) {
  connect(latching("10.0.0.5:4000", 100), media_to("203.0.113.20:50000"));
  plane.advance(milliseconds(100));
  expect_drop(from_alice(rtp_packet(0, 1, 1, 1, speech())), DropReason::WrongMediaSource);
}

TEST_F(MediaTest, AReInviteWithTheSameAddressKeepsWhatWasLearned) {
  connect(latching("10.0.0.5:4000"), media_to("203.0.113.20:50000"));
  (void)from_alice(rtp_packet(0, 1, 1, 1, speech()));
  api::MediaParams held = latching("10.0.0.5:4000");
  held.send = 0;
  ASSERT_EQ(plane.update(alice_leg, held).status, api::CommandStatus::Ok);
  EXPECT_EQ(api::read_leg(row(alice_leg))->current_remote, kAlice);
  EXPECT_EQ(from_alice(rtp_packet(0, 2, 1, 1, speech())).packet.verdict, PacketVerdict::Transmit);
  ASSERT_EQ(plane.update(alice_leg, media_to("10.0.0.5:4000")).status, api::CommandStatus::Ok);  // strict again
  expect_drop(from_alice(rtp_packet(0, 3, 1, 1, speech())), DropReason::WrongMediaSource);
}

TEST_F(MediaTest, LearnsTheRtcpPortBehindANat) {
  connect(latching("10.0.0.5:4000"), media_to("203.0.113.20:50000"));
  (void)from_alice(rtp_packet(0, 1, 1, 1, speech()));
  Endpoint nat = kAlice;
  nat.port = 61234;
  Endpoint alice_rtcp = alice_port;
  alice_rtcp.port += 1;
  EXPECT_EQ(plane.send(udp_frame(nat, alice_rtcp, rtcp_packet(5))).packet.verdict, PacketVerdict::Transmit);
  Endpoint bob_rtcp = kBob;
  bob_rtcp.port += 1;
  Endpoint to = bob_port;
  to.port += 1;
  EXPECT_EQ(plane.send(udp_frame(bob_rtcp, to, rtcp_packet(6))).datagram.to, nat);
}

// A leg whose silence is reported after two seconds.
class Silence : public MediaTest {
 protected:
  void connect_watched() {
    api::MediaParams a = media_to("198.51.100.10:40000");
    a.media_timeout_ms = 2000;
    connect(a, media_to("203.0.113.20:50000"));
  }
};

TEST_F(Silence, IsReportedOnceUntilMediaComesAgain) {
  connect_watched();
  plane.run(seconds(1));
  (void)from_alice(rtp_packet(0, 1, 1, 1, speech()));
  plane.run(milliseconds(1900));
  EXPECT_EQ(plane.events.count(api::EventType::MediaTimeout), 0U);
  plane.run(milliseconds(1500));
  ASSERT_EQ(plane.events.count(api::EventType::MediaTimeout), 1U);
  EXPECT_EQ(plane.events.last(api::EventType::MediaTimeout)->media_timeout.leg, alice_leg);
  EXPECT_GE(plane.events.last(api::EventType::MediaTimeout)->media_timeout.silent_ns, 2'000'000'000U);
  plane.run(seconds(10));
  EXPECT_EQ(plane.events.count(api::EventType::MediaTimeout), 1U);
  (void)from_alice(rtp_packet(0, 2, 1, 1, speech()));
  plane.run(seconds(4));
  EXPECT_EQ(plane.events.count(api::EventType::MediaTimeout), 2U);
}

TEST_F(Silence, IsReportedAgainToANewClientAndAfterAFullRing) {
  connect_watched();
  plane.events.deaf = true;
  plane.run(seconds(5));
  plane.events.deaf = false;
  plane.run(seconds(5));
  EXPECT_EQ(plane.events.count(api::EventType::MediaTimeout), 1U) << "the ring had no room for the first";
  plane.engine.on_client();
  plane.run(seconds(5));
  EXPECT_EQ(plane.events.count(api::EventType::MediaTimeout), 2U);
}

TEST_F(Silence, IsNotOfAPartyThatReports) {
  connect_watched();
  Endpoint rtcp = kAlice, port = alice_port;
  ++rtcp.port;
  ++port.port;
  for (int i = 0; i < 10; ++i) {
    (void)plane.send(udp_frame(rtcp, port, rtcp_packet(5)));
    plane.run(milliseconds(900));
  }
  EXPECT_EQ(plane.events.count(api::EventType::MediaTimeout), 0U);
  plane.run(seconds(4));
  EXPECT_EQ(plane.events.count(api::EventType::MediaTimeout), 1U);
}

}  // namespace
}  // namespace ifgw::test
