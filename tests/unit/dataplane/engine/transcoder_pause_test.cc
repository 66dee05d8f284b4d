// Pauses that one party describes by SID frames, by DTX or by comfort noise packets, as another hears them. What parties send is
// made by the libraries themselves: bcg729 and libopus.
#include <gtest/gtest.h>
#include <opus/opus.h>

#include <string>
#include <vector>

extern "C" {
#include <bcg729/decoder.h>
}

#include "codecs/audio/comfort_noise.h"
#include "dataplane/engine/transcoder.h"
#include "tests/support/g729.h"
#include "tests/support/signals.h"

namespace ifgw::engine {
namespace {

using audio::AudioCodec;
using test::Pcm;
using Bytes = std::vector<std::uint8_t>;
using std::chrono::milliseconds;

struct Sent {
  std::uint16_t sequence;
  std::uint32_t timestamp;
  bool marker;
  bool noise;
  Bytes payload;
};

class Way {
 public:
  Way(const audio::CodecSettings& from, const audio::CodecSettings& to, bool noise, unsigned ptime = 20)
      : settings_{from, to, static_cast<std::uint8_t>(ptime), noise},
        memory_(Transcoder::required_bytes(settings_)),
        coder(Transcoder::make(settings_, memory_.span())) {}
  // What leaves because of this one.
  std::vector<Sent> feed(std::uint16_t sequence, std::uint32_t timestamp, const Bytes& payload, bool comfort_noise = false) {
    const Transcoder::Input in{sequence, timestamp, false, payload};
    EXPECT_EQ(comfort_noise ? coder->take_noise(in, out, now) : coder->take(in, out, now), Transcoder::Intake::Taken);
    std::vector<Sent> made;
    Bytes room(audio::kMaxPayloadBytes);
    for (Transcoder::Output o; coder->next(room, out, now, o);)
      made.push_back({o.sequence, o.timestamp, o.marker, o.noise, {room.begin(), room.begin() + static_cast<long>(o.size)}});
    return made;
  }

 private:
  TranscoderSettings settings_;
  test::AlignedBytes memory_;

