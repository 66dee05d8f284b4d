// One interface for every audio codec: frame in, frame out.
//
//   payload of one RTP packet --Decoder--> 16-bit mono PCM --Encoder--> payload of one RTP packet
//
// State lives in memory the caller hands in (a leg's own, so that a direction has one writer), made in place by
// make_decoder()/make_encoder(). Nothing allocates per frame, nothing waits for another frame: what goes in comes out in
// the same call, whatever the packet's duration. A codec with state never throws and never leaves the bounds of what it
// was given, whatever the payload. A payload that is refused changes no state.
//
// G.729, GSM and Speex keep their state on the heap (AudioFormat::on_heap).
//
// Thread: one per object; different objects are independent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace ifgw::audio {

// The codecs' own list: the plane contract's is mapped onto it where they meet.
enum class AudioCodec : std::uint8_t { Pcmu, Pcma, G722, G729, Opus, G726_16, G726_24, G726_32, G726_40, Gsm, Speex, L16 };
inline constexpr std::size_t kAudioCodecCount = 12;

// Longest packet any of them takes or gives: 60 ms, ours; a peer may send up to 120 ms (RFC 7587 section 4.2).
inline constexpr unsigned kMaxPtimeMs = 120;
inline constexpr std::size_t kMaxPcmSamples = 48'000 / 1000 * kMaxPtimeMs;
// Room an encoder may ask for: what one UDP datagram of 1500 bytes carries over IPv6.
inline constexpr std::size_t kMaxPayloadBytes = 1440;

struct AudioFormat {
  const char* name = "";                    // encoding name in SDP (RFC 3551, RFC 7587)
  std::uint32_t sample_rate_hz = 0;         // of the PCM, unless the settings ask for another one
  std::uint32_t rtp_clock_hz = 0;           // of the RTP time stamp; G.722 says 8000 and means 16000 (RFC 3551 section 4.5.2); 0: the PCM's
  std::uint8_t rtpmap_channels = 1;         // as SDP says it: Opus is always /48000/2, also when it is mono (RFC 7587 section 7)
  std::uint8_t static_payload_type = 0xFF;  // RFC 3551 table 4; 0xFF: dynamic
  std::uint8_t frame_ms = 0;                // a packet holds whole multiples of this; 0: any number of samples
  bool stateful = false;                    // packets must be decoded in order and without gaps
  bool describes_pauses = false;            // pause_of() may say so of its payloads
  bool on_heap = false;                     // making one, reset() and its end allocate or free: the library takes no memory
};
const AudioFormat& format(AudioCodec codec) noexcept;

// The rest of what the encoder of one direction is told. A codec reads what concerns it.
struct OpusSettings {
  std::uint32_t bitrate_bps = 0;                // 6000..128000; 0: 16000, 24000, 32000 for PCM at 8, 16, 48 kHz
  std::uint32_t max_bitrate_bps = 0;            // 6000..510000: what the above is cut to; 0: nothing
  std::uint32_t max_playback_rate_hz = 48'000;  // 8000..48000: the next lower of Opus's bandwidths is the widest that is coded
  std::uint8_t complexity = 5;                  // 0..10
  std::uint8_t expected_loss_percent = 0;       // 0..100; what the encoder protects against
  bool fec = false;                             // in-band FEC; sent only when loss is expected
  bool dtx = false;                             // nothing is sent during silence
  bool cbr = false;                             // every packet of one duration has one size
  friend bool operator==(const OpusSettings&, const OpusSettings&) = default;
};
struct SpeexSettings {
  std::uint8_t quality = 8;    // 0..10, of libspeex
  bool variable_rate = false;  // the quality is kept, the rate is not
  bool vad = false;            // with a constant rate: little is spent on silence
  friend bool operator==(const SpeexSettings&, const SpeexSettings&) = default;
};
struct CodecSettings {
  AudioCodec codec = AudioCodec::Pcmu;
  std::uint32_t pcm_rate_hz = 0;  // 0: the format's. Opus runs at 8000, 16000 or 48000 directly, without a resampler
  OpusSettings opus = {};
  SpeexSettings speex = {};
  bool g729_annex_b = false;  // voice activity detection: silence is sent as SID frames or not at all
  friend bool operator==(const CodecSettings&, const CodecSettings&) = default;
};

