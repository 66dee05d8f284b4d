// What a codec brings: one row, defined in the codec's own file, listed in codec.cc. Not for users of codec.h.
#pragma once

#include <new>

#include "codecs/audio/codec.h"

namespace ifgw::audio {

struct CodecRow {
  AudioFormat format;
  // The PCM rate these settings give, 0 when they are out of range. The functions below are called only when it is not 0
  // and, those that make, with memory that is aligned and large enough.
  std::uint32_t (*pcm_rate_hz)(const CodecSettings&) noexcept;
  std::size_t (*decoder_bytes)(const CodecSettings&) noexcept;
  std::size_t (*encoder_bytes)(const CodecSettings&) noexcept;
  Decoder* (*make_decoder)(const CodecSettings&, std::byte* memory) noexcept;
  Encoder* (*make_encoder)(const CodecSettings&, std::byte* memory) noexcept;
  Pause (*pause)(std::span<const std::uint8_t> payload) noexcept = [](std::span<const std::uint8_t>) noexcept { return Pause::None; };
};

// A codec of one rate whose objects are all of its state.
template <typename TheDecoder, typename TheEncoder, std::uint32_t Rate>
constexpr CodecRow plain_row(AudioFormat format) noexcept {
  format.sample_rate_hz = Rate;
  return {format,
          [](const CodecSettings& s) noexcept { return s.pcm_rate_hz == 0 || s.pcm_rate_hz == Rate ? Rate : 0; },
          [](const CodecSettings&) noexcept { return sizeof(TheDecoder); },
          [](const CodecSettings&) noexcept { return sizeof(TheEncoder); },
          [](const CodecSettings&, std::byte* memory) noexcept -> Decoder* { return new (memory) TheDecoder; },
          [](const CodecSettings&, std::byte* memory) noexcept -> Encoder* { return new (memory) TheEncoder; },
          [](std::span<const std::uint8_t>) noexcept { return Pause::None; }};
}

extern const CodecRow kPcmuRow;
extern const CodecRow kPcmaRow;
extern const CodecRow kG722Row;
// Annex A with Annex B, by bcg729: bit-exact with the ITU's. Payload: n frames of 10 bytes, then at most one SID frame of
// 2 (RFC 3551 section 4.5.6). Look-ahead 5 ms. Concealment and the noise between SID frames are the library's.
extern const CodecRow kG729Row;
// RFC 6716 by libopus, mono at 8, 16 or 48 kHz; stereo of a peer is mixed down by the decoder. Look-ahead 6.5 ms.
// Packets of 30 and 50 ms hold frames of 10 ms.
extern const CodecRow kOpusRow;
// By bit rate in kbit/s; payloads hold whole groups of eight samples.
extern const CodecRow kG726Row16;
extern const CodecRow kG726Row24;
extern const CodecRow kG726Row32;
extern const CodecRow kG726Row40;
// GSM 06.10 full rate by libgsm: frames of 33 bytes for 20 ms (RFC 3551 section 4.5.8).
extern const CodecRow kGsmRow;
// Narrow and wide band by libspeex, 20 ms (RFC 5574). Its RTP clock is its PCM's.
extern const CodecRow kSpeexRow;
// The samples themselves in network order (RFC 3551 section 4.5.11), mono at 8 or 16 kHz.
extern const CodecRow kL16Row;

}  // namespace ifgw::audio
