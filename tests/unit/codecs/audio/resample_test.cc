#include "codecs/audio/resample.h"

#include <gtest/gtest.h>

#include "tests/support/signals.h"

namespace ifgw::audio {
namespace {

using test::Pcm;

struct Ratio {
  unsigned from;
  unsigned to;
  double passband() const { return std::min(from, to) == 8000 ? 3400 : 6800; }
  double stopband() const { return std::min(from, to) - passband(); }
};
constexpr Ratio kRatios[] = {{8000, 16'000}, {8000, 48'000}, {16'000, 48'000}, {16'000, 8000}, {48'000, 8000}, {48'000, 16'000}};

std::ostream& operator<<(std::ostream& out, const Ratio& ratio) { return out << ratio.from << " to " << ratio.to << " Hz"; }

Pcm resample(const Ratio& ratio, const Pcm& in) {
  Resampler resampler(ratio.from, ratio.to);
  Pcm out(in.size() * ratio.to / ratio.from);
  EXPECT_EQ(resampler.process(in, out), out.size());
  return out;
}
// What a long tone becomes, without its beginning.
Pcm settled(const Ratio& ratio, double hz, double amplitude = 10'000) {
  const Pcm out = resample(ratio, test::tone(hz, ratio.from, amplitude, ratio.from / 4));
  return Pcm(out.begin() + ratio.to / 20, out.end());
}

TEST(Resample, PassbandIsFlat) {
  for (const Ratio& ratio : kRatios) {
    for (double hz = 100; hz <= ratio.passband(); hz += 100) {
      ASSERT_NEAR(test::db(test::level(settled(ratio, hz), hz, ratio.to) / 10'000), 0, 0.5) << ratio << " " << hz;
    }
  }
}

TEST(Resample, ImagesAre50DbDown) {
  for (const Ratio& ratio : kRatios) {
    if (ratio.from > ratio.to) continue;
    for (double hz = 100; hz <= ratio.passband(); hz += 100) {
      const Pcm out = settled(ratio, hz);
      for (double centre = ratio.from; centre <= ratio.to / 2.0; centre += ratio.from) {
        for (const double image : {centre - hz, centre + hz}) {
          if (image > ratio.to / 2.0) continue;
          ASSERT_LT(test::db(test::level(out, image, ratio.to) / 10'000), -50) << ratio << " " << hz << " at " << image;
        }
      }
    }
  }
}

TEST(Resample, AliasesAre50DbDown) {
  for (const Ratio& ratio : kRatios) {
    if (ratio.from < ratio.to) continue;
    for (double hz = ratio.stopband(); hz < ratio.from / 2.0; hz += 100) {
      ASSERT_LT(test::db(test::rms(settled(ratio, hz)) * std::sqrt(2.0) / 10'000), -50) << ratio << " " << hz;
    }
  }
}

// The delay of an envelope, which is how the phase changes with the frequency, and that of the phase itself: the same,
// at every frequency.
TEST(Resample, DelayIsBelowAMillisecondAndConstant) {
  const double up_ms[] = {13.5 / 16, 41.5 / 48, 23.5 / 48};
  const double down_ms[] = {(13.5 - 1) / 16, (41.5 - 5) / 48, (23.5 - 2) / 48};
  for (std::size_t i = 0; i < std::size(kRatios); ++i) {
    const Ratio& ratio = kRatios[i];
    const double wanted_ms = i < 3 ? up_ms[i] : down_ms[i - 3];
    EXPECT_LT(wanted_ms, 1.0);
    for (double hz = 200; hz < ratio.passband() - 100; hz += 200) {
      const auto lag = [&](double f) {
        const Pcm in = test::tone(f, ratio.from, 10'000, ratio.from / 4);
        return std::arg(test::part(std::span(in).subspan(ratio.from / 20), f, ratio.from) / test::part(settled(ratio, f), f, ratio.to));
      };
      const double turn = std::remainder(lag(hz + 50) - lag(hz), 2 * std::numbers::pi);
      ASSERT_NEAR(turn / (2 * std::numbers::pi * 50) * 1000, wanted_ms, 0.02) << ratio << " " << hz;
    }
  }
}

// The largest sample of an impulse's response stands where the delay says.
TEST(Resample, ImpulseArrivesWithinAMillisecond) {
  for (const Ratio& ratio : kRatios) {
    Pcm in(ratio.from / 10);
    in[in.size() / 2] = 20'000;
    const Pcm out = resample(ratio, in);
    const auto peak = std::max_element(out.begin(), out.end(), [](int a, int b) { return std::abs(a) < std::abs(b); });
    const double at_ms = 1000.0 * static_cast<double>(peak - out.begin()) / ratio.to;
    EXPECT_NEAR(at_ms, 50 + 0.8, 0.45) << ratio;
    EXPECT_LT(at_ms, 51 + 1000.0 / ratio.to) << ratio;
    // Nothing before its time: the filter is causal.
    for (std::size_t i = 0; 1000.0 * static_cast<double>(i + ratio.from / ratio.to) / ratio.to < 50; ++i)
      ASSERT_EQ(out[i], 0) << ratio << " " << i;
  }
}

TEST(Resample, ChunksDoNotMatter) {
  std::mt19937 random(1);
  for (const Ratio& ratio : kRatios) {
    const Pcm in = test::noise(20'000, ratio.from);
    const Pcm whole = resample(ratio, in);
    Resampler resampler(ratio.from, ratio.to);
    const std::size_t step = std::max(ratio.from / ratio.to, 1U);
    Pcm parts;
    for (std::size_t at = 0; at < in.size();) {
      const std::size_t size = std::min<std::size_t>(random() % 900 / step * step, in.size() - at);
      Pcm out(size * ratio.to / ratio.from);
      ASSERT_EQ(resampler.process(std::span(in).subspan(at, size), out), out.size());
      parts.insert(parts.end(), out.begin(), out.end());
      at += size;
    }
    ASSERT_EQ(parts, whole) << ratio;
    resampler.reset();
    Pcm again(whole.size());
    ASSERT_EQ(resampler.process(in, again), again.size());
    EXPECT_EQ(again, whole) << ratio << " after reset";
  }
}

// A full-scale square wave overshoots in any such filter: it must clip, with the right sign.
TEST(Resample, Saturates) {
  for (const Ratio& ratio : kRatios) {
    Pcm square(ratio.from / 4);
    for (std::size_t i = 0; i < square.size(); ++i) square[i] = i * 500 / ratio.from % 2 == 0 ? 32'767 : -32'768;
    const Pcm out = resample(ratio, square);
    EXPECT_GT(std::count(out.begin(), out.end(), 32'767), 10) << ratio;
    EXPECT_GT(std::count(out.begin(), out.end(), -32'768), 10) << ratio;
    for (std::size_t i = 1; i < out.size(); ++i) {
      const bool jump = std::abs(out[i] - out[i - 1]) > 60'000;
      ASSERT_FALSE(jump && ratio.from < ratio.to) << ratio << ": wrapped at " << i;
    }
  }
}

TEST(Resample, RefusesLengthsThatDoNotFit) {
  Resampler down(48'000, 8000);
  Pcm in(960), out(160);
  EXPECT_EQ(down.process(std::span(in).first(959), out), 0U);
  EXPECT_EQ(down.process(in, std::span(out).first(159)), 0U);
  EXPECT_EQ(down.process({}, out), 0U);
  EXPECT_EQ(down.process(in, out), 160U);
  Resampler equal(16'000, 16'000);
  in = test::noise(9000, 960);
  Pcm copy(960);
  EXPECT_EQ(equal.process(in, copy), 960U);
  EXPECT_EQ(copy, in);
  EXPECT_LE(sizeof(Resampler), 200U);
}

}  // namespace
}  // namespace ifgw::audio
