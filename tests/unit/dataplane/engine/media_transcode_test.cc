// Audio between legs of different codecs, through the whole engine: frames in, frames out.
#include <gtest/gtest.h>

#include "tests/unit/dataplane/engine/two_parties.h"

namespace ifgw::test {
namespace {

using api::Codec;
using api::CommandStatus;

class MediaTranscode : public TwoParties {
 protected:
  static api::MediaParams params(const char* remote, Codec codec, std::uint8_t payload_type, std::uint8_t ptime = 20) {
    api::MediaParams p = media_to(remote, codec);
    p.payload_type = payload_type;
    p.ptime_ms = ptime;
    return p;
  }
  static Frame speech(std::size_t bytes = 160) { return Frame(bytes, 0xD5); }
  static RtpHeader rtp(const Frame& frame) { return seen(frame).rtp; }
};

TEST_F(MediaTranscode, MakesAStreamOfItsOwn) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0), params("203.0.113.20:50000", Codec::G722, 9));
  const Plane::Sent first = from_alice(rtp_packet(0, 100, 5000, 0xABCD, speech()));
  ASSERT_EQ(first.packet.verdict, engine::PacketVerdict::Transmit);
  const RtpHeader a = rtp(first.frame);
  EXPECT_EQ(a.payload_length, 160U);
  EXPECT_EQ(first.packet.codec_pair, api::codec_pair(Codec::Pcmu, Codec::G722));
  EXPECT_EQ(a.payload_type, 9);
  EXPECT_TRUE(a.marker);
  EXPECT_NE(a.ssrc, 0xABCDU);
  const RtpHeader b = rtp(from_alice(rtp_packet(0, 102, 5320, 0xABCD, speech())).frame);
  EXPECT_EQ(b.sequence, static_cast<std::uint16_t>(a.sequence + 2)) << "one was lost";
  EXPECT_EQ(b.timestamp, a.timestamp + 320);
  EXPECT_EQ(b.ssrc, a.ssrc);
  EXPECT_EQ(plane.engine.row(bob.index()).transcoded.get(), 2U);
  EXPECT_EQ(from_alice(rtp_packet(0, 101, 5160, 0xABCD, speech())).packet.drop, api::DropReason::OutOfSequence);
}

// What was lost before it has been put into the frame by then.
TEST_F(MediaTranscode, ABadPayloadBehindALossLeavesNothingBehind) {
  for (const Codec from : {Codec::Pcmu, Codec::G729, Codec::Opus}) {
    for (const std::uint8_t ptime : std::to_array<std::uint8_t>({10, 20, 40, 60})) {
      SCOPED_TRACE(testing::Message() << api::facts(from).name << " to G722 in frames of " << int{ptime} << " ms");
      Plane other{transcoding_config()};
      const std::uint8_t type = from == Codec::Pcmu ? 0 : 96;
      const std::uint32_t step = api::facts(from).rtp_clock_hz / 50;
      const api::CommandDone leg = other.add(params("198.51.100.10:40000", from, type));
      ASSERT_EQ(other.join(leg.leg, other.add(params("203.0.113.20:50000", Codec::G722, 9, ptime)).leg).status, CommandStatus::Ok);
      unsigned sequence = 0;
      std::uint64_t bad = 0;
      const auto send = [&](const Frame& payload) {
        ++sequence;
        return other.send(frame_of_alice(leg.local, rtp_packet(type, sequence, sequence * step, 7, payload)));
      };
      const Frame good = from == Codec::Pcmu ? speech() : from == Codec::G729 ? Frame(20, 0x55) : Frame(40, 0x08);
      for (unsigned lost = 0; lost < 9; ++lost) {
        for (int i = 0; i < 3; ++i) EXPECT_NE(send(good).packet.verdict, engine::PacketVerdict::Drop);
        sequence += lost;
        const Plane::Sent sent = send(Frame(from == Codec::Pcmu   ? 1000
                                            : from == Codec::Opus ? 40
                                                                  : 3,
                                            0x55));  // of Opus: two frames of 19 bytes and a half
        EXPECT_EQ(other.drops(api::DropReason::BadPayload), ++bad);
        // Then it carries a frame that was completed by the loss before it.
        if (sent.packet.verdict != engine::PacketVerdict::Drop) {
          EXPECT_EQ(seen(sent.frame).rtp.payload_type, 9);
        }
      }
      EXPECT_EQ(other.engine.row(leg.leg.index()).dropped.get(), bad);
    }
  }
}

