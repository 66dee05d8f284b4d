#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "codecs/audio/g711.h"
#include "tests/unit/dataplane/engine/media_fixture.h"

namespace ifgw::test {
namespace {

using api::Codec;
using api::DropReason;
using engine::PacketVerdict;
using std::chrono::milliseconds;
using std::chrono::seconds;

// The packet under the SSRC it came with, which is the one thing that changes in a first stream beside the payload type.
Frame as_from(std::uint32_t ssrc, const Plane::Sent& sent) {
  Frame rtp(sent.datagram.payload.begin(), sent.datagram.payload.end());
  EXPECT_GE(rtp.size(), 12U);
  EXPECT_NE(load_be32(&rtp[8]), ssrc) << "SSRCs of a party are not shown to the other";
  store_be32(&rtp[8], ssrc);
  return rtp;
}

TEST_F(MediaTest, RelaysToThePeerWithFreshHeaders) {
  connect_relay();
  const Frame rtp = rtp_packet(0, 100, 8000, 0xABCD, speech());
  const Plane::Sent sent = from_alice(rtp);
  ASSERT_EQ(sent.packet.verdict, PacketVerdict::Transmit);
  EXPECT_TRUE(sent.datagram.ok);
  EXPECT_EQ(sent.datagram.from, bob_port);
  EXPECT_EQ(sent.datagram.to, kBob);
  EXPECT_EQ(as_from(0xABCD, sent), rtp);
  EXPECT_EQ(sent.datagram.hops, 64U);
  EXPECT_EQ(sent.datagram.tos, 46U << 2);
  EXPECT_EQ(sent.packet.tx_port, 3);
  EXPECT_EQ(sent.packet.tx_leg, bob_leg.index());
  const Frame macs(sent.frame.begin(), sent.frame.begin() + 12);
  EXPECT_EQ(macs, (Frame{2, 0, 0, 0, 0, 0x10, 2, 0, 0, 0, 0, 0x20}));
  EXPECT_EQ(row(alice_leg).rx_packets.get(), 1U);
  EXPECT_EQ(row(alice_leg).rx_bytes.get(), rtp.size());
  EXPECT_EQ(row(bob_leg).tx_packets.get(), 1U);
  EXPECT_EQ(row(bob_leg).tx_bytes.get(), rtp.size());
}

TEST_F(MediaTest, EachPartyIsSentItsOwnPayloadTypesAndSendsByOurs) {
  api::MediaParams a = media_to("198.51.100.10:40000"), b = media_to("203.0.113.20:50000");
  a.telephone_event_payload_type = b.received_telephone_event_payload_type = 101;
  b.payload_type = 97;
  b.received_payload_type = 0;
  b.telephone_event_payload_type = 110;
  connect(a, b);
  const auto from_bob = [&](const Frame& rtp) { return plane.send(udp_frame(kBob, bob_port, rtp)); };
  const Frame event{1, 10, 0, 160};
  EXPECT_EQ(as_from(1, from_alice(rtp_packet(0, 1, 1, 1, speech()))), rtp_packet(97, 1, 1, 1, speech()));
  EXPECT_EQ(as_from(1, from_alice(rtp_packet(101, 2, 1, 1, event))), rtp_packet(110, 2, 1, 1, event));
  EXPECT_EQ(as_from(2, from_bob(rtp_packet(0, 1, 1, 2, speech()))), rtp_packet(0, 1, 1, 2, speech()));
  EXPECT_EQ(as_from(2, from_bob(rtp_packet(101, 2, 1, 2, event))), rtp_packet(101, 2, 1, 2, event));
  expect_drop(from_bob(rtp_packet(97, 3, 1, 2, speech())), DropReason::UnexpectedPayloadType);
  expect_drop(from_bob(rtp_packet(110, 3, 1, 2, event)), DropReason::UnexpectedPayloadType);
}

TEST_F(MediaTest, EachLegHasItsOwnDscp) {
  api::MediaParams a = media_to("198.51.100.10:40000"), b = media_to("203.0.113.20:50000");
  a.dscp = 10;
  b.dscp = 34;
  connect(a, b);
  EXPECT_EQ(from_alice(rtp_packet(0, 1, 1, 1, speech())).datagram.tos, 34U << 2);
  EXPECT_EQ(plane.send(udp_frame(kBob, bob_port, rtp_packet(0, 1, 1, 2, speech()))).datagram.tos, 10U << 2);
}

// Addresses of a gateway lie side by side, or in step, or anywhere.
TEST(LocalAddresses, EachIsFoundAndNoOther) {
  std::mt19937 generator(1);
  const auto random = [&] { return static_cast<std::uint32_t>(generator()); };
  for (int round = 0; round < 200; ++round) {
    constexpr std::uint32_t kSteps[] = {1, 2, 16, 256, 0x10000, 0x100000};
    const std::uint32_t step = kSteps[random() % std::size(kSteps)];
    const std::uint32_t base = 0x0B000000 + random() % 0x60000000;
    engine::EngineConfig config = small_config();
    config.local_addresses.clear();
    while (config.local_addresses.size() < engine::kMaxLocalAddresses) {
      const auto n = static_cast<std::uint32_t>(config.local_addresses.size());
      const IpAddress address = IpAddress::v4(round % 3 == 0 ? 0x0B000000 + random() % 0x60000000 : base + n * step);
      if (std::find(config.local_addresses.begin(), config.local_addresses.end(), address) == config.local_addresses.end())
        config.local_addresses.push_back(address);
    }
    ASSERT_TRUE(engine::check_config(config));
    Plane plane(config);
    const auto classified = [&](const IpAddress& to) {
      Frame frame = udp_frame(kAlice, {to, 20000}, rtp_packet(0, 1, 160, 7, speech()));
      engine::Packet packet;
      packet.data = frame.data();
      packet.length = static_cast<std::uint16_t>(frame.size());
      plane.engine.classify({&packet, 1});
      return packet.kind == engine::PacketKind::Media ? packet.local_address : -1;
    };
    for (std::size_t i = 0; i < config.local_addresses.size(); ++i) {
      const IpAddress& address = config.local_addresses[i];
      ASSERT_EQ(classified(address), static_cast<int>(i)) << "round " << round << ": " << address.text();
      const IpAddress next = IpAddress::v4(load_be32(address.bytes.data()) + 1);
      const auto known = std::find(config.local_addresses.begin(), config.local_addresses.end(), next);
      if (known == config.local_addresses.end()) {
        ASSERT_EQ(classified(next), -1) << "round " << round << ": " << next.text();
      }
    }
  }
}

TEST_F(MediaTest, DamageOnTheWayInIsStillVisibleOnTheWayOut) {
  connect_relay();
  Frame frame = udp_frame(kAlice, alice_port, rtp_packet(0, 1, 1, 1, speech()));
  frame.back() ^= 0x40;
  const Plane::Sent sent = plane.send(frame);
  ASSERT_EQ(sent.packet.verdict, PacketVerdict::Transmit);
  EXPECT_TRUE(sent.datagram.has_checksum);
  EXPECT_FALSE(sent.datagram.ok);
}

TEST_F(MediaTest, NoChecksumStaysNoChecksumOverIpv4) {
  connect_relay();
  Frame frame = udp_frame(kAlice, alice_port, rtp_packet(0, 1, 1, 1, speech()));
  frame[14 + 20 + 6] = frame[14 + 20 + 7] = 0;
  const Plane::Sent sent = plane.send(frame);
  EXPECT_TRUE(sent.datagram.ok);
  EXPECT_FALSE(sent.datagram.has_checksum);
}

TEST_F(MediaTest, CrossesFromIpv4ToIpv6AndBack) {
  connect(media_to("198.51.100.10:40000"), media_to("[2001:db8::20]:50000"), 1);
  const Endpoint bob6 = *Endpoint::parse("[2001:db8::20]:50000");
  const Frame rtp = rtp_packet(0, 1, 1, 1, speech());
  const Plane::Sent there = from_alice(rtp);
  ASSERT_EQ(there.packet.verdict, PacketVerdict::Transmit);
  EXPECT_TRUE(there.datagram.ok);
  EXPECT_EQ(there.datagram.to, bob6);
  EXPECT_EQ(there.datagram.from, bob_port);
  EXPECT_EQ(as_from(1, there), rtp);
  EXPECT_EQ(there.datagram.tos, 46U << 2);
  const Plane::Sent back = plane.send(udp_frame(bob6, bob_port, rtp));
  EXPECT_TRUE(back.datagram.ok);
  EXPECT_EQ(back.datagram.to, kAlice);
  EXPECT_EQ(back.packet.length, 14U + 20 + 8 + rtp.size());
  // IPv6 has no "no checksum": it is made.
  Frame bare = udp_frame(kAlice, alice_port, rtp);
  bare[14 + 20 + 6] = bare[14 + 20 + 7] = 0;
  const Plane::Sent made = plane.send(bare);
  EXPECT_TRUE(made.datagram.ok);
  EXPECT_TRUE(made.datagram.has_checksum);
}

TEST_F(MediaTest, IgnoresEthernetPadding) {
  connect_relay();
  Frame frame = udp_frame(kAlice, alice_port, rtp_packet(0, 1, 1, 1, {}));
  frame.resize(60 + 14, 0xAA);
  const Plane::Sent sent = plane.send(frame);
  EXPECT_TRUE(sent.datagram.ok);
  EXPECT_EQ(sent.datagram.payload.size(), 12U);
}

TEST_F(MediaTest, TranscodesBothWays) {
  connect(media_to("198.51.100.10:40000", Codec::Pcmu), media_to("203.0.113.20:50000", Codec::Pcma));
  const Frame codes = speech(240);
  const Plane::Sent there = from_alice(rtp_packet(0, 9, 77, 5, codes));
  ASSERT_EQ(there.packet.verdict, PacketVerdict::Transmit);
  EXPECT_TRUE(there.datagram.ok);
  Frame expected = rtp_packet(8, 9, 77, 5, {});
  for (const std::uint8_t code : codes) expected.push_back(audio::alaw_encode(audio::mulaw_decode(code)));
  EXPECT_EQ(as_from(5, there), expected);
  EXPECT_EQ(row(bob_leg).transcoded.get(), 1U);

  const Plane::Sent back = plane.send(udp_frame(kBob, bob_port, rtp_packet(8, 9, 77, 5, codes)));
  Frame other = rtp_packet(0, 9, 77, 5, {});
  for (const std::uint8_t code : codes) other.push_back(audio::mulaw_encode(audio::alaw_decode(code)));
  EXPECT_EQ(as_from(5, back), other);
}

TEST_F(MediaTest, TranscodingNeverLaundersADamagedPacket) {
  connect(media_to("198.51.100.10:40000", Codec::Pcmu), media_to("203.0.113.20:50000", Codec::Pcma));
  Frame frame = udp_frame(kAlice, alice_port, rtp_packet(0, 1, 1, 1, speech()));
  frame.back() ^= 1;
  expect_drop(plane.send(frame), DropReason::BadChecksum);
  expect_drop(from_alice(rtp_packet(0, 1, 1, 1, {})), DropReason::BadPayload);
}

TEST_F(MediaTest, RelaysOfABurstGoBeforeFramesToTranscode) {
  connect(media_to("198.51.100.10:40000", Codec::Pcmu), media_to("203.0.113.20:50000", Codec::Pcma));
  // telephone-event needs no transcoding; it is relayed while the audio before it waits.
  api::MediaParams a = media_to("198.51.100.10:40000", Codec::Pcmu);
  a.telephone_event_payload_type = 101;
  api::MediaParams b = media_to("203.0.113.20:50000", Codec::Pcma);
  b.telephone_event_payload_type = 97;
  ASSERT_EQ(plane.update(alice_leg, a).status, api::CommandStatus::Ok);
  ASSERT_EQ(plane.update(bob_leg, b).status, api::CommandStatus::Ok);
  const Plane::Sent event = from_alice(rtp_packet(101 | 0x80, 2, 1, 1, {1, 10, 0, 160}));
  ASSERT_EQ(event.packet.verdict, PacketVerdict::Transmit);
  EXPECT_EQ(as_from(1, event), rtp_packet(97 | 0x80, 2, 1, 1, {1, 10, 0, 160}));
  EXPECT_TRUE(event.datagram.ok);
}

TEST_F(MediaTest, EventsTheOtherSideDidNotAcceptAreDropped) {
  api::MediaParams a = media_to("198.51.100.10:40000");
  a.telephone_event_payload_type = 101;
  connect(a, media_to("203.0.113.20:50000"));
  expect_drop(from_alice(rtp_packet(101, 2, 1, 1, {1, 10, 0, 160})), DropReason::UnexpectedPayloadType);
}

TEST_F(MediaTest, HoldTurnsDirectionsOff) {
  connect_relay();
  api::MediaParams held = media_to("198.51.100.10:40000");
  held.receive = 0;
  held.send = 0;
  ASSERT_EQ(plane.update(alice_leg, held).status, api::CommandStatus::Ok);
  expect_drop(from_alice(rtp_packet(0, 1, 1, 1, speech())), DropReason::DirectionOff);
  expect_drop(plane.send(udp_frame(kBob, bob_port, rtp_packet(0, 1, 1, 1, speech()))), DropReason::DirectionOff);
}

TEST_F(MediaTest, SaysWhyAPacketCannotGoOn) {
  connect_relay();
  ASSERT_EQ(plane.join(alice_leg, {}).status, api::CommandStatus::Ok);
  expect_drop(from_alice(rtp_packet(0, 1, 1, 1, speech())), DropReason::NoPeerLeg);
  expect_drop(plane.send(udp_frame(kBob, bob_port, rtp_packet(0, 1, 1, 1, speech()))), DropReason::NoPeerLeg);
  const api::CommandDone early = plane.add(media_to(nullptr));
  ASSERT_EQ(plane.join(alice_leg, early.leg).status, api::CommandStatus::Ok);
  expect_drop(from_alice(rtp_packet(0, 2, 1, 1, speech())), DropReason::NoRemoteAddress);
  Endpoint unused = alice_port;
  unused.port = 20062;
  expect_drop(plane.send(udp_frame(kAlice, unused, rtp_packet(0, 1, 1, 1, speech()))), DropReason::UnknownMediaPort);
}

TEST_F(MediaTest, FollowsTheNextHop) {
  connect_relay();
  plane.hops.hop(0).usable = 0;
  expect_drop(from_alice(rtp_packet(0, 1, 1, 1, speech())), DropReason::NoNextHop);
  const int before = plane.hops.lookups;
  for (int i = 0; i < 50; ++i) (void)from_alice(rtp_packet(0, 1, 1, 1, speech()));
  EXPECT_EQ(plane.hops.lookups, before) << "asked again before 100 ms were over";
  plane.advance(milliseconds(100));
  (void)from_alice(rtp_packet(0, 1, 1, 1, speech()));
  EXPECT_EQ(plane.hops.lookups, before + 1);
  plane.hops.hop(0).usable = 1;
  EXPECT_EQ(from_alice(rtp_packet(0, 2, 1, 1, speech())).packet.tx_port, 3);
  plane.hops.hop(0).port = 4;
  EXPECT_EQ(from_alice(rtp_packet(0, 3, 1, 1, speech())).packet.tx_port, 4) << "entries change in place";
  plane.hops.route = 1;
  EXPECT_EQ(from_alice(rtp_packet(0, 4, 1, 1, speech())).packet.tx_port, 4) << "what a leg holds stays its own";
}

TEST_F(MediaTest, ALegThatFoundNoRoomForItsNextHopGetsOneLater) {
  plane.hops.route = engine::kNoNextHop;
  connect_relay();
  plane.hops.route = 1;
  plane.advance(milliseconds(100));
  EXPECT_EQ(from_alice(rtp_packet(0, 1, 1, 1, speech())).packet.tx_port, 4);
  EXPECT_EQ(plane.hops.held, 1U);
  plane.hops.route = engine::kNoNextHop;
  connect_relay();
  expect_drop(from_alice(rtp_packet(0, 1, 1, 1, speech())), DropReason::NoNextHop);
  (void)from_alice(rtp_packet(0, 2, 1, 1, speech()));
  EXPECT_EQ(plane.drops(DropReason::NoNextHop), 2U);
}

// Whatever happens to legs, one next hop is held for each that has a remote address.
TEST_F(MediaTest, HoldsANextHopForEachLegWithAnAddress) {
  std::mt19937 random(1);
  std::vector<api::LegId> legs;
  const auto any = [&] { return legs[random() % legs.size()]; };
  const auto media = [&] {
    const std::string remote = "198.51.100." + std::to_string(1 + random() % 9) + ":40000";
    api::MediaParams params = media_to(random() % 4 == 0 ? nullptr : remote.c_str());
    if (random() % 2 == 0) {
      params.source_policy = api::SourcePolicy::Latch;
      params.latch_window_ms = 60'000;
    }
    return params;
  };
  for (int step = 0; step < 5000; ++step) {
    plane.events.events.clear();
    plane.advance(milliseconds(200));
    const unsigned what = legs.empty() ? 0 : static_cast<unsigned>(random() % 6);
    if (what == 0) {
      const api::CommandDone done = plane.add(media());
      if (done.status == api::CommandStatus::Ok) legs.push_back(done.leg);
    } else if (what == 1) {
      ASSERT_EQ(plane.update(any(), media()).status, api::CommandStatus::Ok);
    } else if (what == 2) {
      (void)plane.join(any(), any());
    } else if (what == 3) {
      ASSERT_EQ(plane.join(any(), {}).status, api::CommandStatus::Ok);
    } else if (what == 4) {
      const api::LegId leg = any();
      ASSERT_EQ(plane.remove(leg).status, api::CommandStatus::Ok);
      std::erase(legs, leg);
    } else {
      const Endpoint to = api::read_leg(plane.engine.row(any().index()))->local;
      (void)plane.send(udp_frame(kBob, to, rtp_packet(0, static_cast<std::uint16_t>(step), 1, 1, speech())));  // some legs learn it
    }
    const auto addressed = std::count_if(
        legs.begin(), legs.end(), [&](api::LegId leg) { return api::read_leg(plane.engine.row(leg.index()))->current_remote.present(); });
    ASSERT_EQ(plane.hops.held, static_cast<std::uint32_t>(addressed)) << "step " << step;
  }
}

TEST_F(MediaTest, RelaysRtcpToTheRtcpPort) {
  connect_relay();
  Endpoint from = kAlice;
  from.port += 1;
  Endpoint to = alice_port;
  to.port += 1;
  const Plane::Sent sent = plane.send(udp_frame(from, to, rtcp_packet(5)));
  ASSERT_EQ(sent.packet.verdict, PacketVerdict::Transmit);
  EXPECT_TRUE(sent.datagram.ok);
  EXPECT_EQ(sent.datagram.to.port, kBob.port + 1);
  EXPECT_EQ(sent.datagram.from.port, bob_port.port + 1);
  EXPECT_EQ(row(alice_leg).rx_rtcp.get(), 1U);
  EXPECT_EQ(row(bob_leg).tx_rtcp.get(), 1U);
  // RFC 5761: told from RTP on the same port.
  EXPECT_EQ(from_alice(rtcp_packet(5)).datagram.to.port, kBob.port + 1);
  Frame broken = rtcp_packet(5);
  broken.pop_back();
  expect_drop(plane.send(udp_frame(from, to, broken)), DropReason::MalformedRtcp);
  expect_drop(plane.send(udp_frame(kBob, to, rtcp_packet(5))), DropReason::WrongMediaSource);
}

TEST_F(MediaTest, CountsLossAndReordering) {
  connect_relay();
  for (const unsigned sequence : {65533U, 65534U, 1U, 0U, 2U, 2U}) (void)from_alice(rtp_packet(0, sequence, 1, 1, speech()));
  EXPECT_EQ(row(alice_leg).rx_packets.get(), 6U);
  EXPECT_EQ(row(alice_leg).expected.get(), 6U);  // 65533..2; 65535 lost, 2 came twice
  EXPECT_EQ(row(alice_leg).reordered.get(), 1U);
  (void)from_alice(rtp_packet(0, 40000, 1, 2, speech()));  // another SSRC counts from its own start
  EXPECT_EQ(row(alice_leg).expected.get(), 7U);
}

TEST_F(MediaTest, RefusesToExceedTheMtuOnTheWayToIpv6) {
  connect(media_to("198.51.100.10:40000"), media_to("[2001:db8::20]:50000"), 1);
  const Frame large = rtp_packet(0, 1, 1, 1, speech(1500 - 28 - 12));
  expect_drop(from_alice(large), DropReason::OversizedDatagram);
}

TEST_F(MediaTest, NeedsHeadroomToGrow) {
  connect(media_to("198.51.100.10:40000"), media_to("[2001:db8::20]:50000"), 1);
  Frame frame = udp_frame(kAlice, alice_port, rtp_packet(0, 1, 1, 1, speech()));
  engine::Packet p;
  p.data = frame.data();
  p.length = static_cast<std::uint16_t>(frame.size());
  p.headroom = 19;  // and nothing is there: a write would be found by the sanitizer
  engine::Packet* one[] = {&p};
  plane.engine.classify({&p, 1});
  plane.engine.media(one, plane.now, plane.spares);
  EXPECT_EQ(p.verdict, PacketVerdict::Drop);
  EXPECT_EQ(p.drop, DropReason::NoBuffer);
}

TEST_F(MediaTest, HeaderExtensionsAndCsrcsPassThrough) {
  connect(media_to("198.51.100.10:40000", Codec::Pcmu), media_to("203.0.113.20:50000", Codec::Pcma));
  Frame rtp = rtp_packet(0, 1, 1, 1, {});
  rtp[0] = 0x80 | 0x10 | 0x20 | 1;  // extension, padding, one CSRC
  put32(rtp, 0x01020304);
  put16(rtp, 0xBEDE);
  put16(rtp, 1);
  put32(rtp, 0xFF000000);
  rtp.insert(rtp.end(), {0xFF, 0x7F, 0xAA, 0xAA, 3});  // two codes, three bytes of padding
  rtp[rtp.size() - 3] = 0xAA;
  const Plane::Sent sent = from_alice(rtp);
  ASSERT_EQ(sent.packet.verdict, PacketVerdict::Transmit);
  ASSERT_EQ(sent.datagram.payload.size(), rtp.size());
  Frame expected = rtp;
  expected[1] = 8;
  expected[24] = audio::alaw_encode(audio::mulaw_decode(0xFF));
  expected[25] = audio::alaw_encode(audio::mulaw_decode(0x7F));
  EXPECT_EQ(as_from(1, sent), expected);
}

}  // namespace
}  // namespace ifgw::test
