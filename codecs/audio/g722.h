// ITU-T G.722 at 64 kbit/s (mode 1): 16 kHz PCM in 8 bits per two samples, as RTP carries it (RFC 3551 section 4.5.2).
//
// Two bands, split and joined by a quadrature mirror filter of 24 taps (delay 1.4 ms there and back), each ADPCM with a
// predictor of two poles and six zeros. Integer-exact: every implementation must give the same bits. All arithmetic
// saturates as the recommendation's does; loud input clips and never wraps.
//
// State is a plain value; a new one is the recommendation's reset state. Any codes, any samples are valid input.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace ifgw::audio {

struct G722Band {
  std::int16_t det;  // the quantiser's step
  std::int16_t log_det = 0;
  std::int16_t s = 0;  // the prediction, and its part by the zeros
  std::int16_t sz = 0;
  std::array<std::int16_t, 2> a{};  // poles
  std::array<std::int16_t, 2> r{};  // what was reconstructed last, newest first
  std::array<std::int16_t, 2> p{};
  std::array<std::int16_t, 6> b{};  // zeros
  std::array<std::int16_t, 6> d{};  // differences quantised last, newest first
};

inline constexpr std::size_t kG722History = 22;  // samples the mirror filter looks back
struct G722State {
  G722Band low{.det = 32};
  G722Band high{.det = 8};
  std::array<std::int16_t, kG722History> filter{};
};

// pcm.size() == 2 * codes.size().
void g722_decode(G722State& state, std::span<const std::uint8_t> codes, std::span<std::int16_t> pcm) noexcept;
void g722_encode(G722State& state, std::span<const std::int16_t> pcm, std::span<std::uint8_t> codes) noexcept;

}  // namespace ifgw::audio
