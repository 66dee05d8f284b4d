// The part of Transcoder that is about pauses: described by SID frames, DTX or comfort noise (RFC 3389), and described to others.
#include <algorithm>
#include <utility>

#include "dataplane/engine/transcoder.h"

namespace ifgw::engine {

// A pause is described once more, and the frame that was made of the last description is not over: there is nothing to add.
bool Transcoder::covered() noexcept {
  if (covered_units_ == 0) return false;
  ++expected_sequence_;
  return true;
}

// So much of decoded_ came of a packet that ends in the description of a pause. The frame that has begun would wait for the
// party's next packet: it is completed with the noise.
void Transcoder::take_pause(std::size_t decoded) noexcept {
  const std::size_t frame_ms = audio::format(from_codec_).frame_ms;
  const std::size_t noise = frame_ms == 0 ? decoded : from_rate_hz_ / 1000 * frame_ms;
  const std::size_t described = audio::describe_noise(decoded_.subspan(decoded - noise, noise), description_);
  // Coefficients are of a sampling rate.
  if (noise_known_) described_ = from_rate_hz_ == to_rate_hz_ ? described : 1;
  const std::size_t voice = noise_known_ ? decoded - noise : decoded;
  if (noise == decoded && covered()) return;
  const std::span<const std::int16_t> fresh = uncovered(decoded_.first(voice));
  append(fresh);
  const std::size_t open = (end_ - begin_) % frame_samples_;
  const std::size_t wanted = open == 0 ? 0 : (frame_samples_ - open) * from_rate_hz_ / to_rate_hz_;
  const std::size_t there = std::min(wanted, decoded - voice);
  append(decoded_.subspan(voice, there));
  // The library's own noise would fade (bcg729), and its next description begin from there.
  const std::span<std::int16_t> rest = decoded_.first(wanted - there);
  (void)noise_.update(std::span(description_).first(described));
  noise_.generate(rest);
  append(rest);
  last_samples_ = decoded;
  ++expected_sequence_;
  expected_timestamp_ += in_units(fresh.size() + wanted);
  noise_units_ = covered_units_ - std::min(covered_units_, in_units(voice)) + in_units(wanted);
}

Transcoder::Intake Transcoder::take_noise(const Input& in, RtpOut& out, Instant now) noexcept {
  if (!arrive(in, out, now)) return Intake::Late;
  audio::NoiseGenerator noise(std::uint64_t{in.timestamp} << 16 | in.sequence);
  if (!noise.update(in.payload)) return Intake::BadPayload;
  noise_ = noise;
  if (covered()) return Intake::Taken;
  const std::size_t open = (end_ - begin_) % frame_samples_;
  const std::size_t samples = (frame_samples_ - open) * from_rate_hz_ / to_rate_hz_;
  if (resampler_.output_size(samples) == 0) return Intake::BadPayload;
  noise_.generate(decoded_.first(samples));
  taken(samples);
  from_noise_ = true;
  noise_units_ = in_units(samples);
  return Intake::Taken;
}

bool Transcoder::next_noise(std::span<std::uint8_t> room, RtpOut& out, Instant now, Output& output) noexcept {
  const std::size_t size = std::exchange(described_, 0);
  if (size > room.size()) return false;
  std::copy_n(description_.begin(), size, room.begin());
  output = {size, out.next_sequence(), position_, false, true};
  out.sent(output.sequence, output.timestamp, 0, now);
  marker_ = true;  // of what comes next
  return true;
}

// A frame of noise that G.729 took for speech would be followed by nothing, which sounds like a loss. So the encoder hears
// the noise on until it describes it; the description ends the packet of `size` bytes. Once a second, whatever the party
// sends: it costs up to ten times the frame. Bytes added.
std::size_t Transcoder::settle(std::span<std::uint8_t> room, std::size_t size, Instant now) noexcept {
  constexpr std::size_t kFrame = 80;
  constexpr std::size_t kFrameBytes = 10;
  constexpr Duration kInterval = std::chrono::seconds(1);
  constexpr int kMostFrames = 20;  // its hangover
  if (!settles_ || audio::pause_of(to_codec_, room.first(size)) != audio::Pause::None || now < settle_again_) return 0;
  if (room.size() < size + kFrameBytes) return 0;
  settle_again_ = now + kInterval;
  for (int i = 0; i < kMostFrames; ++i) {
    std::array<std::int16_t, kFrame> pcm;
    std::array<std::uint8_t, kFrameBytes> bits;
    noise_.generate(pcm);
    const audio::Encoded made = encoder_->encode(pcm, bits);
    if (made.size == 0 || audio::pause_of(to_codec_, std::span(bits).first(made.size)) != audio::Pause::Begins) continue;
    std::copy_n(bits.begin(), made.size, room.begin() + static_cast<std::ptrdiff_t>(size));
    return made.size;
  }
  return 0;
}

}  // namespace ifgw::engine