TEST_F(MediaTranscode, BetweenTheLawsPacketTimesMayDiffer) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0), params("203.0.113.20:50000", Codec::Pcma, 8, 60));
  EXPECT_EQ(from_alice(rtp_packet(0, 1, 0, 7, speech())).packet.verdict, engine::PacketVerdict::Kept);
  EXPECT_EQ(from_alice(rtp_packet(0, 2, 160, 7, speech())).packet.verdict, engine::PacketVerdict::Kept);
  const Seen frame = seen(from_alice(rtp_packet(0, 3, 320, 7, speech())).frame);
  EXPECT_EQ(frame.rtp.payload_type, 8);
  EXPECT_EQ(frame.payload.size(), 480U);
}

TEST_F(MediaTranscode, AnotherStreamGoesOnAndItsPredecessorsStragglersDoNot) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0), params("203.0.113.20:50000", Codec::G722, 9));
  const RtpHeader a = rtp(from_alice(rtp_packet(0, 100, 5000, 1, speech())).frame);
  plane.advance(std::chrono::milliseconds(20));
  const RtpHeader b = rtp(from_alice(rtp_packet(0, 7, 99, 2, speech())).frame);
  EXPECT_EQ(b.sequence, static_cast<std::uint16_t>(a.sequence + 1));
  EXPECT_EQ(b.timestamp, a.timestamp + 160);
  EXPECT_EQ(b.ssrc, a.ssrc);
  EXPECT_EQ(from_alice(rtp_packet(0, 101, 5160, 1, speech())).packet.drop, api::DropReason::OutOfSequence);
}

TEST_F(MediaTranscode, OnePacketMayMakeSeveral) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0), params("203.0.113.20:50000", Codec::G729, 18, 10));
  const Plane::Sent sent = from_alice(rtp_packet(0, 1, 0, 1, speech(480)));
  ASSERT_EQ(sent.packet.verdict, engine::PacketVerdict::Transmit);
  ASSERT_EQ(plane.spares.packets.size(), 5U);
  RtpHeader before = rtp(sent.frame);
  EXPECT_EQ(before.payload_length, 10U);
  for (const Spares::Spare& spare : plane.spares.packets) {
    ASSERT_EQ(spare.packet.verdict, engine::PacketVerdict::Transmit);
    const RtpHeader next = rtp(Frame(spare.packet.data, spare.packet.data + spare.packet.length));
    EXPECT_EQ(next.sequence, static_cast<std::uint16_t>(before.sequence + 1));
    EXPECT_EQ(next.timestamp, before.timestamp + 80);
    before = next;
  }
}

TEST_F(MediaTranscode, WithoutABufferFramesAreCountedAndTheOthersLeave) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0), params("203.0.113.20:50000", Codec::G729, 18, 10));
  plane.spares.limit = 2;
  EXPECT_EQ(from_alice(rtp_packet(0, 1, 0, 1, speech(480))).packet.verdict, engine::PacketVerdict::Transmit);
  EXPECT_EQ(plane.spares.packets.size(), 2U);
  EXPECT_EQ(plane.drops(api::DropReason::NoBuffer), 3U);
}

TEST_F(MediaTranscode, APacketThatCompletesNoFrameIsKept) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0), params("203.0.113.20:50000", Codec::Opus, 96, 40));
  EXPECT_EQ(from_alice(rtp_packet(0, 1, 0, 1, speech())).packet.verdict, engine::PacketVerdict::Kept);
  const Plane::Sent second = from_alice(rtp_packet(0, 2, 160, 1, speech()));
  ASSERT_EQ(second.packet.verdict, engine::PacketVerdict::Transmit);
  EXPECT_EQ(rtp(second.frame).payload_type, 96);
}

