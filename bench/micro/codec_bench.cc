// Codecs and resampler on 20 ms of speech, each beside the plain library call: `codec_encode/NAME`, `codec_decode/NAME`,
// `resample/FROM/TO`. Where the library is what we wrap, `ratio` is what the wrapper costs; else it compares kernels.
#include <gsm.h>
#include <opus/opus.h>
#include <spandsp.h>
#include <speex/speex_resampler.h>

#include "bench/micro/windows.h"
#include "codecs/audio/resample.h"
#include "tests/support/signals.h"

extern "C" {
#include <bcg729/decoder.h>
#include <bcg729/encoder.h>
}

namespace ifgw::bench {
namespace {

using audio::AudioCodec;
using audio::CodecSettings;
using test::Pcm;

constexpr std::size_t kFrames = 50;  // one second, over and over
constexpr std::size_t kMaxFrame = 960;

// Frames of both kinds, as the codec under test makes them, and its two ends.
struct Second {
  explicit Second(const CodecSettings& settings)
      : rate(audio::pcm_rate_hz(settings)), frame(rate / 50), pcm(test::speech(rate, rate)), encoder(settings), decoder(settings) {
    for (std::size_t i = 0; i < kFrames; ++i) {
      std::vector<std::uint8_t> payload(audio::kMaxPayloadBytes);
      payload.resize(encoder->encode(in(i), payload).size);
      payloads.push_back(payload);
    }
    encoder->reset();
  }
  std::span<const std::int16_t> in(std::size_t i) const { return std::span(pcm).subspan(i * frame, frame); }

