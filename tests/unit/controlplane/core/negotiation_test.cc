#include "controlplane/core/negotiation.h"

#include <gtest/gtest.h>

#include "tests/support/call_world.h"

namespace ifgw::core {
namespace {

using test::audio_sdp;
const std::vector<api::Codec> kAccepted = {api::Codec::Pcma, api::Codec::Opus, api::Codec::Pcmu};

Agreement agreed(const std::string& sdp) {
  const Negotiated outcome = read_offer(sdp, kAccepted);
  EXPECT_TRUE(std::holds_alternative<Understood>(outcome)) << std::get<Refusal>(outcome).phrase();
  return std::get<Understood>(outcome).agreement;
}
Refusal refused(const std::string& sdp) {
  const Negotiated outcome = read_offer(sdp, kAccepted);
  EXPECT_TRUE(std::holds_alternative<Refusal>(outcome));
  return std::holds_alternative<Refusal>(outcome) ? std::get<Refusal>(outcome) : Refusal{};
}

TEST(ReadOffer, TakesOurFirstChoiceWithTheOffersPayloadType) {
  EXPECT_EQ(agreed(audio_sdp("10.0.0.9", 4000, "0 8")).codec, api::Codec::Pcma);
  const Agreement opus = agreed(audio_sdp("10.0.0.9", 4000, "0 111", "a=rtpmap:111 OPUS/48000/2\r\n"));
  EXPECT_EQ(opus.codec, api::Codec::Opus);
  EXPECT_EQ(opus.payload_type, 111);
  const Agreement renamed = agreed(audio_sdp("10.0.0.9", 4000, "97", "a=rtpmap:97 pcma/8000\r\n"));
  EXPECT_EQ(renamed.payload_type, 97);
}

TEST(ReadOffer, AnRtpmapWithAnotherClockOrChannelCountIsAnotherCodec) {
  EXPECT_EQ(refused(audio_sdp("10.0.0.9", 4000, "97", "a=rtpmap:97 PCMA/16000\r\n")).rule, "no-common-codec");
  EXPECT_EQ(refused(audio_sdp("10.0.0.9", 4000, "97", "a=rtpmap:97 opus/48000\r\n")).rule, "no-common-codec");
}

TEST(ReadOffer, PayloadTypesThatCollideWithRtcpAreNotUsed) {
  EXPECT_EQ(refused(audio_sdp("10.0.0.9", 4000, "72", "a=rtpmap:72 PCMA/8000\r\n")).rule, "no-common-codec");
}

TEST(ReadOffer, TelephoneEventRtcpAndPacketTime) {
  const Agreement a =
      agreed(audio_sdp("10.0.0.9", 4000, "8 101", "a=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\na=maxptime:20\r\na=rtcp:5555\r\n"));
  EXPECT_EQ(a.telephone_event, 101);
  EXPECT_EQ(a.ptime_ms, 20);
  EXPECT_EQ(a.rtcp_port, 5555);
  EXPECT_EQ(agreed(audio_sdp("10.0.0.9", 4000, "8", "a=ptime:5\r\n")).ptime_ms, 10);
  EXPECT_EQ(agreed(audio_sdp("10.0.0.9", 4000, "8", "a=ptime:200\r\n")).ptime_ms, 60);
  EXPECT_EQ(agreed(audio_sdp("10.0.0.9", 4000, "8", "a=rtcp:4001\r\n")).rtcp_port, 0);
  EXPECT_EQ(agreed(audio_sdp("10.0.0.9", 4000, "8")).telephone_event, api::kNoPayloadType);
}

TEST(ReadOffer, OtherStreamsAreSkippedAndSecureOnesNamed) {
  const std::string head = "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n";
  const Negotiated outcome = read_offer(head + "m=video 5 RTP/AVP 31\r\nm=audio 0 RTP/AVP 8\r\nm=audio 6 RTP/AVP 8\r\n", kAccepted);
  ASSERT_TRUE(std::holds_alternative<Understood>(outcome));
  EXPECT_EQ(std::get<Understood>(outcome).layout.audio, 2u);
  const Refusal r = refused(head + "m=audio 6 RTP/SAVP 8\r\n");
  EXPECT_EQ(r.rule, "no-audio-stream");
  EXPECT_NE(r.observed.find("RTP/SAVP"), std::string::npos);
}

TEST(ReadOffer, AddressesThatLeadNowhereAreRefused) {
  EXPECT_EQ(refused(audio_sdp("127.0.0.1", 4000, "8")).rule, "media-address-not-reachable");
  EXPECT_EQ(refused(audio_sdp("233.252.0.1", 4000, "8")).rule, "media-address-not-reachable");
  EXPECT_EQ(refused(audio_sdp("host.example", 4000, "8")).rule, "media-address-is-a-name");
  EXPECT_EQ(refused("v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nt=0 0\r\nm=audio 5 RTP/AVP 8\r\n").rule, "no-connection-line");
  EXPECT_EQ(refused("junk").rule, "malformed-sdp");
}

TEST(ReadAnswer, FollowsTheAnswersOrderWithinWhatWeOffered) {
  const std::vector<api::Codec> offered = {api::Codec::Pcma, api::Codec::Pcmu};
  const Negotiated outcome = read_answer(audio_sdp("10.0.0.9", 4000, "18 0 8"), offered, Layout::one_audio());
  ASSERT_TRUE(std::holds_alternative<Understood>(outcome));
  EXPECT_EQ(std::get<Understood>(outcome).agreement.codec, api::Codec::Pcmu);
  EXPECT_EQ(std::get<Refusal>(read_answer(audio_sdp("10.0.0.9", 0, "0"), offered, Layout::one_audio())).rule, "audio-refused");
  EXPECT_EQ(std::get<Refusal>(read_answer("v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\n", offered, Layout::one_audio())).rule, "answer-lacks-m-line");
}

TEST(Describe, AnswerHasOneMLinePerOfferedOneAndOnlyOurAudioHasAPort) {
  const std::string offer = audio_sdp("10.0.0.9", 4000, "8 101",
                                      "a=rtpmap:101 telephone-event/8000\r\nm=video 5 RTP/AVP 31 34\r\nm=application 9 UDP/BFCP *\r\n");
  const Negotiated outcome = read_offer(offer, kAccepted);
  const auto& understood = std::get<Understood>(outcome);
  const std::string text =
      describe_agreed({*Endpoint::parse("10.0.0.1:20000"), 7, 1, Direction::SendRecv, 20}, understood.layout, understood.agreement);
  EXPECT_EQ(text,
            "v=0\r\no=ifgw 7 1 IN IP4 10.0.0.1\r\ns=ifgw\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
            "m=audio 20000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 "
            "0-15\r\na=ptime:20\r\na=sendrecv\r\n"
            "m=video 0 RTP/AVP 31\r\nm=application 0 UDP/BFCP *\r\n");
}

TEST(CodecNames, AreReadWithoutCase) {
  EXPECT_EQ(codec_named("pcma"), api::Codec::Pcma);
  EXPECT_EQ(codec_named("OPUS"), api::Codec::Opus);
  EXPECT_FALSE(codec_named("GSM"));
}

}  // namespace
}  // namespace ifgw::core
