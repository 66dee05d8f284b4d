#include "codecs/audio/g711.h"

#include <gtest/gtest.h>
#include <spandsp.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>
#include <vector>

namespace ifgw::audio {
namespace {

// The oracle is spandsp, which is not ours. It works on the same 16-bit scale.
TEST(G711, DecodesLikeSpandsp) {
  for (int code = 0; code < 256; ++code) {
    const auto c = static_cast<std::uint8_t>(code);
    EXPECT_EQ(mulaw_decode(c), ulaw_to_linear(c)) << code;
    EXPECT_EQ(alaw_decode(c), alaw_to_linear(c)) << code;
  }
}

TEST(G711, EncodesEverySampleLikeSpandsp) {
  for (int sample = -32768; sample <= 32767; ++sample) {
    const auto s = static_cast<std::int16_t>(sample);
    ASSERT_EQ(mulaw_encode(s), linear_to_ulaw(s)) << sample;
    ASSERT_EQ(alaw_encode(s), linear_to_alaw(s)) << sample;
  }
}

// Frames are coded in another way than single samples.
TEST(G711, FramesAreTheirSamples) {
  std::vector<std::int16_t> pcm(65'536);
  for (std::size_t i = 0; i < pcm.size(); ++i) pcm[i] = static_cast<std::int16_t>(i);
  std::vector<std::uint8_t> mu(pcm.size());
  std::vector<std::uint8_t> a(pcm.size());
  mulaw_encode(pcm, mu);
  alaw_encode(pcm, a);
  for (std::size_t i = 0; i < pcm.size(); ++i) {
    ASSERT_EQ(mu[i], mulaw_encode(pcm[i])) << pcm[i];
    ASSERT_EQ(a[i], alaw_encode(pcm[i])) << pcm[i];
  }
}

// ITU-T G.711 tables 1a and 2a: the largest and smallest outputs, on the 16-bit scale.
TEST(G711, MeetsTheItuTables) {
  EXPECT_EQ(mulaw_decode(0x80), 8031 * 4);
  EXPECT_EQ(mulaw_decode(0x00), -8031 * 4);
  EXPECT_EQ(mulaw_decode(0xFF), 0);
  EXPECT_EQ(mulaw_decode(0x7F), 0);
  EXPECT_EQ(alaw_decode(0x80 ^ 0x55 ^ 0x7F), 4032 * 8);
  EXPECT_EQ(alaw_decode(0x55 ^ 0x7F), -4032 * 8);
  EXPECT_EQ(alaw_decode(0x80 ^ 0x55), 1 * 8);
}

// Every code survives decoding and encoding, but for mu-law's second zero.
TEST(G711, CodesRoundTrip) {
  for (int code = 0; code < 256; ++code) {
    const auto c = static_cast<std::uint8_t>(code);
    EXPECT_EQ(mulaw_encode(mulaw_decode(c)), c == 0x7F ? 0xFF : c);
    EXPECT_EQ(alaw_encode(alaw_decode(c)), c);
  }
}

// The error is at most half a step of the segment the code lies in, and a larger sample never gets a smaller output.
TEST(G711, QuantisesWithinHalfAStep) {
  int last_mu = -40'000;
  int last_a = -40'000;
  for (int sample = -32'124; sample <= 32'124; ++sample) {
    const auto s = static_cast<std::int16_t>(sample);
    const std::uint8_t mu = mulaw_encode(s);
    const std::uint8_t a = alaw_encode(s);
    const int mu_segment = ~mu >> 4 & 7;
    const int a_segment = (a ^ 0x55) >> 4 & 7;
    ASSERT_LE(std::abs(mulaw_decode(mu) - sample), 4 << mu_segment) << sample;
    ASSERT_LE(std::abs(alaw_decode(a) - sample), 8 << std::max(a_segment - 1, 0)) << sample;
    ASSERT_GE(mulaw_decode(mu), last_mu);
    ASSERT_GE(alaw_decode(a), last_a);
    last_mu = mulaw_decode(mu);
    last_a = alaw_decode(a);
  }
}

TEST(G711, DirectConversionIsDecodingAndEncoding) {
  std::mt19937 random(1);
  for (std::size_t size = 0; size < 300; ++size) {
    std::vector<std::uint8_t> codes(size);
    for (auto& code : codes) code = static_cast<std::uint8_t>(random());
    std::vector<std::uint8_t> to_a = codes;
    std::vector<std::uint8_t> to_mu = codes;
    mulaw_to_alaw(to_a);
    alaw_to_mulaw(to_mu);
    for (std::size_t i = 0; i < size; ++i) {
      ASSERT_EQ(to_a[i], alaw_encode(mulaw_decode(codes[i])));
      ASSERT_EQ(to_mu[i], mulaw_encode(alaw_decode(codes[i])));
    }
  }
}

TEST(G711, BothVariantsOfTheMapAgree) {
  std::mt19937 random(2);
  CodeMap map;
  for (auto& value : map) value = static_cast<std::uint8_t>(random());
  for (std::size_t size = 0; size < 260; ++size) {
    // Guard bytes on both sides: a vector store must not touch them.
    std::vector<std::uint8_t> a(size + 128, 0x5A);
    for (std::size_t i = 0; i < size; ++i) a[64 + i] = static_cast<std::uint8_t>(random());
    std::vector<std::uint8_t> b = a;
    map_codes_portable(map, std::span(a).subspan(64, size));
    if (!map_codes_vbmi(map, std::span(b).subspan(64, size))) GTEST_SKIP() << "this processor has no AVX-512 VBMI";
    ASSERT_EQ(a, b) << size;
  }
}

}  // namespace
}  // namespace ifgw::audio
