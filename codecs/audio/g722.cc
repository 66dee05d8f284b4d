#include "codecs/audio/g722.h"

#include <algorithm>
#include <cstring>

#include "codecs/base/check.h"

namespace ifgw::audio {
namespace {

// ---- tables of the recommendation, by its names; values on its 16-bit scale ---------------------------------------

constexpr std::array<std::int16_t, 12> kQmf = {3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11};
// Decision levels of the low band's 6-bit quantiser times 16, after three zeros that are never above anything.
constexpr std::array<std::uint16_t, 32> kQ6 = [] {
  constexpr std::array<std::uint16_t, 29> levels = {35,  72,  110, 150,  190,  233,  276,  323,  370,  422,  473,  530,  587,  650, 714,
                                                    786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919};
  std::array<std::uint16_t, 32> all{};
  for (std::size_t i = 0; i < levels.size(); ++i) all[i + 3] = static_cast<std::uint16_t>(levels[i] * 16);
  return all;
}();
// The code of an interval: of a positive difference (ILP), 32 further of a negative one (ILN).
constexpr std::array<std::uint8_t, 64> kIl = {0,  61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41,
                                              40, 39, 38, 37, 36, 35, 34, 33, 32, 0,  0,  63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23,
                                              22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9,  8,  7,  6,  5,  4,  0};
constexpr std::array<std::int16_t, 16> kQm4 = {0,     -20456, -12896, -8968, -6288, -4240, -2584, -1200,
                                               20456, 12896,  8968,   6288,  4240,  2584,  1200,  0};
constexpr std::array<std::int16_t, 64> kQm6 = {
    -136,  -136,  -136,  -136,  -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
    -7192, -6576, -6000, -5456, -4944,  -4464,  -4008,  -3576,  -3168,  -2776,  -2400,  -2032,  -1688,  -1360, -1040, -728,
    24808, 21904, 19008, 16704, 14984,  13512,  12280,  11192,  10232,  9360,   8576,   7856,   7192,   6576,  6000,  5456,
    4944,  4464,  4008,  3576,  3168,   2776,   2400,   2032,   1688,   1360,   1040,   728,    432,    136,   -432,  -136};
constexpr std::array<std::int16_t, 4> kQm2 = {-7408, -1616, 7408, 1616};
// WL by the code's upper four bits (through RL42), WH by the high band's two (through RH2).
constexpr std::array<std::int16_t, 16> kWl = {-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60};
constexpr std::array<std::int16_t, 4> kWh = {798, -214, 798, -214};
constexpr std::array<std::int16_t, 32> kIlb = {2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543,
                                               2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025, 3091, 3158, 3228,
                                               3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008};

struct LowBand {
  static constexpr int kMaxLog = 18432;
  static constexpr int kShift = 8;
};
struct HighBand {
  static constexpr int kMaxLog = 22528;
  static constexpr int kShift = 10;
};

constexpr std::int32_t saturate(std::int32_t v) noexcept { return std::clamp(v, -32768, 32767); }
constexpr std::int16_t narrow(std::int32_t v) noexcept { return static_cast<std::int16_t>(v); }
// `v`, negated where the signs of a and b differ. Signs of a signal are as good as random: no branch.
constexpr std::int32_t signed_by(std::int32_t v, std::int32_t a, std::int32_t b) noexcept {
  const std::int32_t mask = (a ^ b) >> 31;
  return (v ^ mask) - mask;
}
// One's complement: -1 is as large as 0.
constexpr std::int32_t magnitude(std::int32_t v) noexcept { return v ^ (v >> 31); }

// ---- one band (clauses 3.5 and 3.6) ------------------------------------------------------------------------------

// LOGSCL and SCALEL: the step follows the codes.
template <typename Band>
void adapt_step(G722Band& band, std::int32_t weight) noexcept {
  const std::int32_t log = std::clamp(((band.log_det * 127) >> 7) + weight, 0, Band::kMaxLog);
  const std::int32_t mantissa = kIlb[static_cast<std::size_t>(log >> 6 & 31)];
  const std::int32_t shift = Band::kShift - (log >> 11);
  band.log_det = narrow(log);
  band.det = narrow((shift < 0 ? mantissa << -shift : mantissa >> shift) * 4);
}

// UPPOL2 and UPPOL1: the poles follow the signs of the partial reconstruction; both stay inside the stable triangle.
void adapt_poles(G722Band& band, std::int32_t p0) noexcept {
  const std::int32_t pull = std::min(-signed_by(saturate(band.a[0] * 4), p0, band.p[0]), 32767);
  const std::int32_t push = signed_by(128, p0, band.p[1]);
  const std::int32_t a2 = std::clamp((pull >> 7) + push + ((band.a[1] * 32512) >> 15), -12288, 12288);
  const std::int32_t limit = 15360 - a2;
  const std::int32_t a1 = std::clamp(signed_by(192, p0, band.p[0]) + ((band.a[0] * 32640) >> 15), -limit, limit);
  band.p = {narrow(p0), band.p[0]};
  band.a = {narrow(a1), narrow(a2)};
}

// UPZERO, DELAYA and FILTEZ in one pass: adapts the zeros to the difference `d`, shifts it in, returns their prediction.
// Differences lie within +-10300, so that doubling them needs no saturation.
std::int32_t adapt_zeros(G722Band& band, std::int32_t d) noexcept {
  const std::int32_t step = d == 0 ? 0 : 128;
  std::int32_t newest = d;
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < band.b.size(); ++i) {
    const std::int32_t old = band.d[i];
    const std::int32_t b = saturate(signed_by(step, d, old) + ((band.b[i] * 32640) >> 15));
    sum += (b * (newest * 2)) >> 15;
    band.b[i] = narrow(b);
    band.d[i] = narrow(newest);
    newest = old;
  }
  return saturate(sum);
}

// Block 4: everything that follows from the quantised difference, up to the next prediction.
void predict(G722Band& band, std::int32_t d) noexcept {
  const std::int32_t reconstructed = saturate(band.s + d);
  adapt_poles(band, saturate(band.sz + d));
  const std::int32_t zeros = adapt_zeros(band, d);
  const std::int32_t by_first = (band.a[0] * saturate(reconstructed * 2)) >> 15;
  const std::int32_t by_second = (band.a[1] * saturate(band.r[0] * 2)) >> 15;
  band.r = {narrow(reconstructed), band.r[0]};
  band.sz = narrow(zeros);
  band.s = narrow(saturate(saturate(by_first + by_second) + zeros));
}

void follow_low(G722Band& band, std::size_t code6) noexcept {
  const std::size_t code4 = code6 >> 2;
  const std::int32_t d = (band.det * kQm4[code4]) >> 15;
  adapt_step<LowBand>(band, kWl[code4]);
  predict(band, d);
}

void follow_high(G722Band& band, std::size_t code2) noexcept {
  const std::int32_t d = (band.det * kQm2[code2]) >> 15;
  adapt_step<HighBand>(band, kWh[code2]);
  predict(band, d);
}

// QUANTL: the number of the interval a magnitude falls into, 1..30. Counting all levels it is not below costs less than
// the branches of a search, and the compiler does eight at a time.
std::size_t low_interval(std::int16_t magnitude, std::int16_t det) noexcept {
  std::int16_t below = 0;
  for (const std::uint16_t q : kQ6) {
    const auto level = static_cast<std::int16_t>(static_cast<std::uint32_t>(q) * static_cast<std::uint16_t>(det) >> 16);
    below = static_cast<std::int16_t>(below + (magnitude < level ? 1 : 0));
  }
  return kQ6.size() - 2 - static_cast<std::size_t>(below);
}

std::size_t quantise_low(const G722Band& band, std::int32_t x) noexcept {
  const std::int32_t e = saturate(x - band.s);
  const std::size_t interval = low_interval(narrow(magnitude(e)), band.det);
  return kIl[(e < 0 ? 32U : 0U) + interval];
}

std::size_t quantise_high(const G722Band& band, std::int32_t x) noexcept {
  const std::int32_t e = saturate(x - band.s);
  const bool outer = magnitude(e) >= (564 * band.det) >> 12;
  return (e < 0 ? 0U : 2U) + (outer ? 0U : 1U);
}

// ---- the mirror filter (clauses 3.1 and 4.4), a chunk at a time ----------------------------------------------------

constexpr std::size_t kChunkCodes = 160;

// `pairs` holds the history and the chunk, even and odd positions apart.
struct Pairs {
  std::array<std::int16_t, kG722History / 2 + kChunkCodes> even;
  std::array<std::int16_t, kG722History / 2 + kChunkCodes> odd;

