#include <gtest/gtest.h>
#include <spandsp.h>

#include "tests/support/signals.h"

namespace ifgw::audio {
namespace {

using test::Pcm;
using Bytes = std::vector<std::uint8_t>;
constexpr CodecSettings kGsm{.codec = AudioCodec::Gsm};

// GSM 06.10 is integer-exact: spandsp's implementation, which shares nothing with libgsm, must give the same bits.
TEST(Gsm, IsBitExactWithSpandsp) {
  const Pcm pcm = test::speech(8000, 160 * 100);
  const test::OwnedEncoder encoder(kGsm);
  const test::OwnedDecoder decoder(kGsm);
  gsm0610_state_t* their_encoder = gsm0610_init(nullptr, GSM0610_PACKING_VOIP);
  gsm0610_state_t* their_decoder = gsm0610_init(nullptr, GSM0610_PACKING_VOIP);
  for (std::size_t at = 0; at < pcm.size(); at += 320) {
    Bytes ours(66), theirs(66);
    ASSERT_EQ(encoder->encode(std::span(pcm).subspan(at, 320), ours).size, 66U);
    ASSERT_EQ(gsm0610_encode(their_encoder, theirs.data(), &pcm[at], 320), 66);
    ASSERT_EQ(ours, theirs) << at;
    Pcm a(320), b(320);
    ASSERT_EQ(decoder->decode(ours, a).samples, 320U);
    ASSERT_EQ(gsm0610_decode(their_decoder, b.data(), theirs.data(), 66), 320);
    ASSERT_EQ(a, b) << at;
  }
  gsm0610_free(their_encoder);
  gsm0610_free(their_decoder);
}

TEST(Gsm, RefusesWhatIsNoFrame) {
  const test::OwnedEncoder encoder(kGsm);
  const test::OwnedDecoder decoder(kGsm);
  Bytes payload(66);
  ASSERT_EQ(encoder->encode(Pcm(320), payload).size, 66U);
  Pcm pcm(kMaxPcmSamples);
  for (std::size_t size = 0; size <= 66; ++size) {
    EXPECT_EQ(decoder->decode(std::span(payload).first(size), pcm).error == CodecError::None, size == 33 || size == 66) << size;
  }
  payload[33] ^= 0x80;
  EXPECT_EQ(decoder->decode(payload, pcm).error, CodecError::BadPayload) << "the second frame's signature";
  EXPECT_EQ(encoder->encode(Pcm(80), payload).error, CodecError::BadLength);
}

TEST(L16, IsTheSamplesInNetworkOrder) {
  const CodecSettings settings{.codec = AudioCodec::L16, .pcm_rate_hz = 16'000};
  EXPECT_EQ(rtp_clock_hz(settings), 16'000U);
  EXPECT_EQ(rtp_clock_hz({.codec = AudioCodec::L16}), 8000U);
  EXPECT_EQ(rtp_clock_hz({.codec = AudioCodec::G722}), 8000U);
  EXPECT_EQ(pcm_rate_hz({.codec = AudioCodec::L16, .pcm_rate_hz = 44'100}), 0U);
  const test::OwnedEncoder encoder(settings);
  const test::OwnedDecoder decoder(settings);
  const Pcm pcm = {0x1234, -2, -32'768};
  Bytes payload(6);
  ASSERT_EQ(encoder->encode(pcm, payload).size, 6U);
  EXPECT_EQ(payload, (Bytes{0x12, 0x34, 0xFF, 0xFE, 0x80, 0x00}));
  Pcm out(3);
  ASSERT_EQ(decoder->decode(payload, out).samples, 3U);
  EXPECT_EQ(out, pcm);
  EXPECT_EQ(decoder->decode(std::span(payload).first(5), out).error, CodecError::BadPayload);
}

}  // namespace
}  // namespace ifgw::audio
