#include "controlplane/core/format_parameters.h"

#include <gtest/gtest.h>
#include <speex/speex.h>

#include <memory>

#include "tests/support/call_world.h"

namespace ifgw::core {
namespace {

using api::Codec;
using test::audio_sdp;
using test::CallWorld;

TEST(FormatParameters, OpusAsInTheExampleOfRfc7587) {
  // Section 7.1, with spaces as its examples have them.
  const FormatParameters p = read_format_parameters(
      Codec::Opus, "maxplaybackrate=16000; sprop-maxcapturerate=16000; maxaveragebitrate=20000; stereo=1; useinbandfec=1; usedtx=0");
  EXPECT_EQ(p.max_playback_rate_hz, 16'000);
  EXPECT_EQ(p.max_bitrate_bps, 20'000U);
  EXPECT_TRUE(p.fec);
  EXPECT_FALSE(p.dtx);
  EXPECT_FALSE(p.cbr);
  const FormatParameters other = read_format_parameters(Codec::Opus, "CBR=1;UseDTX=1");
  EXPECT_TRUE(other.cbr);
  EXPECT_TRUE(other.dtx);
  EXPECT_FALSE(other.fec) << "the default is 0";
}

TEST(FormatParameters, NumbersAreKeptWithinTheirRangeAndNonsenseIsPassedOver) {
  const auto read = [](const char* fmtp) { return read_format_parameters(Codec::Opus, fmtp); };
  EXPECT_EQ(read("maxaveragebitrate=1").max_bitrate_bps, 6000U);
  EXPECT_EQ(read("maxaveragebitrate=99999999999").max_bitrate_bps, 510'000U);
  EXPECT_EQ(read("maxplaybackrate=44100").max_playback_rate_hz, 44'100);
  EXPECT_EQ(read("maxplaybackrate=70000").max_playback_rate_hz, 48'000);
  EXPECT_EQ(read("maxplaybackrate=4000").max_playback_rate_hz, 8000);
  for (const char* nonsense : {"", ";", "=", "useinbandfec", "useinbandfec=2", "useinbandfec=yes", "maxaveragebitrate=-1",
                               "maxaveragebitrate=", "maxaveragebitrate=1e4", ";;=;=1", "annexb=no"})
    EXPECT_EQ(read(nonsense), FormatParameters{}) << nonsense;
}

TEST(FormatParameters, AnnexBIsTheDefaultOfG729) {
  EXPECT_TRUE(read_format_parameters(Codec::G729, "").annex_b);
  EXPECT_FALSE(read_format_parameters(Codec::G729, "annexb=no").annex_b);
  EXPECT_FALSE(read_format_parameters(Codec::G729, " AnnexB = No ").annex_b);
  EXPECT_TRUE(read_format_parameters(Codec::G729, "annexb=maybe").annex_b);
  EXPECT_EQ(write_format_parameters(Codec::G729, {.annex_b = false}), "annexb=no");
  EXPECT_EQ(write_format_parameters(Codec::Pcmu, {}), "");
}

TEST(FormatParameters, WhatIsWrittenIsRead) {
  for (const FormatParameters& p :
       {FormatParameters{}, FormatParameters{.fec = true}, FormatParameters{.max_bitrate_bps = 24'000, .dtx = true},
        FormatParameters{.max_playback_rate_hz = 12'000, .cbr = true}})
    EXPECT_EQ(read_format_parameters(Codec::Opus, write_format_parameters(Codec::Opus, p)), p);
}

TEST(FormatParameters, ModesOfSpeexAsInTheExamplesOfRfc5574) {
  const auto read = [](const char* fmtp, Codec codec = Codec::Speex8) { return read_format_parameters(codec, fmtp).speex; };
  EXPECT_EQ(read(""), SpeexParameters{});
  EXPECT_EQ(read("mode=any"), SpeexParameters{});
  const SpeexParameters four = read("mode=\"4,any\"");  // section 5.1
  EXPECT_EQ(four.preferred, 4);
  EXPECT_TRUE(four.any);
  const SpeexParameters some = read("mode=\"3,5\"");  // section 5.2
  EXPECT_EQ(some.preferred, 3);
  EXPECT_EQ(some.modes, 1U << 3 | 1U << 5);
  EXPECT_FALSE(some.any);
  EXPECT_EQ(read("vbr=on;cng=on").rate, api::SpeexRate::Variable);       // section 5.3
  EXPECT_EQ(read("vbr=vad").rate, api::SpeexRate::Vad);                  // section 5.4
  const SpeexParameters wide = read("mode=\"10,any\"", Codec::Speex16);  // section 5.5
  EXPECT_EQ(wide.preferred, 10);
  EXPECT_EQ(read("mode=\"any,4\"").preferred, SpeexParameters::kNone);
  for (const char* nonsense : {"mode=", "mode=\"\"", "mode=\"9\"", "mode=0", "mode=x", "mode=\",,\"", "vbr=1", "mode=\"", "mode=65536"})
    EXPECT_EQ(read(nonsense), SpeexParameters{}) << nonsense;
}

TEST(FormatParameters, OfSpeexWhatIsWrittenIsReadAndConcernsOneBand) {
  for (const char* fmtp : {"mode=\"4,any\"", "mode=\"3,5\"", "mode=\"any,2\"", "mode=\"7,1,2,any\";vbr=on", "vbr=vad"}) {
    const FormatParameters p = read_format_parameters(Codec::Speex8, fmtp);
    EXPECT_EQ(write_format_parameters(Codec::Speex8, p), fmtp);
    EXPECT_EQ(write_format_parameters(Codec::Speex16, p), "");
  }
}

// The library says what its qualities are.
TEST(FormatParameters, TheQualityOfAModeMakesThatMode) {
  void* encoder = speex_encoder_init(speex_lib_get_mode(SPEEX_MODEID_NB));
  for (std::uint8_t mode = 1; mode <= 8; ++mode) {
    int quality = speex_quality(Codec::Speex8, mode), made = -1;
    speex_encoder_ctl(encoder, SPEEX_SET_QUALITY, &quality);
    speex_encoder_ctl(encoder, SPEEX_GET_MODE, &made);
    EXPECT_EQ(made, mode);
  }
  speex_encoder_destroy(encoder);
  for (std::uint8_t mode = 0; mode <= 10; ++mode) EXPECT_EQ(speex_quality(Codec::Speex16, mode), mode) << "RFC 5574, table 2";
}

MediaSettings annex_b(bool configured) {
  MediaSettings media;
  media.g729_annex_b = configured;
  return media;
}

class Parameters : public ::testing::Test {
 protected:
  void settle(Codec caller, Codec callee, const MediaSettings& media) {
    auto changed = std::make_shared<CallSettings>(*w->settings);
    changed->routes[0].caller.codecs = {caller};
    changed->routes[0].callee.codecs = {callee};
    changed->media = media;
    w->settings = changed;
    w->media.mask = 0xFFFF'FFFF;
  }
  // The text of an fmtp line of what the party was told last; empty: none.
  static std::string told(const std::string& sdp) {
    const std::size_t at = sdp.find("a=fmtp:");
    if (at == std::string::npos) return {};
    const std::size_t text = sdp.find(' ', at) + 1;
    return sdp.substr(text, sdp.find('\r', text) - text);
  }
  static std::string opus(const std::string& address, const std::string& fmtp) {
    return audio_sdp(address, 4000, "111", "a=rtpmap:111 opus/48000/2\r\n" + (fmtp.empty() ? "" : "a=fmtp:111 " + fmtp + "\r\n"));
  }
  static std::string g729(const std::string& address, const std::string& fmtp) {
    return audio_sdp(address, 4000, "18", fmtp.empty() ? "" : "a=fmtp:18 " + fmtp + "\r\n");
  }
  void connect(const std::string& offer, const std::string& answer) {
    w->caller = w->offer(offer);
    w->settle_media();
    w->give(LegAnswered{w->callee, answer});
    w->settle_media();
    ASSERT_NE(w->last<AnswerLeg>(), nullptr);
  }
  const api::EncoderParams& encoder(Party party) { return w->media.legs.at(w->only_call().side(party).media.value).media.encoder; }
  std::unique_ptr<CallWorld> w = std::make_unique<CallWorld>();
};

TEST_F(Parameters, TheEncoderDoesWhatIsConfiguredWithinWhatThePartyWants) {
  MediaSettings media;
  media.opus = {.bitrate_bps = 40'000, .complexity = 9, .expected_loss_percent = 7, .fec = true, .dtx = true};
  settle(Codec::Opus, Codec::Pcmu, media);
  connect(opus("10.0.0.9", "maxaveragebitrate=20000;useinbandfec=1;maxplaybackrate=16000;cbr=1"), audio_sdp("192.0.2.7", 6000, "0"));
  const api::EncoderParams& e = encoder(Party::Caller);
  EXPECT_EQ(e.bitrate_bps, 40'000U);
  EXPECT_EQ(e.max_bitrate_bps, 20'000U);
  EXPECT_EQ(e.max_playback_rate_hz, 16'000);
  EXPECT_EQ(e.complexity, 9);
  EXPECT_EQ(e.expected_loss_percent, 7);
  EXPECT_EQ(e.fec, 1);
  EXPECT_EQ(e.dtx, 0) << "the party did not ask for it";
  EXPECT_EQ(e.cbr, 1);
  EXPECT_EQ(encoder(Party::Callee), api::EncoderParams{}) << "PCMU has no parameters";
  EXPECT_EQ(told(w->last<AnswerLeg>()->sdp), "maxaveragebitrate=40000;useinbandfec=1;usedtx=1");
}

TEST_F(Parameters, SpeexIsMadeAsThePartyPrefersAndElseAsConfigured) {
  const auto made = [&](const char* fmtp) {
    w = std::make_unique<CallWorld>();
    MediaSettings media;
    media.speex.quality = 5;
    settle(Codec::Speex16, Codec::Pcmu, media);
    const std::string map = "a=rtpmap:110 speex/16000\r\n" + (*fmtp == 0 ? std::string{} : std::string("a=fmtp:110 ") + fmtp + "\r\n");
    connect(audio_sdp("10.0.0.9", 4000, "110", map), audio_sdp("192.0.2.7", 6000, "0"));
    return encoder(Party::Caller);
  };
  EXPECT_EQ(made("").speex_quality, 5);
  EXPECT_EQ(made("mode=\"9,any\"").speex_quality, 9);
  EXPECT_EQ(made("vbr=on").speex_rate, api::SpeexRate::Variable);
  EXPECT_EQ(made("mode=\"9,7\";vbr=on").speex_rate, api::SpeexRate::Constant) << "it would make others";
  EXPECT_EQ(told(w->last<AnswerLeg>()->sdp), "") << "we understand every mode";
}

TEST_F(Parameters, WhereSpeexIsRelayedEachPartyIsAskedForWhatTheOtherWants) {
  settle(Codec::Speex8, Codec::Speex8, {});
  const auto speex = [](const char* address, const char* fmtp) {
    return audio_sdp(address, 4000, "110", std::string("a=rtpmap:110 speex/8000\r\na=fmtp:110 ") + fmtp + "\r\n");
  };
  connect(speex("10.0.0.9", "mode=\"3,5\""), speex("192.0.2.7", "vbr=on"));
  EXPECT_EQ(told(w->last<OfferLeg>()->sdp), "mode=\"3,5\"");
  EXPECT_EQ(told(w->last<AnswerLeg>()->sdp), "vbr=on");
}

TEST_F(Parameters, APartyWithoutFecIsSentNone) {
  settle(Codec::Opus, Codec::Pcmu, {});
  connect(opus("10.0.0.9", ""), audio_sdp("192.0.2.7", 6000, "0"));
  EXPECT_EQ(encoder(Party::Caller).fec, 0);
  EXPECT_EQ(told(w->last<AnswerLeg>()->sdp), "useinbandfec=1") << "we make use of it";
}

TEST_F(Parameters, WhereOpusIsRelayedEachPartyIsAskedForWhatTheOtherWants) {
  MediaSettings media;
  media.opus.dtx = true;
  settle(Codec::Opus, Codec::Opus, media);
  connect(opus("10.0.0.9", "maxaveragebitrate=20000;cbr=1"), opus("192.0.2.7", "useinbandfec=1;usedtx=1;maxplaybackrate=8000"));
  EXPECT_EQ(told(w->last<OfferLeg>()->sdp), "maxaveragebitrate=20000;cbr=1");
  EXPECT_EQ(told(w->last<AnswerLeg>()->sdp), "maxplaybackrate=8000;useinbandfec=1;usedtx=1");
}

TEST_F(Parameters, SidFramesPassOnlyWhereBothWantThem) {
  struct Case {
    bool configured;
    const char* offer;
    const char* told;
    int annex_b;
  };
  for (const Case& c : {Case{true, "", "annexb=yes", 1}, Case{true, "annexb=yes", "annexb=yes", 1}, Case{true, "annexb=no", "annexb=no", 0},
                        Case{false, "annexb=yes", "annexb=no", 0}}) {
    w = std::make_unique<CallWorld>();
    settle(Codec::G729, Codec::Pcmu, annex_b(c.configured));
    connect(g729("10.0.0.9", c.offer), audio_sdp("192.0.2.7", 6000, "0"));
    EXPECT_EQ(told(w->last<AnswerLeg>()->sdp), c.told) << c.offer;
    EXPECT_EQ(encoder(Party::Caller).annex_b, c.annex_b) << c.offer;
  }
}

TEST_F(Parameters, ACallerIsNotAskedForSidFramesThatTheCalleeRefuses) {
  settle(Codec::G729, Codec::G729, annex_b(true));
  connect(g729("10.0.0.9", "annexb=yes"), g729("192.0.2.7", "annexb=no"));
  EXPECT_EQ(told(w->last<OfferLeg>()->sdp), "annexb=yes");
  EXPECT_EQ(told(w->last<AnswerLeg>()->sdp), "annexb=no");
  EXPECT_EQ(encoder(Party::Callee).annex_b, 0);
  EXPECT_EQ(encoder(Party::Caller).annex_b, 0) << "so that G.729 is relayed";
}

TEST_F(Parameters, ALaterRefusalLeavesTheOtherLegAsItWasTold) {
  settle(Codec::G729, Codec::G729, annex_b(true));
  connect(g729("10.0.0.9", "annexb=yes"), g729("192.0.2.7", "annexb=yes"));
  w->give(LegUpdated{w->callee, g729("192.0.2.7", "annexb=no"), true});
  w->settle_media();
  EXPECT_EQ(encoder(Party::Callee).annex_b, 0);
  EXPECT_EQ(encoder(Party::Caller).annex_b, 1) << "the caller still sends SID frames: the dataplane has to transcode them";
}

TEST_F(Parameters, ComfortNoiseIsAgreedWhereBothKnowItOrAudioIsTranscoded) {
  struct Case {
    Codec callee;
    const char* answer;
    bool caller, callee_noise;
  };
  const auto noise = [&](Party party) { return w->media.legs.at(w->only_call().side(party).media.value).media.comfort_noise_payload_type; };
  for (const Case& c : {Case{Codec::Pcma, "8 13", true, true}, Case{Codec::Pcma, "8", false, false}, Case{Codec::G722, "9", true, false},
                        Case{Codec::G729, "18", true, false}}) {
    w = std::make_unique<CallWorld>();
    settle(Codec::Pcmu, c.callee, {});
    connect(audio_sdp("10.0.0.9", 4000, "0 13"), audio_sdp("192.0.2.7", 6000, c.answer));
    EXPECT_EQ(w->last<OfferLeg>()->sdp.find(" 13\r\n") != std::string::npos, c.callee != Codec::G729) << c.answer;
    EXPECT_EQ(w->last<AnswerLeg>()->sdp.find("RTP/AVP 0 13\r\n") != std::string::npos, c.caller) << c.answer;
    EXPECT_EQ(noise(Party::Caller), c.caller ? 13 : api::kNoPayloadType) << c.answer;
    EXPECT_EQ(noise(Party::Callee), c.callee_noise ? 13 : api::kNoPayloadType) << c.answer;
  }
}

TEST_F(Parameters, ComfortNoiseThatWasNotOfferedIsNotAgreed) {
  settle(Codec::Pcmu, Codec::Pcmu, {});
  connect(audio_sdp("10.0.0.9", 4000, "0"), audio_sdp("192.0.2.7", 6000, "0 13"));
  EXPECT_EQ(w->last<OfferLeg>()->sdp.find("CN/8000"), std::string::npos);
  for (const auto& [id, leg] : w->media.legs) EXPECT_EQ(leg.media.comfort_noise_payload_type, api::kNoPayloadType);
  MediaSettings off;
  off.comfort_noise = false;
  w = std::make_unique<CallWorld>();
  settle(Codec::Pcmu, Codec::Pcmu, off);
  connect(audio_sdp("10.0.0.9", 4000, "0 13"), audio_sdp("192.0.2.7", 6000, "0"));
  EXPECT_EQ(w->last<AnswerLeg>()->sdp.find("CN/8000"), std::string::npos);
}

}  // namespace
}  // namespace ifgw::core
