// One direction of audio between two codecs, or two packet times of one: payloads of a received RTP stream in, payloads
// of the stream that is sent out. Frame in, frame out: a frame leaves in the call that completes it; what is kept is
// less than one frame. Nothing runs on a clock.
//
//   packet -> decoder -> resampler -> frame of `ptime_ms` -> encoder -> packet(s)
//
// What comes of irregular input:
//   lost packets         nothing is sent for frames of which nothing came; their numbers and time stay unused; what lies between
//                        beyond the time that they had is silence that was not sent. A gap
//                        inside a frame is concealed, from the next packet's redundancy where it carries some
//   late, twice          refused: the decoder is past it
//   silence not sent     (time stamps go on, numbers do not) the unfinished frame is completed, then time moves on; the
//                        next frame carries the marker
//   a pause is described (SID frame, DTX, comfort noise): what has begun is completed with the noise; then a packet of comfort
//                        noise goes out or, where that is not known, one frame of it. Nothing more until something comes
//   restart              another SSRC (told by restart()), numbers or time stamps that jumped: goes on behind what was sent
//
// No allocation per packet (make() may: see codecs/audio/codec.h). Thread: the worker that owns the direction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "codecs/audio/codec.h"
#include "codecs/audio/comfort_noise.h"
#include "codecs/audio/resample.h"
#include "dataplane/engine/rtp_out.h"

namespace ifgw::engine {

struct TranscoderSettings {
  audio::CodecSettings from;   // its PCM rate is chosen by make()
  audio::CodecSettings to;     // likewise
  std::uint8_t ptime_ms = 20;  // of what is sent: 10, 20, 30, 40, 60
  bool noise = false;          // who is sent to knows comfort noise packets (RFC 3389)
  friend bool operator==(const TranscoderSettings&, const TranscoderSettings&) = default;
};

class Transcoder {
 public:
  struct Input {
    std::uint16_t sequence = 0;
    std::uint32_t timestamp = 0;
    bool marker = false;
    std::span<const std::uint8_t> payload;
  };
  enum class Intake : std::uint8_t {
    Taken,
    Late,        // the decoder is past it: a duplicate, or reordered too far
    BadPayload,  // nothing the codec can produce; counts as not received
  };
  struct Output {
    std::size_t size = 0;  // bytes written
    std::uint16_t sequence = 0;
    std::uint32_t timestamp = 0;
    bool marker = false;
    bool noise = false;  // comfort noise, of its own payload type
  };
  struct Statistics {
    std::uint64_t concealed_ms = 0;
    std::uint64_t recovered = 0;  // frames rebuilt from in-band redundancy
    std::uint64_t not_made = 0;   // frames that did not fit the room for them; their numbers stay unused
  };

  // 0 when there is no such pair. `memory` is aligned to audio::kStateAlignment.
  static std::size_t required_bytes(const TranscoderSettings& settings) noexcept;
  struct Delete {
    void operator()(Transcoder* t) const noexcept { std::destroy_at(t); }
  };
  using Ptr = std::unique_ptr<Transcoder, Delete>;
  // In place; null when the memory is too small or a codec cannot be made.
  static Ptr make(const TranscoderSettings& settings, std::span<std::byte> memory) noexcept;

  // One packet of the received stream. Then call next() until it says false, whatever came of it: a gap before it is there as well.
  Intake take(const Input& in, RtpOut& out, Instant now) noexcept;
  // One packet of comfort noise (RFC 3389) in its place: as much of the noise as completes the frame that has begun, or makes
  // one. What comes until the next packet is silence that was not sent.
  Intake take_noise(const Input& in, RtpOut& out, Instant now) noexcept;
  // The next packet to send, its payload in `room` (audio::kMaxPayloadBytes, or what a datagram carries); false: none.
  bool next(std::span<std::uint8_t> room, RtpOut& out, Instant now, Output& output) noexcept;

  // A packet of the stream that is not audio (a telephone-event) and goes by: where its time stamp stands in the stream that
  // is sent. Its number is the next one of `out`, which the caller tells what was sent. False: older than what was sent.
  // `again`: it may be the packet before it once more, under the same number.
  bool pass(const Input& in, bool again, RtpOut& out, Instant now, std::uint32_t& timestamp) noexcept;

  // A frame has begun that waits for more audio.
  bool open() const noexcept { return started_ && end_ != begin_; }
  // Completes it with what conceals a loss: what passes must not overtake it. Then call next().
  void complete() noexcept;

  // What comes next is another stream, or the old one after a jump.
  void restart() noexcept;