 public:
  Transcoder::Ptr coder;
  RtpOut out{1, 1000, 0};
  Instant now = from_ns(1'000'000'000);
};

Pcm voice_then_noise(double amplitude, std::size_t seconds, unsigned rate = 8000) {
  Pcm pcm = test::speech(rate, rate * 2);
  const Pcm noise = test::noise(amplitude, rate * seconds);
  pcm.insert(pcm.end(), noise.begin(), noise.end());
  return pcm;
}
double dbov(double rms) { return test::db(rms / 32'767); }

constexpr audio::CodecSettings kG729B{.codec = AudioCodec::G729, .g729_annex_b = true};

class PauseOfG729 : public ::testing::TestWithParam<double> {};
INSTANTIATE_TEST_SUITE_P(Levels, PauseOfG729, ::testing::Values(30.0, 100.0, 300.0, 1000.0));

TEST_P(PauseOfG729, BecomesComfortNoiseOfItsLevel) {
  const std::vector<Bytes> frames = test::g729_frames(voice_then_noise(GetParam(), 4), true);
  const double wanted = dbov(GetParam() / std::sqrt(3.0));  // uniform noise
  for (const AudioCodec to : {AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::G722}) {
    Way way({AudioCodec::G729}, {to}, true);
    std::uint16_t sequence = 7;
    std::size_t packets = 0, described = 0;
    std::uint16_t next = 1000;
    double level = 0;
    // A packet of two frames; a SID frame ends one. What is not sent takes time alone.
    for (std::size_t i = 0; i + 1 < frames.size(); i += 2) {
      Bytes payload;
      std::size_t first = i;
      for (std::size_t k = i; k < i + 2; ++k) {
        if (payload.empty()) first = k;
        payload.insert(payload.end(), frames[k].begin(), frames[k].end());
        if (frames[k].size() == 2) break;
      }
      way.now += milliseconds(20);
      if (payload.empty()) continue;
      ++packets;
      const std::vector<Sent> sent = way.feed(sequence++, static_cast<std::uint32_t>(first * 80), payload);
      const bool sid = payload.size() % 10 == 2;
      for (const Sent& s : sent) {
        EXPECT_EQ(s.sequence, next++) << "nothing is missing";
        EXPECT_FALSE(s.noise && s.marker);
      }
      ASSERT_EQ(!sent.empty() && sent.back().noise, sid);
      if (!sid) continue;
      const Bytes& description = sent.back().payload;
      EXPECT_EQ(description.size(), to == AudioCodec::G722 ? 1U : 11U) << "coefficients are of a sampling rate";
      EXPECT_LT(description[0], 128);
      if (i < 220) continue;  // between the voice's syllables
      ++described;
      level += -description[0];
      EXPECT_NEAR(-description[0], wanted, 4) << "each";
      EXPECT_LE(sent.size(), 2U);
      for (const Sent& s : sent) EXPECT_TRUE(s.noise || s.payload.size() == 160) << "what had begun, completed";
    }
    ASSERT_GT(described, 3U) << "SID frames among " << packets << " packets";
    EXPECT_NEAR(level / static_cast<double>(described), wanted, 3);
  }
}

// The judge hears what the library's decoder makes of the SID frame, and what the comfort noise packet says.
TEST_P(PauseOfG729, EachDescriptionIsAsLoudAsTheLibrarysNoise) {
  const std::vector<Bytes> frames = test::g729_frames(voice_then_noise(GetParam(), 3), true);
  auto* judge = initBcg729DecoderChannel();
  Way way({AudioCodec::G729}, {AudioCodec::Pcma}, true, 10);
  std::uint16_t sequence = 0;
  int compared = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (frames[i].empty()) continue;  // of those bcg729 makes noise that fades by 1 dB with each
    Pcm heard(80);
    Bytes bits = frames[i];
    bits.resize(10);
    bcg729Decoder(judge, bits.data(), static_cast<std::uint8_t>(frames[i].size()), 0, frames[i].size() == 2 ? 1 : 0, 0, heard.data());
    const std::vector<Sent> sent = way.feed(sequence++, static_cast<std::uint32_t>(i * 80), frames[i]);
    ASSERT_EQ(sent.size(), 1U) << "of one packet one, audio or noise";
    EXPECT_EQ(sent[0].timestamp, i * 80);
    if (!sent[0].noise) continue;
    EXPECT_NEAR(-sent[0].payload[0], dbov(test::rms(heard)), 1) << "rounded to 1 dB";
    ++compared;
  }
  closeBcg729DecoderChannel(judge);
  ASSERT_GT(compared, 2);
}

TEST(PauseOfG729, IsOneFrameAtOnceForWhoDoesNotKnowComfortNoise) {
  const std::vector<Bytes> frames = test::g729_frames(voice_then_noise(100, 2), true);
  for (const unsigned ptime : {10U, 20U, 60U}) {
    Way way({AudioCodec::G729}, {AudioCodec::Pcmu}, false, ptime);
    std::uint16_t sequence = 0;
    std::uint32_t newest_end = 0;
    std::size_t sids = 0;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      if (frames[i].empty()) continue;
      const auto at = static_cast<std::uint32_t>(i * 80);
      for (const Sent& s : way.feed(sequence++, at, frames[i])) {
        EXPECT_FALSE(s.noise);
        EXPECT_EQ(s.payload.size(), ptime * 8);
        EXPECT_GE(s.timestamp, newest_end) << "no time twice";
        newest_end = s.timestamp + ptime * 8;
        EXPECT_LE(newest_end, at + 80 + ptime * 8) << "and it does not run ahead";
      }
      if (frames[i].size() != 2) continue;
      ++sids;
      EXPECT_GE(newest_end, at + 80) << "nothing waits for the next packet";
    }
    EXPECT_GT(sids, 1U);
  }
}

TEST(PauseOfG729, VoiceBehindItBearsTheMarkerAndItsOwnTime) {
  const std::vector<Bytes> voice = test::g729_frames(test::speech(8000, 1600), true);
  Way way({AudioCodec::G729}, {AudioCodec::Pcmu}, true);
  Bytes two = voice[0];
  two.insert(two.end(), voice[1].begin(), voice[1].end());
  const Sent first = way.feed(1, 0, two).at(0);
  EXPECT_TRUE(first.marker);
  const Sent noise = way.feed(2, 160, {0x12, 0x34}).at(0);
  EXPECT_TRUE(noise.noise);
  EXPECT_EQ(noise.timestamp, first.timestamp + 160);
  EXPECT_TRUE(way.feed(3, 800, {0x12, 0x34}).at(0).noise) << "and once more";
  const Sent after = way.feed(4, 1600, two).at(0);
  EXPECT_TRUE(after.marker);
  EXPECT_FALSE(after.noise);
  EXPECT_EQ(after.timestamp, first.timestamp + 1600);
  EXPECT_EQ(after.sequence, static_cast<std::uint16_t>(first.sequence + 3));
  EXPECT_FALSE(way.feed(5, 1760, two).at(0).marker);
}

// A frame and a half of voice, then the pause: the half is completed with the noise, and the description stands behind it.
TEST(PauseOfG729, WhatHasBegunIsCompletedWithTheNoise) {
  const std::vector<Bytes> voice = test::g729_frames(test::speech(8000, 1600), true);
  Bytes payload = voice[0];
  payload.insert(payload.end(), {0x12, 0x34});
  for (const unsigned ptime : {20U, 30U, 40U, 60U}) {
    Way way({AudioCodec::G729}, {AudioCodec::Pcma}, true, ptime);
    const std::vector<Sent> sent = way.feed(1, 0, payload);
    ASSERT_EQ(sent.size(), 2U);
    EXPECT_EQ(sent[0].payload.size(), ptime * 8);
    EXPECT_TRUE(sent[1].noise);
    EXPECT_EQ(sent[1].timestamp, ptime * 8);
    // Of a voice that comes before that noise is over, the rest follows it.
    std::vector<Sent> after = way.feed(2, 160, Bytes(60, 0x5A));
    if (after.empty()) after = way.feed(3, 640, Bytes(60, 0x5A));
    ASSERT_GE(after.size(), 1U);
    EXPECT_EQ(after[0].timestamp, std::max(ptime * 8, 160U));
    EXPECT_TRUE(after[0].marker);
  }
}

// Whatever a party sends, the stream goes on: no time twice, no number missing, nothing beyond the frame.
TEST(PauseOfG729, HostileOrderOfFramesKeepsTheStream) {
  std::mt19937 random(3);
  for (const bool noise : {false, true}) {
    Way way({AudioCodec::G729}, {AudioCodec::Opus, 8000}, noise, 60);
    std::uint32_t timestamp = 0, newest = 0;
    std::uint16_t next = 1000;
    for (std::uint16_t i = 0; i < 3000; ++i) {
      Bytes payload(random() % 12 * 10 + (random() % 2) * 2);
      if (payload.empty()) payload.resize(2);
      for (auto& byte : payload) byte = static_cast<std::uint8_t>(random());
      if (payload.size() > 118) payload.resize(112);
      timestamp += static_cast<std::uint32_t>(random() % 4 == 0 ? 0 : random() % 2000);
      for (const Sent& s : way.feed(i, timestamp, payload)) {
        EXPECT_EQ(s.sequence, next++);
        EXPECT_GE(static_cast<std::int32_t>(s.timestamp - newest), 0);
        newest = s.timestamp + (s.noise ? 0 : 2880);
      }
    }
  }
}

// libopus with DTX: voice, then noise. What it makes of 20 ms, as it would be sent: not at all where it says so.
TEST(PauseOfOpus, BecomesComfortNoiseWithEachUpdate) {
  for (const int rate : {8000, 16'000}) {
    const AudioCodec to = rate == 8000 ? AudioCodec::Pcma : AudioCodec::G722;
    int error = OPUS_OK;
    OpusEncoder* encoder = opus_encoder_create(rate, 1, OPUS_APPLICATION_VOIP, &error);
    opus_encoder_ctl(encoder, OPUS_SET_DTX(1));
    opus_encoder_ctl(encoder, OPUS_SET_BITRATE(16'000));
    const auto frame = static_cast<std::size_t>(rate / 50);
    const Pcm pcm = voice_then_noise(60, 6, static_cast<unsigned>(rate));
    OpusDecoder* judge = opus_decoder_create(rate, 1, &error);  // as a phone hears it: what is not sent is concealed
    Pcm heard(frame);
    Way way({AudioCodec::Opus}, {to}, true);
    std::uint16_t sequence = 0;
    std::size_t described = 0, voice_packets = 0, unsent = 0;
    double level = 0, wanted = 0;
    bool behind_silence = false;
    for (std::size_t at = 0; at + frame <= pcm.size(); at += frame) {
      Bytes payload(400);
      payload.resize(static_cast<std::size_t>(opus_encode(encoder, &pcm[at], static_cast<int>(frame), payload.data(), 400)));
      if (payload.size() <= 2) {
        ++unsent;
        behind_silence = true;
        EXPECT_GT(opus_decode(judge, nullptr, 0, heard.data(), static_cast<int>(frame), 0), 0);
        continue;
      }
      EXPECT_GT(opus_decode(judge, payload.data(), static_cast<opus_int32>(payload.size()), heard.data(), static_cast<int>(frame), 0), 0);
      const std::vector<Sent> sent = way.feed(sequence++, static_cast<std::uint32_t>(at / frame * 960), payload);
      ASSERT_EQ(sent.size(), 1U);
      EXPECT_EQ(sent[0].timestamp, at / frame * 160);
      if (!behind_silence) {
        EXPECT_FALSE(sent[0].noise);
        ++voice_packets;
      }
      if (sent[0].noise) {
        ++described;
        level += -sent[0].payload[0];
        wanted += dbov(test::rms(heard));
      }
      behind_silence = false;
    }
    opus_encoder_destroy(encoder);
    opus_decoder_destroy(judge);
    ASSERT_GT(unsent, 100U);
    ASSERT_GT(described, 5U);
    EXPECT_GT(voice_packets, 60U);
    EXPECT_NEAR(level / static_cast<double>(described), wanted / static_cast<double>(described), 3) << rate;
  }
}

// Empty frames (RFC 6716 section 3.1: a TOC byte alone), as some phones send them, begin a pause at once.
TEST(PauseOfOpus, AnEmptyFrameBeginsOne) {
  Way way({AudioCodec::Opus}, {AudioCodec::Pcmu}, true);
  Way plain({AudioCodec::Opus}, {AudioCodec::Pcmu}, false);
  const Bytes empty{0x08};  // SILK, narrow band, 20 ms
  for (std::uint16_t i = 0; i < 5; ++i) {
    const std::vector<Sent> sent = way.feed(i, 960u * i, empty), audio = plain.feed(i, 960u * i, empty);
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_TRUE(sent[0].noise);
    EXPECT_EQ(sent[0].timestamp, 160u * i);
    ASSERT_EQ(audio.size(), 1U);
    EXPECT_EQ(audio[0].payload.size(), 160U);
  }
}

// The other way: comfort noise behind a voice. Who hears G.729 is told of the pause, by a frame that the library takes for a SID.
TEST(PauseTowardsG729, ComfortNoiseBehindAVoiceEndsInASidFrameOfItsLevel) {
  for (const unsigned down : {40U, 60U, 70U}) {
    const auto dbov_down = static_cast<std::uint8_t>(down);
    Way way({AudioCodec::Pcmu}, kG729B, false);
    auto* judge = initBcg729DecoderChannel();
    Pcm heard(80);
    // A voice in a room as loud as its noise.
    const double amplitude = 32'767 * std::pow(10, -dbov_down / 20.0) * std::sqrt(3.0);
    Pcm voice = test::speech(8000, 16'000);
    const Pcm room = test::noise(amplitude, voice.size());
    for (std::size_t i = 0; i < voice.size(); ++i) voice[i] = static_cast<std::int16_t>(voice[i] + room[i]);
    voice.resize(13'600);  // the last syllable has just ended
    std::uint16_t sequence = 0;
    std::vector<Bytes> said;
    for (std::size_t at = 0; at < voice.size(); at += 160) {
      Bytes payload(160);
      const test::OwnedEncoder encoder({AudioCodec::Pcmu});
      (void)encoder->encode(std::span(voice).subspan(at, 160), payload);
      for (const Sent& s : way.feed(sequence++, static_cast<std::uint32_t>(at), payload)) said.push_back(s.payload);
      way.now += milliseconds(20);
    }
    for (const Sent& s : way.feed(sequence++, 13'600, {dbov_down}, true)) said.push_back(s.payload);
    ASSERT_EQ(said.back().size() % 10, 2U) << "-" << int{dbov_down} << " dBov";
    for (const Bytes& payload : said)
      for (std::size_t at = 0; at < payload.size(); at += 10) {
        Bytes bits(payload.begin() + static_cast<long>(at), payload.begin() + static_cast<long>(std::min(at + 10, payload.size())));
        const auto size = static_cast<std::uint8_t>(bits.size());
        bits.resize(10);
        bcg729Decoder(judge, bits.data(), size, 0, size == 2 ? 1 : 0, 0, heard.data());
      }
    closeBcg729DecoderChannel(judge);
    EXPECT_NEAR(dbov(test::rms(heard)), -dbov_down, 3);
  }
}

TEST(PauseTowardsOpus, ComfortNoiseIsAPacketThatItsDecoderGoesOnWith) {
  audio::CodecSettings to{AudioCodec::Opus};
  to.opus.dtx = true;
  Way way({AudioCodec::Pcmu}, to, false);
  int error = OPUS_OK;
  OpusDecoder* judge = opus_decoder_create(8000, 1, &error);
  Pcm heard(160);
  const Pcm voice = test::speech(8000, 8000);
  std::uint16_t sequence = 0;
  const test::OwnedEncoder encoder({AudioCodec::Pcmu});
  std::vector<Sent> sent;
  const auto listen = [&](const std::vector<Sent>& packets) {
    for (const Sent& s : packets)
      EXPECT_EQ(opus_decode(judge, s.payload.data(), static_cast<opus_int32>(s.payload.size()), heard.data(), 160, 0), 160);
    sent.insert(sent.end(), packets.begin(), packets.end());
  };
  for (std::size_t at = 0; at < voice.size(); at += 160) {
    Bytes payload(160);
    (void)encoder->encode(std::span(voice).subspan(at, 160), payload);
    listen(way.feed(sequence++, static_cast<std::uint32_t>(at), payload));
  }
  const std::size_t before = sent.size();
  for (std::uint32_t at = 8000; at < 8000 + 30 * 1600; at += 1600) listen(way.feed(sequence++, at, {50}, true));
  EXPECT_LE(sent.size() - before, 30U) << "one for one, or fewer";
  EXPECT_GE(sent.size() - before, 10U);
  opus_decoder_destroy(judge);
}

}  // namespace
}  // namespace ifgw::engine
