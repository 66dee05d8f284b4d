// Substitutes for lost packets of codecs that bring none of their own: speech goes on with its last pitch periods, as in
// ITU-T G.711 Appendix I, fades after 10 ms and is silence after 60. At 8 kHz for G.711, at 16 kHz for what G.722 decodes.
//
// Other than Appendix I, which delays all audio by 3.75 ms to blend into a loss, this adds no delay: the first substitute
// sample is made to follow the last good one, and the difference fades within a quarter of a period.
//
// State is a plain value without pointers. Cost: a copy of the history for every good frame, the search for the pitch (some
// microseconds) for the first lost one. Thread: one per object. Nothing allocates or fails.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "codecs/audio/codec.h"

namespace ifgw::audio {

template <unsigned Rate>
class Concealment {
  static_assert(Rate == 8000 || Rate == 16'000);

 public:
  // A good frame, before anybody hears it: remembered; behind a loss, its beginning is blended with the substitute.
  void good(std::span<std::int16_t> pcm) noexcept {
    if (lost_ != 0) [[unlikely]]
      blend(pcm);
    remember(pcm);
  }
  // A lost frame, any length.
  void lost(std::span<std::int16_t> pcm) noexcept;

 private:
  static constexpr std::size_t kMs = Rate / 1000;
  static constexpr std::size_t kMinPitch = 5 * kMs;   // 200 Hz
  static constexpr std::size_t kMaxPitch = 15 * kMs;  // 66 Hz
  static constexpr std::size_t kWindow = 20 * kMs;    // that is compared
  static constexpr std::size_t kMaxPeriods = 3;
  static constexpr std::size_t kHistory = kMaxPitch * (kMaxPeriods + 1);
  static_assert(kHistory >= kMaxPitch + kWindow);

  void remember(std::span<const std::int16_t> pcm) noexcept {
    if (pcm.size() >= kHistory) {
      std::copy(pcm.end() - kHistory, pcm.end(), history_.begin());
      return;
    }
    std::copy(history_.begin() + static_cast<std::ptrdiff_t>(pcm.size()), history_.end(), history_.begin());
    std::copy(pcm.begin(), pcm.end(), history_.end() - static_cast<std::ptrdiff_t>(pcm.size()));
  }
  void begin() noexcept;
  void blend(std::span<std::int16_t> pcm) noexcept;
  void use_periods(std::size_t periods) noexcept;
  std::size_t find_pitch() const noexcept;
  float next() noexcept;

  std::array<std::int16_t, kHistory> history_{};          // what was heard, oldest first
  std::array<std::int16_t, kHistory> before_{};           // as it was when the loss began
  std::array<float, kMaxPitch * kMaxPeriods> periods_{};  // the last ones, so that their end flows into their beginning
  std::size_t pitch_ = 0;
  std::size_t length_ = 0;   // of periods_ in use
  std::size_t at_ = 0;       // in periods_
  std::size_t lost_ = 0;     // samples since the last good one
  float step_ = 0;           // by which the substitute would miss the sample before; fades
  std::size_t step_at_ = 0;  // samples since then
};

extern template class Concealment<8000>;
extern template class Concealment<16'000>;

// A decoder that conceals with silence, and this instead. What predicts in it rests during a loss: it finds back within a few
// milliseconds, under the blend.
template <typename Plain, unsigned Rate>
class Concealed final : public Plain {
 public:
  Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> pcm) noexcept override {
    const Decoded decoded = Plain::decode(payload, pcm);
    if (decoded.error == CodecError::None) concealment_.good(pcm.first(decoded.samples));
    return decoded;
  }
  void conceal(std::span<std::int16_t> pcm) noexcept override { concealment_.lost(pcm); }
  void reset() noexcept override {
    Plain::reset();
    concealment_ = {};
  }

 private:
  Concealment<Rate> concealment_;
};

}  // namespace ifgw::audio
