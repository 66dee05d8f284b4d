#include "codecs/audio/g726.h"

#include <gtest/gtest.h>
#include <spandsp.h>

#include <memory>

#include "tests/support/signals.h"

namespace ifgw::audio {
namespace {

using test::Pcm;
using Codes = std::vector<std::uint8_t>;
using Library = std::unique_ptr<g726_state_t, int (*)(g726_state_t*)>;

// The oracle is spandsp. Its decoder's output wraps beyond 14 bits where ours saturates.
Library library(unsigned bits) {
  return {g726_init(nullptr, static_cast<int>(8000 * bits), G726_ENCODING_LINEAR, G726_PACKING_RIGHT), ::g726_free};
}
Codes spandsp_encode(unsigned bits, const Pcm& pcm) {
  Codes codes(pcm.size() / 8 * bits);
  EXPECT_EQ(::g726_encode(library(bits).get(), codes.data(), pcm.data(), static_cast<int>(pcm.size())), static_cast<int>(codes.size()));
  return codes;
}
Codes our_encode(unsigned bits, const Pcm& pcm) {
  G726State state;
  Codes codes(pcm.size() / 8 * bits);
  g726_encode(state, bits, pcm, codes);
  return codes;
}
Pcm our_decode(unsigned bits, const Codes& codes) {
  G726State state;
  Pcm pcm(codes.size() / bits * 8);
  g726_decode(state, bits, codes, pcm);
  return pcm;
}
Pcm spandsp_decode(unsigned bits, const Codes& codes) {
  Pcm pcm(codes.size() / bits * 8);
  EXPECT_EQ(::g726_decode(library(bits).get(), pcm.data(), codes.data(), static_cast<int>(codes.size())), static_cast<int>(pcm.size()));
  return pcm;
}

TEST(G726, EncodesLikeSpandsp) {
  const std::size_t size = 32'000;
  Pcm ends(size);
  std::mt19937 random(3);
  for (auto& s : ends) s = (random() & 1) != 0 ? 32'767 : -32'768;
  // Tones that begin and end are what the transition detector is for.
  Pcm bursts = test::tone(1900, 8000, 12'000, size);
  for (std::size_t i = 0; i < size; ++i) bursts[i] = i / 1600 % 2 == 0 ? bursts[i] : std::int16_t{0};
  for (unsigned bits = 2; bits <= 5; ++bits) {
    for (const Pcm& pcm : {test::speech(8000, size), test::noise(300, size), test::noise(32'767, size),
                           test::tone(1004, 8000, 10'000, size), bursts, Pcm(size, 32'767), Pcm(size, 0), ends}) {
      ASSERT_EQ(our_encode(bits, pcm), spandsp_encode(bits, pcm)) << bits;
    }
  }
}

TEST(G726, DecodesAnyCodesLikeSpandsp) {
  for (unsigned bits = 2; bits <= 5; ++bits) {
    std::mt19937 random(bits);
    Codes codes(60'000);
    for (auto& c : codes) c = static_cast<std::uint8_t>(random());
    for (const Codes& input : {spandsp_encode(bits, test::speech(8000, 32'000)), codes}) {
      const Pcm ours = our_decode(bits, input);
      const Pcm theirs = spandsp_decode(bits, input);
      for (std::size_t i = 0; i < ours.size(); ++i) {
        if (ours[i] != 32'767 && ours[i] != -32'768) {
          ASSERT_EQ(ours[i], theirs[i]) << bits << " at " << i;
        }
      }
    }
  }
}

// RFC 3551 section 4.5.4: the first sample's code lies in the low bits of the first byte.
TEST(G726, PacksLowBitsFirst) {
  const Pcm loud_then_silent = {20'000, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(our_encode(4, loud_then_silent)[0] & 0x0F, 7) << "the largest positive code";
  EXPECT_EQ(our_encode(5, loud_then_silent)[0] & 0x1F, 15);
}

}  // namespace
}  // namespace ifgw::audio
