// Comfort noise (RFC 3389) through the whole engine: relayed, or made into audio for who does not know it.
#include <gtest/gtest.h>

#include <cmath>

#include "codecs/audio/codec.h"
#include "codecs/audio/g711.h"
#include "tests/support/signals.h"
#include "tests/unit/dataplane/engine/two_parties.h"

namespace ifgw::test {
namespace {

using api::Codec;
using api::CommandStatus;

class MediaNoise : public TwoParties {
 protected:
  static api::MediaParams params(const char* remote, Codec codec, bool noise, std::uint8_t ptime = 20) {
    api::MediaParams p = media_to(remote, codec);
    if (noise) p.comfort_noise_payload_type = 13;
    p.ptime_ms = ptime;
    return p;
  }
  Plane::Sent from_alice(unsigned type, unsigned sequence, std::uint32_t timestamp, const Frame& payload) {
    return TwoParties::from_alice(rtp_packet(type, sequence, timestamp, 7, payload));
  }

  const Frame audio_ = Frame(160, 0xFF);
  const Frame noise_ = {40, 127 + 30, 127 - 10};  // -40 dBov
};

TEST_F(MediaNoise, GoesOnBetweenPartiesThatKnowIt) {
  for (const Codec to : {Codec::Pcmu, Codec::Pcma}) {
    Plane other{transcoding_config()};
    api::MediaParams a = params("198.51.100.10:40000", Codec::Pcmu, true), b = params("203.0.113.20:50000", to, true);
    b.comfort_noise_payload_type = 98;
    const api::CommandDone leg = other.add(a);
    ASSERT_EQ(other.join(leg.leg, other.add(b).leg).status, CommandStatus::Ok);
    const Plane::Sent sent = other.send(frame_of_alice(leg.local, rtp_packet(13, 1, 160, 7, noise_)));
    ASSERT_EQ(sent.packet.verdict, engine::PacketVerdict::Transmit);
    const Seen s = seen(sent.frame);
    EXPECT_EQ(s.rtp.payload_type, 98);
    EXPECT_EQ(s.payload, noise_);
  }
}

TEST_F(MediaNoise, BesideTranscodedAudioOnlyTheLevelIsRightAtAnotherSamplingRate) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, true), params("203.0.113.20:50000", Codec::G722, true));
  const Seen audio = seen(from_alice(0, 1, 0, audio_).frame);
  const Seen noise = seen(from_alice(13, 2, 160, noise_).frame);
  EXPECT_EQ(noise.rtp.payload_type, 13);
  EXPECT_EQ(noise.payload, Frame{40});
  EXPECT_EQ(noise.rtp.sequence, static_cast<std::uint16_t>(audio.rtp.sequence + 1));
  EXPECT_EQ(noise.rtp.timestamp, audio.rtp.timestamp + 160);
  const Seen after = seen(from_alice(0, 3, 8000, audio_).frame);
  EXPECT_EQ(after.rtp.sequence, static_cast<std::uint16_t>(audio.rtp.sequence + 2));
  EXPECT_EQ(after.rtp.timestamp, audio.rtp.timestamp + 8000);
  EXPECT_TRUE(after.rtp.marker);
}

