// RFC 3389: comfort noise. What a pause sounds like, in a few bytes: the level, and the spectrum as reflection
// coefficients. For codecs that have none of their own (G.711, G.722, G.726, L16); G.729 and Opus bring theirs.
//
// Thread: one per object. Nothing allocates or fails but as said.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ifgw::audio {

inline constexpr std::uint8_t kComfortNoisePayloadType = 13;  // RFC 3389 section 4: CN/8000
inline constexpr std::size_t kMaxNoiseOrder = 12;

// Noise as a payload describes it, at the sampling rate its sender measured at.
class NoiseGenerator {
 public:
  // Generators of different seeds are not correlated.
  explicit NoiseGenerator(std::uint64_t seed) noexcept : random_(seed | 1) {}

  // From here on, or, while noise is already being made, by and by within some 20 ms. Coefficients beyond kMaxNoiseOrder
  // are ignored, as the RFC allows. False, and nothing changed: no payload of comfort noise.
  bool update(std::span<const std::uint8_t> payload) noexcept;
  // Silence until the first update.
  void generate(std::span<std::int16_t> pcm) noexcept;

 private:
  struct Section {
    float k = 0;  // as the RFC has it: 1 - k/z predicts low frequencies where k is positive
    float c = 1;  // sqrt(1 - k^2)
    float state = 0;
  };
  std::array<Section, kMaxNoiseOrder> sections_{};
  std::size_t order_ = 0;
  float level_ = 0;  // RMS
  float wanted_level_ = 0;
  std::uint64_t random_;
};

// Describes `pcm` (10 to 60 ms of a pause) in a payload of payload.size() - 1 coefficients, at most kMaxNoiseOrder.
// Returns the payload's size; 0 where there is no room or no sample.
std::size_t describe_noise(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept;

}  // namespace ifgw::audio
