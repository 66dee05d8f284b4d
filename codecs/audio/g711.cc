#include "codecs/audio/g711.h"

#include <algorithm>
#include <cstdlib>

#include "codecs/audio/cpu.h"
#include "codecs/base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ifgw::audio {
namespace {

template <auto Function, std::size_t Size, typename Value>
constexpr auto make_table() {
  std::array<Value, Size> table{};
  for (std::size_t i = 0; i < Size; ++i) table[i] = Function(i);
  return table;
}

constexpr auto kMulawToPcm = make_table<[](std::size_t i) { return mulaw_decode(static_cast<std::uint8_t>(i)); }, 256, std::int16_t>();
constexpr auto kAlawToPcm = make_table<[](std::size_t i) { return alaw_decode(static_cast<std::uint8_t>(i)); }, 256, std::int16_t>();
constexpr auto kMulawToAlaw = make_table<[](std::size_t i) { return alaw_encode(kMulawToPcm[i]); }, 256, std::uint8_t>();
constexpr auto kAlawToMulaw = make_table<[](std::size_t i) { return mulaw_encode(kAlawToPcm[i]); }, 256, std::uint8_t>();

// Segment and the four bits below the leading one, as a float's exponent and mantissa have them: what the loops of the
// encoders need, and the compiler does several at a time. From 128 up.
std::uint32_t segment_and_step(std::int32_t magnitude) noexcept {
  constexpr std::uint32_t kExponentOf128 = 127 + 7;
  return (std::bit_cast<std::uint32_t>(static_cast<float>(magnitude)) >> 19) - (kExponentOf128 << 4);
}

#if defined(__x86_64__)
// Four 64-byte quarters of the map in registers; each byte picks from two of them by its lower seven bits, its highest
// bit chooses which two.
__attribute__((target("avx512f,avx512bw,avx512vbmi"))) void map_vbmi(const std::uint8_t* map, std::uint8_t* codes,
                                                                     std::size_t size) noexcept {
  const __m512i q0 = _mm512_loadu_si512(map);
  const __m512i q1 = _mm512_loadu_si512(map + 64);
  const __m512i q2 = _mm512_loadu_si512(map + 128);
  const __m512i q3 = _mm512_loadu_si512(map + 192);
  for (std::size_t i = 0; i < size; i += 64) {
    const std::size_t left = size - i;
    const __mmask64 lanes = left >= 64 ? ~__mmask64{0} : (__mmask64{1} << left) - 1;
    const __m512i in = _mm512_maskz_loadu_epi8(lanes, codes + i);
    const __m512i low = _mm512_permutex2var_epi8(q0, in, q1);
    const __m512i high = _mm512_permutex2var_epi8(q2, in, q3);
    _mm512_mask_storeu_epi8(codes + i, lanes, _mm512_mask_blend_epi8(_mm512_movepi8_mask(in), low, high));
  }
}
#endif

void map_codes(const CodeMap& map, std::span<std::uint8_t> codes) noexcept {
  if (!map_codes_vbmi(map, codes)) map_codes_portable(map, codes);
}

}  // namespace

void map_codes_portable(const CodeMap& map, std::span<std::uint8_t> codes) noexcept {
  for (std::uint8_t& code : codes) code = map[code];
}

bool map_codes_vbmi([[maybe_unused]] const CodeMap& map, [[maybe_unused]] std::span<std::uint8_t> codes) noexcept {
#if defined(__x86_64__)
  if (cpu() != Cpu::Avx512Vbmi) return false;
  map_vbmi(map.data(), codes.data(), codes.size());
  return true;
#else
  return false;
#endif
}

void mulaw_decode(std::span<const std::uint8_t> codes, std::span<std::int16_t> pcm) noexcept {
  IFGW_CHECK(codes.size() == pcm.size());
  for (std::size_t i = 0; i < codes.size(); ++i) pcm[i] = kMulawToPcm[codes[i]];
}

void alaw_decode(std::span<const std::uint8_t> codes, std::span<std::int16_t> pcm) noexcept {
  IFGW_CHECK(codes.size() == pcm.size());
  for (std::size_t i = 0; i < codes.size(); ++i) pcm[i] = kAlawToPcm[codes[i]];
}

void mulaw_encode(std::span<const std::int16_t> pcm, std::span<std::uint8_t> codes) noexcept {
  IFGW_CHECK(codes.size() == pcm.size());
  for (std::size_t i = 0; i < pcm.size(); ++i) {
    const std::int32_t biased = std::min(std::abs(std::int32_t{pcm[i]}), 32635) + 132;
    codes[i] = static_cast<std::uint8_t>(~(segment_and_step(biased) | (pcm[i] < 0 ? 0x80U : 0U)));
  }
}

void alaw_encode(std::span<const std::int16_t> pcm, std::span<std::uint8_t> codes) noexcept {
  IFGW_CHECK(codes.size() == pcm.size());
  for (std::size_t i = 0; i < pcm.size(); ++i) {
    const std::int32_t magnitude = pcm[i] ^ (pcm[i] >> 15);
    const std::uint32_t low = static_cast<std::uint32_t>(magnitude) >> 4;
    const std::uint32_t code = magnitude < 256 ? low : segment_and_step(magnitude);
    codes[i] = static_cast<std::uint8_t>((code | (pcm[i] < 0 ? 0U : 0x80U)) ^ 0x55U);
  }
}

void mulaw_to_alaw(std::span<std::uint8_t> codes) noexcept { map_codes(kMulawToAlaw, codes); }
void alaw_to_mulaw(std::span<std::uint8_t> codes) noexcept { map_codes(kAlawToMulaw, codes); }

}  // namespace ifgw::audio
