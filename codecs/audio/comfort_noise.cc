#include "codecs/audio/comfort_noise.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ifgw::audio {
namespace {

constexpr double kOverload = 32'767;  // RMS of 0 dBov: the loudest square wave (section 3.1)
constexpr int kMinLevel = 127;        // -dBov, seven bits
// Section 3.2: k = 258 * (N - 127) / 32768, N below 255.
constexpr double kCoefficientStep = 258.0 / 32'768;
constexpr int kZeroCoefficient = 127;
constexpr int kMaxCoefficient = 254;

std::uint64_t next_random(std::uint64_t& state) noexcept {  // xorshift64*
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * 0x2545F4914F6CDD1DU;
}

// Nearly Gaussian, of variance 1: the sum of four uniform numbers.
float white(std::uint64_t& state) noexcept {
  const std::uint64_t bits = next_random(state);
  std::int32_t sum = 0;
  for (int i = 0; i < 4; ++i) sum += static_cast<std::int16_t>(bits >> 16 * i);
  return static_cast<float>(sum) * (std::numbers::sqrt3_v<float> / 65'536.0F);
}

using Correlation = std::array<double, kMaxNoiseOrder + 1>;

// Autocorrelation under a Hann window, with a floor of white noise 40 dB down so that no coefficient becomes 1.
Correlation correlate(std::span<const std::int16_t> pcm, std::size_t order) noexcept {
  constexpr std::size_t kMax = 48'000 / 1000 * 60;
  std::array<float, kMax> windowed;
  const std::size_t size = std::min(pcm.size(), kMax);
  for (std::size_t i = 0; i < size; ++i) {
    const double turn = 2 * std::numbers::pi * (static_cast<double>(i) + 0.5) / static_cast<double>(size);
    windowed[i] = static_cast<float>((0.5 - 0.5 * std::cos(turn)) * pcm[i]);
  }
  Correlation r{};
  for (std::size_t lag = 0; lag <= std::min(order, size - 1); ++lag) {
    for (std::size_t i = lag; i < size; ++i) r[lag] += static_cast<double>(windowed[i]) * static_cast<double>(windowed[i - lag]);
  }
  r[0] = r[0] * 1.0001 + 1e-9;
  return r;
}

// Durbin's recursion; coefficients with the sign of the RFC, positive where neighbours are alike.
std::array<double, kMaxNoiseOrder> reflections(const Correlation& r, std::size_t order) noexcept {
  std::array<double, kMaxNoiseOrder> k{};
  std::array<double, kMaxNoiseOrder> a{};
  double error = r[0];
  for (std::size_t i = 0; i < order; ++i) {
    double sum = r[i + 1];
    for (std::size_t j = 0; j < i; ++j) sum -= a[j] * r[i - j];
    k[i] = sum / error;
    const std::array<double, kMaxNoiseOrder> before = a;
    a[i] = k[i];
    for (std::size_t j = 0; j < i; ++j) a[j] = before[j] - k[i] * before[i - 1 - j];
    error *= 1 - k[i] * k[i];
  }
  return k;
}

}  // namespace

bool NoiseGenerator::update(std::span<const std::uint8_t> payload) noexcept {
  if (payload.empty() || (payload[0] & 0x80) != 0) return false;
  const bool silent = wanted_level_ == 0;
  wanted_level_ = payload[0] == kMinLevel ? 0 : static_cast<float>(kOverload * std::pow(10, -payload[0] / 20.0));
  if (silent) level_ = wanted_level_;
  order_ = std::min(payload.size() - 1, kMaxNoiseOrder);
  for (std::size_t i = 0; i < order_; ++i) {
    const int coefficient = std::min<int>(payload[i + 1], kMaxCoefficient);
    const double k = kCoefficientStep * (coefficient - kZeroCoefficient);
    sections_[i].k = static_cast<float>(k);
    sections_[i].c = static_cast<float>(std::sqrt(1 - k * k));
  }
  return true;
}

// A lattice of rotations: the output is as strong as the input, and no sequence of coefficients makes it unstable.
void NoiseGenerator::generate(std::span<std::int16_t> pcm) noexcept {
  constexpr float kGlide = 1.0F / 128;
  for (std::int16_t& sample : pcm) {
    float forward = white(random_);
    for (std::size_t i = order_; i-- > 0;) {
      Section& s = sections_[i];
      const float backward = s.state;
      const float out = s.c * forward + s.k * backward;
      if (i + 1 < order_) sections_[i + 1].state = s.c * backward - s.k * forward;
      forward = out;
    }
    if (order_ != 0) sections_[0].state = forward;
    level_ += (wanted_level_ - level_) * kGlide;
    sample = static_cast<std::int16_t>(std::clamp(forward * level_, -32'768.0F, 32'767.0F));
  }
}

std::size_t describe_noise(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept {
  if (pcm.empty() || payload.empty()) return 0;
  const std::size_t order = std::min(payload.size() - 1, kMaxNoiseOrder);
  double energy = 0;
  for (const double s : pcm) energy += s * s;
  const double rms = std::sqrt(energy / static_cast<double>(pcm.size()));
  const double level = rms < 1e-2 ? kMinLevel : -20 * std::log10(rms / kOverload);
  payload[0] = static_cast<std::uint8_t>(std::clamp(static_cast<int>(std::lround(level)), 0, kMinLevel));
  const std::array<double, kMaxNoiseOrder> k = reflections(correlate(pcm, order), order);
  for (std::size_t i = 0; i < order; ++i) {
    const int coefficient = static_cast<int>(std::lround(k[i] / kCoefficientStep)) + kZeroCoefficient;
    payload[i + 1] = static_cast<std::uint8_t>(std::clamp(coefficient, 0, kMaxCoefficient));
  }
  return order + 1;
}

}  // namespace ifgw::audio