enum class CodecError : std::uint8_t {
  None,
  BadPayload,  // no payload of this codec
  BadLength,   // a number of samples the codec cannot encode
  TooLong,     // does not fit the output
};

// What a payload says of a pause in which nothing is sent.
enum class Pause : std::uint8_t {
  None,    // it says nothing
  Quiet,   // the encoder heard no voice; behind a pause, this goes on with it
  Begins,  // it ends in a description of the pause: a SID frame, an empty frame of Opus
};

struct Decoded {
  std::size_t samples = 0;
  CodecError error = CodecError::None;
};

// One payload out of the first `taken` samples. Where a codec cannot say in one packet what it was given (silence that is
// not transmitted), `taken` is less: send what is there and encode the rest, until nothing is left.
struct Encoded {
  std::size_t size = 0;     // bytes; 0: nothing to send for these samples
  std::size_t skipped = 0;  // samples before the first that the payload stands for: the packet's time stamp moves by them
  std::size_t taken = 0;    // 0 on error
  CodecError error = CodecError::None;
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  // `pcm` has room for kMaxPcmSamples, or for as many as the caller is willing to take.
  virtual Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> pcm) noexcept = 0;
  // A packet is missing, or was never sent: fills `pcm` with a substitute, whole multiples of 10 ms. The default is
  // silence.
  virtual void conceal(std::span<std::int16_t> pcm) noexcept;
  // A packet is missing and the one after it is here (decode() it next): fills `pcm`, as long as what is missing, from
  // the redundancy in `next`. False: there was none, and `pcm` was concealed.
  virtual bool recover(std::span<const std::uint8_t> next, std::span<std::int16_t> pcm) noexcept;
  // Another stream begins.
  virtual void reset() noexcept = 0;
};

class Encoder {
 public:
  virtual ~Encoder() = default;
  // `pcm`: whole multiples of the format's frame, or of 10 ms, up to kMaxPtimeMs; G.711 and L16 take any number. `payload` has room for
  // kMaxPayloadBytes, or for as many as the caller is willing to send.
  virtual Encoded encode(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept = 0;
  virtual void reset() noexcept = 0;
};

// `payload` is one that the codec's decoder takes. Of G.729 the last 10 ms are the description, of Opus the whole packet.
Pause pause_of(AudioCodec codec, std::span<const std::uint8_t> payload) noexcept;

// The PCM rate the codec would run at, in Hz; 0: the settings are out of range or this build cannot run them.
std::uint32_t pcm_rate_hz(const CodecSettings& settings) noexcept;
// The clock of the RTP time stamp with these settings, in Hz.
std::uint32_t rtp_clock_hz(const CodecSettings& settings) noexcept;
// Bytes make_*() needs, aligned to kStateAlignment; 0 when the settings cannot be run.
inline constexpr std::size_t kStateAlignment = 64;
std::size_t decoder_bytes(const CodecSettings& settings) noexcept;
std::size_t encoder_bytes(const CodecSettings& settings) noexcept;

// Ends the life of a codec made in place; the memory stays the caller's.
struct InPlaceDelete {
  template <typename T>
  void operator()(T* object) const noexcept {
    std::destroy_at(object);
  }
};
using DecoderPtr = std::unique_ptr<Decoder, InPlaceDelete>;
using EncoderPtr = std::unique_ptr<Encoder, InPlaceDelete>;
// Null when the settings cannot be run, or the memory is too small or not aligned.
DecoderPtr make_decoder(const CodecSettings& settings, std::span<std::byte> memory) noexcept;
EncoderPtr make_encoder(const CodecSettings& settings, std::span<std::byte> memory) noexcept;

}  // namespace ifgw::audio
