#include "codecs/audio/resample.h"

#include <algorithm>

#include "codecs/audio/resample_taps.h"
#include "codecs/base/check.h"

namespace ifgw::audio {
namespace {

constexpr std::int16_t narrow(double v) noexcept { return static_cast<std::int16_t>(v < 0 ? v - 0.5 : v + 0.5); }

template <std::size_t Half>
constexpr double tap(const std::array<double, Half>& half, std::size_t i) noexcept {
  return i < Half ? half[Half - 1 - i] : half[i - Half];
}

constexpr std::size_t padded(std::size_t taps) noexcept { return (taps + 7) / 8 * 8; }

// Taps of one output sample, against the oldest input sample first; zeros where the length was rounded up.
template <std::size_t Taps>
struct Row {
  std::array<std::int16_t, Taps> taps{};

  // While compiling: no sum of products exceeds 32 bits, whatever the samples.
  constexpr void check() const noexcept {
    std::int32_t magnitudes = 0;
    for (const std::int16_t t : taps) magnitudes += t < 0 ? -t : t;
    IFGW_CHECK(magnitudes < 65'535);
  }
  std::int32_t operator()(const std::int16_t* samples) const noexcept {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < Taps; ++i) sum += taps[i] * samples[i];
    return sum;
  }
};

template <int Shift>
constexpr std::int16_t rounded(std::int32_t sum) noexcept {
  return static_cast<std::int16_t>(std::clamp((sum + (1 << (Shift - 1))) >> Shift, -32768, 32767));
}

// One row for each of `Up` output samples of an input sample.
template <std::size_t Up, std::size_t Half>
struct Rise {
  static constexpr std::size_t kTaps = padded(2 * Half / Up);
  static constexpr int kShift = 14;
  std::array<Row<kTaps>, Up> rows{};

  constexpr explicit Rise(const std::array<double, Half>& half) noexcept {
    for (std::size_t phase = 0; phase < Up; ++phase) {
      for (std::size_t i = 0; i < 2 * Half / Up; ++i) {
        rows[phase].taps[kTaps - 1 - i] = narrow(tap(half, phase + Up * i) * static_cast<double>(Up << kShift));
      }
      rows[phase].check();
    }
  }
  // `samples`: kHistory older ones and `in` new ones.
  void operator()(const std::int16_t* samples, std::size_t in, std::int16_t* out) const noexcept {
    const std::int16_t* oldest = samples + Resampler::kHistory + 1 - kTaps;
    for (std::size_t phase = 0; phase < Up; ++phase) {
      const Row<kTaps> row = rows[phase];  // stays in registers
      for (std::size_t i = 0; i < in; ++i) out[i * Up + phase] = rounded<kShift>(row(oldest + i));
    }
  }
};

// One output sample for `Down` input samples, as of the last of them.
template <std::size_t Down, std::size_t Half>
struct Fall {
  static constexpr std::size_t kTaps = padded(2 * Half);
  static constexpr int kShift = 15;
  Row<kTaps> row{};

  constexpr explicit Fall(const std::array<double, Half>& half) noexcept {
    for (std::size_t i = 0; i < 2 * Half; ++i) row.taps[kTaps - 1 - i] = narrow(tap(half, i) * (1 << kShift));
    row.check();
  }
  void operator()(const std::int16_t* samples, std::size_t in, std::int16_t* out) const noexcept {
    const std::int16_t* oldest = samples + Resampler::kHistory + Down - kTaps;
    for (std::size_t i = 0; i < in / Down; ++i) out[i] = rounded<kShift>(row(oldest + i * Down));
  }
};

constexpr Rise<2, kTaps8To16.size()> kRise8To16(kTaps8To16);
constexpr Rise<6, kTaps8To48.size()> kRise8To48(kTaps8To48);
constexpr Rise<3, kTaps16To48.size()> kRise16To48(kTaps16To48);
constexpr Fall<2, kTaps8To16.size()> kFall16To8(kTaps8To16);
constexpr Fall<6, kTaps8To48.size()> kFall48To8(kTaps8To48);
constexpr Fall<3, kTaps16To48.size()> kFall48To16(kTaps16To48);
static_assert(kFall48To8.kTaps <= Resampler::kHistory);

constexpr std::size_t kBlock = 480;  // input samples at a time; every ratio divides it

}  // namespace

Resampler::Resampler(std::uint32_t from_hz, std::uint32_t to_hz) noexcept {
  for (const std::uint32_t rate : {from_hz, to_hz}) IFGW_CHECK(rate == 8000 || rate == 16'000 || rate == 48'000);
  up_ = static_cast<std::uint8_t>(to_hz > from_hz ? to_hz / from_hz : 1);
  down_ = static_cast<std::uint8_t>(from_hz > to_hz ? from_hz / to_hz : 1);
}

std::size_t Resampler::process(std::span<const std::int16_t> in, std::span<std::int16_t> out) noexcept {
  const std::size_t size = output_size(in.size());
  if (size == 0 || size > out.size()) return 0;
  if (up_ == down_) {
    std::copy(in.begin(), in.end(), out.begin());
    return size;
  }
  std::array<std::int16_t, kHistory + kBlock> samples;
  std::int16_t* to = out.data();
  while (!in.empty()) {
    const std::size_t block = std::min(in.size(), kBlock);
    std::copy(history_.begin(), history_.end(), samples.begin());
    std::copy_n(in.begin(), block, samples.begin() + kHistory);
    switch (up_ * 16 + down_) {
      case 0x21: kRise8To16(samples.data(), block, to); break;
      case 0x61: kRise8To48(samples.data(), block, to); break;
      case 0x31: kRise16To48(samples.data(), block, to); break;
      case 0x12: kFall16To8(samples.data(), block, to); break;
      case 0x16: kFall48To8(samples.data(), block, to); break;
      default: kFall48To16(samples.data(), block, to); break;
    }
    std::copy_n(samples.begin() + static_cast<std::ptrdiff_t>(block), kHistory, history_.begin());
    to += block / down_ * up_;
    in = in.subspan(block);
  }
  return size;
}

}  // namespace ifgw::audio
