#include <gtest/gtest.h>
#include <speex/speex.h>

#include "tests/support/signals.h"

namespace ifgw::audio {
namespace {

using test::Pcm;
using Bytes = std::vector<std::uint8_t>;

CodecSettings speex(std::uint32_t rate, std::uint8_t quality = 8) {
  return {.codec = AudioCodec::Speex, .pcm_rate_hz = rate, .speex = {.quality = quality}};
}
Bytes encode(const test::OwnedEncoder& encoder, std::span<const std::int16_t> pcm) {
  Bytes payload(kMaxPayloadBytes);
  const Encoded coded = encoder->encode(pcm, payload);
  EXPECT_EQ(coded.taken, pcm.size());
  payload.resize(coded.size);
  return payload;
}

// The wrapper adds nothing: the same packets and samples as the library's own way to do it, at every quality.
TEST(Speex, IsTheLibrary) {
  for (const unsigned rate : {8000U, 16'000U}) {
    const SpeexMode* mode = speex_lib_get_mode(rate == 8000 ? SPEEX_MODEID_NB : SPEEX_MODEID_WB);
    const std::size_t frame = rate / 50;
    const Pcm pcm = test::speech(rate, frame * 24);
    for (int quality = 0; quality <= 10; ++quality) {
      const test::OwnedEncoder encoder(speex(rate, static_cast<std::uint8_t>(quality)));
      const test::OwnedDecoder decoder(speex(rate));
      void* their_encoder = speex_encoder_init(mode);
      void* their_decoder = speex_decoder_init(mode);
      speex_encoder_ctl(their_encoder, SPEEX_SET_QUALITY, &quality);
      SpeexBits bits;
      speex_bits_init(&bits);
      for (std::size_t at = 0; at < pcm.size(); at += 3 * frame) {
        const Bytes ours = encode(encoder, std::span(pcm).subspan(at, 3 * frame));
        Bytes theirs(kMaxPayloadBytes);
        speex_bits_reset(&bits);
        Pcm in(pcm.begin() + static_cast<std::ptrdiff_t>(at), pcm.begin() + static_cast<std::ptrdiff_t>(at + 3 * frame));
        for (std::size_t i = 0; i < 3; ++i) speex_encode_int(their_encoder, &in[i * frame], &bits);
        speex_bits_insert_terminator(&bits);
        theirs.resize(static_cast<std::size_t>(speex_bits_write(&bits, reinterpret_cast<char*>(theirs.data()), kMaxPayloadBytes)));
        ASSERT_EQ(ours, theirs) << rate << " quality " << quality;
        Pcm a(3 * frame), b(3 * frame);
        ASSERT_EQ(decoder->decode(ours, a).samples, a.size()) << rate << " quality " << quality;
        speex_bits_read_from(&bits, reinterpret_cast<const char*>(theirs.data()), static_cast<int>(theirs.size()));
        for (std::size_t i = 0; i < 3; ++i) ASSERT_EQ(speex_decode_int(their_decoder, &bits, &b[i * frame]), 0);
        ASSERT_EQ(a, b);
      }
      speex_bits_destroy(&bits);
      speex_encoder_destroy(their_encoder);
      speex_decoder_destroy(their_decoder);
    }
  }
}

TEST(Speex, WithAVariableRateOrVadSilenceTakesLittle) {
  for (const unsigned rate : {8000U, 16'000U}) {
    const std::size_t frame = rate / 50;
    const auto bytes_of = [&](const SpeexSettings& settings, const Pcm& pcm) {
      const test::OwnedEncoder encoder({.codec = AudioCodec::Speex, .pcm_rate_hz = rate, .speex = settings});
      const test::OwnedDecoder decoder(speex(rate));
      std::size_t bytes = 0;
      for (std::size_t at = 0; at < pcm.size(); at += frame) {
        const Bytes payload = encode(encoder, std::span(pcm).subspan(at, frame));
        Pcm out(frame);
        EXPECT_EQ(decoder->decode(payload, out).samples, frame);
        bytes += payload.size();
      }
      return bytes;
    };
    const Pcm silence(frame * 50), voice = test::speech(rate, frame * 50);
    const std::size_t constant = bytes_of({}, silence);
    EXPECT_EQ(bytes_of({}, voice), constant);
    EXPECT_LT(bytes_of({.variable_rate = true}, silence), constant / 2);
    EXPECT_LT(bytes_of({.vad = true}, silence), constant / 2);
    EXPECT_GT(bytes_of({.vad = true}, voice), constant / 2) << "a voice is no silence";
  }
}

TEST(Speex, NarrowBandHearsWideBand) {
  const test::OwnedEncoder encoder(speex(16'000));
  const test::OwnedDecoder decoder(speex(8000));
  const Pcm pcm = test::tone(1000, 16'000, 8000, 16'000);
  Pcm out;
  for (std::size_t at = 0; at < pcm.size(); at += 640) {
    Pcm frame(320);
    ASSERT_EQ(decoder->decode(encode(encoder, std::span(pcm).subspan(at, 640)), frame).samples, 320U);
    out.insert(out.end(), frame.begin(), frame.end());
  }
  EXPECT_NEAR(test::db(test::level(std::span(out).last(4000), 1000, 8000) / 8000), 0, 2);
}

// Whatever comes, the library is given only what it understands: it would print to standard error, once per packet.
TEST(Speex, NothingMakesTheLibraryPrint) {
  testing::internal::CaptureStderr();
  std::size_t accepted = 0;
  for (const unsigned rate : {8000U, 16'000U}) {
    const test::OwnedEncoder encoder(speex(rate));
    const test::OwnedDecoder decoder(speex(rate));
    const Bytes good = encode(encoder, test::speech(rate, rate / 25));
    std::mt19937 random(rate);
    Pcm pcm(kMaxPcmSamples);
    for (int i = 0; i < 20'000; ++i) {
      Bytes payload = good;
      if (i % 2 == 0) {
        payload.resize(random() % 120);
        for (auto& byte : payload) byte = static_cast<std::uint8_t>(random());
      } else {
        payload.resize(random() % (good.size() + 1));
        if (!payload.empty()) payload[random() % payload.size()] ^= static_cast<std::uint8_t>(1U << random() % 8);
      }
      const Decoded decoded = decoder->decode(payload, pcm);
      accepted += decoded.error == CodecError::None ? 1 : 0;
    }
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_GT(accepted, 500U) << "some must get through, or nothing was tried";
}

TEST(Speex, RefusesMessagesAndHalves) {
  const test::OwnedEncoder encoder(speex(8000));
  const test::OwnedDecoder decoder(speex(8000));
  const Bytes good = encode(encoder, test::speech(8000, 160));
  Pcm pcm(kMaxPcmSamples);
  EXPECT_EQ(decoder->decode(std::span(good).first(good.size() / 2), pcm).error, CodecError::BadPayload);
  EXPECT_EQ(decoder->decode(Bytes{0x70, 0x00, 0x00}, pcm).error, CodecError::BadPayload) << "in-band message";
  EXPECT_EQ(decoder->decode(Bytes{0x68, 0x00, 0x00}, pcm).error, CodecError::BadPayload) << "user message";
  EXPECT_EQ(decoder->decode(Bytes{0x7F}, pcm).error, CodecError::BadPayload) << "padding alone";
  Bytes room(kMaxPayloadBytes);
  EXPECT_EQ(encoder->encode(Pcm(80), room).error, CodecError::BadLength);
  EXPECT_EQ(pcm_rate_hz(speex(8000, 11)), 0U);
  EXPECT_EQ(rtp_clock_hz(speex(16'000)), 16'000U);
}

TEST(Speex, ConcealsALostFrame) {
  const test::OwnedEncoder encoder(speex(8000));
  const test::OwnedDecoder decoder(speex(8000));
  const Pcm pcm = test::tone(400, 8000, 8000, 3200);
  Pcm out(160);
  for (std::size_t at = 0; at < pcm.size(); at += 160) (void)decoder->decode(encode(encoder, std::span(pcm).subspan(at, 160)), out);
  decoder->conceal(out);
  EXPECT_GT(test::rms(out), 1000);
}

}  // namespace
}  // namespace ifgw::audio
