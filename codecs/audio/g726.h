// ITU-T G.726 ADPCM at 16, 24, 32 and 40 kbit/s: 8 kHz PCM in 2 to 5 bits a sample, packed as RTP has it (RFC 3551 section
// 4.5.4: the first sample in the least significant bits; not the packing of AAL2).
//
// Integer-exact. State is a plain value; a new one is the recommendation's reset state. Any codes, any samples are valid
// input; output saturates.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ifgw::audio {

struct G726State {
  std::int32_t yl = 34'816;  // slow scale factor, 6 bits more than the fast one
  std::int32_t yu = 544;     // fast scale factor
  std::int32_t dms = 0;      // short and long mean of the code's magnitude
  std::int32_t dml = 0;
  std::int32_t ap = 0;                                     // how far to trust the fast one
  std::array<std::int32_t, 2> a{};                         // poles
  std::array<std::int32_t, 6> b{};                         // zeros
  std::array<std::int32_t, 6> dq{32, 32, 32, 32, 32, 32};  // quantised differences, as sign, exponent, mantissa
  std::array<std::int32_t, 2> sr{32, 32};                  // reconstructed samples, likewise
  std::array<bool, 2> pk{};                                // signs of the partial reconstruction
  bool tone = false;
};

// Samples come in eights, so that codes of every width fill whole bytes: codes.size() == pcm.size() / 8 * bits.
// `bits` a sample: 2, 3, 4 or 5.
void g726_decode(G726State& state, unsigned bits, std::span<const std::uint8_t> codes, std::span<std::int16_t> pcm) noexcept;
void g726_encode(G726State& state, unsigned bits, std::span<const std::int16_t> pcm, std::span<std::uint8_t> codes) noexcept;

}  // namespace ifgw::audio
