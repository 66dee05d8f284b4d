#include <gtest/gtest.h>
#include <opus/opus.h>

#include "tests/support/signals.h"

namespace ifgw::audio {
namespace {

using test::Pcm;
using Bytes = std::vector<std::uint8_t>;

CodecSettings opus(std::uint32_t rate, OpusSettings settings = {}) {
  return {.codec = AudioCodec::Opus, .pcm_rate_hz = rate, .opus = settings};
}

std::vector<Bytes> encode_all(const test::OwnedEncoder& encoder, const Pcm& pcm, std::size_t frame) {
  std::vector<Bytes> packets;
  for (std::size_t at = 0; at + frame <= pcm.size(); at += frame) {
    Bytes payload(kMaxPayloadBytes);
    const Encoded coded = encoder->encode(std::span(pcm).subspan(at, frame), payload);
    EXPECT_EQ(coded.error, CodecError::None);
    EXPECT_EQ(coded.taken, frame);
    payload.resize(coded.size);
    packets.push_back(payload);
  }
  return packets;
}

// The wrapper adds nothing: same packets, same samples as the library's own objects.
TEST(Opus, IsTheLibrary) {
  for (const unsigned rate : {8000U, 16'000U, 48'000U}) {
    const std::size_t frame = rate / 50;
    const Pcm pcm = test::speech(rate, frame * 50);
    const std::vector<Bytes> ours = encode_all(test::OwnedEncoder(opus(rate, {.bitrate_bps = 20'000, .complexity = 3})), pcm, frame);
    const test::OwnedDecoder decoder(opus(rate));
    OpusEncoder* encoder = opus_encoder_create(static_cast<opus_int32>(rate), 1, OPUS_APPLICATION_VOIP, nullptr);
    OpusDecoder* library = opus_decoder_create(static_cast<opus_int32>(rate), 1, nullptr);
    opus_encoder_ctl(encoder, OPUS_SET_BITRATE(20'000));
    opus_encoder_ctl(encoder, OPUS_SET_COMPLEXITY(3));
    for (std::size_t i = 0; i < ours.size(); ++i) {
      Bytes theirs(kMaxPayloadBytes);
      const int size = opus_encode(encoder, &pcm[i * frame], static_cast<int>(frame), theirs.data(), kMaxPayloadBytes);
      theirs.resize(static_cast<std::size_t>(std::max(size, 0)));
      ASSERT_EQ(ours[i], theirs) << rate << " packet " << i;
      Pcm a(frame), b(frame);
      ASSERT_EQ(decoder->decode(ours[i], a).samples, frame);
      ASSERT_EQ(opus_decode(library, theirs.data(), size, b.data(), static_cast<int>(frame), 0), static_cast<int>(frame));
      ASSERT_EQ(a, b);
    }
    opus_encoder_destroy(encoder);
    opus_decoder_destroy(library);
  }
}

// And at every setting: the same bytes, packets that are not sent included.
TEST(Opus, IsTheLibraryAtEverySetting) {
  constexpr unsigned kRate = 16'000;
  Pcm pcm = test::speech(kRate, kRate * 8 / 10);
  pcm.resize(kRate * 2);  // silence, for DTX
  std::vector<OpusSettings> all;
  for (const std::uint8_t complexity : {std::uint8_t{0}, std::uint8_t{10}})
    for (const std::uint32_t bitrate : {6000U, 40'000U})
      for (const bool fec : {false, true})
        for (const bool dtx : {false, true})
          for (const bool cbr : {false, true})
            all.push_back({.bitrate_bps = bitrate,
                           .complexity = complexity,
                           .expected_loss_percent = static_cast<std::uint8_t>(fec ? 15 : 0),
                           .fec = fec,
                           .dtx = dtx,
                           .cbr = cbr});
  all.push_back({.bitrate_bps = 64'000, .max_bitrate_bps = 12'000, .max_playback_rate_hz = 8000});
  std::size_t unsent = 0, packets = 0;
  for (const OpusSettings& s : all) {
    for (const unsigned ms : {10U, 20U, 40U, 60U}) {
      const std::size_t frame = kRate / 1000 * ms;
      const std::vector<Bytes> ours = encode_all(test::OwnedEncoder(opus(kRate, s)), pcm, frame);
      OpusEncoder* encoder = opus_encoder_create(kRate, 1, OPUS_APPLICATION_VOIP, nullptr);
      opus_encoder_ctl(encoder, OPUS_SET_BITRATE(static_cast<int>(s.max_bitrate_bps != 0 ? s.max_bitrate_bps : s.bitrate_bps)));
      opus_encoder_ctl(encoder, OPUS_SET_COMPLEXITY(s.complexity));
      opus_encoder_ctl(encoder, OPUS_SET_INBAND_FEC(s.fec ? 1 : 0));
      opus_encoder_ctl(encoder, OPUS_SET_PACKET_LOSS_PERC(s.expected_loss_percent));
      opus_encoder_ctl(encoder, OPUS_SET_DTX(s.dtx ? 1 : 0));
      opus_encoder_ctl(encoder, OPUS_SET_VBR(s.cbr ? 0 : 1));
      if (s.max_playback_rate_hz == 8000) opus_encoder_ctl(encoder, OPUS_SET_MAX_BANDWIDTH(OPUS_BANDWIDTH_NARROWBAND));
      for (std::size_t i = 0; i < ours.size(); ++i) {
        Bytes theirs(kMaxPayloadBytes);
        const int size = opus_encode(encoder, &pcm[i * frame], static_cast<int>(frame), theirs.data(), kMaxPayloadBytes);
        ASSERT_GT(size, 0);
        theirs.resize(s.dtx && size <= 2 ? 0 : static_cast<std::size_t>(size));
        ASSERT_EQ(ours[i], theirs) << s.bitrate_bps << " bit/s, complexity " << int{s.complexity} << ", " << ms << " ms, packet " << i;
        unsent += theirs.empty() ? 1 : 0;
        ++packets;
      }
      opus_encoder_destroy(encoder);
    }
  }
  EXPECT_GT(unsent, packets / 10) << "DTX was tried";
}

// Both ends choose their own rate; the bits between them are the same codec.
TEST(Opus, RatesOfBothEndsAreIndependent) {
  for (const unsigned from : {8000U, 16'000U, 48'000U}) {
    for (const unsigned to : {8000U, 16'000U, 48'000U}) {
      const Pcm pcm = test::tone(1000, from, 8000, from);
      const test::OwnedDecoder decoder(opus(to));
      Pcm out;
      for (const Bytes& packet : encode_all(test::OwnedEncoder(opus(from)), pcm, from / 50)) {
        Pcm frame(to / 50);
        ASSERT_EQ(decoder->decode(packet, frame).samples, frame.size());
        out.insert(out.end(), frame.begin(), frame.end());
      }
      EXPECT_NEAR(test::db(test::level(std::span(out).last(to / 2), 1000, to) / 8000), 0, 1) << from << " to " << to;
    }
  }
}

// RFC 7587: 30 ms is three frames of 10 ms in one packet, 120 ms of PCM two packets of 60 ms.
TEST(Opus, PtimesThatAreNoFrameSize) {
  for (const unsigned rate : {8000U, 48'000U}) {
    const Pcm pcm = test::speech(rate, rate);
    for (const std::size_t tenths : {3U, 5U}) {
      for (const Bytes& packet : encode_all(test::OwnedEncoder(opus(rate)), pcm, rate / 100 * tenths)) {
        ASSERT_EQ(opus_packet_get_nb_frames(packet.data(), static_cast<opus_int32>(packet.size())), static_cast<int>(tenths));
        ASSERT_EQ(opus_packet_get_nb_samples(packet.data(), static_cast<opus_int32>(packet.size()), 48'000),
                  static_cast<int>(480 * tenths));
      }
    }
    const test::OwnedEncoder encoder(opus(rate));
    Bytes payload(kMaxPayloadBytes);
    EXPECT_EQ(encoder->encode(std::span(pcm).first(rate / 1000 * 120), payload).taken, rate / 1000 * 60);
    EXPECT_EQ(encoder->encode(std::span(pcm).first(rate / 1000 * 15), payload).error, CodecError::BadLength);
  }
}

// Where the encoder changes its mode inside 30 ms, the packet ends there; every sample is sent once, in order, and what
// another decoder hears is the signal.
TEST(Opus, ModeChangesSplitAPacket) {
  constexpr unsigned kRate = 48'000;
  // Speech and a chord in turn: at complexity 10 the encoder tells them apart, and gives each its own mode.
  Pcm pcm;
  for (int i = 0; i < 6; ++i) {
    Pcm part = test::speech(kRate, 96'000);
    if (i % 2 != 0) {
      part = test::tone(440, kRate, 5000, part.size());
      for (const double hz : {554.4, 659.3, 2637.0, 5274.0}) {
        const Pcm more = test::tone(hz, kRate, 4000, part.size());
        std::transform(part.begin(), part.end(), more.begin(), part.begin(), [](int a, int b) { return static_cast<std::int16_t>(a + b); });
      }
    }
    pcm.insert(pcm.end(), part.begin(), part.end());
  }
  std::size_t split = 0;
  for (const std::uint32_t bitrate : {16'000U, 24'000U, 36'000U}) {
    const test::OwnedEncoder encoder(opus(kRate, {.bitrate_bps = bitrate, .complexity = 10}));
    const test::OwnedDecoder decoder(opus(kRate));
    for (std::size_t at = 0; at + 1440 <= pcm.size(); at += 1440) {
      std::span<const std::int16_t> rest = std::span(pcm).subspan(at, 1440);
      while (!rest.empty()) {
        Bytes payload(kMaxPayloadBytes);
        const Encoded coded = encoder->encode(rest, payload);
        ASSERT_EQ(coded.error, CodecError::None);
        ASSERT_GT(coded.taken, 0U);
        split += coded.taken != rest.size() ? 1 : 0;
        Pcm out(1440);
        ASSERT_EQ(decoder->decode(std::span(payload).first(coded.size), out).samples, coded.taken);
        rest = rest.subspan(coded.taken);
      }
    }
  }
  EXPECT_GT(split, 0U) << "the input must make the encoder change its mode";
}

TEST(Opus, RecoversALostPacketFromTheNext) {
  for (const unsigned rate : {8000U, 16'000U, 48'000U}) {
    const std::size_t frame = rate / 50;
    const Pcm pcm = test::speech(rate, frame * 100);
    const OpusSettings fec{.bitrate_bps = 24'000, .expected_loss_percent = 20, .fec = true};
    const std::vector<Bytes> packets = encode_all(test::OwnedEncoder(opus(rate, fec)), pcm, frame);
    const test::OwnedDecoder whole(opus(rate)), recovering(opus(rate)), concealing(opus(rate));
    double recovered_error = 0, concealed_error = 0;
    std::size_t recovered = 0, lost = 0;
    for (std::size_t i = 0; i + 1 < packets.size(); ++i) {
      Pcm wanted(frame), a(frame), b(frame);
      (void)whole->decode(packets[i], wanted);
      if (i % 5 != 4) {
        (void)recovering->decode(packets[i], a);
        (void)concealing->decode(packets[i], b);
        continue;
      }
      ++lost;
      recovered += recovering->recover(packets[i + 1], a) ? 1 : 0;
      concealing->conceal(b);
      for (std::size_t k = 0; k < frame; ++k) {
        recovered_error += std::pow(a[k] - wanted[k], 2);
        concealed_error += std::pow(b[k] - wanted[k], 2);
      }
    }
    EXPECT_GT(recovered, lost / 2) << rate;
    EXPECT_LT(recovered_error, concealed_error / 2) << rate;
  }
}

TEST(Opus, WithoutRedundancyRecoveryIsConcealment) {
  const std::size_t frame = 160;
  const std::vector<Bytes> packets = encode_all(test::OwnedEncoder(opus(8000)), test::speech(8000, frame * 20), frame);
  const test::OwnedDecoder a(opus(8000)), b(opus(8000));
  Pcm x(frame), y(frame);
  for (int i = 0; i < 10; ++i) {
    (void)a->decode(packets[static_cast<std::size_t>(i)], x);
    (void)b->decode(packets[static_cast<std::size_t>(i)], y);
  }
  EXPECT_FALSE(a->recover(packets[11], x));
  b->conceal(y);
  EXPECT_EQ(x, y);
  EXPECT_GT(test::rms(x), 0);
}

TEST(Opus, SilenceIsNotSentWithDtx) {
  const std::size_t frame = 160;
  Pcm pcm = test::speech(8000, 8000);
  pcm.resize(8000 * 6);
  std::size_t unsent = 0, unsent_without = 0;
  for (const Bytes& packet : encode_all(test::OwnedEncoder(opus(8000, {.dtx = true})), pcm, frame)) unsent += packet.empty() ? 1 : 0;
  for (const Bytes& packet : encode_all(test::OwnedEncoder(opus(8000)), pcm, frame)) unsent_without += packet.empty() ? 1 : 0;
  EXPECT_GT(unsent, 150U) << "of 250 silent packets";
  EXPECT_EQ(unsent_without, 0U);
}

TEST(Opus, SettingsReachTheEncoder) {
  const Pcm pcm = test::speech(16'000, 32'000);
  const auto bytes = [&](OpusSettings settings) {
    std::size_t sum = 0;
    for (const Bytes& packet : encode_all(test::OwnedEncoder(opus(16'000, settings)), pcm, 320)) sum += packet.size();
    return sum;
  };
  EXPECT_LT(bytes({.bitrate_bps = 10'000}) * 3, bytes({.bitrate_bps = 60'000}) * 2);
  EXPECT_NE(bytes({.bitrate_bps = 24'000, .complexity = 0}), bytes({.bitrate_bps = 24'000, .complexity = 10}));
}

// What a party said about what it receives (RFC 7587 section 6.1).
TEST(Opus, StaysWithinWhatTheReceiverWants) {
  const Pcm pcm = test::noise(8000, 48'000);
  const auto packets = [&](OpusSettings settings) { return encode_all(test::OwnedEncoder(opus(48'000, settings)), pcm, 960); };
  std::size_t bits = 0;
  for (const Bytes& packet : packets({.bitrate_bps = 100'000, .max_bitrate_bps = 20'000})) bits += 8 * packet.size();
  EXPECT_LT(bits, 22'000U) << "in a second";
  for (const Bytes& packet : packets({.bitrate_bps = 32'000, .cbr = true})) EXPECT_EQ(packet.size(), 80U);
  const std::vector<std::pair<std::uint32_t, int>> widest = {{8000, OPUS_BANDWIDTH_NARROWBAND},
                                                             {12'000, OPUS_BANDWIDTH_NARROWBAND},
                                                             {16'000, OPUS_BANDWIDTH_WIDEBAND},
                                                             {44'100, OPUS_BANDWIDTH_SUPERWIDEBAND},
                                                             {48'000, OPUS_BANDWIDTH_FULLBAND}};
  for (const auto& [rate, bandwidth] : widest) {
    int found = OPUS_BANDWIDTH_NARROWBAND;
    for (const Bytes& packet : packets({.bitrate_bps = 100'000, .max_playback_rate_hz = rate}))
      found = std::max(found, opus_packet_get_bandwidth(packet.data()));
    EXPECT_EQ(found, bandwidth) << rate;
  }
}

// A stereo peer is heard in mono, through the same decoder.
TEST(Opus, StereoIsMixedDown) {
  OpusEncoder* encoder = opus_encoder_create(48'000, 2, OPUS_APPLICATION_AUDIO, nullptr);
  const test::OwnedDecoder decoder(opus(48'000));
  const Pcm mono = test::tone(1000, 48'000, 8000, 48'000);
  Pcm out;
  for (std::size_t at = 0; at < mono.size(); at += 960) {
    Pcm stereo(1920), frame(960);
    for (std::size_t i = 0; i < 960; ++i) stereo[2 * i] = mono[at + i];  // left only
    Bytes payload(kMaxPayloadBytes);
    const int size = opus_encode(encoder, stereo.data(), 960, payload.data(), kMaxPayloadBytes);
    ASSERT_GT(size, 0);
    ASSERT_EQ(decoder->decode(std::span(payload).first(static_cast<std::size_t>(size)), frame).samples, 960U);
    out.insert(out.end(), frame.begin(), frame.end());
  }
  opus_encoder_destroy(encoder);
  EXPECT_NEAR(test::db(test::level(std::span(out).last(24'000), 1000, 48'000) / 4000), 0, 1);
}

}  // namespace
}  // namespace ifgw::audio