TEST_F(MediaNoise, IsAFrameOfAudioForWhoDoesNotKnowIt) {
  for (const Codec to : {Codec::Pcmu, Codec::Pcma, Codec::G722}) {
    Plane other{transcoding_config()};
    api::MediaParams b = params("203.0.113.20:50000", to, false);
    const api::CommandDone leg = other.add(params("198.51.100.10:40000", Codec::Pcmu, true));
    ASSERT_EQ(other.join(leg.leg, other.add(b).leg).status, CommandStatus::Ok);
    const auto send = [&](unsigned type, unsigned sequence, std::uint32_t timestamp, const Frame& payload) {
      return other.send(frame_of_alice(leg.local, rtp_packet(type, sequence, timestamp, 7, payload)));
    };
    const Seen audio = seen(send(0, 1, 0, audio_).frame);
    double energy = 0, samples = 0;
    for (unsigned i = 0; i < 20; ++i) {
      const Plane::Sent sent = send(13, 2 + i, 160 + 800 * i, noise_);
      ASSERT_EQ(sent.packet.verdict, engine::PacketVerdict::Transmit);
      EXPECT_TRUE(other.spares.packets.empty()) << "one for one";
      const Seen s = seen(sent.frame);
      EXPECT_EQ(s.rtp.payload_type, b.payload_type);
      EXPECT_EQ(s.rtp.sequence, static_cast<std::uint16_t>(audio.rtp.sequence + 1 + i));
      EXPECT_EQ(s.rtp.timestamp, audio.rtp.timestamp + 160 + 800 * i);
      ASSERT_EQ(s.payload.size(), 160U);
      if (to == Codec::G722) continue;
      Pcm pcm(160);
      if (to == Codec::Pcmu)
        audio::mulaw_decode(s.payload, pcm);
      else
        audio::alaw_decode(s.payload, pcm);
      for (const double x : pcm) energy += x * x;
      samples += 160;
    }
    if (to != Codec::G722) {
      EXPECT_NEAR(db(std::sqrt(energy / samples) / 32'767), -40, 1.5);
    }
    const Seen after = seen(send(0, 22, 16'160 + 160, audio_).frame);
    EXPECT_EQ(after.rtp.sequence, static_cast<std::uint16_t>(audio.rtp.sequence + 21));
    EXPECT_EQ(after.rtp.timestamp, audio.rtp.timestamp + 16'320);
  }
}

TEST_F(MediaNoise, CompletesTheFrameThatHasBegun) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, true), params("203.0.113.20:50000", Codec::Pcma, false, 30));
  EXPECT_EQ(from_alice(0, 1, 0, audio_).packet.verdict, engine::PacketVerdict::Kept);
  const Seen frame = seen(from_alice(13, 2, 160, noise_).frame);
  EXPECT_EQ(frame.payload.size(), 240U);
  // Audio that comes before the noise is over follows it without a restart.
  EXPECT_EQ(from_alice(0, 3, 200, audio_).packet.verdict, engine::PacketVerdict::Kept);
  const Seen next = seen(from_alice(0, 4, 360, audio_).frame);
  EXPECT_EQ(next.rtp.timestamp, frame.rtp.timestamp + 240);
  EXPECT_FALSE(next.rtp.marker);
}

// As a packet of its own, it may not overtake what was said before it.
TEST_F(MediaNoise, GoesBehindTheFrameThatHasBegun) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, true), params("203.0.113.20:50000", Codec::G722, true, 40));
  EXPECT_EQ(from_alice(0, 1, 0, audio_).packet.verdict, engine::PacketVerdict::Kept);
  const Plane::Sent sent = from_alice(13, 2, 160, noise_);
  ASSERT_EQ(sent.packet.verdict, engine::PacketVerdict::Transmit);
  ASSERT_EQ(plane.spares.packets.size(), 1U);
  const engine::Packet& spare = plane.spares.packets[0].packet;
  ASSERT_EQ(spare.verdict, engine::PacketVerdict::Transmit);
  const Seen audio = seen(sent.frame), noise = seen(Frame(spare.data, spare.data + spare.length));
  EXPECT_EQ(audio.rtp.payload_type, 96);
  EXPECT_EQ(audio.payload.size(), 320U) << "40 ms, the second half concealed";
  EXPECT_EQ(noise.rtp.payload_type, 13);
  EXPECT_EQ(noise.payload, Frame{40});
  EXPECT_EQ(noise.rtp.sequence, static_cast<std::uint16_t>(audio.rtp.sequence + 1));
  EXPECT_EQ(noise.rtp.timestamp, audio.rtp.timestamp + 160) << "when it came, not when the frame ends";
  // Nothing waits: another one is alone.
  EXPECT_EQ(seen(from_alice(13, 3, 960, noise_).frame).rtp.sequence, static_cast<std::uint16_t>(noise.rtp.sequence + 1));
  EXPECT_TRUE(plane.spares.packets.empty());
  EXPECT_EQ(from_alice(0, 4, 1600, audio_).packet.verdict, engine::PacketVerdict::Kept);
  const Seen next = seen(from_alice(0, 5, 1760, audio_).frame);
  EXPECT_EQ(next.rtp.sequence, static_cast<std::uint16_t>(noise.rtp.sequence + 2));
  EXPECT_EQ(next.rtp.timestamp, audio.rtp.timestamp + 1600);
  EXPECT_TRUE(next.rtp.marker);
}

TEST_F(MediaNoise, WithoutABufferTheFrameThatHasBegunLeavesAndTheNoiseIsCounted) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, true), params("203.0.113.20:50000", Codec::G722, true, 40));
  (void)from_alice(0, 1, 0, audio_);
  plane.spares.limit = 0;
  EXPECT_EQ(seen(from_alice(13, 2, 160, noise_).frame).rtp.payload_type, 96);
  EXPECT_EQ(plane.drops(api::DropReason::NoBuffer), 1U);
}

TEST_F(MediaNoise, CodecsThatDoNotSendSilenceDoNotSendIt) {
  api::MediaParams b = params("203.0.113.20:50000", Codec::G729, false);
  b.encoder.annex_b = 1;
  connect(params("198.51.100.10:40000", Codec::Pcmu, true), b);
  std::size_t frames = 0, descriptions = 0, nothing = 0;
  for (unsigned i = 0; i < 100; ++i) {
    const Plane::Sent sent = from_alice(13, i, 160 * i, {80});
    if (sent.packet.verdict != engine::PacketVerdict::Transmit) {
      ++nothing;
      continue;
    }
    ++(seen(sent.frame).payload.size() % 10 == 2 ? descriptions : frames);
  }
  EXPECT_GT(descriptions, 0U);
  EXPECT_GT(nothing, 50U);
  EXPECT_LT(frames, 20U) << "until the voice detector has settled";
}

TEST_F(MediaNoise, WhatIsNoComfortNoiseIsRefused) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, true), params("203.0.113.20:50000", Codec::Pcma, false));
  EXPECT_EQ(from_alice(13, 1, 0, {}).packet.drop, api::DropReason::BadPayload);
  EXPECT_EQ(from_alice(13, 2, 160, {0x80}).packet.drop, api::DropReason::BadPayload) << "the level has seven bits";
  EXPECT_EQ(from_alice(14, 3, 160, noise_).packet.drop, api::DropReason::UnexpectedPayloadType);
}

}  // namespace
}  // namespace ifgw::test
