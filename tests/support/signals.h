// Signals and measures for tests of audio codecs. Deterministic.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <numbers>
#include <random>
#include <span>
#include <vector>

#include "codecs/audio/codec.h"
#include "tests/support/aligned_bytes.h"

namespace ifgw::test {

using Pcm = std::vector<std::int16_t>;

inline Pcm tone(double hz, unsigned rate_hz, double amplitude, std::size_t samples) {
  Pcm out(samples);
  for (std::size_t i = 0; i < samples; ++i) {
    out[i] = static_cast<std::int16_t>(std::lround(amplitude * std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / rate_hz)));
  }
  return out;
}

inline Pcm noise(double amplitude, std::size_t samples, unsigned seed = 1) {
  std::mt19937 random(seed);
  Pcm out(samples);
  for (auto& s : out) s = static_cast<std::int16_t>(amplitude * (static_cast<double>(random()) / 2147483648.0 - 1));
  return out;
}

// Voiced sounds of 200 ms (harmonics of a gliding pitch under two formants) with pauses of 100 ms: what speech codecs are
// made for.
inline Pcm speech(unsigned rate_hz, std::size_t samples) {
  std::mt19937 random(7);
  std::vector<double> sum(samples);
  double phase = 0;
  double at = 0;
  for (std::size_t i = 0; i < samples; ++i) {
    at = static_cast<double>(i) / rate_hz;
    const double cycle = std::fmod(at, 0.3);
    phase += 2 * std::numbers::pi * (110 + 40 * std::sin(2 * std::numbers::pi * at * 0.7)) / rate_hz;
    const double envelope = cycle < 0.2 ? std::sin(std::numbers::pi * cycle / 0.2) : 0;
    for (int h = 1; h <= 25; ++h) {
      const double f = 120.0 * h;
      const double formants = std::exp(-std::pow((f - 600) / 300, 2)) + 0.4 * std::exp(-std::pow((f - 1800) / 400, 2)) + 0.02;
      sum[i] += 4000 * envelope * formants * std::sin(phase * h);
    }
    sum[i] += 4 * (static_cast<double>(random()) / 2147483648.0 - 1);
  }
  Pcm out(samples);
  for (std::size_t i = 0; i < samples; ++i) out[i] = static_cast<std::int16_t>(std::clamp(sum[i], -32768.0, 32767.0));
  return out;
}

inline double rms(std::span<const std::int16_t> pcm) {
  double sum = 0;
  for (const double s : pcm) sum += s * s;
  return pcm.empty() ? 0 : std::sqrt(sum / static_cast<double>(pcm.size()));
}

// One frequency's part of a signal: the amplitude of its sine, and its phase as of the first sample.
inline std::complex<double> part(std::span<const std::int16_t> pcm, double hz, unsigned rate_hz) {
  std::complex<double> sum = 0;
  double window = 0;
  for (std::size_t i = 0; i < pcm.size(); ++i) {
    const double x = 2 * std::numbers::pi * static_cast<double>(i);
    const double turn = x / static_cast<double>(pcm.size());
    // Blackman-Harris: leaks less than -92 dB.
    const double w = 0.35875 - 0.48829 * std::cos(turn) + 0.14128 * std::cos(2 * turn) - 0.01168 * std::cos(3 * turn);
    sum += w * pcm[i] * std::polar(1.0, -x * hz / rate_hz);
    window += w;
  }
  return 2.0 * sum / window;
}
inline double level(std::span<const std::int16_t> pcm, double hz, unsigned rate_hz) { return std::abs(part(pcm, hz, rate_hz)); }

inline double db(double ratio) { return 20 * std::log10(std::max(ratio, 1e-12)); }

// A codec with the memory it lives in.
struct OwnedDecoder {
  explicit OwnedDecoder(const audio::CodecSettings& settings)
      : memory(audio::decoder_bytes(settings)), codec(audio::make_decoder(settings, memory.span())) {}
  AlignedBytes memory;
  audio::DecoderPtr codec;
  audio::Decoder* operator->() const { return codec.get(); }
};
struct OwnedEncoder {
  explicit OwnedEncoder(const audio::CodecSettings& settings)
      : memory(audio::encoder_bytes(settings)), codec(audio::make_encoder(settings, memory.span())) {}
  AlignedBytes memory;
  audio::EncoderPtr codec;
  audio::Encoder* operator->() const { return codec.get(); }
};

}  // namespace ifgw::test
