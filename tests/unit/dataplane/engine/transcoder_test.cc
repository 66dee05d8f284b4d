// One direction of audio between two codecs: what goes out, under which numbers and time stamps, for whatever comes in.
#include "dataplane/engine/transcoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "tests/support/aligned_bytes.h"

namespace ifgw::engine {
namespace {

using audio::AudioCodec;
using std::chrono::milliseconds;

constexpr double kToneHz = 440;
constexpr double kAmplitude = 8000;
constexpr std::array<std::uint8_t, 5> kPtimes{10, 20, 30, 40, 60};
constexpr std::array<std::uint8_t, 3> kSomePtimes{10, 20, 60};

struct Packet {
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;
  bool marker = false;
  std::vector<std::uint8_t> payload;
};

std::uint32_t clock_of(const audio::CodecSettings& c) { return audio::rtp_clock_hz(c); }

// A party that says a tone in packets of `ptime_ms`.
class Speaker {
 public:
  Speaker(AudioCodec codec, unsigned ptime_ms) : Speaker(audio::CodecSettings{codec}, ptime_ms) {}
  Speaker(const audio::CodecSettings& settings, unsigned ptime_ms)
      : ptime_ms_(ptime_ms),
        clock_(clock_of(settings)),
        rate_(audio::pcm_rate_hz(settings)),
        memory_(audio::encoder_bytes(settings)),
        encoder_(audio::make_encoder(settings, memory_.span())) {}
  Packet packet() {
    std::vector<std::int16_t> pcm(rate_ / 1000 * ptime_ms_);
    for (std::int16_t& s : pcm)
      s = static_cast<std::int16_t>(voice ? said(static_cast<double>(sample_++) / rate_) : tone(static_cast<double>(sample_++) / rate_));
    Packet made{sequence++, timestamp, false, std::vector<std::uint8_t>(audio::kMaxPayloadBytes)};
    const audio::Encoded encoded = encoder_->encode(pcm, made.payload);
    EXPECT_EQ(encoded.taken, pcm.size());
    made.payload.resize(encoded.size);
    timestamp += clock_ / 1000 * ptime_ms_;
    return made;
  }
  bool voice = false;  // what Opus takes for speech, and protects: a pitch that moves, and some noise
  void pause(unsigned ms) { timestamp += clock_ / 1000 * ms; }
  std::uint16_t sequence = 65530;
  std::uint32_t timestamp = 0xFFFFFF00;

 private:
  static double tone(double t) { return kAmplitude * std::sin(2 * std::numbers::pi * kToneHz * t); }
  double said(double t) {
    const double pitch = 200 + 50 * std::sin(2 * std::numbers::pi * 3 * t);
    return 6000 * std::sin(2 * std::numbers::pi * pitch * t) + 3000 * std::sin(2 * std::numbers::pi * 900 * t) +
           static_cast<double>(noise_() % 400) - 200;
  }
  std::minstd_rand noise_{1};
  unsigned ptime_ms_;
  std::uint32_t clock_;
  std::uint32_t rate_;
  test::AlignedBytes memory_;
  audio::EncoderPtr encoder_;
  std::size_t sample_ = 0;
};

class Direction {
 public:
  Direction(AudioCodec from, AudioCodec to, std::uint8_t ptime_ms) : Direction(TranscoderSettings{{from}, {to}, ptime_ms}) {}
  Direction(const audio::CodecSettings& from, const audio::CodecSettings& to, std::uint8_t ptime_ms)
      : Direction(TranscoderSettings{from, to, ptime_ms}) {}
  explicit Direction(const TranscoderSettings& settings)
      : memory_(Transcoder::required_bytes(settings)), coder(Transcoder::make(settings, memory_.span())) {}
  // Every packet that leaves because of this one.
  std::vector<Packet> feed(const Packet& p, Transcoder::Intake expected = Transcoder::Intake::Taken) {
    EXPECT_EQ(coder->take({p.sequence, p.timestamp, p.marker, p.payload}, out, now), expected);
    std::vector<Packet> made;
    std::vector<std::uint8_t> room(audio::kMaxPayloadBytes);
    Transcoder::Output output;
    while (coder->next(room, out, now, output))
      made.push_back({output.sequence, output.timestamp, output.marker, {room.begin(), room.begin() + static_cast<long>(output.size)}});
    sent.insert(sent.end(), made.begin(), made.end());
    return made;
  }