  void load_history(const G722State& state) noexcept {
    for (std::size_t i = 0; i < kG722History / 2; ++i) {
      even[i] = state.filter[2 * i];
      odd[i] = state.filter[2 * i + 1];
    }
  }
  void store_history(G722State& state, std::size_t codes) const noexcept {
    for (std::size_t i = 0; i < kG722History / 2; ++i) {
      state.filter[2 * i] = even[codes + i];
      state.filter[2 * i + 1] = odd[codes + i];
    }
  }
  std::int32_t filter_even(std::size_t at) const noexcept {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < kQmf.size(); ++i) sum += even[at + i] * kQmf[i];
    return sum;
  }
  std::int32_t filter_odd(std::size_t at) const noexcept {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < kQmf.size(); ++i) sum += odd[at + i] * kQmf[kQmf.size() - 1 - i];
    return sum;
  }
};

void decode_chunk(G722State& state, std::span<const std::uint8_t> codes, std::span<std::int16_t> pcm) noexcept {
  Pairs pairs;
  pairs.load_history(state);
  constexpr std::size_t kFirst = kG722History / 2;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const std::size_t low = codes[i] & 0x3F;
    const std::size_t high = codes[i] >> 6;
    // RECONS and LIMIT.
    const std::int32_t r_low = std::clamp(state.low.s + ((state.low.det * kQm6[low]) >> 15), -16384, 16383);
    const std::int32_t r_high = std::clamp(state.high.s + ((state.high.det * kQm2[high]) >> 15), -16384, 16383);
    pairs.even[kFirst + i] = narrow(r_low + r_high);
    pairs.odd[kFirst + i] = narrow(r_low - r_high);
    follow_low(state.low, low);
    follow_high(state.high, high);
  }
  for (std::size_t i = 0; i < codes.size(); ++i) {
    pcm[2 * i] = narrow(saturate(pairs.filter_odd(i) >> 11));
    pcm[2 * i + 1] = narrow(saturate(pairs.filter_even(i) >> 11));
  }
  pairs.store_history(state, codes.size());
}

