// What a transcoded stream sounds like, in all directed pairs, against the plain chain: the sender's payloads through the
// decoder's library, an ideal resampler where the rates differ, and the encoder's library. G.711 and G.722 are spandsp's
// there, G.729 bcg729's, Opus libopus's; none of it is ours.
#include <gtest/gtest.h>
#include <opus/opus.h>
#include <spandsp.h>

#include <array>
#include <cmath>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

extern "C" {
#include <bcg729/decoder.h>
#include <bcg729/encoder.h>
}

#include "dataplane/engine/transcoder.h"
#include "tests/support/signals.h"

namespace ifgw::engine {
namespace {

using audio::AudioCodec;
using test::Pcm;
using Payload = std::vector<std::uint8_t>;
using Payloads = std::vector<Payload>;

constexpr unsigned kPacketsPerSecond = 50;

unsigned native_rate(AudioCodec codec) { return codec == AudioCodec::G722 ? 16'000 : codec == AudioCodec::Opus ? 48'000 : 8000; }

struct Pair {
  AudioCodec from, to;
  // Opus runs at the other side's rate.
  unsigned from_rate() const { return from == AudioCodec::Opus ? native_rate(to) : native_rate(from); }
  unsigned to_rate() const { return to == AudioCodec::Opus ? native_rate(from) : native_rate(to); }
};

// 20 ms a payload. `opus_complexity` as the encoder of the gateway, or that of a party.
Payloads library_encode(AudioCodec codec, const Pcm& pcm, unsigned rate, int opus_complexity, int opus_bitrate) {
  const std::size_t frame = rate / kPacketsPerSecond;
  const std::unique_ptr<g722_encode_state_t, int (*)(g722_encode_state_t*)> g722(g722_encode_init(nullptr, 64'000, 0), ::g722_encode_free);
  const std::unique_ptr<bcg729EncoderChannelContextStruct, void (*)(bcg729EncoderChannelContextStruct*)> g729(initBcg729EncoderChannel(0),
                                                                                                              closeBcg729EncoderChannel);
  int error = OPUS_OK;
  const std::unique_ptr<OpusEncoder, void (*)(OpusEncoder*)> opus(
      opus_encoder_create(static_cast<opus_int32>(rate), 1, OPUS_APPLICATION_VOIP, &error), opus_encoder_destroy);
  opus_encoder_ctl(opus.get(), OPUS_SET_COMPLEXITY(opus_complexity));
  opus_encoder_ctl(opus.get(), OPUS_SET_BITRATE(opus_bitrate));
  Payloads payloads;
  for (std::size_t at = 0; at + frame <= pcm.size(); at += frame) {
    const std::int16_t* in = &pcm[at];
    Payload out(1440);
    switch (codec) {
      case AudioCodec::Pcmu:
      case AudioCodec::Pcma:
        for (std::size_t i = 0; i < frame; ++i) out[i] = codec == AudioCodec::Pcmu ? linear_to_ulaw(in[i]) : linear_to_alaw(in[i]);
        out.resize(frame);
        break;
      case AudioCodec::G722: out.resize(static_cast<std::size_t>(g722_encode(g722.get(), out.data(), in, static_cast<int>(frame)))); break;
      case AudioCodec::G729:
        for (std::size_t i = 0; i < 2; ++i) {
          std::uint8_t bytes = 0;
          bcg729Encoder(g729.get(), in + i * 80, &out[i * 10], &bytes);
          EXPECT_EQ(bytes, 10);
        }
        out.resize(20);
        break;
      default:
        out.resize(static_cast<std::size_t>(
            opus_encode(opus.get(), in, static_cast<int>(frame), out.data(), static_cast<opus_int32>(out.size()))));
    }
    payloads.push_back(out);
  }
  return payloads;
}

Pcm library_decode(AudioCodec codec, const Payloads& payloads, unsigned rate) {
  const std::size_t frame = rate / kPacketsPerSecond;
  const std::unique_ptr<g722_decode_state_t, int (*)(g722_decode_state_t*)> g722(g722_decode_init(nullptr, 64'000, 0), ::g722_decode_free);
  const std::unique_ptr<bcg729DecoderChannelContextStruct, void (*)(bcg729DecoderChannelContextStruct*)> g729(initBcg729DecoderChannel(),
                                                                                                              closeBcg729DecoderChannel);
  int error = OPUS_OK;
  const std::unique_ptr<OpusDecoder, void (*)(OpusDecoder*)> opus(opus_decoder_create(static_cast<opus_int32>(rate), 1, &error),
                                                                  opus_decoder_destroy);
  Pcm pcm;
  for (const Payload& payload : payloads) {
    Pcm out(frame);
    switch (codec) {
      case AudioCodec::Pcmu:
      case AudioCodec::Pcma:
        for (std::size_t i = 0; i < frame; ++i)
          out[i] = codec == AudioCodec::Pcmu ? ulaw_to_linear(payload[i]) : alaw_to_linear(payload[i]);
        break;
      case AudioCodec::G722: g722_decode(g722.get(), out.data(), payload.data(), static_cast<int>(payload.size())); break;
      case AudioCodec::G729:
        for (std::size_t i = 0; i < 2; ++i) bcg729Decoder(g729.get(), &payload[i * 10], 10, 0, 0, 0, &out[i * 80]);
        break;
      default:
        EXPECT_EQ(opus_decode(opus.get(), payload.data(), static_cast<opus_int32>(payload.size()), out.data(), static_cast<int>(frame), 0),
                  static_cast<int>(frame));
    }
    pcm.insert(pcm.end(), out.begin(), out.end());
  }
  return pcm;
}

// Band-limited interpolation in double precision, `delay_s` later.
Pcm ideal_resample(const Pcm& in, unsigned from, unsigned to, double delay_s) {
  constexpr int kHalf = 48;
  const double cutoff = std::min(1.0, static_cast<double>(to) / from);
  Pcm out(in.size() * to / from);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double at = (static_cast<double>(i) / to - delay_s) * from;
    const auto middle = static_cast<long>(std::floor(at));
    double sum = 0;
    for (long n = middle - kHalf + 1; n <= middle + kHalf; ++n) {
      if (n < 0 || n >= static_cast<long>(in.size())) continue;
      const double x = at - static_cast<double>(n);
      const double turn = std::numbers::pi * x / kHalf;
      const double window = 0.42 + 0.5 * std::cos(turn) + 0.08 * std::cos(2 * turn);
      const double angle = std::numbers::pi * x * cutoff;
      sum += in[static_cast<std::size_t>(n)] * window * cutoff * (std::abs(angle) < 1e-9 ? 1 : std::sin(angle) / angle);
    }
    out[i] = static_cast<std::int16_t>(std::lround(std::clamp(sum, -32768.0, 32767.0)));
  }
  return out;
}

// What the plain chain sends. The gateway's Opus encoder is told what the wrapper's documentation says.
Payloads library_chain(const Pair& pair, const Payloads& received, double delay_s) {
  const Pcm decoded = library_decode(pair.from, received, pair.from_rate());
  const bool same = pair.from_rate() == pair.to_rate();
  const int bitrate = pair.to_rate() == 8000 ? 16'000 : 24'000;
  return library_encode(pair.to, same ? decoded : ideal_resample(decoded, pair.from_rate(), pair.to_rate(), delay_s), pair.to_rate(), 5,
                        bitrate);
}

Payloads transcode(const Pair& pair, const Payloads& received) {
  const TranscoderSettings settings{{pair.from}, {pair.to}, 20};
  test::AlignedBytes memory(Transcoder::required_bytes(settings));
  const Transcoder::Ptr coder = Transcoder::make(settings, memory.span());
  RtpOut out{1, 0, 0};
  Payloads sent;
  Payload room(audio::kMaxPayloadBytes);
  const std::uint32_t step = audio::format(pair.from).rtp_clock_hz / kPacketsPerSecond;
  for (std::size_t i = 0; i < received.size(); ++i) {
    EXPECT_EQ(coder->take({static_cast<std::uint16_t>(i), static_cast<std::uint32_t>(i) * step, false, received[i]}, out, from_ns(0)),
              Transcoder::Intake::Taken);
    for (Transcoder::Output output; coder->next(room, out, from_ns(0), output);)
      sent.emplace_back(room.begin(), room.begin() + static_cast<long>(output.size));
  }
  return sent;
}

Payloads party_says(const Pair& pair, const Pcm& pcm) { return library_encode(pair.from, pcm, native_rate(pair.from), 10, 32'000); }

double snr_db(const Pcm& reference, const Pcm& heard) {
  double signal = 0, noise = 0;
  for (std::size_t i = reference.size() / 10; i < std::min(reference.size(), heard.size()); ++i) {
    signal += static_cast<double>(reference[i]) * reference[i];
    noise += static_cast<double>(reference[i] - heard[i]) * (reference[i] - heard[i]);
  }
  return 10 * std::log10(signal / std::max(noise, 1e-9));
}

// The tone by the rest, and its level, over a whole second: of a whole number of Hz whole periods. What is before it is left
// out: codecs settle.
struct Tone {
  double level = 0, sinad_db = 0;
};
Tone measure_tone(const Pcm& pcm, double hz, unsigned rate) {
  const std::span<const std::int16_t> settled = std::span(pcm).last(rate);
  double c = 0, s = 0, all = 0;
  for (std::size_t i = 0; i < settled.size(); ++i) {
    const double angle = 2 * std::numbers::pi * hz * static_cast<double>(i) / rate;
    c += settled[i] * std::cos(angle);
    s += settled[i] * std::sin(angle);
    all += static_cast<double>(settled[i]) * settled[i];
  }
  const double n = static_cast<double>(settled.size());
  const double tone = 2 * (c * c + s * s) / n;
  return {2 * std::hypot(c, s) / n, 10 * std::log10(tone / std::max(all - tone, 1e-9))};
}

std::vector<Pair> pairs(bool resampled) {
  std::vector<Pair> found;
  constexpr std::array kCodecs{AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::G722, AudioCodec::G729, AudioCodec::Opus};
  for (const AudioCodec a : kCodecs)
    for (const AudioCodec b : kCodecs)
      if (const Pair pair{a, b}; a != b && (pair.from_rate() != pair.to_rate()) == resampled) found.push_back(pair);
  return found;
}
std::string name_of(const ::testing::TestParamInfo<Pair>& info) {
  return std::string(audio::format(info.param.from).name) + "To" + audio::format(info.param.to).name;
}

// Primes: a tone whose period is a few samples meets the same few quantisation errors over and over.
const std::array<double, 9> kSweep{307, 509, 811, 1009, 1511, 2003, 2503, 3001, 3391};

class SameRate : public ::testing::TestWithParam<Pair> {};
INSTANTIATE_TEST_SUITE_P(All, SameRate, ::testing::ValuesIn(pairs(false)), name_of);

TEST_P(SameRate, EveryByteIsThePlainChains) {
  const unsigned rate = native_rate(GetParam().from);
  std::vector<Pcm> signals{test::speech(rate, rate * 6), test::noise(3000, rate * 2)};
  for (const double hz : kSweep) signals.push_back(test::tone(hz, rate, 8000, rate));
  if (rate > 8000) signals.push_back(test::tone(6500, rate, 8000, rate));
  for (const Pcm& signal : signals) {
    const Payloads received = party_says(GetParam(), signal);
    ASSERT_EQ(transcode(GetParam(), received), library_chain(GetParam(), received, 0));
  }
}

class Resampled : public ::testing::TestWithParam<Pair> {};
INSTANTIATE_TEST_SUITE_P(All, Resampled, ::testing::ValuesIn(pairs(true)), name_of);

// The delay of our resampler is looked for; the ideal one has none. G.729 models speech: a small difference before it is a
// larger one behind it.
TEST_P(Resampled, SpeechIsThePlainChains) {
  const unsigned rate = native_rate(GetParam().from), heard_at = native_rate(GetParam().to);
  const Payloads received = party_says(GetParam(), test::speech(rate, rate * 3));
  const Payloads sent = transcode(GetParam(), received);
  ASSERT_EQ(sent.size(), received.size());
  const Pcm heard = library_decode(GetParam().to, sent, heard_at);
  const double stated_s = GetParam().from_rate() == 8000 ? 0.84e-3 : 0.78e-3;  // codecs/audio/resample.h
  double best_db = -100;
  int best = 0;
  for (int step = -3; step <= 3; ++step) {
    const Payloads plain = library_chain(GetParam(), received, stated_s + step / 64'000.0);
    const double db = snr_db(library_decode(GetParam().to, plain, heard_at), heard);
    if (db > best_db) best_db = db, best = step;
  }
  RecordProperty("snr_db", std::to_string(best_db));
  EXPECT_GT(best_db, GetParam().to == AudioCodec::G729 ? 8 : 25);
  EXPECT_LE(std::abs(best), 1) << "its delay is another than it says";
}

TEST_P(Resampled, TonesAreAsPureAsThePlainChains) {
  const unsigned rate = native_rate(GetParam().from), heard_at = native_rate(GetParam().to);
  const bool models = GetParam().from == AudioCodec::G729 || GetParam().to == AudioCodec::G729;
  double ahead_db = 0;
  int carried = 0;
  for (const double hz : kSweep) {
    const Payloads received = party_says(GetParam(), test::tone(hz, rate, 8000, rate * 14 / 10));
    const Tone ours = measure_tone(library_decode(GetParam().to, transcode(GetParam(), received), heard_at), hz, heard_at);
    const Tone theirs = measure_tone(library_decode(GetParam().to, library_chain(GetParam(), received, 0.8e-3), heard_at), hz, heard_at);
    if (theirs.sinad_db < 0) continue;  // G.729 does not carry the highest
    EXPECT_NEAR(test::db(ours.level / theirs.level), 0, models ? 1.5 : 0.5) << hz;
    if (!models) {
      EXPECT_GT(ours.sinad_db, 30) << hz;
      EXPECT_GT(ours.sinad_db, theirs.sinad_db - 3) << hz;
    }
    ++carried;
    ahead_db += ours.sinad_db - theirs.sinad_db;
  }
  EXPECT_GE(carried, models ? 8 : 9);
  EXPECT_GT(ahead_db / carried, models ? -2 : -1) << "over the whole sweep";
}

}  // namespace
}  // namespace ifgw::engine