 private:
  test::AlignedBytes memory_;

 public:
  Transcoder::Ptr coder;
  RtpOut out{0xCAFE, 65533, 0xFFFFFE00};
  Instant now = from_ns(1'000'000'000);
  std::vector<Packet> sent;
};

// How much of the signal is the tone, by Goertzel's algorithm, and how strong it is.
double share_of_tone(const std::vector<std::int16_t>& pcm, std::uint32_t rate) {
  double re = 0, im = 0, all = 0;
  for (std::size_t i = 0; i < pcm.size(); ++i) {
    const double angle = 2 * std::numbers::pi * kToneHz * static_cast<double>(i) / rate;
    re += pcm[i] * std::cos(angle);
    im += pcm[i] * std::sin(angle);
    all += static_cast<double>(pcm[i]) * pcm[i];
  }
  return all == 0 ? 0 : 2 * (re * re + im * im) / static_cast<double>(pcm.size()) / all;
}

std::vector<std::int16_t> listen(const audio::CodecSettings& settings, const std::vector<Packet>& packets) {
  test::AlignedBytes memory(audio::decoder_bytes(settings));
  const auto decoder = audio::make_decoder(settings, memory.span());
  std::vector<std::int16_t> all;
  std::vector<std::int16_t> pcm(audio::kMaxPcmSamples);
  for (const Packet& p : packets) {
    const audio::Decoded decoded = decoder->decode(p.payload, pcm);
    EXPECT_EQ(decoded.error, audio::CodecError::None);
    all.insert(all.end(), pcm.begin(), pcm.begin() + static_cast<long>(decoded.samples));
  }
  return all;
}

struct Pair {
  audio::CodecSettings from, to;
};
constexpr std::array kMain{AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::G722, AudioCodec::G729, AudioCodec::Opus};
const std::array<audio::CodecSettings, 9> kMore{{{AudioCodec::Speex, 8000},
                                                 {AudioCodec::Speex, 16'000},
                                                 {AudioCodec::Gsm},
                                                 {AudioCodec::G726_16},
                                                 {AudioCodec::G726_24},
                                                 {AudioCodec::G726_32},
                                                 {AudioCodec::G726_40},
                                                 {AudioCodec::L16, 8000},
                                                 {AudioCodec::L16, 16'000}}};
// Every two of the main codecs; the others with PCMU, both ways, and in a ring.
std::vector<Pair> all_pairs() {
  std::vector<Pair> pairs;
  for (const AudioCodec a : kMain)
    for (const AudioCodec b : kMain)
      if (a != b) pairs.push_back({{a}, {b}});
  for (std::size_t i = 0; i < kMore.size(); ++i) {
    pairs.push_back({{AudioCodec::Pcmu}, kMore[i]});
    pairs.push_back({kMore[i], {AudioCodec::Pcmu}});
    pairs.push_back({kMore[i], kMore[(i + 1) % kMore.size()]});
  }
  return pairs;
}
std::string name_of(const audio::CodecSettings& s) {
  std::string name = audio::format(s.codec).name;
  name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
  return name + (s.pcm_rate_hz == 16'000 ? "Wide" : "");
}

class Pairs : public ::testing::TestWithParam<Pair> {
 protected:
  // A packet of such a duration is none of the codec's, or too long for a datagram.
  static bool cannot(const audio::CodecSettings& s, unsigned ms) {
    const bool too_long = s.codec == AudioCodec::L16 && s.pcm_rate_hz / 1000 * ms * 2 > audio::kMaxPayloadBytes;
    return too_long || (audio::format(s.codec).frame_ms == 20 && ms % 20 != 0);
  }
};
INSTANTIATE_TEST_SUITE_P(All, Pairs, ::testing::ValuesIn(all_pairs()),
                         [](const auto& pair) { return name_of(pair.param.from) + "To" + name_of(pair.param.to); });

TEST_P(Pairs, EveryPacketTimeToEveryOther) {
  for (const unsigned in_ms : {10U, 20U, 30U, 40U, 60U}) {
    for (const std::uint8_t out_ms : kPtimes) {
      SCOPED_TRACE(std::to_string(in_ms) + " ms in, " + std::to_string(out_ms) + " ms out");
      if (cannot(GetParam().from, in_ms) || cannot(GetParam().to, out_ms)) continue;
      Speaker speaker(GetParam().from, in_ms);
      Direction d(GetParam().from, GetParam().to, out_ms);
      ASSERT_NE(d.coder, nullptr);
      unsigned in = 0;
      for (; in < 1200; in += in_ms) {
        d.feed(speaker.packet());
        EXPECT_EQ(d.sent.size(), (in + in_ms) / out_ms) << "a frame leaves as soon as it can be made, and not before";
        d.now += milliseconds(in_ms);
      }
      const std::uint32_t step = clock_of(GetParam().to) / 1000 * out_ms;
      for (std::size_t i = 0; i < d.sent.size(); ++i) {
        EXPECT_EQ(d.sent[i].sequence, static_cast<std::uint16_t>(65533 + i));
        EXPECT_EQ(d.sent[i].timestamp, static_cast<std::uint32_t>(0xFFFFFE00 + i * step));
        EXPECT_EQ(d.sent[i].marker, i == 0);
      }
      std::vector<std::int16_t> heard = listen(GetParam().to, d.sent);
      heard.erase(heard.begin(), heard.begin() + static_cast<long>(heard.size() / 4));  // codecs settle
      const auto coarse = [](const audio::CodecSettings& c) { return c.codec == AudioCodec::G726_16 || c.codec == AudioCodec::G726_24; };
      EXPECT_GT(share_of_tone(heard, audio::pcm_rate_hz(GetParam().to)), coarse(GetParam().from) || coarse(GetParam().to) ? 0.9 : 0.97);
    }
  }
}

TEST_P(Pairs, ALostPacketLeavesItsNumberAndTimeUnused) {
  Speaker speaker(GetParam().from, 20);
  Direction d(GetParam().from, GetParam().to, 20);
  for (int i = 0; i < 50; ++i) {
    const Packet packet = speaker.packet();
    d.now += milliseconds(20);
    if (i == 10 || i == 20 || i == 21 || i == 22) continue;
    EXPECT_EQ(d.feed(packet).size(), 1U);
  }
  const std::uint32_t step = clock_of(GetParam().to) / 50;
  std::size_t at = 0;
  for (std::size_t i = 0; i < 50; ++i) {
    if (i == 10 || i == 20 || i == 21 || i == 22) continue;
    ASSERT_LT(at, d.sent.size());
    EXPECT_EQ(d.sent[at].sequence, static_cast<std::uint16_t>(65533 + i)) << i;
    EXPECT_EQ(d.sent[at].timestamp, static_cast<std::uint32_t>(0xFFFFFE00 + i * step)) << i;
    ++at;
  }
  EXPECT_EQ(d.coder->statistics().concealed_ms, 80U);
}

TEST(Transcoder, AGapInsideALongerFrameIsConcealed) {
  Speaker speaker(AudioCodec::Pcmu, 10);
  Direction d(AudioCodec::Pcmu, AudioCodec::G729, 40);
  for (int i = 0; i < 40; ++i) {
    const Packet packet = speaker.packet();
    if (i % 4 != 1) d.feed(packet);
  }
  EXPECT_EQ(d.sent.size(), 10U) << "every frame had something of what came";
  for (std::size_t i = 0; i < d.sent.size(); ++i) EXPECT_EQ(d.sent[i].sequence, static_cast<std::uint16_t>(65533 + i));
  // Of this frame nothing comes at all.
  for (int i = 0; i < 4; ++i) (void)speaker.packet();
  for (int i = 0; i < 4; ++i) d.feed(speaker.packet());
  ASSERT_EQ(d.sent.size(), 11U);
  EXPECT_EQ(d.sent[10].sequence, static_cast<std::uint16_t>(65533 + 11));
}

TEST(Transcoder, LateAndDoublePacketsAreRefused) {
  Speaker speaker(AudioCodec::Pcma, 20);
  Direction d(AudioCodec::Pcma, AudioCodec::G722, 20);
  const Packet first = speaker.packet(), second = speaker.packet(), third = speaker.packet();
  d.feed(first);
  EXPECT_TRUE(d.feed(first, Transcoder::Intake::Late).empty());
  d.feed(third);
  EXPECT_TRUE(d.feed(second, Transcoder::Intake::Late).empty());
  EXPECT_EQ(d.sent.size(), 2U);
}

TEST(Transcoder, SilenceThatIsNotSentMovesTimeAndSetsTheMarker) {
  Speaker speaker(AudioCodec::Pcmu, 20);
  Direction d(AudioCodec::Pcmu, AudioCodec::Opus, 30);
  d.feed(speaker.packet());
  d.feed(speaker.packet());  // 30 of 40 ms are out
  ASSERT_EQ(d.sent.size(), 1U);
  speaker.pause(1000);
  d.now += milliseconds(1000);
  d.feed(speaker.packet());
  ASSERT_EQ(d.sent.size(), 2U) << "the unfinished frame is completed";
  EXPECT_EQ(d.sent[1].timestamp, static_cast<std::uint32_t>(0xFFFFFE00 + 30 * 48));
  EXPECT_FALSE(d.sent[1].marker);
  d.feed(speaker.packet());
  ASSERT_EQ(d.sent.size(), 3U);
  EXPECT_EQ(d.sent[2].sequence, static_cast<std::uint16_t>(65533 + 2)) << "nothing was lost";
  EXPECT_EQ(d.sent[2].timestamp, static_cast<std::uint32_t>(0xFFFFFE00 + 1040 * 48));
  EXPECT_TRUE(d.sent[2].marker);
}

// From 16 to 8 kHz an even number of samples is wanted, whatever a sender's clock says.
TEST(Transcoder, AudioBehindACompletedFrameIsUsedThoughItsTimeIsOdd) {
  Direction d({AudioCodec::L16, 16'000}, {AudioCodec::Pcmu}, 40);
  Speaker speaker({AudioCodec::L16, 16'000}, 20);
  EXPECT_TRUE(d.feed(speaker.packet()).empty());
  d.coder->complete();
  std::vector<std::uint8_t> room(audio::kMaxPayloadBytes);
  Transcoder::Output completed;
  ASSERT_TRUE(d.coder->next(room, d.out, d.now, completed));
  EXPECT_FALSE(d.coder->open());
  speaker.timestamp += 319;  // one before the end of what was completed
  std::size_t samples = 0;
  std::uint32_t end = completed.timestamp + 320;
  for (int i = 0; i < 20; ++i)
    for (const Packet& p : d.feed(speaker.packet())) {
      EXPECT_EQ(p.timestamp, end);
      end += 320;
      samples += p.payload.size();
    }
  EXPECT_EQ(samples, 10U * 320) << "all of it";
}

// A sender with a voice detector: what it says between is little, and some of that is lost.
TEST(Transcoder, OfAPauseOnlyWhatWasSaidIsLost) {
  for (const std::uint8_t ptime : std::to_array<std::uint8_t>({20, 40})) {
    SCOPED_TRACE(int{ptime});
    Direction d(AudioCodec::Pcmu, AudioCodec::G722, ptime);
    Speaker speaker(AudioCodec::Pcmu, 20);
    for (int i = 0; i < 4; ++i) (void)d.feed(speaker.packet());
    const Packet before = d.sent.back();
    ++speaker.sequence;  // one is lost, and two seconds of silence are not sent
    speaker.pause(20 + 2000);
    while (d.sent.back().sequence == before.sequence) (void)d.feed(speaker.packet());
    const Packet& after = d.sent.back();
    EXPECT_EQ(static_cast<std::uint16_t>(after.sequence - before.sequence), 2) << "one is missing, not a hundred";
    EXPECT_EQ(after.timestamp - before.timestamp, 8U * (ptime + 20 + 2000));
    EXPECT_TRUE(after.marker);
  }
}

TEST(Transcoder, ALongLossIsNotConcealedToItsEnd) {
  Speaker speaker(AudioCodec::Pcmu, 20);
  Direction d(AudioCodec::Pcmu, AudioCodec::Pcma, 20);
  d.feed(speaker.packet());
  for (int i = 0; i < 100; ++i) (void)speaker.packet();
  d.feed(speaker.packet());
  ASSERT_EQ(d.sent.size(), 2U);
  EXPECT_EQ(d.sent[1].sequence, static_cast<std::uint16_t>(65533 + 101));
  EXPECT_EQ(d.sent[1].timestamp, static_cast<std::uint32_t>(0xFFFFFE00 + 101 * 160));
  EXPECT_EQ(d.coder->statistics().concealed_ms, 0U);
}

TEST(Transcoder, AnotherStreamGoesOnBehindTheOldOne) {
  Direction d(AudioCodec::Pcmu, AudioCodec::G722, 20);
  Speaker one(AudioCodec::Pcmu, 20);
  for (int i = 0; i < 5; ++i) {
    d.feed(one.packet());
    d.now += milliseconds(20);
  }
  Speaker two(AudioCodec::Pcmu, 20);
  two.sequence = 4711;
  two.timestamp = 12345;
  d.now += milliseconds(980);
  d.coder->restart();
  const std::vector<Packet> made = d.feed(two.packet());
  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(made[0].sequence, static_cast<std::uint16_t>(65533 + 5));
  EXPECT_EQ(made[0].timestamp, static_cast<std::uint32_t>(0xFFFFFE00 + 4 * 160 + 8000)) << "a second after the one before";
  EXPECT_TRUE(made[0].marker);
}

TEST(Transcoder, TimeStampsThatGoBackAreARestart) {
  Direction d(AudioCodec::Pcmu, AudioCodec::Pcma, 20);
  Speaker speaker(AudioCodec::Pcmu, 20);
  d.feed(speaker.packet());
  speaker.timestamp -= 1'000'000;
  d.now += milliseconds(20);
  d.feed(speaker.packet());
  ASSERT_EQ(d.sent.size(), 2U);
  EXPECT_EQ(d.sent[1].timestamp, d.sent[0].timestamp + 160);
  EXPECT_EQ(d.sent[1].sequence, static_cast<std::uint16_t>(d.sent[0].sequence + 1));
}

TEST(Transcoder, NumbersThatJumpAreARestartOnceASecondPacketConfirmsThem) {
  Direction d(AudioCodec::Pcmu, AudioCodec::Pcma, 20);
  Speaker speaker(AudioCodec::Pcmu, 20);
  for (int i = 0; i < 3; ++i) d.feed(speaker.packet());
  speaker.sequence = static_cast<std::uint16_t>(speaker.sequence - 20'000);
  d.feed(speaker.packet(), Transcoder::Intake::Late);
  d.feed(speaker.packet());
  d.feed(speaker.packet());
  ASSERT_EQ(d.sent.size(), 5U);
  EXPECT_EQ(d.sent[3].sequence, static_cast<std::uint16_t>(d.sent[2].sequence + 1));
  // Few numbers back, but another time: the same.
  speaker.sequence = static_cast<std::uint16_t>(speaker.sequence - 3);
  speaker.timestamp += 1'000'000;
  d.feed(speaker.packet(), Transcoder::Intake::Late);
  d.feed(speaker.packet());
  EXPECT_EQ(d.sent.size(), 6U);
}

TEST(Transcoder, EventsTakeNumbersOfTheirOwnAndAudioGoesOnBehindThem) {
  Direction d(AudioCodec::Pcmu, AudioCodec::Opus, 20);
  Speaker speaker(AudioCodec::Pcmu, 20);
  for (int i = 0; i < 3; ++i) d.feed(speaker.packet());
  const std::uint32_t began = speaker.timestamp;
  std::uint32_t timestamp = 0;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(d.coder->pass({speaker.sequence++, began, i == 0, {}}, false, d.out, d.now, timestamp));
    EXPECT_EQ(d.out.next_sequence(), static_cast<std::uint16_t>(65533 + 3 + i));
    EXPECT_EQ(timestamp, static_cast<std::uint32_t>(0xFFFFFE00 + 3 * 960)) << "where the audio stopped";
    d.out.sent(d.out.next_sequence(), timestamp, 0, d.now);
  }
  speaker.pause(100);
  d.feed(speaker.packet());
  ASSERT_EQ(d.sent.size(), 4U);
  EXPECT_EQ(d.sent[3].sequence, static_cast<std::uint16_t>(65533 + 8)) << "nothing was lost";
  EXPECT_EQ(d.sent[3].timestamp, static_cast<std::uint32_t>(0xFFFFFE00 + 8 * 960));
}

TEST(Transcoder, ABadPayloadCountsAsLost) {
  Direction d(AudioCodec::G729, AudioCodec::Pcmu, 20);
  Speaker speaker(AudioCodec::G729, 20);
  d.feed(speaker.packet());
  Packet bad = speaker.packet();
  bad.payload.resize(13);
  EXPECT_TRUE(d.feed(bad, Transcoder::Intake::BadPayload).empty());
  d.feed(speaker.packet());
  ASSERT_EQ(d.sent.size(), 2U);
  EXPECT_EQ(d.sent[1].sequence, static_cast<std::uint16_t>(d.sent[0].sequence + 2));
  EXPECT_EQ(d.sent[1].timestamp, d.sent[0].timestamp + 320);
}

// Whatever the packet time and however many were lost before it, a packet that carries the one before once more is used for it.
TEST(Transcoder, TheLastOfSeveralLostPacketsIsRebuilt) {
  for (const unsigned ptime : {10U, 20U, 40U, 60U}) {
    for (const unsigned lost : {1U, 2U, 3U, 9U, 20U}) {
      audio::CodecSettings settings{AudioCodec::Opus};
      settings.opus.fec = true;
      settings.opus.expected_loss_percent = 30;
      settings.opus.bitrate_bps = 32'000;
      settings.pcm_rate_hz = 16'000;
      Speaker speaker(settings, ptime);
      speaker.voice = true;
      Direction d(settings, {AudioCodec::G722}, static_cast<std::uint8_t>(ptime));
      const std::string what = std::to_string(ptime) + " ms, " + std::to_string(lost) + " lost";
      constexpr unsigned kGaps = 8;
      for (unsigned gap = 0; gap < kGaps; ++gap) {
        for (int i = 0; i < 12; ++i) d.feed(speaker.packet());
        const Packet before = d.sent.back();
        for (unsigned i = 0; i < lost; ++i) (void)speaker.packet();
        d.feed(speaker.packet());
        EXPECT_EQ(static_cast<std::uint16_t>(d.sent.back().sequence - before.sequence), lost + 1) << what;
        EXPECT_EQ(d.sent.back().timestamp - before.timestamp, (lost + 1) * ptime * 8) << what;
      }
      // The encoder does not protect every packet.
      EXPECT_GE(d.coder->statistics().recovered, kGaps / 4) << what;
      EXPECT_EQ(d.sent.size(), kGaps * 13 + d.coder->statistics().recovered) << what;
    }
  }
}

// What passes (an event, comfort noise) has the numbers between that the lost audio would have had.
TEST(Transcoder, ALossBeforeWhatPassesIsMirroredInFramesThatAreSent) {
  for (const auto& [in_ms, out_ms, lost, unused] :
       {std::tuple<unsigned, std::uint8_t, unsigned, int>{20, 20, 3, 3}, {10, 60, 6, 1}, {20, 60, 4, 2}, {60, 10, 1, 6}, {60, 20, 2, 6}}) {
    Speaker speaker(AudioCodec::Pcmu, in_ms);
    Direction d(AudioCodec::Pcmu, AudioCodec::Pcma, out_ms);
    while (d.sent.size() < 6 || d.coder->open()) d.feed(speaker.packet());
    for (unsigned i = 0; i < lost; ++i) (void)speaker.packet();
    const std::uint16_t before = d.out.next_sequence();
    std::uint32_t placed = 0;
    ASSERT_TRUE(d.coder->pass({speaker.sequence, speaker.timestamp, true, {}}, false, d.out, d.now, placed));
    EXPECT_EQ(static_cast<std::uint16_t>(d.out.next_sequence() - before), unused) << in_ms << " to " << int{out_ms} << ", " << lost;
    // Lost inside the event: packets of the event.
    d.out.sent_beside(placed, d.now);
    const std::uint16_t inside = d.out.next_sequence();
    ASSERT_TRUE(
        d.coder->pass({static_cast<std::uint16_t>(speaker.sequence + 3), speaker.timestamp, false, {}}, false, d.out, d.now, placed));
    EXPECT_EQ(static_cast<std::uint16_t>(d.out.next_sequence() - inside), 2);
  }
}

TEST(Transcoder, AFrameThatDoesNotFitIsALossAndCounted) {
  Speaker speaker(AudioCodec::Pcmu, 20);
  audio::CodecSettings wide{AudioCodec::L16};
  wide.pcm_rate_hz = 16'000;
  Direction d({AudioCodec::Pcmu}, wide, 20);
  d.feed(speaker.packet());
  const std::uint16_t before = d.out.next_sequence();
  std::vector<std::uint8_t> narrow(639);
  Transcoder::Output output;
  const Packet p = speaker.packet();
  ASSERT_EQ(d.coder->take({p.sequence, p.timestamp, p.marker, p.payload}, d.out, d.now), Transcoder::Intake::Taken);
  EXPECT_FALSE(d.coder->next(narrow, d.out, d.now, output));
  EXPECT_EQ(d.coder->statistics().not_made, 1U);
  EXPECT_EQ(static_cast<std::uint16_t>(d.out.next_sequence() - before), 1);
}

TEST(Transcoder, RedundancyOfOpusFillsAGap) {
  audio::CodecSettings settings{AudioCodec::Opus};
  settings.opus.fec = true;
  settings.opus.expected_loss_percent = 30;
  settings.opus.bitrate_bps = 32'000;
  settings.pcm_rate_hz = 16'000;
  Speaker speaker(settings, 20);
  Direction d(AudioCodec::Opus, AudioCodec::G722, 20);
  for (int i = 0; i < 50; ++i) {
    const Packet packet = speaker.packet();
    if (i % 10 != 9) d.feed(packet);
  }
  // Four gaps had a packet behind them; the encoder may leave one unprotected while it settles.
  EXPECT_GE(d.coder->statistics().recovered, 3U);
  EXPECT_EQ(d.sent.size(), 45U + d.coder->statistics().recovered) << "what was rebuilt is sent";
}

// Against a plain model: wherever an output packet stands, its time is that of what it was made of, relative to the
// first; none is made of nothing; and with whole frames lost, as many numbers as frames are missing.
TEST_P(Pairs, NumbersAndTimeFollowTheInputUnderLossAndDisorder) {
  std::mt19937 random(7);
  for (const unsigned in_ms : {10U, 20U, 60U}) {
    for (const std::uint8_t out_ms : kSomePtimes) {
      if (cannot(GetParam().from, in_ms) || cannot(GetParam().to, out_ms)) continue;
      Speaker speaker(GetParam().from, in_ms);
      Direction d(GetParam().from, GetParam().to, out_ms);
      std::vector<Packet> wire;
      for (unsigned i = 0; i < 3000 / in_ms; ++i) wire.push_back(speaker.packet());
      for (std::size_t i = 1; i + 1 < wire.size(); ++i)
        if (random() % 10 == 0) std::swap(wire[i], wire[i + 1]);
      std::uint16_t newest = 65529;
      for (std::size_t i = 0; i < wire.size(); ++i) {
        if (i != 0 && random() % 8 == 0) continue;
        const bool late = static_cast<std::int16_t>(wire[i].sequence - newest) <= 0;
        d.feed(wire[i], late ? Transcoder::Intake::Late : Transcoder::Intake::Taken);
        if (!late) newest = wire[i].sequence;
        if (random() % 10 == 0) d.feed(wire[i], Transcoder::Intake::Late);
      }
      const std::uint32_t step = clock_of(GetParam().to) / 1000 * out_ms;
      const std::uint32_t elapsed_ms = static_cast<std::uint16_t>(newest - 65529) * in_ms;
      ASSERT_FALSE(d.sent.empty());
      for (std::size_t i = 1; i < d.sent.size(); ++i) {
        const std::uint32_t time = d.sent[i].timestamp - d.sent[i - 1].timestamp;
        const auto number = static_cast<std::uint16_t>(d.sent[i].sequence - d.sent[i - 1].sequence);
        EXPECT_EQ(time, number * step);
        EXPECT_FALSE(d.sent[i].marker);
      }
      const std::uint32_t last_end = (d.sent.back().timestamp - 0xFFFFFE00) / (clock_of(GetParam().to) / 1000) + out_ms;
      EXPECT_LE(last_end, elapsed_ms);
      EXPECT_GT(last_end + out_ms, elapsed_ms) << "less than a frame is kept";
    }
  }
}

}  // namespace
}  // namespace ifgw::engine
