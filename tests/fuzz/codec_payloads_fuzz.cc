// Payloads of a hostile party, through every decoder. Input: one byte that chooses codec, rate and room; then packets, each
// after one byte of what to do with it and one of length. Checked: nothing is written outside the room, what is refused
// writes nothing at all and what is accepted has a length that makes sense; the decoder can always go on.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "codecs/audio/codec.h"
#include "codecs/audio/comfort_noise.h"

namespace {

using namespace ifgw::audio;

constexpr std::array<CodecSettings, 15> kSettings = {{{.codec = AudioCodec::Pcmu},
                                                      {.codec = AudioCodec::Pcma},
                                                      {.codec = AudioCodec::G722},
                                                      {.codec = AudioCodec::G729},
                                                      {.codec = AudioCodec::Opus, .pcm_rate_hz = 8000},
                                                      {.codec = AudioCodec::Opus, .pcm_rate_hz = 16'000},
                                                      {.codec = AudioCodec::Opus, .pcm_rate_hz = 48'000},
                                                      {.codec = AudioCodec::Gsm},
                                                      {.codec = AudioCodec::L16},
                                                      {.codec = AudioCodec::G726_16},
                                                      {.codec = AudioCodec::G726_24},
                                                      {.codec = AudioCodec::G726_32},
                                                      {.codec = AudioCodec::G726_40},
                                                      {.codec = AudioCodec::Speex},
                                                      {.codec = AudioCodec::Speex, .pcm_rate_hz = 16'000}}};
constexpr std::int16_t kGuard = 0x5A5A;

// PCM with room for `size` samples and a guard behind.
struct Room {
  explicit Room(std::size_t size_) : size(size_) { samples.fill(kGuard); }
  std::span<std::int16_t> pcm() { return std::span(samples).first(size); }
  void check_from(std::size_t used) const {
    if (!std::all_of(samples.begin() + static_cast<std::ptrdiff_t>(used), samples.end(), [](std::int16_t s) { return s == kGuard; }))
      std::abort();
  }
  std::size_t size;
  std::array<std::int16_t, kMaxPcmSamples + 64> samples;
};

void decode(const CodecSettings& settings, Decoder& decoder, std::span<const std::uint8_t> payload, std::size_t room_size) {
  Room room(room_size);
  const Decoded decoded = decoder.decode(payload, room.pcm());
  if (decoded.error != CodecError::None && decoded.samples != 0) std::abort();
  if (decoded.error == CodecError::None && (decoded.samples == 0 || decoded.samples > room_size)) std::abort();
  room.check_from(decoded.error == CodecError::None ? decoded.samples : 0);
  if (decoded.error == CodecError::None && pause_of(settings.codec, payload) != Pause::None && !format(settings.codec).describes_pauses)
    std::abort();
}

void fill(Decoder& decoder, std::span<const std::uint8_t> payload, std::size_t size, bool recover) {
  Room room(size);
  if (recover) {
    (void)decoder.recover(payload, room.pcm());
  } else {
    decoder.conceal(room.pcm());
  }
  room.check_from(size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const CodecSettings& settings = kSettings[(*data & 0x7F) % kSettings.size()];
  const std::size_t tenth = pcm_rate_hz(settings) / 100;
  const std::size_t room = (*data & 0x80) != 0 ? 2 * tenth : kMaxPcmSamples;
  ++data;
  --size;
  alignas(kStateAlignment) static std::array<std::byte, 32'768> memory;
  const DecoderPtr decoder = make_decoder(settings, memory);
  if (decoder == nullptr) std::abort();
  NoiseGenerator noise(1);
  while (size >= 2) {
    const std::uint8_t what = data[0];
    const std::size_t length = std::min<std::size_t>(data[1], size - 2);
    const std::span<const std::uint8_t> payload(data + 2, length);
    const std::size_t tenths = (what >> 4) % 12 + 1U;
    switch (what & 7) {
      case 0: fill(*decoder, {}, tenths * tenth, false); break;
      case 1: fill(*decoder, payload, tenths * tenth, true); break;
      case 2:
        if (noise.update(payload)) {
          Room hiss(tenths * tenth);
          noise.generate(hiss.pcm());
          hiss.check_from(hiss.size);
        }
        break;
      case 3: decoder->reset(); break;
      default: decode(settings, *decoder, payload, room);
    }
    data += 2 + length;
    size -= 2 + length;
  }
  return 0;
}
