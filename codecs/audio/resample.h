// Sampling rates of PCM: 8, 16 and 48 kHz into each other, 16-bit mono.
//
// Every call gives exactly as many samples as the other rate has in the time of those it got: nothing is queued, so a
// packet in is a packet out. Linear-phase polyphase filters (resample_taps.h):
//
//                       flat within 0.5 dB to   images and aliases   delay
//   8 <-> 16 kHz        3.4 kHz                 < -50 dB             0.84 ms up, 0.78 ms down
//   8 <-> 48 kHz        3.4 kHz                 < -50 dB             0.86 ms up, 0.76 ms down
//   16 <-> 48 kHz       6.8 kHz                 < -50 dB             0.49 ms up, 0.45 ms down
//
// Output saturates. A plain value of about 200 bytes; no allocation, no failure but that of a wrong length.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ifgw::audio {

class Resampler {
 public:
  // Both of 8000, 16000, 48000; equal rates copy.
  Resampler(std::uint32_t from_hz, std::uint32_t to_hz) noexcept;

  // Samples that `in` makes; 0 when the ratio does not divide it: from 16 to 8 kHz an even number is wanted, from 48 kHz
  // whole multiples of 3 or 6.
  std::size_t output_size(std::size_t in) const noexcept { return in % down_ == 0 ? in / down_ * up_ : 0; }
  // Fills the first output_size() samples of `out` and returns their number; 0, and nothing done, where `out` is too
  // small. `in` and `out` do not overlap.
  std::size_t process(std::span<const std::int16_t> in, std::span<std::int16_t> out) noexcept;

  // The next sample begins another stream.
  void reset() noexcept { history_ = {}; }

  static constexpr std::size_t kHistory = 88;

 private:
  std::uint8_t up_ = 1;
  std::uint8_t down_ = 1;
  std::array<std::int16_t, kHistory> history_{};  // the newest last
};

}  // namespace ifgw::audio