  // The newest packet that was taken was as long as what is sent.
  bool even() const noexcept { return last_samples_ * to_rate_hz_ == frame_samples_ * from_rate_hz_; }

  const Statistics& statistics() const noexcept { return statistics_; }

 private:
  static constexpr std::size_t kDescriptionBytes = 11;  // a level, and as many coefficients as G.729's SID frames have
  struct Parts;                                         // how memory is divided
  Transcoder(const Parts& parts, std::span<std::byte> memory) noexcept;
  void begin(const Input& in, RtpOut& out, Instant now) noexcept;
  bool arrive(const Input& in, RtpOut& out, Instant now) noexcept;
  void taken(std::size_t samples) noexcept;
  void take_pause(std::size_t decoded) noexcept;
  bool covered() noexcept;
  bool next_noise(std::span<std::uint8_t> room, RtpOut& out, Instant now, Output& output) noexcept;
  std::size_t settle(std::span<std::uint8_t> room, std::size_t size, Instant now) noexcept;
  bool continues(std::uint16_t sequence, std::int32_t gap) noexcept;
  void bridge(std::uint32_t gap, std::uint16_t packets, const Input& in, RtpOut& out) noexcept;
  std::span<const std::int16_t> uncovered(std::span<const std::int16_t> decoded) const noexcept;
  std::uint16_t lost_before(const Input& in, std::uint16_t packets) const noexcept;
  void substitute(std::size_t samples, std::span<const std::uint8_t> next) noexcept;
  void append(std::span<const std::int16_t> decoded) noexcept;
  void compact() noexcept;
  bool nothing_came_of_it() const noexcept;
  void step(RtpOut& out) noexcept;
  void jump(RtpOut& out) noexcept;
  std::uint32_t in_units(std::size_t samples) const noexcept {
    return static_cast<std::uint32_t>(samples * from_clock_hz_ / from_rate_hz_);
  }
  std::uint32_t out_units(std::size_t samples) const noexcept { return static_cast<std::uint32_t>(samples * to_clock_hz_ / to_rate_hz_); }

  std::uint32_t from_clock_hz_;
  std::uint32_t from_rate_hz_;
  std::uint32_t to_clock_hz_;
  std::uint32_t to_rate_hz_;
  std::size_t frame_samples_;
  bool allocates_;  // the decoder, when it is reset
  audio::AudioCodec from_codec_;
  audio::AudioCodec to_codec_;
  bool describes_pauses_;  // what is received
  bool settles_;           // what is sent is G.729 with Annex B
  bool noise_known_;
  audio::DecoderPtr decoder_;
  audio::EncoderPtr encoder_;
  audio::Resampler resampler_;
  std::span<std::int16_t> decoded_;  // one packet, as decoded
  std::span<std::int16_t> pcm_;      // [0, end_): to be sent, at the sending rate; frames begin at begin_
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t encoded_ = 0;    // of the frame at begin_: what was taken by an encoder that takes less than a frame
  std::size_t gap_begin_ = 0;  // [gap_begin_, gap_end_): substitute, of which alone no frame is made
  std::size_t gap_end_ = 0;
  std::uint32_t position_ = 0;  // time stamp of pcm_[begin_]
  struct Jump {
    std::size_t at = 0;         // index in pcm_ before which
    std::uint32_t units = 0;    // of the time stamp pass
    std::uint16_t packets = 0;  // and numbers stay unused
    bool silence = false;       // that the sender kept to itself, not loss
  };
  Jump jump_;
  std::size_t last_samples_ = 0;  // of the packet before, as decoded
  std::uint32_t expected_timestamp_ = 0;
  std::uint32_t covered_units_ = 0;  // of the packet that is here: for these there is something already
  std::uint32_t noise_units_ = 0;    // of the received time stamp, before expected_timestamp_: noise or a substitute stands for them
  std::array<std::uint8_t, kDescriptionBytes> description_{};  // of the pause that began, to be sent behind the frames
  std::size_t described_ = 0;                                  // bytes of it
  std::uint32_t heard_until_ = 0;                              // received time stamp
  audio::NoiseGenerator noise_{1};                             // what frames are completed with, and take_noise() makes
  bool from_noise_ = false;                                    // the frame that is encoded next is made of it
  Instant settle_again_{};                                     // not before
  std::uint32_t passed_timestamp_ = 0;                         // of the packet that passed last
  std::uint16_t expected_sequence_ = 0;
  std::uint16_t after_jump_ = 0;
  bool jump_pending_ = false;
  bool started_ = false;
  bool marker_ = false;  // the next packet to send begins a talkspurt
  Statistics statistics_;
};

}  // namespace ifgw::engine
