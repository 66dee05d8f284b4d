// One interface for every audio codec: frame in, frame out.
//
//   payload of one RTP packet --Decoder--> 16-bit mono PCM --Encoder--> payload of one RTP packet
//
// State lives in memory the caller hands in (a leg's own, so that a direction has one writer), made in place by
// make_decoder()/make_encoder(). Nothing allocates per frame, nothing waits for another frame: what goes in comes out in
// the same call, whatever the packet's duration. A codec with state never throws and never leaves the bounds of what it
// was given, whatever the payload.
//
// Thread: one per object; different objects are independent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace ifgw::audio {

// The codecs' own list: the plane contract's is mapped onto it where they meet.
enum class AudioCodec : std::uint8_t { Pcmu, Pcma, G722, G729, Opus };
inline constexpr std::size_t kAudioCodecCount = 5;

// Longest packet any of them takes or gives: 60 ms, ours; a peer may send up to 120 ms (RFC 7587 section 4.2).
inline constexpr unsigned kMaxPtimeMs = 120;
inline constexpr std::size_t kMaxPcmSamples = 48'000 / 1000 * kMaxPtimeMs;
inline constexpr std::size_t kMaxPayloadBytes = 1275;

struct AudioFormat {
  const char* name = "";                    // encoding name in SDP (RFC 3551, RFC 7587)
  std::uint32_t sample_rate_hz = 0;         // of the PCM
  std::uint32_t rtp_clock_hz = 0;           // of the RTP time stamp; G.722 says 8000 and means 16000 (RFC 3551 section 4.5.2)
  std::uint8_t static_payload_type = 0xFF;  // RFC 3551 table 4; 0xFF: dynamic
  std::uint8_t frame_ms = 0;                // a packet holds whole multiples of this; 0: any number of samples
  bool stateful = false;                    // packets must be decoded in order and without gaps
};
const AudioFormat& format(AudioCodec codec) noexcept;

enum class CodecError : std::uint8_t {
  None,
  BadPayload,  // empty, or a length the codec cannot produce
  TooLong,     // does not fit the output
};
struct Coded {
  std::size_t size = 0;  // samples or bytes written
  CodecError error = CodecError::None;
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  // `pcm` has room for kMaxPcmSamples, or for as many as the caller is willing to take.
  virtual Coded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> pcm) noexcept = 0;
  // A packet is missing: `pcm.size()` samples of substitute. The default is silence.
  virtual void conceal(std::span<std::int16_t> pcm) noexcept;
  virtual void reset() noexcept = 0;
};

class Encoder {
 public:
  virtual ~Encoder() = default;
  virtual Coded encode(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept = 0;
  virtual void reset() noexcept = 0;
};

// Whether this build can run it.
bool available(AudioCodec codec) noexcept;
// Bytes make_*() needs, aligned to kStateAlignment; 0 when not available.
inline constexpr std::size_t kStateAlignment = 64;
std::size_t decoder_bytes(AudioCodec codec) noexcept;
std::size_t encoder_bytes(AudioCodec codec) noexcept;

// Ends the life of a codec made in place; the memory stays the caller's.
struct InPlaceDelete {
  template <typename T>
  void operator()(T* object) const noexcept {
    std::destroy_at(object);
  }
};
using DecoderPtr = std::unique_ptr<Decoder, InPlaceDelete>;
using EncoderPtr = std::unique_ptr<Encoder, InPlaceDelete>;
// Null when the codec is not available or the memory is too small.
DecoderPtr make_decoder(AudioCodec codec, std::span<std::byte> memory) noexcept;
EncoderPtr make_encoder(AudioCodec codec, std::span<std::byte> memory) noexcept;

}  // namespace ifgw::audio
