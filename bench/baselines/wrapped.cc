// What the wrapper around a codec library costs: the same second of voice through our coder and through the library's own
// functions, for callgrind to count all instructions of (ifgw-bench reads them). Prints a JSON object per count: its name, and
// for how many frames it is.
//
// Run without valgrind it does the same and counts nothing.
#include <opus/opus.h>
#include <valgrind/callgrind.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/signals.h"

extern "C" {
#include <bcg729/decoder.h>
#include <bcg729/encoder.h>
}

namespace ifgw::bench {
namespace {

constexpr std::size_t kFrames = 50;
int g_result = 0;  // of the libraries, which want theirs to be used

[[gnu::noinline]] void count(const std::string& name, const std::function<void()>& second) {
  second();  // what is done once is not counted
  CALLGRIND_ZERO_STATS;
  CALLGRIND_TOGGLE_COLLECT;
  second();
  CALLGRIND_TOGGLE_COLLECT;
  CALLGRIND_DUMP_STATS_AT(name.c_str());
  std::printf("{\"name\": \"%s\", \"frames\": %zu}\n", name.c_str(), kFrames);
}

struct Voice {
  explicit Voice(const audio::CodecSettings& s)
      : settings(s), rate(audio::pcm_rate_hz(s)), frame(rate / 50), pcm(test::speech(rate, rate)) {
    test::OwnedEncoder encoder(settings);
    for (std::size_t i = 0; i < kFrames; ++i) {
      std::vector<std::uint8_t>& payload = payloads.emplace_back(audio::kMaxPayloadBytes);
      payload.resize(encoder->encode(in(i), payload).size);
    }
  }
  std::span<const std::int16_t> in(std::size_t i) const { return std::span(pcm).subspan(i * frame, frame); }
  audio::CodecSettings settings;
  std::uint32_t rate;
  std::size_t frame;
  test::Pcm pcm;
  std::vector<std::vector<std::uint8_t>> payloads;
};

void count_ours(const std::string& what, const Voice& voice) {
  test::OwnedEncoder encoder(voice.settings);
  test::OwnedDecoder decoder(voice.settings);
  std::vector<std::uint8_t> payload(audio::kMaxPayloadBytes);
  test::Pcm pcm(voice.frame);
  count(what + " encode, ours", [&] {
    for (std::size_t i = 0; i < kFrames; ++i) (void)encoder->encode(voice.in(i), payload);
  });
  count(what + " decode, ours", [&] {
    for (const auto& in : voice.payloads) (void)decoder->decode(in, pcm);
  });
}

void count_opus(std::uint32_t rate) {
  constexpr int kBitrate = 24'000, kComplexity = 5;
  const Voice voice({.codec = audio::AudioCodec::Opus, .pcm_rate_hz = rate, .opus = {.bitrate_bps = kBitrate, .complexity = kComplexity}});
  const std::string what = "opus " + std::to_string(rate / 1000) + " kHz";
  count_ours(what, voice);
  OpusEncoder* encoder = opus_encoder_create(static_cast<opus_int32>(rate), 1, OPUS_APPLICATION_VOIP, nullptr);
  opus_encoder_ctl(encoder, OPUS_SET_BITRATE(kBitrate));
  opus_encoder_ctl(encoder, OPUS_SET_COMPLEXITY(kComplexity));
  OpusDecoder* decoder = opus_decoder_create(static_cast<opus_int32>(rate), 1, nullptr);
  std::vector<std::uint8_t> payload(audio::kMaxPayloadBytes);
  test::Pcm pcm(voice.frame);
  count(what + " encode, library", [&] {
    for (std::size_t i = 0; i < kFrames; ++i)
      g_result = g_result + opus_encode(encoder, voice.in(i).data(), static_cast<int>(voice.frame), payload.data(),
                                        static_cast<opus_int32>(payload.size()));
  });
  count(what + " decode, library", [&] {
    for (const auto& in : voice.payloads)
      g_result =
          g_result + opus_decode(decoder, in.data(), static_cast<opus_int32>(in.size()), pcm.data(), static_cast<int>(pcm.size()), 0);
  });
  opus_encoder_destroy(encoder);
  opus_decoder_destroy(decoder);
}

void count_g729() {
  const Voice voice({.codec = audio::AudioCodec::G729});
  count_ours("G729", voice);
  auto* encoder = initBcg729EncoderChannel(0);
  auto* decoder = initBcg729DecoderChannel();
  std::vector<std::uint8_t> payload(audio::kMaxPayloadBytes);
  test::Pcm pcm(voice.frame);
  count("G729 encode, library", [&] {
    std::uint8_t bytes = 0;
    for (std::size_t i = 0; i < kFrames; ++i)
      for (std::size_t half = 0; half < 2; ++half) bcg729Encoder(encoder, voice.in(i).data() + 80 * half, &payload[10 * half], &bytes);
  });
  count("G729 decode, library", [&] {
    for (const auto& in : voice.payloads)
      for (std::size_t half = 0; half < 2; ++half) bcg729Decoder(decoder, in.data() + 10 * half, 10, 0, 0, 0, &pcm[80 * half]);
  });
  closeBcg729EncoderChannel(encoder);
  closeBcg729DecoderChannel(decoder);
}

}  // namespace
}  // namespace ifgw::bench

int main() {
  for (const std::uint32_t rate : {8000U, 16'000U, 48'000U}) ifgw::bench::count_opus(rate);
  ifgw::bench::count_g729();
}
