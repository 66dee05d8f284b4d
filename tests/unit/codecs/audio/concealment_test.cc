// What is heard in place of lost packets of codecs that bring no substitute of their own: judged against silence and against spandsp's
// concealment.
#include <gtest/gtest.h>
#include <spandsp.h>

#include <functional>

#include "tests/support/signals.h"

namespace ifgw::audio {
namespace {

using test::Pcm;

// Vowels of five voices (harmonics of a gliding pitch under formants), without pauses.
Pcm voiced(unsigned rate_hz, double pitch_hz, std::size_t samples) {
  Pcm out(samples);
  double phase = 0;
  for (std::size_t i = 0; i < samples; ++i) {
    const double at = static_cast<double>(i) / rate_hz;
    phase += 2 * std::numbers::pi * pitch_hz * (1 + 0.05 * std::sin(2 * std::numbers::pi * 1.5 * at)) / rate_hz;
    double sum = 0;
    for (int h = 1; h * pitch_hz < 3400; ++h) {
      const double f = h * pitch_hz;
      sum +=
          (std::exp(-std::pow((f - 500) / 250, 2)) + 0.5 * std::exp(-std::pow((f - 1500) / 300, 2)) + 0.02) * std::sin(phase * h + h * h);
    }
    out[i] = static_cast<std::int16_t>(2500 * sum);
  }
  return out;
}
constexpr std::array kPitches{75.0, 105.0, 140.0, 175.0, 195.0};

// The signal as heard through a codec when packets in `lost` (20 ms each) do not come.
struct Heard {
  Pcm whole, concealed;
  std::vector<std::size_t> gaps;  // where lost packets begin, in samples
};
Heard listen(const CodecSettings& settings, const Pcm& pcm, const std::function<bool(std::size_t)>& lost) {
  const test::OwnedEncoder encoder(settings);
  const test::OwnedDecoder all(settings), some(settings);
  const std::size_t frame = pcm_rate_hz(settings) / 50;
  Heard heard;
  for (std::size_t i = 0; (i + 1) * frame <= pcm.size(); ++i) {
    std::vector<std::uint8_t> payload(kMaxPayloadBytes);
    payload.resize(encoder->encode(std::span(pcm).subspan(i * frame, frame), payload).size);
    Pcm a(frame), b(frame);
    (void)all->decode(payload, a);
    if (lost(i)) {
      heard.gaps.push_back(i * frame);
      some->conceal(b);
    } else {
      (void)some->decode(payload, b);
    }
    heard.whole.insert(heard.whole.end(), a.begin(), a.end());
    heard.concealed.insert(heard.concealed.end(), b.begin(), b.end());
  }
  return heard;
}

// Signal to error within the gaps, in dB: 0 is what silence has.
double gap_snr(const Heard& h, std::size_t frame) {
  double signal = 0, error = 0;
  for (const std::size_t at : h.gaps) {
    for (std::size_t i = at; i < at + frame; ++i) {
      signal += std::pow(h.whole[i], 2);
      error += std::pow(h.whole[i] - h.concealed[i], 2);
    }
  }
  return 10 * std::log10(signal / error);
}
int steepest(std::span<const std::int16_t> pcm) {
  int most = 0;
  for (std::size_t i = 1; i < pcm.size(); ++i) most = std::max(most, std::abs(pcm[i] - pcm[i - 1]));
  return most;
}

bool every_fifth(std::size_t packet) { return packet % 5 == 4; }

TEST(Concealment, SpeechGoesOnThroughALostPacketAtLeastAsWellAsWithSpandsp) {
  double ours_sum = 0, theirs_sum = 0;
  for (const double pitch : kPitches) {
    const Pcm pcm = voiced(8000, pitch, 16'000);
    const Heard ours = listen({AudioCodec::Pcmu}, pcm, every_fifth);
    Heard theirs = ours;
    plc_state_t* plc = plc_init(nullptr);
    for (std::size_t at = 0; at < theirs.whole.size(); at += 160) {
      std::copy_n(ours.whole.begin() + static_cast<std::ptrdiff_t>(at), 160, theirs.concealed.begin() + static_cast<std::ptrdiff_t>(at));
      (every_fifth(at / 160) ? plc_fillin : plc_rx)(plc, &theirs.concealed[at], 160);
    }
    plc_free(plc);
    const double snr = gap_snr(ours, 160);
    EXPECT_GT(snr, 3) << pitch << " Hz; silence has 0";
    ours_sum += snr;
    theirs_sum += gap_snr(theirs, 160);
  }
  EXPECT_GT(ours_sum, theirs_sum) << "over all voices";
  RecordProperty("ours_db", std::to_string(ours_sum / kPitches.size()));
  RecordProperty("spandsp_db", std::to_string(theirs_sum / kPitches.size()));
  std::printf("in gaps of 20 ms: ours %.1f dB, spandsp %.1f dB, silence 0 dB\n", ours_sum / kPitches.size(), theirs_sum / kPitches.size());
}

TEST(Concealment, G722SpeechGoesOnThroughALostPacket) {
  double sum = 0;
  for (const double pitch : kPitches) {
    const Heard heard = listen({AudioCodec::G722}, voiced(16'000, pitch, 32'000), every_fifth);
    const double snr = gap_snr(heard, 320);
    EXPECT_GT(snr, 3) << pitch;
    sum += snr;
  }
  std::printf("G.722 in gaps of 20 ms: %.1f dB, silence 0 dB\n", sum / kPitches.size());
}

// Signal to error from `after` frames behind each gap on, one frame long.
double snr_behind(const Heard& h, std::size_t frame, std::size_t after) {
  double signal = 0, error = 0;
  for (const std::size_t at : h.gaps) {
    const std::size_t begin = at + after * frame;
    for (std::size_t i = begin; i < std::min(begin + frame, h.whole.size()); ++i) {
      signal += std::pow(h.whole[i], 2);
      error += std::pow(h.whole[i] - h.concealed[i], 2);
    }
  }
  return 10 * std::log10(signal / std::max(error, 1.0));
}

// Their predictors have missed a packet: they must find back, too.
TEST(Concealment, SpeechOfCodecsThatPredictGoesOnAndTheyFindBack) {
  struct Codec {
    const char* name;
    CodecSettings settings;
    double gap, next, third;  // dB, at least
  };
  // GSM's long-term predictor carries on what was missed, in whatever is done.
  const Codec codecs[] = {{"G726-16", {AudioCodec::G726_16}, 3, 7, 12},
                          {"G726-24", {AudioCodec::G726_24}, 3, 7, 12},
                          {"G726-32", {AudioCodec::G726_32}, 3, 7, 12},
                          {"G726-40", {AudioCodec::G726_40}, 3, 7, 11},
                          {"GSM", {AudioCodec::Gsm}, 1, 1, 3},
                          {"L16/8000", {AudioCodec::L16}, 3, 9, 90},
                          {"L16/16000", {AudioCodec::L16, 16'000}, 4, 9, 90},
                          {"G722", {AudioCodec::G722}, 4, 8, 15}};
  for (const Codec& codec : codecs) {
    SCOPED_TRACE(codec.name);
    const unsigned rate = pcm_rate_hz(codec.settings);
    double gap = 0, next = 0, third = 0;
    for (const double pitch : kPitches) {
      const Heard heard = listen(codec.settings, voiced(rate, pitch, 2 * rate), every_fifth);
      gap += gap_snr(heard, rate / 50) / kPitches.size();
      next += snr_behind(heard, rate / 50, 1) / kPitches.size();
      third += snr_behind(heard, rate / 50, 3) / kPitches.size();
    }
    std::printf("%s: gaps of 20 ms %.1f dB (silence 0), the packet behind %.1f dB, the third %.1f dB\n", codec.name, gap, next, third);
    EXPECT_GT(gap, codec.gap);
    EXPECT_GT(next, codec.next);
    EXPECT_GT(third, codec.third);
  }
}

// GSM 06.11: the last frame again, quieter each time, silence in the end; and nothing before there was a frame.
TEST(Concealment, GsmFadesInItsOwnWay) {
  const CodecSettings settings{AudioCodec::Gsm};
  const test::OwnedEncoder encoder(settings);
  const test::OwnedDecoder decoder(settings);
  Pcm frame(160, 1);
  decoder->conceal(frame);
  EXPECT_EQ(test::rms(frame), 0);
  const Pcm pcm = voiced(8000, 140, 1600);
  for (std::size_t at = 0; at < pcm.size(); at += 160) {
    std::vector<std::uint8_t> payload(33);
    ASSERT_EQ(encoder->encode(std::span(pcm).subspan(at, 160), payload).size, 33U);
    ASSERT_EQ(decoder->decode(payload, frame).samples, 160U);
  }
  const double before = test::rms(frame);
  Pcm gap(480);  // 60 ms at once
  decoder->conceal(gap);
  EXPECT_NEAR(test::db(test::rms(std::span(gap).first(160)) / before), 0, 3);
  EXPECT_LT(test::rms(std::span(gap).last(160)), test::rms(std::span(gap).first(160)) * 0.7);
  for (int i = 0; i < 13; ++i) decoder->conceal(frame);
  EXPECT_LT(test::rms(frame), before * 0.1);
  for (int i = 0; i < 2; ++i) decoder->conceal(frame);
  EXPECT_EQ(test::rms(frame), 0);
}

TEST(Concealment, NothingClicks) {
  for (const AudioCodec codec : {AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::G722}) {
    const unsigned rate = codec == AudioCodec::G722 ? 16'000 : 8000;
    for (const double pitch : kPitches) {
      const Heard heard = listen({codec}, voiced(rate, pitch, 2 * rate), [](std::size_t i) { return i % 7 == 5 || i % 11 == 7; });
      EXPECT_LE(steepest(heard.concealed), steepest(heard.whole) * 1.5) << format(codec).name << " " << pitch;
      EXPECT_NEAR(test::db(test::rms(heard.concealed) / test::rms(heard.whole)), 0, 1.5) << format(codec).name << " " << pitch;
    }
  }
}

TEST(Concealment, WithoutLossNothingChanges) {
  const Pcm pcm = test::speech(8000, 16'000);
  const Heard heard = listen({AudioCodec::Pcma}, pcm, [](std::size_t) { return false; });
  EXPECT_EQ(heard.whole, heard.concealed);
}

// ITU-T G.711 Appendix I: full for 10 ms, a fifth less with each 10 ms, silence after 60.
TEST(Concealment, FadesAndIsSilentAfter60Ms) {
  const test::OwnedEncoder encoder({AudioCodec::Pcmu});
  const test::OwnedDecoder decoder({AudioCodec::Pcmu});
  std::vector<std::uint8_t> payload(1600);
  Pcm heard(1600), tenth(80);
  (void)encoder->encode(test::tone(200, 8000, 8000, 1600), payload);
  (void)decoder->decode(payload, heard);
  double before = test::rms(heard);
  for (int i = 0; i < 6; ++i) {
    decoder->conceal(tenth);
    const double now = test::rms(tenth);
    EXPECT_NEAR(now / 5650, i == 0 ? 1.0 : 1.1 - 0.2 * i, 0.06) << i;
    EXPECT_LE(now, before * 1.02);
    before = now;
  }
  for (int i = 0; i < 100; ++i) {
    decoder->conceal(tenth);
    EXPECT_EQ(test::rms(tenth), 0);
  }
  (void)decoder->decode(payload, heard);
  EXPECT_LE(std::abs(heard[0]), 200) << "fades in";
  EXPECT_NEAR(test::rms(std::span(heard).last(800)), 5650, 100);
}

TEST(Concealment, AnyLengthFromTheFirstPacketOn) {
  for (const AudioCodec codec : {AudioCodec::Pcmu, AudioCodec::G722}) {
    const test::OwnedEncoder encoder({codec});
    const test::OwnedDecoder decoder({codec});
    Pcm out(kMaxPcmSamples);
    decoder->conceal(std::span(out).first(320));
    EXPECT_EQ(test::rms(std::span(out).first(320)), 0) << "nothing was heard yet";
    // Loudest noise: nothing wraps, nothing leaves its bounds.
    const Pcm loud = test::noise(32'767, 3200);
    std::vector<std::uint8_t> payload(kMaxPayloadBytes);
    for (const std::size_t samples : {2U, 80U, 34U, 320U, 1280U, 160U}) {
      payload.resize(kMaxPayloadBytes);
      payload.resize(encoder->encode(std::span(loud).first(samples), payload).size);
      ASSERT_EQ(decoder->decode(payload, out).samples, samples);
      for (const std::size_t lost : {80U, 960U, 1920U}) decoder->conceal(std::span(out).first(lost));
    }
  }
}

}  // namespace
}  // namespace ifgw::audio
