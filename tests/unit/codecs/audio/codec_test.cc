// What holds for every codec.
#include "codecs/audio/codec.h"

#include <gtest/gtest.h>

#include "tests/support/signals.h"

namespace ifgw::audio {
namespace {

using test::Pcm;

std::vector<CodecSettings> all_settings() {
  return {{.codec = AudioCodec::Pcmu},
          {.codec = AudioCodec::Pcma},
          {.codec = AudioCodec::G722},
          {.codec = AudioCodec::G729},
          {.codec = AudioCodec::Opus, .pcm_rate_hz = 8000},
          {.codec = AudioCodec::Opus, .pcm_rate_hz = 16'000},
          {.codec = AudioCodec::Opus},
          {.codec = AudioCodec::G726_16},
          {.codec = AudioCodec::G726_24},
          {.codec = AudioCodec::G726_32},
          {.codec = AudioCodec::G726_40},
          {.codec = AudioCodec::Gsm},
          {.codec = AudioCodec::Speex},
          {.codec = AudioCodec::Speex, .pcm_rate_hz = 16'000},
          {.codec = AudioCodec::L16},
          {.codec = AudioCodec::L16, .pcm_rate_hz = 16'000}};
}
std::string name(const CodecSettings& settings) {
  return std::string(format(settings.codec).name) + " at " + std::to_string(pcm_rate_hz(settings));
}

// Encodes and decodes `pcm` in packets of `ptime_ms`; without silence suppression one packet goes for each.
Pcm there_and_back(const CodecSettings& settings, const Pcm& pcm, std::size_t ptime_ms) {
  const test::OwnedEncoder encoder(settings);
  const test::OwnedDecoder decoder(settings);
  const std::size_t frame = pcm_rate_hz(settings) / 1000 * ptime_ms;
  Pcm out(pcm.size());
  std::vector<std::uint8_t> payload(kMaxPayloadBytes);
  for (std::size_t at = 0; at + frame <= pcm.size(); at += frame) {
    const Encoded coded = encoder->encode(std::span(pcm).subspan(at, frame), payload);
    EXPECT_EQ(coded.error, CodecError::None);
    EXPECT_EQ(coded.taken, frame);
    EXPECT_EQ(coded.skipped, 0U);
    const Decoded decoded = decoder->decode(std::span(payload).first(coded.size), std::span(out).subspan(at, frame));
    EXPECT_EQ(decoded.error, CodecError::None);
    EXPECT_EQ(decoded.samples, frame);
  }
  return out;
}

TEST(Codec, EveryPtimeKeepsToneAndLevel) {
  for (const CodecSettings& settings : all_settings()) {
    const unsigned rate = pcm_rate_hz(settings);
    ASSERT_NE(rate, 0U);
    const Pcm pcm = test::tone(1000, rate, 8000, rate * 6 / 5);
    for (const std::size_t ptime : {10U, 20U, 30U, 40U, 60U}) {
      if (format(settings.codec).frame_ms != 0 && ptime % format(settings.codec).frame_ms != 0) continue;
      if (settings.codec == AudioCodec::L16 && rate / 1000 * ptime * 2 > kMaxPayloadBytes) continue;
      const Pcm out = there_and_back(settings, pcm, ptime);
      const auto settled = std::span(out).last(rate / 2);
      const double wanted = test::level(settled, 1000, rate);
      EXPECT_NEAR(test::db(wanted / 8000), 0, 1.5) << name(settings) << " ptime " << ptime;
      const double rest = std::sqrt(std::max(std::pow(test::rms(settled), 2) - wanted * wanted / 2, 0.0));
      EXPECT_GT(test::db(wanted / std::sqrt(2.0) / rest), settings.codec == AudioCodec::G726_16 ? 10 : 18)
          << name(settings) << " ptime " << ptime;
    }
  }
}

TEST(Codec, RefusesWhatDoesNotFit) {
  for (const CodecSettings& settings : all_settings()) {
    const test::OwnedEncoder encoder(settings);
    const test::OwnedDecoder decoder(settings);
    const std::size_t frame = pcm_rate_hz(settings) / 50;
    const Pcm pcm = test::speech(pcm_rate_hz(settings), frame);
    std::vector<std::uint8_t> payload(kMaxPayloadBytes);
    EXPECT_EQ(encoder->encode({}, payload).error, CodecError::BadLength) << name(settings);
    const Encoded refused = encoder->encode(pcm, std::span(payload).first(1));
    EXPECT_TRUE(refused.error == CodecError::TooLong || refused.size <= 1) << name(settings);
    const Encoded coded = encoder->encode(pcm, payload);
    ASSERT_EQ(coded.error, CodecError::None) << name(settings);
    Pcm small(frame, 77);
    EXPECT_EQ(decoder->decode({}, small).error, CodecError::BadPayload) << name(settings);
    EXPECT_EQ(decoder->decode(std::span(payload).first(coded.size), std::span(small).first(frame - 1)).error, CodecError::TooLong)
        << name(settings);
    EXPECT_EQ(small, Pcm(frame, 77)) << name(settings) << ": a refused payload writes nothing";
  }
}

TEST(Codec, ConcealFillsEverySample) {
  for (const CodecSettings& settings : all_settings()) {
    const test::OwnedDecoder decoder(settings);
    for (const std::size_t tenths : {0U, 1U, 2U, 3U, 6U, 12U}) {
      Pcm pcm(pcm_rate_hz(settings) / 100 * tenths, 12'345);
      decoder->conceal(pcm);
      EXPECT_EQ(std::count(pcm.begin(), pcm.end(), 12'345), 0) << name(settings) << " before any packet: silence";
      std::fill(pcm.begin(), pcm.end(), 12'345);
      EXPECT_FALSE(decoder->recover({}, pcm));
      EXPECT_EQ(std::count(pcm.begin(), pcm.end(), 12'345), 0) << name(settings);
    }
  }
}

// Two objects given the same are the same after one of them was used for something else and reset.
TEST(Codec, ResetIsANewBeginning) {
  for (const CodecSettings& settings : all_settings()) {
    const std::size_t frame = pcm_rate_hz(settings) / 50;
    const Pcm pcm = test::speech(pcm_rate_hz(settings), frame * 10);
    const Pcm other = test::noise(20'000, frame);
    const test::OwnedEncoder used_encoder(settings), new_encoder(settings);
    const test::OwnedDecoder used_decoder(settings), new_decoder(settings);
    std::vector<std::uint8_t> a(kMaxPayloadBytes), b(kMaxPayloadBytes);
    Pcm x(frame), y(frame);
    for (int i = 0; i < 5; ++i) (void)used_decoder->decode(std::span(a).first(used_encoder->encode(other, a).size), x);
    used_encoder->reset();
    used_decoder->reset();
    for (std::size_t at = 0; at < pcm.size(); at += frame) {
      const Encoded one = used_encoder->encode(std::span(pcm).subspan(at, frame), a);
      const Encoded two = new_encoder->encode(std::span(pcm).subspan(at, frame), b);
      ASSERT_TRUE(std::equal(a.begin(), a.begin() + one.size, b.begin(), b.begin() + two.size)) << name(settings);
      ASSERT_EQ(used_decoder->decode(std::span(a).first(one.size), x).error, CodecError::None);
      ASSERT_EQ(new_decoder->decode(std::span(b).first(two.size), y).error, CodecError::None);
      ASSERT_EQ(x, y) << name(settings);
    }
  }
}

TEST(Codec, MemoryIsTheCallers) {
  for (const CodecSettings& settings : all_settings()) {
    const std::size_t decoder_size = decoder_bytes(settings);
    const std::size_t encoder_size = encoder_bytes(settings);
    ifgw::test::AlignedBytes memory(std::max(decoder_size, encoder_size) + 128);
    EXPECT_EQ(make_decoder(settings, memory.span().first(decoder_size - 1)), nullptr) << "too small";
    EXPECT_EQ(make_encoder(settings, memory.span().first(encoder_size - 1)), nullptr) << "too small";
    EXPECT_EQ(make_decoder(settings, memory.span().subspan(8)), nullptr) << "not aligned";
    // Nothing is written behind what was asked for.
    std::fill(memory.span().begin(), memory.span().end(), std::byte{0x5A});
    const auto untouched = [&](std::size_t size) {
      return std::all_of(memory.span().begin() + static_cast<std::ptrdiff_t>(size), memory.span().end(),
                         [](std::byte b) { return b == std::byte{0x5A}; });
    };
    const Pcm pcm = test::speech(pcm_rate_hz(settings), pcm_rate_hz(settings) / 50);
    std::vector<std::uint8_t> payload(kMaxPayloadBytes);
    std::size_t bytes = 0;
    {
      const EncoderPtr encoder = make_encoder(settings, memory.span());
      bytes = encoder->encode(pcm, payload).size;
      EXPECT_TRUE(untouched(encoder_size)) << name(settings);
    }
    std::fill(memory.span().begin(), memory.span().end(), std::byte{0x5A});
    const DecoderPtr decoder = make_decoder(settings, memory.span());
    Pcm out(pcm.size());
    EXPECT_EQ(decoder->decode(std::span(payload).first(bytes), out).samples, out.size());
    EXPECT_TRUE(untouched(decoder_size)) << name(settings);
  }
}

TEST(Codec, SettingsOutOfRangeCannotBeRun) {
  ifgw::test::AlignedBytes memory(1 << 17);
  const std::vector<CodecSettings> wrong = {{.codec = AudioCodec::Pcmu, .pcm_rate_hz = 16'000},
                                            {.codec = AudioCodec::G722, .pcm_rate_hz = 8000},
                                            {.codec = AudioCodec::G729, .pcm_rate_hz = 48'000},
                                            {.codec = AudioCodec::Opus, .pcm_rate_hz = 44'100},
                                            {.codec = AudioCodec::Opus, .opus = {.bitrate_bps = 5999}},
                                            {.codec = AudioCodec::Opus, .opus = {.bitrate_bps = 128'001}},
                                            {.codec = AudioCodec::Opus, .opus = {.complexity = 11}},
                                            {.codec = AudioCodec::Opus, .opus = {.expected_loss_percent = 101}},
                                            {.codec = AudioCodec::Opus, .opus = {.max_bitrate_bps = 5999}},
                                            {.codec = AudioCodec::Opus, .opus = {.max_playback_rate_hz = 7999}}};
  for (const CodecSettings& settings : wrong) {
    EXPECT_EQ(pcm_rate_hz(settings), 0U);
    EXPECT_EQ(decoder_bytes(settings), 0U);
    EXPECT_EQ(encoder_bytes(settings), 0U);
    EXPECT_EQ(make_decoder(settings, memory.span()), nullptr);
    EXPECT_EQ(make_encoder(settings, memory.span()), nullptr);
  }
}

// RFC 3551 tables 4 and 5, RFC 7587 section 7: what goes into rtpmap lines and time stamps.
TEST(Codec, FormatsAreThoseOfTheRfcs) {
  EXPECT_EQ(format(AudioCodec::Pcmu).static_payload_type, 0);
  EXPECT_EQ(format(AudioCodec::Pcma).static_payload_type, 8);
  EXPECT_EQ(format(AudioCodec::G722).static_payload_type, 9);
  EXPECT_EQ(format(AudioCodec::G722).sample_rate_hz, 16'000U);
  EXPECT_EQ(format(AudioCodec::G722).rtp_clock_hz, 8000U);
  EXPECT_EQ(format(AudioCodec::G729).static_payload_type, 18);
  EXPECT_EQ(format(AudioCodec::Opus).static_payload_type, 0xFF);
  EXPECT_EQ(format(AudioCodec::Opus).rtp_clock_hz, 48'000U);
  EXPECT_EQ(format(AudioCodec::Opus).rtpmap_channels, 2);
  EXPECT_EQ(format(AudioCodec::Pcmu).rtpmap_channels, 1);
}

}  // namespace
}  // namespace ifgw::audio