void encode_chunk(G722State& state, std::span<const std::int16_t> pcm, std::span<std::uint8_t> codes) noexcept {
  Pairs pairs;
  pairs.load_history(state);
  constexpr std::size_t kFirst = kG722History / 2;
  std::array<std::int16_t, kChunkCodes> lows;
  std::array<std::int16_t, kChunkCodes> highs;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    pairs.even[kFirst + i] = pcm[2 * i];
    pairs.odd[kFirst + i] = pcm[2 * i + 1];
  }
  // The taps' sum is below 2^14: neither band can exceed 16 bits.
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const std::int32_t even = pairs.filter_even(i);
    const std::int32_t odd = pairs.filter_odd(i);
    lows[i] = narrow((odd + even) >> 14);
    highs[i] = narrow((odd - even) >> 14);
  }
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const std::size_t low = quantise_low(state.low, lows[i]);
    const std::size_t high = quantise_high(state.high, highs[i]);
    follow_low(state.low, low);
    follow_high(state.high, high);
    codes[i] = static_cast<std::uint8_t>(high << 6 | low);
  }
  pairs.store_history(state, codes.size());
}

}  // namespace

void g722_decode(G722State& state, std::span<const std::uint8_t> codes, std::span<std::int16_t> pcm) noexcept {
  IFGW_CHECK(pcm.size() == 2 * codes.size());
  for (std::size_t i = 0; i < codes.size(); i += kChunkCodes) {
    const std::size_t size = std::min(codes.size() - i, kChunkCodes);
    decode_chunk(state, codes.subspan(i, size), pcm.subspan(2 * i, 2 * size));
  }
}

void g722_encode(G722State& state, std::span<const std::int16_t> pcm, std::span<std::uint8_t> codes) noexcept {
  IFGW_CHECK(pcm.size() == 2 * codes.size());
  for (std::size_t i = 0; i < codes.size(); i += kChunkCodes) {
    const std::size_t size = std::min(codes.size() - i, kChunkCodes);
    encode_chunk(state, pcm.subspan(2 * i, 2 * size), codes.subspan(i, size));
  }
}

}  // namespace ifgw::audio
