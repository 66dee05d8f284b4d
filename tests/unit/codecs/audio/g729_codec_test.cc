#include <gtest/gtest.h>

#include "tests/support/g729.h"
#include "tests/support/signals.h"

extern "C" {
#include <bcg729/decoder.h>
}

namespace ifgw::audio {
namespace {

using test::Pcm;
using Bytes = std::vector<std::uint8_t>;
constexpr std::size_t kFrame = 80;

constexpr CodecSettings kPlain{.codec = AudioCodec::G729};
constexpr CodecSettings kAnnexB{.codec = AudioCodec::G729, .g729_annex_b = true};

// Speech, silence, speech: with every kind of frame in it.
Pcm talk_and_pause() {
  Pcm pcm = test::speech(8000, 16'000);
  const Pcm hiss = test::noise(40, 16'000);
  pcm.insert(pcm.end(), hiss.begin(), hiss.end());
  const Pcm again = test::speech(8000, 16'000);
  pcm.insert(pcm.end(), again.begin(), again.end());
  return pcm;
}

TEST(G729, PayloadsAreTheLibrarysFrames) {
  const Pcm pcm = test::speech(8000, 9600);
  const std::vector<Bytes> frames = test::g729_frames(pcm, false);
  for (const std::size_t per_packet : {1U, 2U, 3U, 6U}) {
    const test::OwnedEncoder encoder(kPlain);
    for (std::size_t i = 0; i < frames.size(); i += per_packet) {
      Bytes payload(kMaxPayloadBytes);
      const Encoded coded = encoder->encode(std::span(pcm).subspan(i * kFrame, per_packet * kFrame), payload);
      ASSERT_EQ(coded.size, 10 * per_packet);
      for (std::size_t k = 0; k < per_packet; ++k) {
        ASSERT_TRUE(std::equal(frames[i + k].begin(), frames[i + k].end(), payload.begin() + static_cast<std::ptrdiff_t>(10 * k))) << i + k;
      }
    }
  }
}

// With Annex B every frame of the library is sent once, at its own time, and no packet holds anything behind a SID frame
// or a frame that is not sent (RFC 3551 section 4.5.6).
TEST(G729, SilenceEndsAPacket) {
  const Pcm pcm = talk_and_pause();
  const std::vector<Bytes> frames = test::g729_frames(pcm, true);
  for (const std::size_t per_packet : {1U, 2U, 3U, 4U, 6U}) {
    const test::OwnedEncoder encoder(kAnnexB);
    std::vector<Bytes> sent(frames.size());
    std::size_t packets = 0;
    for (std::size_t at = 0; at + per_packet * kFrame <= pcm.size(); at += per_packet * kFrame) {
      std::span<const std::int16_t> rest = std::span(pcm).subspan(at, per_packet * kFrame);
      std::size_t time = at;
      while (!rest.empty()) {
        Bytes payload(kMaxPayloadBytes);
        const Encoded coded = encoder->encode(rest, payload);
        ASSERT_EQ(coded.error, CodecError::None);
        ASSERT_GT(coded.taken, 0U);
        ASSERT_TRUE(coded.size % 10 == 0 || coded.size % 10 == 2);
        std::size_t frame = (time + coded.skipped) / kFrame;
        for (std::size_t b = 0; b < coded.size; b += 10) {
          sent[frame++] = Bytes(payload.begin() + static_cast<std::ptrdiff_t>(b),
                                payload.begin() + static_cast<std::ptrdiff_t>(std::min(b + 10, coded.size)));
        }
        packets += coded.size != 0 ? 1 : 0;
        time += coded.taken;
        rest = rest.subspan(coded.taken);
      }
    }
    EXPECT_EQ(sent, frames) << per_packet;
    EXPECT_LT(packets, frames.size() / per_packet) << "silence saves packets";
  }
}

TEST(G729, DecodesSpeechSidAndPausesLikeTheLibrary) {
  const std::vector<Bytes> frames = test::g729_frames(talk_and_pause(), true);
  const test::OwnedDecoder decoder(kAnnexB);
  auto* channel = initBcg729DecoderChannel();
  std::size_t sids = 0;
  for (const Bytes& frame : frames) {
    Pcm ours(kFrame), theirs(kFrame);
    Bytes bits = frame;
    bits.resize(10);
    sids += frame.size() == 2 ? 1 : 0;
    bcg729Decoder(channel, bits.data(), static_cast<std::uint8_t>(frame.size()), frame.empty() ? 1 : 0, frame.size() == 2 ? 1 : 0, 0,
                  theirs.data());
    if (frame.empty()) {
      decoder->conceal(ours);
    } else {
      ASSERT_EQ(decoder->decode(frame, ours).samples, kFrame);
    }
    ASSERT_EQ(ours, theirs);
  }
  closeBcg729DecoderChannel(channel);
  EXPECT_GT(sids, 0U);
}

// RFC 3551 section 4.5.6: n * 10 bytes, then 0 or 2.
TEST(G729, RefusesLengthsThatAreNone) {
  const test::OwnedDecoder decoder(kPlain);
  Pcm pcm(kMaxPcmSamples);
  for (std::size_t size = 0; size < 130; ++size) {
    const Bytes payload(size, 0x55);
    const bool valid = size != 0 && (size % 10 == 0 || size % 10 == 2);
    const Decoded decoded = decoder->decode(payload, pcm);
    ASSERT_EQ(decoded.error == CodecError::None, valid) << size;
    if (valid) {
      ASSERT_EQ(decoded.samples, (size / 10 + (size % 10 != 0 ? 1 : 0)) * kFrame);
    }
  }
  const test::OwnedEncoder encoder(kPlain);
  Bytes payload(kMaxPayloadBytes);
  EXPECT_EQ(encoder->encode(Pcm(81), payload).error, CodecError::BadLength);
}

// A lost frame in a steady tone: the substitute goes on with it, and the decoder is back after a few frames.
TEST(G729, ConcealsALostFrame) {
  const Pcm pcm = test::tone(500, 8000, 8000, 8000);
  const test::OwnedEncoder encoder(kPlain);
  const test::OwnedDecoder with_loss(kPlain), without(kPlain);
  Bytes payload(kMaxPayloadBytes);
  for (std::size_t at = 0; at < pcm.size(); at += 2 * kFrame) {
    const std::size_t size = encoder->encode(std::span(pcm).subspan(at, 2 * kFrame), payload).size;
    Pcm a(2 * kFrame), b(2 * kFrame);
    if (at == 20 * 2 * kFrame) {
      with_loss->conceal(a);
      EXPECT_GT(test::rms(a), 2000);
    } else {
      (void)with_loss->decode(std::span(payload).first(size), a);
    }
    (void)without->decode(std::span(payload).first(size), b);
    if (at > 40 * 2 * kFrame) {
      EXPECT_NEAR(test::db(test::rms(a) / test::rms(b)), 0, 1) << at;
    }
  }
}

}  // namespace
}  // namespace ifgw::audio
