#include "codecs/audio/g722.h"

#include <gtest/gtest.h>
#include <spandsp.h>

#include <memory>

#include "tests/support/signals.h"

namespace ifgw::audio {
namespace {

using test::Pcm;
using Codes = std::vector<std::uint8_t>;

// The oracle is spandsp 0.0.6. It is right but for one thing: its decoder's output wraps where the recommendation's
// saturates (its predictor's state is not touched by that).
Codes spandsp_encode(const Pcm& pcm) {
  const std::unique_ptr<g722_encode_state_t, int (*)(g722_encode_state_t*)> state(g722_encode_init(nullptr, 64000, 0), ::g722_encode_free);
  Codes codes(pcm.size() / 2);
  EXPECT_EQ(::g722_encode(state.get(), codes.data(), pcm.data(), static_cast<int>(pcm.size())), static_cast<int>(codes.size()));
  return codes;
}
Pcm spandsp_decode(const Codes& codes) {
  const std::unique_ptr<g722_decode_state_t, int (*)(g722_decode_state_t*)> state(g722_decode_init(nullptr, 64000, 0), ::g722_decode_free);
  Pcm pcm(codes.size() * 2);
  EXPECT_EQ(::g722_decode(state.get(), pcm.data(), codes.data(), static_cast<int>(codes.size())), static_cast<int>(pcm.size()));
  return pcm;
}
Codes our_encode(const Pcm& pcm) {
  G722State state;
  Codes codes(pcm.size() / 2);
  g722_encode(state, pcm, codes);
  return codes;
}
Pcm our_decode(const Codes& codes) {
  G722State state;
  Pcm pcm(codes.size() * 2);
  g722_decode(state, codes, pcm);
  return pcm;
}
Codes random_codes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  Codes codes(size);
  for (auto& c : codes) c = static_cast<std::uint8_t>(random());
  return codes;
}

TEST(G722, EncodesLikeSpandsp) {
  const std::size_t size = 16'000 * 8;
  for (const Pcm& pcm :
       {test::speech(16'000, size), test::noise(300, size), test::noise(32'767, size), test::tone(1004, 16'000, 10'000, size),
        test::tone(6500, 16'000, 32'767, size), Pcm(size, 32'767), Pcm(size, -32'768), Pcm(size, 0)}) {
    ASSERT_EQ(our_encode(pcm), spandsp_encode(pcm));
  }
  // The hardest input there is: full scale, either end at random.
  Pcm ends(size);
  std::mt19937 random(3);
  for (auto& s : ends) s = (random() & 1) != 0 ? 32'767 : -32'768;
  ASSERT_EQ(our_encode(ends), spandsp_encode(ends));
}

TEST(G722, DecodesWhatWasEncodedLikeSpandsp) {
  for (const Pcm& pcm : {test::speech(16'000, 64'000), test::noise(8'000, 64'000), test::tone(1004, 16'000, 20'000, 64'000)}) {
    const Codes codes = spandsp_encode(pcm);
    ASSERT_EQ(our_decode(codes), spandsp_decode(codes));
  }
}

// Any bytes at all: bit-exact modulo 2^16 wherever ours does not stand at a limit, and there ours is at the limit on
// purpose: a wrapped value is far from its neighbours, ours is not.
TEST(G722, DecodesAnyBytesLikeSpandspAndSaturates) {
  std::size_t at_limit = 0;
  std::size_t wrapped = 0;
  for (unsigned seed = 0; seed < 20; ++seed) {
    const Codes codes = random_codes(20'000, seed);
    const Pcm ours = our_decode(codes);
    const Pcm theirs = spandsp_decode(codes);
    for (std::size_t i = 0; i < ours.size(); ++i) {
      if (ours[i] == 32'767 || ours[i] == -32'768) {
        ++at_limit;
        // What wraps is at least 2^15 beyond: with the other sign, at most as far as the filter can go.
        if (theirs[i] != ours[i]) ++wrapped;
      } else {
        ASSERT_EQ(ours[i], theirs[i]) << "seed " << seed << " sample " << i;
      }
    }
  }
  EXPECT_GT(wrapped, 1000U) << "the input must be hostile enough to tell saturating from wrapping";
  EXPECT_LT(at_limit, 200'000U);
}

// A full-scale square wave rings beyond full scale in the mirror filter; clipped it keeps its sign, wrapped it flips.
TEST(G722, LoudInputKeepsItsSign) {
  Pcm square(16'000);
  for (std::size_t i = 0; i < square.size(); ++i) square[i] = i / 32 % 2 == 0 ? 32'767 : -32'768;
  const Pcm out = our_decode(our_encode(square));
  constexpr std::size_t kDelay = 22;
  for (std::size_t i = 2000; i + kDelay < square.size(); ++i) {
    if (i % 32 < 4 || i % 32 > 27) continue;  // next to an edge
    ASSERT_GT(std::int32_t{out[i + kDelay]} * (square[i] > 0 ? 1 : -1), 16'000) << i;
  }
}

TEST(G722, StateIsAllThatConnectsFrames) {
  const Pcm pcm = test::speech(16'000, 16'000);
  const Codes whole = our_encode(pcm);
  const Pcm decoded = our_decode(whole);
  std::mt19937 random(5);
  G722State encoder;
  G722State decoder;
  std::size_t at = 0;
  while (at < whole.size()) {
    const std::size_t size = std::min<std::size_t>(random() % 500, whole.size() - at);
    Codes codes(size);
    g722_encode(encoder, std::span(pcm).subspan(2 * at, 2 * size), codes);
    ASSERT_TRUE(std::equal(codes.begin(), codes.end(), whole.begin() + static_cast<std::ptrdiff_t>(at)));
    Pcm part(2 * size);
    g722_decode(decoder, codes, part);
    ASSERT_TRUE(std::equal(part.begin(), part.end(), decoded.begin() + static_cast<std::ptrdiff_t>(2 * at)));
    at += size;
  }
  EXPECT_LE(sizeof(G722State), 200U) << "of each direction of a leg";
}

}  // namespace
}  // namespace ifgw::audio
