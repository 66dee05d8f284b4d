#include "codecs/audio/codec.h"

#include <algorithm>
#include <array>
#include <new>

#include "codecs/audio/g711.h"

namespace ifgw::audio {
namespace {

constexpr std::array<AudioFormat, kAudioCodecCount> kFormats = {{
    {"PCMU", 8000, 8000, 0, 0, false},
    {"PCMA", 8000, 8000, 8, 0, false},
    {"G722", 16'000, 8000, 9, 0, true},
    {"G729", 8000, 8000, 18, 10, true},
    {"opus", 48'000, 48'000, 0xFF, 0, true},
}};

using DecodeFrame = void (*)(std::span<const std::uint8_t>, std::span<std::int16_t>) noexcept;
using EncodeFrame = void (*)(std::span<const std::int16_t>, std::span<std::uint8_t>) noexcept;

template <DecodeFrame Frame>
class G711Decoder final : public Decoder {
 public:
  Coded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> pcm) noexcept override {
    if (payload.empty()) return {0, CodecError::BadPayload};
    if (payload.size() > pcm.size()) return {0, CodecError::TooLong};
    Frame(payload, pcm.first(payload.size()));
    return {payload.size(), CodecError::None};
  }
  void reset() noexcept override {}
};

template <EncodeFrame Frame>
class G711Encoder final : public Encoder {
 public:
  Coded encode(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept override {
    if (pcm.empty()) return {0, CodecError::BadPayload};
    if (pcm.size() > payload.size()) return {0, CodecError::TooLong};
    Frame(pcm, payload.first(pcm.size()));
    return {pcm.size(), CodecError::None};
  }
  void reset() noexcept override {}
};

using PcmuDecoder = G711Decoder<static_cast<DecodeFrame>(mulaw_decode)>;
using PcmaDecoder = G711Decoder<static_cast<DecodeFrame>(alaw_decode)>;
using PcmuEncoder = G711Encoder<static_cast<EncodeFrame>(mulaw_encode)>;
using PcmaEncoder = G711Encoder<static_cast<EncodeFrame>(alaw_encode)>;

bool fits(std::span<std::byte> memory, std::size_t bytes) noexcept {
  return bytes != 0 && memory.size() >= bytes && reinterpret_cast<std::uintptr_t>(memory.data()) % kStateAlignment == 0;
}

}  // namespace

const AudioFormat& format(AudioCodec codec) noexcept { return kFormats[static_cast<std::size_t>(codec) % kAudioCodecCount]; }

void Decoder::conceal(std::span<std::int16_t> pcm) noexcept { std::fill(pcm.begin(), pcm.end(), std::int16_t{0}); }

bool available(AudioCodec codec) noexcept { return decoder_bytes(codec) != 0; }

std::size_t decoder_bytes(AudioCodec codec) noexcept {
  switch (codec) {
    case AudioCodec::Pcmu: return sizeof(PcmuDecoder);
    case AudioCodec::Pcma: return sizeof(PcmaDecoder);
    default: return 0;
  }
}

std::size_t encoder_bytes(AudioCodec codec) noexcept {
  switch (codec) {
    case AudioCodec::Pcmu: return sizeof(PcmuEncoder);
    case AudioCodec::Pcma: return sizeof(PcmaEncoder);
    default: return 0;
  }
}

DecoderPtr make_decoder(AudioCodec codec, std::span<std::byte> memory) noexcept {
  if (!fits(memory, decoder_bytes(codec))) return nullptr;
  switch (codec) {
    case AudioCodec::Pcmu: return DecoderPtr(new (memory.data()) PcmuDecoder);
    case AudioCodec::Pcma: return DecoderPtr(new (memory.data()) PcmaDecoder);
    default: return nullptr;
  }
}

EncoderPtr make_encoder(AudioCodec codec, std::span<std::byte> memory) noexcept {
  if (!fits(memory, encoder_bytes(codec))) return nullptr;
  switch (codec) {
    case AudioCodec::Pcmu: return EncoderPtr(new (memory.data()) PcmuEncoder);
    case AudioCodec::Pcma: return EncoderPtr(new (memory.data()) PcmaEncoder);
    default: return nullptr;
  }
}

}  // namespace ifgw::audio
