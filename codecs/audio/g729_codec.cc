#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "codecs/audio/codec_row.h"
#include "codecs/base/check.h"

extern "C" {
#include <bcg729/decoder.h>
#include <bcg729/encoder.h>
}

namespace ifgw::audio {
namespace {

constexpr std::size_t kFrameBytes = 10;
constexpr std::size_t kSidBytes = 2;
constexpr std::size_t kFrameSamples = 80;

struct Close {
  void operator()(bcg729DecoderChannelContextStruct* channel) const noexcept { closeBcg729DecoderChannel(channel); }
  void operator()(bcg729EncoderChannelContextStruct* channel) const noexcept { closeBcg729EncoderChannel(channel); }
};

class G729Decoder final : public Decoder {
 public:
  G729Decoder() noexcept { reset(); }

  Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> pcm) noexcept override {
    const std::size_t sid = payload.size() % kFrameBytes;
    if (payload.empty() || (sid != 0 && sid != kSidBytes)) return {0, CodecError::BadPayload};
    const std::size_t frames = payload.size() / kFrameBytes;
    const std::size_t samples = (frames + (sid != 0 ? 1 : 0)) * kFrameSamples;
    if (samples > pcm.size()) return {0, CodecError::TooLong};
    for (std::size_t i = 0; i < frames; ++i) frame(payload.subspan(i * kFrameBytes, kFrameBytes), &pcm[i * kFrameSamples]);
    if (sid != 0) frame(payload.last(kSidBytes), &pcm[frames * kFrameSamples]);
    return {samples};
  }

  // After a SID frame this is the noise it described, after speech a substitute for it.
  void conceal(std::span<std::int16_t> pcm) noexcept override {
    const std::array<std::uint8_t, kFrameBytes> nothing{};
    while (pcm.size() >= kFrameSamples) {
      bcg729Decoder(channel_.get(), nothing.data(), 0, 1, 0, 0, pcm.data());
      pcm = pcm.subspan(kFrameSamples);
    }
    Decoder::conceal(pcm);
  }

  void reset() noexcept override {
    channel_.reset(initBcg729DecoderChannel());
    IFGW_CHECK(channel_ != nullptr);
  }

 private:
  void frame(std::span<const std::uint8_t> bits, std::int16_t* pcm) noexcept {
    // The library reads whole frames of speech, also where it is told of two bytes.
    std::array<std::uint8_t, kFrameBytes> whole{};
    std::memcpy(whole.data(), bits.data(), bits.size());
    bcg729Decoder(channel_.get(), whole.data(), static_cast<std::uint8_t>(bits.size()), 0, bits.size() == kSidBytes ? 1 : 0, 0, pcm);
  }

  std::unique_ptr<bcg729DecoderChannelContextStruct, Close> channel_;
};

class G729Encoder final : public Encoder {
 public:
  explicit G729Encoder(bool annex_b) noexcept : annex_b_(annex_b) { reset(); }

  // One packet ends at a SID frame or before a frame that is not sent: nothing may follow them (RFC 3551 section 4.5.6).
  Encoded encode(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept override {
    if (pcm.empty() || pcm.size() % kFrameSamples != 0) return {.error = CodecError::BadLength};
    if (pcm.size() / kFrameSamples * kFrameBytes > payload.size()) return {.error = CodecError::TooLong};
    Encoded out;
    while (out.taken < pcm.size()) {
      std::array<std::uint8_t, kFrameBytes> bits;
      std::uint8_t bytes = 0;
      bcg729Encoder(channel_.get(), &pcm[out.taken], bits.data(), &bytes);
      out.taken += kFrameSamples;
      std::memcpy(&payload[out.size], bits.data(), bytes);
      out.size += bytes;
      if (out.size == 0) out.skipped = out.taken;
      if (bytes != kFrameBytes && out.size != 0) break;
    }
    return out;
  }

  void reset() noexcept override {
    channel_.reset(initBcg729EncoderChannel(annex_b_ ? 1 : 0));
    IFGW_CHECK(channel_ != nullptr);
  }

 private:
  std::unique_ptr<bcg729EncoderChannelContextStruct, Close> channel_;
  bool annex_b_;
};

}  // namespace

constinit const CodecRow kG729Row = {
    {.name = "G729",
     .sample_rate_hz = 8000,
     .rtp_clock_hz = 8000,
     .static_payload_type = 18,
     .frame_ms = 10,
     .stateful = true,
     .describes_pauses = true,
     .on_heap = true},
    [](const CodecSettings& s) noexcept -> std::uint32_t { return s.pcm_rate_hz == 0 || s.pcm_rate_hz == 8000 ? 8000 : 0; },
    [](const CodecSettings&) noexcept { return sizeof(G729Decoder); },
    [](const CodecSettings&) noexcept { return sizeof(G729Encoder); },
    [](const CodecSettings&, std::byte* memory) noexcept -> Decoder* { return new (memory) G729Decoder; },
    [](const CodecSettings& s, std::byte* memory) noexcept -> Encoder* { return new (memory) G729Encoder(s.g729_annex_b); },
    [](std::span<const std::uint8_t> payload) noexcept { return payload.size() % kFrameBytes == kSidBytes ? Pause::Begins : Pause::None; }};

}  // namespace ifgw::audio
