#include <speex/speex.h>

#include <algorithm>
#include <array>

#include "codecs/audio/codec_row.h"
#include "codecs/base/check.h"

namespace ifgw::audio {
namespace {

constexpr std::size_t kMaxFrameSamples = 320;  // 20 ms at 16 kHz

const SpeexMode* mode_of(std::uint32_t rate_hz) noexcept {
  return speex_lib_get_mode(rate_hz == 16'000 ? SPEEX_MODEID_WB : SPEEX_MODEID_NB);
}

// Bits of a payload, the most significant first.
class BitReader {
 public:
  explicit BitReader(std::span<const std::uint8_t> bytes) noexcept : bytes_(bytes) {}
  std::size_t remaining() const noexcept { return bytes_.size() * 8 - at_; }
  unsigned peek(std::size_t count) const noexcept {  // count <= remaining()
    unsigned value = 0;
    for (std::size_t i = at_; i < at_ + count; ++i) value = value << 1 | (bytes_[i / 8] >> (7 - i % 8) & 1U);
    return value;
  }
  // False, nothing skipped: there are not so many.
  bool skip(int count) noexcept {
    if (count < 0 || static_cast<std::size_t>(count) > remaining()) return false;
    at_ += static_cast<std::size_t>(count);
    return true;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
};

// Bits of a frame's layer, header and all; negative: there is no such submode.
int layer_bits(int mode_id, unsigned submode) noexcept {
  int bits = static_cast<int>(submode);
  const SpeexMode* mode = speex_lib_get_mode(mode_id);
  return speex_mode_query(mode, SPEEX_SUBMODE_BITS_PER_FRAME, &bits) == 0 ? bits : -1;
}

// Frames in a payload; 0: it is none. The library prints to standard error what it does not understand, so nothing else
// may reach it: whole frames of narrow band, each with at most one layer of wide band, then padding (RFC 5574 section 3.3).
// In-band and user messages are refused, and for narrow band an empty layer, over which the library's narrow-band decoder
// steps the wrong way.
std::size_t count_frames(std::span<const std::uint8_t> payload, bool wide) noexcept {
  constexpr unsigned kTerminator = 15;
  constexpr unsigned kMaxSubmode = 8;
  BitReader bits(payload);
  std::size_t frames = 0;
  while (bits.remaining() >= 5) {
    const unsigned head = bits.peek(5);  // a 0 for narrow band, then the submode
    if (head == kTerminator) break;
    if (head > kMaxSubmode || !bits.skip(layer_bits(SPEEX_MODEID_NB, head))) return 0;
    ++frames;
    if (bits.remaining() < 4 || bits.peek(1) == 0) continue;
    const unsigned layer = bits.peek(4) & 7;
    if ((layer == 0 && !wide) || !bits.skip(layer_bits(SPEEX_MODEID_WB, layer))) return 0;
  }
  return frames;
}

class SpeexDecoder final : public Decoder {
 public:
  explicit SpeexDecoder(std::uint32_t rate_hz) noexcept : rate_hz_(rate_hz) { reset(); }
  ~SpeexDecoder() override { speex_decoder_destroy(state_); }
  SpeexDecoder(const SpeexDecoder&) = delete;
  SpeexDecoder& operator=(const SpeexDecoder&) = delete;

  Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> pcm) noexcept override {
    const std::size_t frames = count_frames(payload, frame_ == kMaxFrameSamples);
    if (frames == 0) return {0, CodecError::BadPayload};
    if (frames * frame_ > pcm.size()) return {0, CodecError::TooLong};
    SpeexBits bits;
    // It only reads: the cast is the library's wish.
    speex_bits_set_bit_buffer(&bits, const_cast<std::uint8_t*>(payload.data()), static_cast<int>(payload.size()));
    for (std::size_t i = 0; i < frames; ++i) {
      const std::span<std::int16_t> frame = pcm.subspan(i * frame_, frame_);
      if (speex_decode_int(state_, &bits, frame.data()) != 0) Decoder::conceal(frame);
    }
    return {frames * frame_};
  }

  void conceal(std::span<std::int16_t> pcm) noexcept override {
    while (!pcm.empty()) {
      std::array<std::int16_t, kMaxFrameSamples> frame;
      (void)speex_decode_int(state_, nullptr, frame.data());
      const std::size_t size = std::min(pcm.size(), frame_);
      std::copy_n(frame.begin(), size, pcm.begin());
      pcm = pcm.subspan(size);
    }
  }

  // The library's own way leaves some of the old state.
  void reset() noexcept override {
    if (state_ != nullptr) speex_decoder_destroy(state_);
    state_ = speex_decoder_init(mode_of(rate_hz_));
    IFGW_CHECK(state_ != nullptr);
  }

 private:
  std::uint32_t rate_hz_;
  std::size_t frame_ = rate_hz_ / 50;
  void* state_ = nullptr;
};

class SpeexEncoder final : public Encoder {
 public:
  SpeexEncoder(std::uint32_t rate_hz, const SpeexSettings& settings) noexcept : rate_hz_(rate_hz), settings_(settings) { reset(); }
  ~SpeexEncoder() override { speex_encoder_destroy(state_); }
  SpeexEncoder(const SpeexEncoder&) = delete;
  SpeexEncoder& operator=(const SpeexEncoder&) = delete;

  Encoded encode(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept override {
    if (pcm.empty() || pcm.size() % frame_ != 0) return {.error = CodecError::BadLength};
    pcm = pcm.first(std::min(pcm.size(), kMaxFrames * frame_));
    std::array<char, kMaxPayloadBytes> buffer;
    SpeexBits bits;
    speex_bits_init_buffer(&bits, buffer.data(), static_cast<int>(buffer.size()));
    for (std::size_t at = 0; at < pcm.size(); at += frame_) {
      std::array<std::int16_t, kMaxFrameSamples> frame;  // the library works in it
      std::copy_n(&pcm[at], frame_, frame.begin());
      (void)speex_encode_int(state_, frame.data(), &bits);
    }
    speex_bits_insert_terminator(&bits);
    const auto size = static_cast<std::size_t>(speex_bits_nbytes(&bits));
    if (size > payload.size()) return {.error = CodecError::TooLong};
    std::copy_n(reinterpret_cast<const std::uint8_t*>(buffer.data()), size, payload.begin());
    return {.size = size, .taken = pcm.size()};
  }

  void reset() noexcept override {
    if (state_ != nullptr) speex_encoder_destroy(state_);
    state_ = speex_encoder_init(mode_of(rate_hz_));
    IFGW_CHECK(state_ != nullptr);
    int quality = settings_.quality;
    float vbr_quality = settings_.quality;
    int vbr = settings_.variable_rate ? 1 : 0;
    int vad = settings_.vad ? 1 : 0;
    bool ok = speex_encoder_ctl(state_, SPEEX_SET_QUALITY, &quality) == 0;
    ok = ok && speex_encoder_ctl(state_, SPEEX_SET_VBR_QUALITY, &vbr_quality) == 0;
    ok = ok && speex_encoder_ctl(state_, SPEEX_SET_VBR, &vbr) == 0;
    ok = ok && speex_encoder_ctl(state_, SPEEX_SET_VAD, &vad) == 0;
    IFGW_CHECK(ok);
  }

 private:
  static constexpr std::size_t kMaxFrames = 6;
  std::uint32_t rate_hz_;
  SpeexSettings settings_;
  std::size_t frame_ = rate_hz_ / 50;
  void* state_ = nullptr;
};

std::uint32_t speex_rate_hz(const CodecSettings& s) noexcept {
  const std::uint32_t rate = s.pcm_rate_hz == 0 ? 8000 : s.pcm_rate_hz;
  return (rate == 8000 || rate == 16'000) && s.speex.quality <= 10 ? rate : 0;
}

}  // namespace

constinit const CodecRow kSpeexRow = {
    {.name = "speex", .sample_rate_hz = 8000, .frame_ms = 20, .stateful = true, .on_heap = true},
    speex_rate_hz,
    [](const CodecSettings&) noexcept { return sizeof(SpeexDecoder); },
    [](const CodecSettings&) noexcept { return sizeof(SpeexEncoder); },
    [](const CodecSettings& s, std::byte* memory) noexcept -> Decoder* { return new (memory) SpeexDecoder(speex_rate_hz(s)); },
    [](const CodecSettings& s, std::byte* memory) noexcept -> Encoder* { return new (memory) SpeexEncoder(speex_rate_hz(s), s.speex); },
    [](std::span<const std::uint8_t>) noexcept { return Pause::None; }};

}  // namespace ifgw::audio