TEST_F(MediaTranscode, TelephoneEventsStandAmongTheAudio) {
  api::MediaParams a = params("198.51.100.10:40000", Codec::Pcmu, 0), b = params("203.0.113.20:50000", Codec::G722, 9);
  a.telephone_event_payload_type = 101;
  b.telephone_event_payload_type = 96;
  connect(a, b);
  const RtpHeader audio = rtp(from_alice(rtp_packet(0, 1, 0, 7, speech())).frame);
  const Frame event = {5, 0x0A, 0, 160};
  const RtpHeader first = rtp(from_alice(rtp_packet(101, 2, 160, 7, event)).frame);
  const RtpHeader second = rtp(from_alice(rtp_packet(101, 3, 160, 7, event)).frame);
  EXPECT_EQ(first.payload_type, 96);
  EXPECT_EQ(first.ssrc, audio.ssrc);
  EXPECT_EQ(first.payload_length, 4U);
  EXPECT_EQ(first.timestamp, audio.timestamp + 160);
  EXPECT_EQ(second.timestamp, first.timestamp) << "of one event";
  EXPECT_EQ(second.sequence, static_cast<std::uint16_t>(audio.sequence + 2));
  const RtpHeader after = rtp(from_alice(rtp_packet(0, 4, 480, 7, speech())).frame);
  EXPECT_EQ(after.sequence, static_cast<std::uint16_t>(audio.sequence + 3));
  EXPECT_EQ(after.timestamp, audio.timestamp + 480);
}

TEST_F(MediaTranscode, ANewAddressKeepsTheStreamAndANewCodecContinuesIt) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0), params("203.0.113.20:50000", Codec::G722, 9));
  const RtpHeader a = rtp(from_alice(rtp_packet(0, 1, 0, 7, speech())).frame);
  ASSERT_EQ(plane.update(bob, params("203.0.113.21:50000", Codec::G722, 9)).status, CommandStatus::Ok);
  const RtpHeader b = rtp(from_alice(rtp_packet(0, 2, 160, 7, speech())).frame);
  EXPECT_EQ(b.timestamp, a.timestamp + 160);
  EXPECT_FALSE(b.marker) << "nothing began anew";
  ASSERT_EQ(plane.update(bob, params("203.0.113.21:50000", Codec::G729, 18)).status, CommandStatus::Ok);
  plane.advance(std::chrono::milliseconds(20));
  const RtpHeader c = rtp(from_alice(rtp_packet(0, 3, 320, 7, speech())).frame);
  EXPECT_EQ(c.payload_type, 18);
  EXPECT_EQ(c.sequence, static_cast<std::uint16_t>(a.sequence + 2));
  EXPECT_EQ(c.timestamp, b.timestamp + 160);
  EXPECT_EQ(c.ssrc, a.ssrc);
}

TEST_F(MediaTranscode, AThirdPartyTakesTheSecondsPlaceWithoutParting) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0), params("203.0.113.20:50000", Codec::G722, 9));
  (void)from_alice(rtp_packet(0, 1, 0, 7, speech()));
  const api::LegId carol = plane.add(params("203.0.113.30:50000", Codec::G722, 9)).leg;
  ASSERT_EQ(plane.join(alice, carol).status, CommandStatus::Ok);
  const Plane::Sent sent = from_alice(rtp_packet(0, 2, 160, 7, speech()));
  ASSERT_EQ(sent.packet.verdict, engine::PacketVerdict::Transmit);
  EXPECT_TRUE(rtp(sent.frame).marker) << "a stream of her own";
  EXPECT_EQ(plane.engine.row(carol.index()).transcoded.get(), 1U);
  plane.remove(bob);
  EXPECT_EQ(from_alice(rtp_packet(0, 3, 320, 7, speech())).packet.verdict, engine::PacketVerdict::Transmit);
}

TEST_F(MediaTranscode, OneStreamWhetherTranscodedOrRelayed) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0), params("203.0.113.20:50000", Codec::G722, 9));
  const RtpHeader a = rtp(from_alice(rtp_packet(0, 1, 0, 7, speech())).frame);
  ASSERT_EQ(plane.update(bob, params("203.0.113.20:50000", Codec::Pcmu, 0)).status, CommandStatus::Ok);
  for (unsigned i = 2; i < 100; ++i) {
    plane.advance(std::chrono::milliseconds(20));
    const RtpHeader relayed = rtp(from_alice(rtp_packet(0, i, 160 * (i - 1), 7, speech())).frame);
    EXPECT_EQ(relayed.sequence, static_cast<std::uint16_t>(a.sequence + i - 1));
    EXPECT_EQ(relayed.timestamp, a.timestamp + 160 * (i - 1));
    EXPECT_EQ(relayed.ssrc, a.ssrc);
    EXPECT_EQ(relayed.payload_type, 0);
  }
  plane.advance(std::chrono::milliseconds(20));
  ASSERT_EQ(plane.update(bob, params("203.0.113.20:50000", Codec::G722, 9)).status, CommandStatus::Ok);
  const RtpHeader b = rtp(from_alice(rtp_packet(0, 100, 160 * 99, 7, speech())).frame);
  EXPECT_EQ(b.sequence, static_cast<std::uint16_t>(a.sequence + 99));
  EXPECT_EQ(b.timestamp, a.timestamp + 160 * 99);
  EXPECT_EQ(b.ssrc, a.ssrc);
}

