#include "dataplane/engine/transcoder.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "codecs/base/check.h"

namespace ifgw::engine {
namespace {

using audio::AudioCodec;

// Longer losses are silence: concealment has faded out by then, and its cost would come all at once.
constexpr std::uint32_t kMaxConcealMs = 120;
// A longer way from one packet to the next is another stream.
constexpr std::uint32_t kMaxGapSeconds = 10;
constexpr std::int16_t kMaxDropout = 3000;  // packets, as in sequence.h
constexpr std::int16_t kMaxMisorder = 100;
constexpr std::uint32_t kMaxLateSeconds = 2;

bool is_opus(const audio::CodecSettings& s) noexcept { return s.codec == AudioCodec::Opus; }

// Opus runs at the other side's rate, so that no resampler is needed.
struct Rates {
  audio::CodecSettings from, to;
  std::uint32_t from_hz = 0, to_hz = 0;
};
Rates choose_rates(const TranscoderSettings& s) noexcept {
  Rates r{s.from, s.to};
  if (is_opus(r.from) && !is_opus(r.to)) r.from.pcm_rate_hz = audio::pcm_rate_hz(r.to);
  if (is_opus(r.to) && !is_opus(r.from)) r.to.pcm_rate_hz = audio::pcm_rate_hz(r.from);
  r.from_hz = audio::pcm_rate_hz(r.from);
  r.to_hz = audio::pcm_rate_hz(r.to);
  return r;
}

constexpr std::size_t aligned(std::size_t bytes) noexcept {
  return (bytes + audio::kStateAlignment - 1) / audio::kStateAlignment * audio::kStateAlignment;
}

bool supported_ptime(std::uint8_t ms, AudioCodec codec) noexcept {
  const std::uint8_t frame = audio::format(codec).frame_ms;
  return ms >= 10 && ms <= 60 && ms % 10 == 0 && ms != 50 && (frame == 0 || ms % frame == 0);
}

}  // namespace

struct Transcoder::Parts {
  explicit Parts(const TranscoderSettings& settings) noexcept : rates(choose_rates(settings)) {
    if (rates.from_hz == 0 || rates.to_hz == 0 || !supported_ptime(settings.ptime_ms, settings.to.codec)) return;
    noise = settings.noise;
    frame = rates.to_hz / 1000 * settings.ptime_ms;
    decoded = rates.from_hz / 1000 * audio::kMaxPtimeMs;
    // What is less than a frame, the substitute for a gap, a packet, and what completes a frame.
    pcm = 2 * frame + rates.to_hz / 1000 * (kMaxConcealMs + audio::kMaxPtimeMs);
    decoder_at = aligned(sizeof(Transcoder));
    encoder_at = decoder_at + aligned(audio::decoder_bytes(rates.from));
    decoded_at = encoder_at + aligned(audio::encoder_bytes(rates.to));
    pcm_at = decoded_at + aligned(decoded * sizeof(std::int16_t));
    bytes = pcm_at + aligned(pcm * sizeof(std::int16_t));
  }
  Rates rates;
  bool noise = false;
  std::size_t frame = 0, decoded = 0, pcm = 0;  // samples
  std::size_t decoder_at = 0, encoder_at = 0, decoded_at = 0, pcm_at = 0, bytes = 0;
};

std::size_t Transcoder::required_bytes(const TranscoderSettings& settings) noexcept { return Parts(settings).bytes; }

Transcoder::Ptr Transcoder::make(const TranscoderSettings& settings, std::span<std::byte> memory) noexcept {
  const Parts parts(settings);
  if (parts.bytes == 0 || memory.size() < parts.bytes) return nullptr;
  if (reinterpret_cast<std::uintptr_t>(memory.data()) % audio::kStateAlignment != 0) return nullptr;
  Ptr made(new (memory.data()) Transcoder(parts, memory));
  return made->decoder_ != nullptr && made->encoder_ != nullptr ? std::move(made) : nullptr;
}

Transcoder::Transcoder(const Parts& parts, std::span<std::byte> memory) noexcept
    : from_clock_hz_(audio::rtp_clock_hz(parts.rates.from)),
      from_rate_hz_(parts.rates.from_hz),
      to_clock_hz_(audio::rtp_clock_hz(parts.rates.to)),
      to_rate_hz_(parts.rates.to_hz),
      frame_samples_(parts.frame),
      allocates_(audio::format(parts.rates.from.codec).on_heap),
      from_codec_(parts.rates.from.codec),
      to_codec_(parts.rates.to.codec),
      describes_pauses_(audio::format(parts.rates.from.codec).describes_pauses),
      settles_(parts.rates.to.codec == AudioCodec::G729 && parts.rates.to.g729_annex_b),
      noise_known_(parts.noise),
      decoder_(audio::make_decoder(parts.rates.from, memory.subspan(parts.decoder_at, parts.encoder_at - parts.decoder_at))),
      encoder_(audio::make_encoder(parts.rates.to, memory.subspan(parts.encoder_at, parts.decoded_at - parts.encoder_at))),
      resampler_(parts.rates.from_hz, parts.rates.to_hz),
      decoded_(reinterpret_cast<std::int16_t*>(memory.data() + parts.decoded_at), parts.decoded),
      pcm_(reinterpret_cast<std::int16_t*>(memory.data() + parts.pcm_at), parts.pcm) {}

void Transcoder::restart() noexcept {
  if (!started_) return;
  started_ = false;
  // Where starting afresh would allocate (a party could force it with every packet), the decoder finds into the new stream
  // by itself.
  if (!allocates_) decoder_->reset();
  resampler_.reset();
}

void Transcoder::begin(const Input& in, RtpOut& out, Instant now) noexcept {
  begin_ = end_ = encoded_ = gap_begin_ = gap_end_ = last_samples_ = described_ = 0;
  from_noise_ = false;
  jump_ = {};
  position_ = out.resume(now, to_clock_hz_);
  expected_sequence_ = in.sequence;
  expected_timestamp_ = in.timestamp;
  started_ = marker_ = true;
}

// The packet's place among those before it. False: late. From here on the packet itself may still turn out to be bad: then
// it is the next gap.
bool Transcoder::arrive(const Input& in, RtpOut& out, Instant now) noexcept {
  std::int32_t gap = serial_distance(expected_timestamp_, in.timestamp);
  if (started_ && !continues(in.sequence, gap)) return false;
  covered_units_ = 0;
  if (gap < 0 && gap >= -static_cast<std::int32_t>(noise_units_)) {
    covered_units_ = static_cast<std::uint32_t>(-gap);
    gap = 0;
  }
  if (started_ && (gap < 0 || static_cast<std::uint32_t>(gap) > kMaxGapSeconds * from_clock_hz_)) restart();
  if (!started_) {
    begin(in, out, now);
  } else {
    compact();
    const auto lost = static_cast<std::uint16_t>(in.sequence - expected_sequence_);
    if (gap > 0) bridge(static_cast<std::uint32_t>(gap), lost, in, out);
  }
  expected_sequence_ = in.sequence;
  expected_timestamp_ = in.timestamp + covered_units_;
  noise_units_ = covered_units_;
  return true;
}

// What of the packet's audio nothing stands for yet, and what the resampler wants with it to have a whole ratio.
std::span<const std::int16_t> Transcoder::uncovered(std::span<const std::int16_t> decoded) const noexcept {
  if (covered_units_ == 0) return decoded;
  std::size_t skip = std::size_t{covered_units_} * from_rate_hz_ / from_clock_hz_;
  if (skip >= decoded.size()) return {};
  while (skip != 0 && resampler_.output_size(decoded.size() - skip) == 0) --skip;
  return decoded.subspan(skip);
}

// So much of decoded_ came of it.
void Transcoder::taken(std::size_t samples) noexcept {
  append(uncovered(decoded_.first(samples)));
  last_samples_ = samples;
  ++expected_sequence_;
  const std::uint32_t units = in_units(samples);
  noise_units_ = covered_units_ - std::min(covered_units_, units);
  expected_timestamp_ += units - std::min(covered_units_, units);
}

Transcoder::Intake Transcoder::take(const Input& in, RtpOut& out, Instant now) noexcept {
  const bool behind_silence = started_ && in.sequence == expected_sequence_ && in.timestamp != heard_until_;
  if (!arrive(in, out, now)) return Intake::Late;
  const audio::Decoded decoded = decoder_->decode(in.payload, decoded_);
  if (decoded.error != audio::CodecError::None || resampler_.output_size(decoded.samples) == 0) return Intake::BadPayload;
  marker_ = marker_ || in.marker;
  const audio::Pause pause = describes_pauses_ ? audio::pause_of(from_codec_, in.payload) : audio::Pause::None;
  if (pause == audio::Pause::Begins || (pause == audio::Pause::Quiet && noise_known_ && behind_silence))
    take_pause(decoded.samples);
  else
    taken(decoded.samples);
  if (describes_pauses_) heard_until_ = in.timestamp + in_units(decoded.samples);
  return Intake::Taken;
}

// False: late, or a jump that no second packet has confirmed yet (RFC 3550 appendix A.1). A confirmed one is a restart.
bool Transcoder::continues(std::uint16_t sequence, std::int32_t gap) noexcept {
  const std::int16_t ahead = serial_distance(expected_sequence_, sequence);
  if (ahead >= 0 && ahead < kMaxDropout) return true;
  const bool recent = gap <= 0 && gap >= -static_cast<std::int32_t>(from_clock_hz_ * kMaxLateSeconds);
  if (ahead < 0 && ahead > -kMaxMisorder && recent) return false;
  const bool confirmed = jump_pending_ && sequence == after_jump_;
  jump_pending_ = !confirmed;
  after_jump_ = static_cast<std::uint16_t>(sequence + 1);
  if (confirmed) restart();
  return confirmed;
}

// From what came last to what comes now. `gap` in units of the received time stamp, in which so many packets were lost: each as
// long as the last one that came. A packet's worth of time beyond them and more is silence that was not sent.
void Transcoder::bridge(std::uint32_t gap, std::uint16_t packets, const Input& in, RtpOut& out) noexcept {
  const std::size_t missing = static_cast<std::size_t>(std::uint64_t{gap} * to_rate_hz_ / from_clock_hz_);
  const std::size_t packet = last_samples_ * to_rate_hz_ / from_rate_hz_;
  const bool silence = packets == 0 || (packet != 0 && missing >= (std::size_t{packets} + 1) * packet);
  if (!silence && gap <= from_clock_hz_ / 1000 * kMaxConcealMs) return substitute(missing, in.payload);
  // Finish the frame that has begun, then let the time pass.
  const std::size_t open = end_ == 0 ? 0 : std::min(frame_samples_ - end_, missing);
  substitute(open, {});
  // Opus may tell the last of the lost once more in what comes now.
  const bool repeats = from_codec_ == AudioCodec::Opus && !silence && packet != 0 && missing - open > packet;
  const std::size_t again = repeats ? packet : 0;
  const std::size_t rest = missing - open - again;
  const std::size_t lost = silence ? std::max(packets * packet, open) - open + frame_samples_ - 1 : rest;
  jump_ = {end_, out_units(rest), static_cast<std::uint16_t>(lost / frame_samples_), silence};
  if (open == 0) jump(out);
  substitute(again, in.payload);
}

// So many samples, at the sending rate, in place of what is missing; the last packet's worth of it from `next` if it can.
void Transcoder::substitute(std::size_t samples, std::span<const std::uint8_t> next) noexcept {
  if (samples == 0) return;
  if (gap_end_ != end_) gap_begin_ = end_;
  const std::size_t target = end_ + samples;
  const std::size_t tenth = from_rate_hz_ / 100;  // concealment knows multiples of 10 ms
  std::size_t left = samples * from_rate_hz_ / to_rate_hz_ / tenth * tenth;
  statistics_.concealed_ms += left * 1000 / from_rate_hz_;
  while (left > 0) {
    const bool last = !next.empty() && last_samples_ != 0 && left <= last_samples_;
    const std::size_t before = !next.empty() && left > last_samples_ ? left - last_samples_ : left;
    const std::size_t part = std::min(last ? left : before, decoded_.size()) / tenth * tenth;
    if (part == 0) break;
    const bool recovered = last && decoder_->recover(next, decoded_.first(part));
    if (!last) decoder_->conceal(decoded_.first(part));
    append(decoded_.first(part));
    left -= part;
    if (recovered)
      ++statistics_.recovered;
    else
      gap_end_ = end_;
  }
  if (end_ == target) return;
  std::fill(pcm_.begin() + static_cast<std::ptrdiff_t>(end_), pcm_.begin() + static_cast<std::ptrdiff_t>(target), std::int16_t{0});
  end_ = gap_end_ = target;
}

void Transcoder::append(std::span<const std::int16_t> decoded) noexcept {
  if (!decoded.empty()) end_ += resampler_.process(decoded, pcm_.subspan(end_));
}

// Numbers for so many packets that were lost before one that passes: audio as long as the last that came, cut as it is sent; or, inside
// an event, packets of the event.
std::uint16_t Transcoder::lost_before(const Input& in, std::uint16_t packets) const noexcept {
  const std::size_t packet = last_samples_ * to_rate_hz_ / from_rate_hz_;
  if (packet == 0 || in.timestamp == passed_timestamp_) return packets;
  return static_cast<std::uint16_t>((packets * packet + frame_samples_ - 1) / frame_samples_);
}

// Audio that was due meanwhile is silence, not loss: the number is taken, the time is made up for when audio comes again.
bool Transcoder::pass(const Input& in, bool again, RtpOut& out, Instant now, std::uint32_t& timestamp) noexcept {
  // A jump, which the caller has seen confirmed, or a time that belongs to another stream.
  const std::int16_t jump = serial_distance(expected_sequence_, in.sequence);
  const std::int64_t far = serial_distance(expected_timestamp_, in.timestamp);
  const std::int64_t farthest = std::int64_t{kMaxGapSeconds} * from_clock_hz_;
  if (jump >= kMaxDropout || jump <= -kMaxMisorder || far > farthest || far < -farthest) restart();
  if (!started_) begin(in, out, now);
  const std::int16_t ahead = serial_distance(expected_sequence_, in.sequence);
  const bool copy = again && ahead == -1;
  if (ahead < 0 && !copy) return false;
  if (!copy) out.skip(lost_before(in, static_cast<std::uint16_t>(ahead)));
  passed_timestamp_ = in.timestamp;
  const std::int64_t since = serial_distance(expected_timestamp_, in.timestamp);
  const auto open = static_cast<std::int64_t>(out_units(end_ - begin_));  // taken, and not sent yet
  timestamp = static_cast<std::uint32_t>(position_ + open + since * to_clock_hz_ / from_clock_hz_);
  expected_sequence_ = static_cast<std::uint16_t>(in.sequence + 1);
  return true;
}

void Transcoder::complete() noexcept {
  if (!open()) return;
  compact();
  const std::size_t missing = frame_samples_ - end_;
  substitute(missing, {});
  // As with noise: of audio that comes before its end the rest is used.
  noise_units_ = static_cast<std::uint32_t>(missing * from_clock_hz_ / to_rate_hz_);
  expected_timestamp_ += noise_units_;
}

// Less than a frame is left by next(); it moves to the front.
void Transcoder::compact() noexcept {
  IFGW_CHECK(end_ - begin_ < frame_samples_ && encoded_ == 0);
  std::memmove(pcm_.data(), pcm_.data() + begin_, (end_ - begin_) * sizeof(std::int16_t));
  const auto moved = [this](std::size_t index) { return index > begin_ ? index - begin_ : 0; };
  gap_begin_ = moved(gap_begin_);
  gap_end_ = moved(gap_end_);
  end_ -= begin_;
  begin_ = 0;
}

bool Transcoder::nothing_came_of_it() const noexcept {
  return encoded_ == 0 && gap_begin_ <= begin_ && begin_ + frame_samples_ <= gap_end_;
}

// The frame at begin_ is done with, one way or the other.
void Transcoder::step(RtpOut& out) noexcept {
  begin_ += frame_samples_;
  position_ += out_units(frame_samples_);
  encoded_ = 0;
  if (begin_ == jump_.at) jump(out);
}

void Transcoder::jump(RtpOut& out) noexcept {
  position_ += jump_.units;
  out.skip(jump_.packets);
  marker_ = marker_ || (jump_.silence && jump_.units != 0);
  jump_ = {};
}

bool Transcoder::next(std::span<std::uint8_t> room, RtpOut& out, Instant now, Output& output) noexcept {
  while (end_ - begin_ >= frame_samples_) {
    if (nothing_came_of_it()) {
      out.skip(1);
      step(out);
      continue;
    }
    const std::size_t from = begin_ + encoded_;
    const audio::Encoded made = encoder_->encode(pcm_.subspan(from, begin_ + frame_samples_ - from), room);
    const std::uint32_t timestamp = position_ + out_units(encoded_ + made.skipped);
    const std::size_t taken = made.error == audio::CodecError::None ? made.taken : 0;
    const bool sends = made.error == audio::CodecError::None && made.size != 0;
    if (sends) {
      output = {made.size, out.next_sequence(), timestamp, marker_};
      out.sent(output.sequence, timestamp, out_units(taken - made.skipped), now);
    }
    if (made.error != audio::CodecError::None) {
      ++statistics_.not_made;
      out.skip(1);
    }
    marker_ = !sends;  // behind silence that was not sent
    encoded_ += taken;
    if (taken == 0 || encoded_ >= frame_samples_) step(out);
    if (!sends) continue;
    if (from_noise_ && end_ - begin_ < frame_samples_) output.size += settle(room, output.size, now);
    return true;
  }
  from_noise_ = false;
  return described_ != 0 && next_noise(room, out, now, output);
}

}  // namespace ifgw::engine
