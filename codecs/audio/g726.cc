#include "codecs/audio/g726.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "codecs/base/check.h"

namespace ifgw::audio {
namespace {

// ---- tables of the recommendation, by magnitude of the code -------------------------------------------------------

// Of one width: quantiser levels (tables 1 to 4), log of the difference, weights W and F of the code.
template <unsigned Bits>
struct Width;

template <>
struct Width<2> {
  static constexpr std::array<std::int32_t, 1> kLevels = {261};
  static constexpr std::array<std::int32_t, 2> kLog = {116, 365};
  static constexpr std::array<std::int32_t, 2> kW = {-704, 14'048};
  static constexpr std::array<std::int32_t, 2> kF = {0, 0xE00};
};
template <>
struct Width<3> {
  static constexpr std::array<std::int32_t, 3> kLevels = {8, 218, 331};
  static constexpr std::array<std::int32_t, 4> kLog = {-2048, 135, 273, 373};
  static constexpr std::array<std::int32_t, 4> kW = {-128, 960, 4384, 18'624};
  static constexpr std::array<std::int32_t, 4> kF = {0, 0x200, 0x400, 0xE00};
};
template <>
struct Width<4> {
  static constexpr std::array<std::int32_t, 7> kLevels = {-124, 80, 178, 246, 300, 349, 400};
  static constexpr std::array<std::int32_t, 8> kLog = {-2048, 4, 135, 213, 273, 323, 373, 425};
  static constexpr std::array<std::int32_t, 8> kW = {-384, 576, 1312, 2048, 3584, 6336, 11'360, 35'904};
  static constexpr std::array<std::int32_t, 8> kF = {0, 0, 0, 0x200, 0x200, 0x200, 0x600, 0xE00};
};
template <>
struct Width<5> {
  static constexpr std::array<std::int32_t, 15> kLevels = {-122, -16, 68, 139, 198, 250, 298, 339, 378, 413, 445, 475, 502, 528, 553};
  static constexpr std::array<std::int32_t, 16> kLog = {-2048, -66, 28, 104, 169, 224, 274, 318, 358, 395, 429, 459, 488, 514, 539, 566};
  static constexpr std::array<std::int32_t, 16> kW = {448,  448,  768,  1248, 1280,   1312,   1856,   3200,
                                                      4512, 5728, 7008, 8960, 11'456, 14'080, 16'928, 22'272};
  static constexpr std::array<std::int32_t, 16> kF = {0,     0,     0,     0,     0,     0x200, 0x200, 0x200,
                                                      0x200, 0x200, 0x400, 0x600, 0x800, 0xA00, 0xC00, 0xC00};
};

// The recommendation's sums have 16 bits and wrap; only hostile codes get there.
std::int32_t wrap(std::int32_t v) noexcept { return static_cast<std::int16_t>(v); }

std::int32_t exponent(std::int32_t magnitude) noexcept { return std::bit_width(static_cast<std::uint32_t>(magnitude)); }

// ---- prediction (clause 4.2.6) -------------------------------------------------------------------------------------

// FMULT: a coefficient times a value in the 11-bit floating form.
std::int32_t product(std::int32_t a, std::int32_t value) noexcept {
  const std::int32_t magnitude = a > 0 ? a : -a & 0x1FFF;
  const std::int32_t exp = exponent(magnitude) - 6;
  const std::int32_t mantissa = magnitude == 0 ? 32 : exp >= 0 ? magnitude >> exp : magnitude << -exp;
  const std::int32_t shift = exp + (value >> 6 & 0xF) - 13;
  const std::int32_t scaled = (mantissa * (value & 0x3F) + 0x30) >> 4;
  const std::int32_t result = shift >= 0 ? (scaled << shift) & 0x7FFF : scaled >> -shift;
  return (a ^ value) < 0 ? -result : result;
}

// FLOATA, FLOATB: sign in the upper bits, exponent, six bits of mantissa.
std::int32_t to_float(std::int32_t magnitude, bool negative) noexcept {
  const std::int32_t exp = exponent(magnitude);
  const std::int32_t value = magnitude == 0 ? 0x20 : (exp << 6) + ((magnitude << 6) >> exp);
  return negative ? value - 0x400 : value;
}

struct Prediction {
  std::int32_t zeros;   // SEZI
  std::int32_t signal;  // SE
};
Prediction predict(const G726State& s) noexcept {
  std::int32_t zeros = 0;
  for (std::size_t i = 0; i < s.b.size(); ++i) zeros += product(s.b[i] >> 2, s.dq[i]);
  const std::int32_t poles = product(s.a[1] >> 2, s.sr[1]) + product(s.a[0] >> 2, s.sr[0]);
  return {wrap(zeros), wrap(zeros + poles) >> 1};
}

// MIX: the scale factor between slow and fast.
std::int32_t scale(const G726State& s) noexcept {
  if (s.ap >= 256) return s.yu;
  const std::int32_t y = s.yl >> 6;
  const std::int32_t product = (s.yu - y) * (s.ap >> 2);
  return y + (product > 0 ? product >> 6 : (product + 0x3F) >> 6);
}

// ---- adaptation (clauses 4.2.3 to 4.2.7) ---------------------------------------------------------------------------

// UPA2, LIMC, UPA1, LIMD.
void adapt_poles(G726State& s, bool pk0, std::int32_t partial) noexcept {
  std::int32_t a2 = s.a[1] - (s.a[1] >> 7);
  std::int32_t a1 = s.a[0] - (s.a[0] >> 8);
  if (partial != 0) {
    const bool differ = pk0 != s.pk[0];
    const std::int32_t pull = differ ? s.a[0] : -s.a[0];
    a2 += pull < -8191 ? -0x100 : pull > 8191 ? 0xFF : pull >> 5;
    a2 = std::clamp(a2 + (pk0 != s.pk[1] ? -0x80 : 0x80), -12'288, 12'288);
    a1 += differ ? -192 : 192;
  }
  const std::int32_t limit = 15'360 - a2;
  s.a = {std::clamp(a1, -limit, limit), a2};
}

template <unsigned Bits>
void update(G726State& s, std::int32_t y, std::size_t code, std::int32_t magnitude, bool negative, std::int32_t sr,
            std::int32_t partial) noexcept {
  const bool pk0 = partial < 0;
  // TRANS: a tone ended.
  const std::int32_t whole = s.yl >> 15;
  const std::int32_t threshold = whole > 9 ? 31 << 10 : (32 + (s.yl >> 10 & 0x1F)) << whole;
  const bool transition = s.tone && magnitude > (threshold + (threshold >> 1)) >> 1;
  s.yu = std::clamp(y + ((Width<Bits>::kW[code] - y) >> 5), 544, 5120);
  s.yl += s.yu + (-s.yl >> 6);
  if (transition) {
    s.a = {};
    s.b = {};
  } else {
    adapt_poles(s, pk0, partial);
    for (std::size_t i = 0; i < s.b.size(); ++i) {
      s.b[i] -= s.b[i] >> (Bits == 5 ? 9 : 8);
      if (magnitude != 0) s.b[i] += negative == (s.dq[i] < 0) ? 128 : -128;
    }
  }
  std::copy_backward(s.dq.begin(), s.dq.end() - 1, s.dq.end());
  s.dq[0] = to_float(magnitude, negative);
  s.sr = {to_float(std::abs(sr) & 0x7FFF, sr < 0), s.sr[0]};
  s.pk = {pk0, s.pk[0]};
  s.tone = !transition && s.a[1] < -11'776;
  const std::int32_t f = Width<Bits>::kF[code];
  s.dms += (f - s.dms) >> 5;
  s.dml += (f * 4 - s.dml) >> 7;
  const bool fast = y < 1536 || s.tone || std::abs(s.dms * 4 - s.dml) >= s.dml >> 3;
  s.ap = transition ? 256 : s.ap + (((fast ? 0x200 : 0) - s.ap) >> 4);
}

// The reconstructed sample, 14 bits, of a code; `code` is its magnitude.
template <unsigned Bits>
std::int32_t follow(G726State& s, const Prediction& prediction, std::int32_t y, std::size_t code, bool negative) noexcept {
  const std::int32_t log = Width<Bits>::kLog[code] + (y >> 2);
  const std::int32_t magnitude = log < 0 ? 0 : ((128 + (log & 127)) << 7) >> (14 - (log >> 7 & 15));
  const std::int32_t d = negative ? -(Bits == 5 ? magnitude : magnitude & 0x3FFF) : magnitude;
  const std::int32_t sr = wrap(prediction.signal + d);
  update<Bits>(s, y, code, magnitude, negative, sr, wrap(sr + (prediction.zeros >> 1) - prediction.signal));
  return sr;
}

template <unsigned Bits>
unsigned encode(G726State& s, std::int16_t sample) noexcept {
  constexpr unsigned kMask = (1U << Bits) - 1;
  const Prediction prediction = predict(s);
  const std::int32_t y = scale(s);
  const std::int32_t d = wrap((sample >> 2) - prediction.signal);
  // LOG, SUBTB, QUAN.
  const std::int32_t size = std::abs(d);
  const std::int32_t exp = exponent(size >> 1);
  const std::int32_t log = (exp << 7) + ((size << 7) >> exp & 0x7F) - (y >> 2);
  std::size_t code = 0;
  for (const std::int32_t level : Width<Bits>::kLevels) code += log >= level ? 1 : 0;
  // A code of all zeros does not exist but at 16 kbit/s: the smallest difference is always negative.
  const bool negative = d < 0 || (Bits != 2 && code == 0);
  (void)follow<Bits>(s, prediction, y, code, negative);
  return negative ? kMask - static_cast<unsigned>(code) : static_cast<unsigned>(code);
}

template <unsigned Bits>
std::int16_t decode(G726State& s, unsigned code) noexcept {
  constexpr unsigned kMask = (1U << Bits) - 1;
  const bool negative = (code & 1U << (Bits - 1)) != 0;
  const Prediction prediction = predict(s);
  const std::int32_t sr = follow<Bits>(s, prediction, scale(s), negative ? kMask - code : code, negative);
  return static_cast<std::int16_t>(std::clamp(sr * 4, -32'768, 32'767));
}

template <unsigned Bits>
void decode_all(G726State& s, std::span<const std::uint8_t> codes, std::span<std::int16_t> pcm) noexcept {
  for (std::size_t at = 0; at < pcm.size(); at += 8) {
    std::uint64_t word = 0;
    for (unsigned i = 0; i < Bits; ++i) word |= std::uint64_t{codes[at / 8 * Bits + i]} << 8 * i;
    for (std::size_t i = 0; i < 8; ++i) pcm[at + i] = decode<Bits>(s, static_cast<unsigned>(word >> i * Bits) & ((1U << Bits) - 1));
  }
}
template <unsigned Bits>
void encode_all(G726State& s, std::span<const std::int16_t> pcm, std::span<std::uint8_t> codes) noexcept {
  for (std::size_t at = 0; at < pcm.size(); at += 8) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < 8; ++i) word |= std::uint64_t{encode<Bits>(s, pcm[at + i])} << i * Bits;
    for (unsigned i = 0; i < Bits; ++i) codes[at / 8 * Bits + i] = static_cast<std::uint8_t>(word >> 8 * i);
  }
}

}  // namespace

void g726_decode(G726State& state, unsigned bits, std::span<const std::uint8_t> codes, std::span<std::int16_t> pcm) noexcept {
  IFGW_CHECK(pcm.size() % 8 == 0 && codes.size() == pcm.size() / 8 * bits);
  switch (bits) {
    case 2: return decode_all<2>(state, codes, pcm);
    case 3: return decode_all<3>(state, codes, pcm);
    case 4: return decode_all<4>(state, codes, pcm);
    case 5: return decode_all<5>(state, codes, pcm);
    default: IFGW_CHECK(bits == 0);
  }
}

void g726_encode(G726State& state, unsigned bits, std::span<const std::int16_t> pcm, std::span<std::uint8_t> codes) noexcept {
  IFGW_CHECK(pcm.size() % 8 == 0 && codes.size() == pcm.size() / 8 * bits);
  switch (bits) {
    case 2: return encode_all<2>(state, pcm, codes);
    case 3: return encode_all<3>(state, pcm, codes);
    case 4: return encode_all<4>(state, pcm, codes);
    case 5: return encode_all<5>(state, pcm, codes);
    default: IFGW_CHECK(bits == 0);
  }
}

}  // namespace ifgw::audio