TEST_F(MediaTranscode, MemoryIsBoundedAndComesBack) {
  int made = 0;
  std::vector<api::LegId> legs;
  while (true) {
    const api::LegId a = plane.add(params("198.51.100.10:40000", Codec::Pcmu, 0)).leg;
    const api::LegId b = plane.add(params("203.0.113.20:50000", Codec::Opus, 96)).leg;
    legs.insert(legs.end(), {a, b});
    const CommandStatus status = plane.join(a, b).status;
    if (status == CommandStatus::NoTranscoder) break;
    ASSERT_EQ(status, CommandStatus::Ok);
    ASSERT_LT(++made, 30) << "more than a megabyte can hold";
  }
  EXPECT_GE(made, 4);
  plane.remove(legs[0]);
  const api::LegId a = legs[legs.size() - 2], b = legs.back();
  EXPECT_EQ(plane.join(a, b).status, CommandStatus::Ok) << "what the removed leg had is free again";
}

TEST_F(MediaTranscode, EncoderParametersReachTheEncoder) {
  api::MediaParams to = params("203.0.113.20:50000", Codec::Opus, 96);
  to.encoder.bitrate_bps = 16'000;
  to.encoder.cbr = 1;
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0), to);
  for (unsigned i = 0; i < 5; ++i) EXPECT_EQ(rtp(from_alice(rtp_packet(0, i, 160 * i, 7, speech())).frame).payload_length, 40U);
  to.encoder.max_bitrate_bps = 8000;
  ASSERT_EQ(plane.update(bob, to).status, CommandStatus::Ok);
  EXPECT_EQ(rtp(from_alice(rtp_packet(0, 5, 800, 7, speech())).frame).payload_length, 20U);
}

TEST_F(MediaTranscode, SidFramesGoOnlyToWhoeverAgreedToThem) {
  api::MediaParams a = params("198.51.100.10:40000", Codec::G729, 18), b = params("203.0.113.20:50000", Codec::G729, 18);
  connect(a, b);
  const Frame silence = {0x12, 0x34};
  const auto transcoded = [&] { return plane.engine.row(bob.index()).transcoded.get(); };
  (void)from_alice(rtp_packet(18, 1, 0, 7, Frame(20, 0x11)));
  EXPECT_EQ(transcoded(), 0U) << "relayed";
  a.encoder.annex_b = b.encoder.annex_b = 1;
  ASSERT_EQ(plane.update(alice, a).status, CommandStatus::Ok);
  (void)from_alice(rtp_packet(18, 2, 160, 7, Frame(20, 0x11)));
  EXPECT_EQ(transcoded(), 1U) << "she may send what he refuses";
  const RtpHeader made = rtp(from_alice(rtp_packet(18, 3, 320, 7, silence)).frame);
  EXPECT_EQ(made.payload_length, 20U) << "two frames of the noise she described, at once";
  EXPECT_EQ(from_alice(rtp_packet(18, 4, 400, 7, silence)).packet.verdict, engine::PacketVerdict::Kept) << "of that they are the second";
  ASSERT_EQ(plane.update(bob, b).status, CommandStatus::Ok);
  EXPECT_EQ(rtp(from_alice(rtp_packet(18, 5, 480, 7, silence)).frame).payload_length, 2U);
  EXPECT_EQ(transcoded(), 2U);
}

TEST_F(MediaTranscode, BadPayloadsAreCounted) {
  connect(params("198.51.100.10:40000", Codec::G729, 18), params("203.0.113.20:50000", Codec::Pcmu, 0));
  EXPECT_EQ(from_alice(rtp_packet(18, 1, 0, 7, Frame(13, 1))).packet.drop, api::DropReason::BadPayload);
}

}  // namespace
}  // namespace ifgw::test
