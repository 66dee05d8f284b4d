#include "codecs/audio/concealment.h"

#include <cmath>

namespace ifgw::audio {
namespace {

std::int16_t saturated(float sample) noexcept { return static_cast<std::int16_t>(std::lrint(std::clamp(sample, -32'768.0F, 32'767.0F))); }

// How alike two stretches are, taking every `step`th sample: their correlation over the energy of the second.
float likeness(const std::int16_t* now, const std::int16_t* before, std::size_t size, std::size_t step) noexcept {
  float product = 0, energy = 1;
  for (std::size_t i = 0; i < size; i += step) {
    const float b = before[i];
    product += static_cast<float>(now[i]) * b;
    energy += b * b;
  }
  return product / std::sqrt(energy);
}

}  // namespace

// First over every second lag and sample (every fourth at 16 kHz), then around the best of them with all.
template <unsigned Rate>
std::size_t Concealment<Rate>::find_pitch() const noexcept {
  constexpr std::size_t kStep = Rate / 4000;
  const std::int16_t* now = history_.data() + kHistory - kWindow;
  std::size_t best = kMinPitch;
  float most = likeness(now, now - best, kWindow, kStep);
  for (std::size_t lag = kMinPitch + kStep; lag <= kMaxPitch; lag += kStep) {
    const float alike = likeness(now, now - lag, kWindow, kStep);
    if (alike <= most) continue;
    most = alike;
    best = lag;
  }
  const std::size_t first = std::max(best - kStep + 1, kMinPitch), last = std::min(best + kStep - 1, kMaxPitch);
  most = likeness(now, now - best, kWindow, 1);
  for (std::size_t lag = first; lag <= last; ++lag) {
    const float alike = likeness(now, now - lag, kWindow, 1);
    if (alike <= most) continue;
    most = alike;
    best = lag;
  }
  return best;
}

// The last `periods` periods; the last quarter of them is blended with what came before their first, so that they repeat
// without a step.
template <unsigned Rate>
void Concealment<Rate>::use_periods(std::size_t periods) noexcept {
  length_ = pitch_ * periods;
  const std::int16_t* from = before_.data() + kHistory - length_;
  const std::size_t quarter = pitch_ / 4;
  for (std::size_t i = 0; i < length_; ++i) periods_[i] = from[i];
  for (std::size_t i = 0; i < quarter; ++i) {
    const float weight = static_cast<float>(i + 1) / static_cast<float>(quarter + 1);
    float& sample = periods_[length_ - quarter + i];
    sample += weight * (static_cast<float>(*(from - quarter + i)) - sample);
  }
}

template <unsigned Rate>
void Concealment<Rate>::begin() noexcept {
  before_ = history_;
  pitch_ = find_pitch();
  use_periods(1);
  at_ = 0;
  step_ = static_cast<float>(history_[kHistory - 1]) - static_cast<float>(history_[kHistory - 1 - pitch_]);
  step_at_ = 0;
}

// The next substitute sample. Two periods from 10 ms on and three from 20 on, so that it does not sound like a tone; a
// fifth less loud with every 10 ms after the first.
template <unsigned Rate>
float Concealment<Rate>::next() noexcept {
  constexpr std::size_t kTenth = 10 * kMs;
  if (lost_ == 0) begin();
  if (lost_ == kTenth || lost_ == 2 * kTenth) {
    // Goes on at the same place within the last period.
    const float here = periods_[at_];
    at_ %= pitch_;
    use_periods(lost_ / kTenth + 1);
    step_ = here - periods_[at_];
    step_at_ = 0;
  }
  if (lost_ >= 6 * kTenth) {
    ++lost_;
    return 0;
  }
  const std::size_t quarter = pitch_ / 4;
  float sample = periods_[at_];
  if (step_at_ < quarter) sample += step_ * (1 - static_cast<float>(++step_at_) / static_cast<float>(quarter + 1));
  at_ = at_ + 1 == length_ ? 0 : at_ + 1;
  const float faded = lost_ < kTenth ? 0.0F : static_cast<float>(lost_ - kTenth) / static_cast<float>(5 * kTenth);
  ++lost_;
  return sample * (1 - faded);
}

template <unsigned Rate>
void Concealment<Rate>::lost(std::span<std::int16_t> pcm) noexcept {
  for (std::int16_t& sample : pcm) sample = saturated(next());
  remember(pcm);
  if (lost_ >= 60 * kMs) lost_ = std::min<std::size_t>(lost_, 120 * kMs);
}

// Longer after longer losses: the substitute has drifted away from what was said by then.
template <unsigned Rate>
void Concealment<Rate>::blend(std::span<std::int16_t> pcm) noexcept {
  const std::size_t tenths = lost_ / (10 * kMs);
  const std::size_t wanted = std::min(pitch_ / 4 + 4 * kMs * (tenths > 0 ? tenths - 1 : 0), 10 * kMs);
  const std::size_t size = std::min(wanted, pcm.size());
  for (std::size_t i = 0; i < size; ++i) {
    const float weight = static_cast<float>(i + 1) / static_cast<float>(size + 1);
    const float substitute = next();
    pcm[i] = saturated(substitute + weight * (static_cast<float>(pcm[i]) - substitute));
  }
  lost_ = 0;
}

template class Concealment<8000>;
template class Concealment<16'000>;

}  // namespace ifgw::audio
