#include "codecs/audio/comfort_noise.h"

#include <gtest/gtest.h>

#include "tests/support/signals.h"

extern "C" {
#include <bcg729/encoder.h>
}

namespace ifgw::audio {
namespace {

using test::Pcm;
using Bytes = std::vector<std::uint8_t>;

double dbov(const Pcm& pcm) { return test::db(test::rms(pcm) / 32'767); }

Pcm generate(const Bytes& payload, std::size_t samples, std::uint64_t seed = 1) {
  NoiseGenerator generator(seed);
  EXPECT_TRUE(generator.update(payload));
  Pcm pcm(samples);
  generator.generate(pcm);
  return pcm;
}
Bytes describe(const Pcm& pcm, std::size_t order) {
  Bytes payload(order + 1);
  EXPECT_EQ(describe_noise(pcm, payload), order + 1);
  return payload;
}
// Noise with a spectrum: each sample keeps a share of the last one.
Pcm coloured(double amplitude, double share, std::size_t samples) {
  Pcm pcm = test::noise(amplitude, samples);
  for (std::size_t i = 1; i < pcm.size(); ++i) pcm[i] = static_cast<std::int16_t>(pcm[i] * (1 - std::abs(share)) + share * pcm[i - 1]);
  return pcm;
}
double correlation(const Pcm& pcm, std::size_t lag) {
  double sum = 0, all = 0;
  for (std::size_t i = lag; i < pcm.size(); ++i) sum += static_cast<double>(pcm[i]) * pcm[i - lag];
  for (const double s : pcm) all += s * s;
  return sum / all;
}

TEST(ComfortNoise, HasTheLevelItIsTold) {
  for (const Bytes& payload :
       {Bytes{20}, Bytes{40}, Bytes{60}, Bytes{30, 200, 90, 127}, Bytes{50, 250, 20, 180, 100, 127, 140, 90, 60, 200, 127}}) {
    const Pcm pcm = generate(payload, 80'000);
    EXPECT_NEAR(dbov(pcm), -payload[0], 0.6) << int{payload[0]} << " of order " << payload.size() - 1;
  }
  EXPECT_EQ(test::rms(generate({127}, 800)), 0) << "-127 dBov is silence";
}

// Section 3.2: the first coefficient is the correlation of neighbours: 258 * (N - 127) / 32768.
TEST(ComfortNoise, HasTheSpectrumItIsTold) {
  EXPECT_NEAR(correlation(generate({30}, 80'000), 1), 0, 0.02);
  for (const int n : {20, 100, 180, 230}) {
    EXPECT_NEAR(correlation(generate({30, static_cast<std::uint8_t>(n)}, 80'000), 1), 258.0 * (n - 127) / 32'768, 0.02) << n;
  }
  const Bytes told = {30, 200, 90, 160, 127, 110};
  const Bytes seen = describe(generate(told, 2800), 5);
  for (std::size_t i = 1; i < told.size(); ++i) EXPECT_NEAR(seen[i], told[i], 8) << i;
}

TEST(ComfortNoise, DescribesNoise) {
  for (const double share : {-0.8, -0.3, 0.0, 0.5, 0.9}) {
    const Pcm pcm = coloured(3000, share, 2800);
    const Bytes payload = describe(pcm, 6);
    EXPECT_NEAR(payload[0], -dbov(pcm), 0.51);
    EXPECT_NEAR(258.0 * (payload[1] - 127) / 32'768, share, 0.06);
    const Pcm again = generate(payload, 80'000);
    EXPECT_NEAR(dbov(again), dbov(pcm), 1);
    EXPECT_NEAR(correlation(again, 1), correlation(pcm, 1), 0.05);
    EXPECT_NEAR(correlation(again, 3), correlation(pcm, 3), 0.06);
  }
  EXPECT_EQ(describe(Pcm(160), 2), (Bytes{127, 127, 127})) << "silence";
  EXPECT_EQ(describe(Pcm(160, -32'768), 0), Bytes{0}) << "full scale";
  EXPECT_EQ(describe_noise(Pcm(160), {}), 0U);
  Bytes room(3);
  EXPECT_EQ(describe_noise({}, room), 0U);
}

// bcg729 says what its own SID frames mean in terms of RFC 3389: another implementation's view of the coefficients' sign and scale.
TEST(ComfortNoise, DescribesLikeBcg729) {
  for (const double share : {0.0, 0.5, 0.9}) {
    const Pcm pcm = coloured(600, share, 16'000);
    auto* encoder = initBcg729EncoderChannel(1);
    Bytes theirs(11);
    for (std::size_t at = 0; at < pcm.size(); at += 80) {
      Bytes bits(10);
      std::uint8_t size = 0;
      bcg729Encoder(encoder, &pcm[at], bits.data(), &size);
      if (size == 2) bcg729GetRFC3389Payload(encoder, theirs.data());
    }
    closeBcg729EncoderChannel(encoder);
    const Bytes ours = describe(pcm, 10);
    // Its level is that of the excitation, the RFC's that of the noise: the same only where the spectrum is flat.
    if (share == 0) {
      EXPECT_NEAR(theirs[0], ours[0], 6);
    }
    EXPECT_NEAR(theirs[1], ours[1], 45) << share << ": G.729 filters its input and quantises coarsely, but the sign is that";
  }
}

TEST(ComfortNoise, LevelsGlide) {
  NoiseGenerator generator(1);
  ASSERT_TRUE(generator.update(Bytes{30}));
  Pcm pcm(160);
  generator.generate(pcm);
  EXPECT_NEAR(dbov(pcm), -30, 2) << "at once, the first time";
  ASSERT_TRUE(generator.update(Bytes{60}));
  Pcm first(16);
  generator.generate(first);
  EXPECT_GT(dbov(first), -45);
  for (int i = 0; i < 10; ++i) generator.generate(pcm);
  EXPECT_NEAR(dbov(pcm), -60, 2);
}

TEST(ComfortNoise, SeedsAreNotCorrelated) {
  const Pcm a = generate({30}, 40'000, 1), b = generate({30}, 40'000, 99);
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  EXPECT_LT(std::abs(sum) / static_cast<double>(a.size()) / test::rms(a) / test::rms(b), 0.03);
}

// Coefficients at their limits, in any order, change of order, reserved values: bounded noise, and quiet again after.
TEST(ComfortNoise, HostilePayloads) {
  NoiseGenerator generator(1);
  Pcm pcm(160, 1234);
  generator.generate(pcm);
  EXPECT_EQ(pcm, Pcm(160)) << "silence until told";
  EXPECT_FALSE(generator.update({}));
  EXPECT_FALSE(generator.update(Bytes{0x80}));
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    Bytes payload(random() % 40 + 1);
    for (auto& byte : payload) byte = (random() & 1) != 0 ? 0xFF : 0x00;
    payload[0] = 0;
    ASSERT_TRUE(generator.update(payload));
    generator.generate(pcm);
  }
  ASSERT_TRUE(generator.update(Bytes{60}));
  for (int i = 0; i < 20; ++i) generator.generate(pcm);
  EXPECT_NEAR(dbov(pcm), -60, 2);
}

}  // namespace
}  // namespace ifgw::audio