  unsigned rate;
  std::size_t frame;
  Pcm pcm;
  test::OwnedEncoder encoder;
  test::OwnedDecoder decoder;
  std::vector<std::vector<std::uint8_t>> payloads;
};

// `library(pcm, payload)` and `library(payload, pcm)` code one frame with the library.
template <typename Library>
void encode_beside(benchmark::State& state, Second& second, Library&& library) {
  std::array<std::uint8_t, audio::kMaxPayloadBytes> out;
  measure_beside(
      state, kFrames,
      [&] {
        for (std::size_t i = 0; i < kFrames; ++i) benchmark::DoNotOptimize(second.encoder->encode(second.in(i), out));
      },
      [&] {
        for (std::size_t i = 0; i < kFrames; ++i) library(second.in(i), std::span(out));
      });
}
template <typename Library>
void decode_beside(benchmark::State& state, Second& second, Library&& library) {
  std::array<std::int16_t, kMaxFrame> out;
  measure_beside(
      state, kFrames,
      [&] {
        for (const auto& payload : second.payloads) benchmark::DoNotOptimize(second.decoder->decode(payload, out));
      },
      [&] {
        for (const auto& payload : second.payloads) library(std::span(payload), std::span(out));
      });
}

void g711_encode(benchmark::State& state) {
  Second second({.codec = AudioCodec::Pcmu});
  encode_beside(state, second, [](auto pcm, auto payload) {
    for (std::size_t i = 0; i < pcm.size(); ++i) payload[i] = linear_to_ulaw(pcm[i]);
    benchmark::ClobberMemory();
  });
}
void g711_decode(benchmark::State& state) {
  Second second({.codec = AudioCodec::Pcmu});
  decode_beside(state, second, [](auto payload, auto pcm) {
    for (std::size_t i = 0; i < payload.size(); ++i) pcm[i] = ulaw_to_linear(payload[i]);
    benchmark::ClobberMemory();
  });
}

void g722_encode(benchmark::State& state) {
  Second second({.codec = AudioCodec::G722});
  auto* library = g722_encode_init(nullptr, 64'000, 0);
  encode_beside(state, second,
                [&](auto pcm, auto payload) { (void)::g722_encode(library, payload.data(), pcm.data(), static_cast<int>(pcm.size())); });
  g722_encode_free(library);
}
void g722_decode(benchmark::State& state) {
  Second second({.codec = AudioCodec::G722});
  auto* library = g722_decode_init(nullptr, 64'000, 0);
  decode_beside(state, second, [&](auto payload, auto pcm) {
    (void)::g722_decode(library, pcm.data(), payload.data(), static_cast<int>(payload.size()));
  });
  g722_decode_free(library);
}

void g726_encode(benchmark::State& state) {
  Second second({.codec = AudioCodec::G726_32});
  auto* library = g726_init(nullptr, 32'000, G726_ENCODING_LINEAR, G726_PACKING_RIGHT);
  encode_beside(state, second,
                [&](auto pcm, auto payload) { (void)::g726_encode(library, payload.data(), pcm.data(), static_cast<int>(pcm.size())); });
  g726_free(library);
}
void g726_decode(benchmark::State& state) {
  Second second({.codec = AudioCodec::G726_32});
  auto* library = g726_init(nullptr, 32'000, G726_ENCODING_LINEAR, G726_PACKING_RIGHT);
  decode_beside(state, second, [&](auto payload, auto pcm) {
    (void)::g726_decode(library, pcm.data(), payload.data(), static_cast<int>(payload.size()));
  });
  g726_free(library);
}

void gsm_encode(benchmark::State& state) {
  Second second({.codec = AudioCodec::Gsm});
  gsm library = gsm_create();
  encode_beside(state, second, [&](auto pcm, auto payload) { ::gsm_encode(library, const_cast<gsm_signal*>(pcm.data()), payload.data()); });
  gsm_destroy(library);
}
void gsm_decode(benchmark::State& state) {
  Second second({.codec = AudioCodec::Gsm});
  gsm library = gsm_create();
  decode_beside(state, second,
                [&](auto payload, auto pcm) { (void)::gsm_decode(library, const_cast<gsm_byte*>(payload.data()), pcm.data()); });
  gsm_destroy(library);
}

void g729_encode(benchmark::State& state) {
  Second second({.codec = AudioCodec::G729});
  auto* library = initBcg729EncoderChannel(0);
  encode_beside(state, second, [&](auto pcm, auto payload) {
    std::uint8_t bytes = 0;
    for (std::size_t i = 0; i < 2; ++i) bcg729Encoder(library, &pcm[80 * i], &payload[10 * i], &bytes);
  });
  closeBcg729EncoderChannel(library);
}
void g729_decode(benchmark::State& state) {
  Second second({.codec = AudioCodec::G729});
  auto* library = initBcg729DecoderChannel();
  decode_beside(state, second, [&](auto payload, auto pcm) {
    for (std::size_t i = 0; i < 2; ++i) bcg729Decoder(library, &payload[10 * i], 10, 0, 0, 0, &pcm[80 * i]);
  });
  closeBcg729DecoderChannel(library);
}

CodecSettings opus(const benchmark::State& state) {
  return {.codec = AudioCodec::Opus, .pcm_rate_hz = static_cast<std::uint32_t>(state.range(0)), .opus = {.bitrate_bps = 24'000}};
}
void opus_encode(benchmark::State& state) {
  Second second(opus(state));
  OpusEncoder* library = opus_encoder_create(static_cast<opus_int32>(second.rate), 1, OPUS_APPLICATION_VOIP, nullptr);
  opus_encoder_ctl(library, OPUS_SET_BITRATE(24'000));
  opus_encoder_ctl(library, OPUS_SET_COMPLEXITY(5));
  encode_beside(state, second, [&](auto pcm, auto payload) {
    benchmark::DoNotOptimize(
        ::opus_encode(library, pcm.data(), static_cast<int>(pcm.size()), payload.data(), static_cast<opus_int32>(payload.size())));
  });
  opus_encoder_destroy(library);
}
void opus_decode(benchmark::State& state) {
  Second second(opus(state));
  OpusDecoder* library = opus_decoder_create(static_cast<opus_int32>(second.rate), 1, nullptr);
  decode_beside(state, second, [&](auto payload, auto pcm) {
    benchmark::DoNotOptimize(
        ::opus_decode(library, payload.data(), static_cast<opus_int32>(payload.size()), pcm.data(), static_cast<int>(pcm.size()), 0));
  });
  opus_decoder_destroy(library);
}

// What the filter does to tones: how far the passband (3.4 kHz; 6.8 between the wide rates) is from flat, how loud images are beside the
// tone (upwards), and the delay of an impulse's energy.
void judge_resampler(benchmark::State& state, unsigned from, unsigned to) {
  const double edge = std::min(from, to) == 8000 ? 3400 : 6800;
  const auto through = [&](const Pcm& in) {
    audio::Resampler resampler(from, to);
    Pcm out(in.size() * to / from);
    if (resampler.process(in, out) != in.size() * to / from) state.SkipWithError("not n * ratio samples");
    return out;
  };
  double ripple_db = 0, images_db = -200;
  for (double hz = 100; hz <= edge; hz += 100) {
    const Pcm out = through(test::tone(hz, from, 10'000, from / 4));
    const std::span<const std::int16_t> settled = std::span(out).subspan(to / 20);
    ripple_db = std::max(ripple_db, std::abs(test::db(test::level(settled, hz, to) / 10'000)));
    for (double centre = from; centre <= to / 2.0; centre += from)
      for (const double image : {centre - hz, centre + hz})
        if (image <= to / 2.0) images_db = std::max(images_db, test::db(test::level(settled, image, to) / 10'000));
  }
  Pcm impulse(from / 10);
  impulse[impulse.size() / 2] = 20'000;
  const Pcm out = through(impulse);
  double energy = 0, moment = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    energy += static_cast<double>(out[i]) * out[i];
    moment += static_cast<double>(out[i]) * out[i] * static_cast<double>(i);
  }
  state.counters["ripple_db"] = ripple_db;
  if (to > from) state.counters["images_db"] = images_db;
  state.counters["delay_ms"] = 1000 * (moment / energy / to - static_cast<double>(impulse.size() / 2) / from);
}

void resample(benchmark::State& state) {
  const auto from = static_cast<unsigned>(state.range(0));
  const auto to = static_cast<unsigned>(state.range(1));
  const Pcm in = test::speech(from, from / 50);
  Pcm out(to / 50);
  audio::Resampler resampler(from, to);
  int error = 0;
  SpeexResamplerState* library = speex_resampler_init(1, from, to, 3, &error);
  measure_beside(
      state, kFrames,
      [&] {
        for (std::size_t i = 0; i < kFrames; ++i) benchmark::DoNotOptimize(resampler.process(in, out));
      },
      [&] {
        for (std::size_t i = 0; i < kFrames; ++i) {
          auto in_size = static_cast<spx_uint32_t>(in.size());
          auto out_size = static_cast<spx_uint32_t>(out.size());
          (void)speex_resampler_process_int(library, 0, in.data(), &in_size, out.data(), &out_size);
        }
      });
  speex_resampler_destroy(library);
  judge_resampler(state, from, to);
}

BENCHMARK(g711_encode)->Name("codec_encode/PCMU/spandsp")->Iterations(40)->UseManualTime();
BENCHMARK(g711_decode)->Name("codec_decode/PCMU/spandsp")->Iterations(40)->UseManualTime();
BENCHMARK(g722_encode)->Name("codec_encode/G722/spandsp")->Iterations(40)->UseManualTime();
BENCHMARK(g722_decode)->Name("codec_decode/G722/spandsp")->Iterations(40)->UseManualTime();
BENCHMARK(g726_encode)->Name("codec_encode/G726-32/spandsp")->Iterations(40)->UseManualTime();
BENCHMARK(g726_decode)->Name("codec_decode/G726-32/spandsp")->Iterations(40)->UseManualTime();
BENCHMARK(gsm_encode)->Name("codec_encode/GSM/libgsm")->Iterations(40)->UseManualTime();
BENCHMARK(gsm_decode)->Name("codec_decode/GSM/libgsm")->Iterations(40)->UseManualTime();
BENCHMARK(g729_encode)->Name("codec_encode/G729/bcg729")->Iterations(40)->UseManualTime();
BENCHMARK(g729_decode)->Name("codec_decode/G729/bcg729")->Iterations(40)->UseManualTime();
BENCHMARK(opus_encode)->Name("codec_encode/opus/libopus")->Arg(8000)->Arg(16'000)->Arg(48'000)->Iterations(40)->UseManualTime();
BENCHMARK(opus_decode)->Name("codec_decode/opus/libopus")->Arg(8000)->Arg(16'000)->Arg(48'000)->Iterations(40)->UseManualTime();
BENCHMARK(resample)
    ->Name("resample/speexdsp_q3")
    ->Args({8000, 16'000})
    ->Args({8000, 48'000})
    ->Args({16'000, 48'000})
    ->Args({16'000, 8000})
    ->Args({48'000, 8000})
    ->Args({48'000, 16'000})
    ->Iterations(40)
    ->UseManualTime();

}  // namespace
}  // namespace ifgw::bench
