#include "codecs/audio/codec.h"

#include <algorithm>
#include <array>

#include "codecs/audio/codec_row.h"

namespace ifgw::audio {
namespace {

// In the order of AudioCodec.
constexpr std::array<const CodecRow*, kAudioCodecCount> kRows = {&kPcmuRow,   &kPcmaRow,   &kG722Row,   &kG729Row, &kOpusRow,  &kG726Row16,
                                                                 &kG726Row24, &kG726Row32, &kG726Row40, &kGsmRow,  &kSpeexRow, &kL16Row};

const CodecRow& row(AudioCodec codec) noexcept { return *kRows[static_cast<std::size_t>(codec) % kAudioCodecCount]; }

bool fits(std::span<std::byte> memory, std::size_t bytes) noexcept {
  return bytes != 0 && memory.size() >= bytes && reinterpret_cast<std::uintptr_t>(memory.data()) % kStateAlignment == 0;
}

}  // namespace

const AudioFormat& format(AudioCodec codec) noexcept { return row(codec).format; }

void Decoder::conceal(std::span<std::int16_t> pcm) noexcept { std::fill(pcm.begin(), pcm.end(), std::int16_t{0}); }

bool Decoder::recover(std::span<const std::uint8_t>, std::span<std::int16_t> pcm) noexcept {
  conceal(pcm);
  return false;
}

Pause pause_of(AudioCodec codec, std::span<const std::uint8_t> payload) noexcept { return row(codec).pause(payload); }

std::uint32_t pcm_rate_hz(const CodecSettings& settings) noexcept { return row(settings.codec).pcm_rate_hz(settings); }

std::uint32_t rtp_clock_hz(const CodecSettings& settings) noexcept {
  const std::uint32_t fixed = row(settings.codec).format.rtp_clock_hz;
  return fixed != 0 ? fixed : pcm_rate_hz(settings);
}

std::size_t decoder_bytes(const CodecSettings& settings) noexcept {
  return pcm_rate_hz(settings) == 0 ? 0 : row(settings.codec).decoder_bytes(settings);
}

std::size_t encoder_bytes(const CodecSettings& settings) noexcept {
  return pcm_rate_hz(settings) == 0 ? 0 : row(settings.codec).encoder_bytes(settings);
}

DecoderPtr make_decoder(const CodecSettings& settings, std::span<std::byte> memory) noexcept {
  return DecoderPtr(fits(memory, decoder_bytes(settings)) ? row(settings.codec).make_decoder(settings, memory.data()) : nullptr);
}

EncoderPtr make_encoder(const CodecSettings& settings, std::span<std::byte> memory) noexcept {
  return EncoderPtr(fits(memory, encoder_bytes(settings)) ? row(settings.codec).make_encoder(settings, memory.data()) : nullptr);
}

}  // namespace ifgw::audio
