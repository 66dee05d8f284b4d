#include "controlplane/core/negotiation.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/support/call_world.h"

namespace ifgw::core {
namespace {

using test::audio_sdp;
const std::vector<api::Codec> kAccepted = {api::Codec::Pcma, api::Codec::Opus, api::Codec::Pcmu};
const std::vector<IpAddress> kOurs = {*IpAddress::parse("10.0.0.1"), *IpAddress::parse("2001:db8::1")};
const MediaPath kPath{IpFamily::V4, kOurs};

// A session in which nothing was said yet.
PayloadNumbers& fresh() {
  static PayloadNumbers numbers;
  return numbers = {};
}

Agreement agreed(const std::string& sdp) {
  const Negotiated outcome = read_offer(sdp, kAccepted, kPath);
  EXPECT_TRUE(std::holds_alternative<Understood>(outcome)) << std::get<Refusal>(outcome).phrase();
  return std::get<Understood>(outcome).agreement;
}
Refusal refused(const std::string& sdp) {
  const Negotiated outcome = read_offer(sdp, kAccepted, kPath);
  EXPECT_TRUE(std::holds_alternative<Refusal>(outcome));
  return std::holds_alternative<Refusal>(outcome) ? std::get<Refusal>(outcome) : Refusal{};
}

TEST(ReadOffer, TakesOurFirstChoiceWithTheOffersPayloadType) {
  EXPECT_EQ(agreed(audio_sdp("10.0.0.9", 4000, "0 8")).codec, api::Codec::Pcma);
  const Agreement opus = agreed(audio_sdp("10.0.0.9", 4000, "0 111", "a=rtpmap:111 OPUS/48000/2\r\n"));
  EXPECT_EQ(opus.codec, api::Codec::Opus);
  EXPECT_EQ(opus.sent.audio, 111);
  const Agreement renamed = agreed(audio_sdp("10.0.0.9", 4000, "97", "a=rtpmap:97 pcma/8000\r\n"));
  EXPECT_EQ(renamed.sent.audio, 97);
}

TEST(ReadOffer, AnRtpmapWithAnotherClockOrChannelCountIsAnotherCodec) {
  EXPECT_EQ(refused(audio_sdp("10.0.0.9", 4000, "97", "a=rtpmap:97 PCMA/16000\r\n")).rule, "no-common-codec");
  EXPECT_EQ(refused(audio_sdp("10.0.0.9", 4000, "97", "a=rtpmap:97 opus/48000\r\n")).rule, "no-common-codec");
}

TEST(ReadOffer, PayloadTypesThatCollideWithRtcpAreNotUsed) {
  EXPECT_EQ(refused(audio_sdp("10.0.0.9", 4000, "72", "a=rtpmap:72 PCMA/8000\r\n")).rule, "no-common-codec");
}

TEST(ReadOffer, WhatOnlyLooksLikeAnAcceptedCodecIsToldWhyItIsNot) {
  const auto observed = [](const std::string& type, const std::string& map) {
    return refused(audio_sdp("10.0.0.9", 4000, type, "a=rtpmap:" + type + " " + map + "\r\n")).observed;
  };
  EXPECT_EQ(observed("72", "PCMU/8000"), "offered PCMU/8000 (payload type 72 is reserved, RFC 5761 section 4)");
  EXPECT_EQ(observed("97", "PCMU/8000/2"), "offered PCMU/8000 (channels: 2, not 1)");
  EXPECT_EQ(observed("97", "opus/48000"), "offered opus/48000 (channels: 1, not 2)");
  EXPECT_EQ(observed("97", "PCMA/16000"), "offered PCMA/16000 (clock rate 16000, not 8000)");
  EXPECT_EQ(observed("72", "G726-32/8000"), "offered G726-32/8000") << "not accepted on any payload type";
  EXPECT_EQ(refused(audio_sdp("10.0.0.9", 4000, "9 72", "a=rtpmap:72 PCMU/8000\r\n")).phrase(),
            "no common codec: offered G722/8000, PCMU/8000 (payload type 72 is reserved, RFC 5761 section 4); accepted PCMA, opus, PCMU");
  const Negotiated answer =
      read_answer(audio_sdp("10.0.0.9", 4000, "97", "a=rtpmap:97 PCMU/8000/2\r\n"), kAccepted, Layout::one_audio(), kPath);
  EXPECT_EQ(std::get<Refusal>(answer).observed, "answered PCMU/8000 (channels: 2, not 1)");
}

TEST(ReadOffer, TelephoneEventRtcpAndPacketTime) {
  const Agreement a =
      agreed(audio_sdp("10.0.0.9", 4000, "8 101", "a=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\na=maxptime:20\r\na=rtcp:5555\r\n"));
  EXPECT_EQ(a.sent.telephone_event, 101);
  EXPECT_EQ(a.ptime_ms, 20);
  EXPECT_EQ(a.rtcp_port, 5555);
  EXPECT_EQ(agreed(audio_sdp("10.0.0.9", 4000, "8", "a=ptime:5\r\n")).ptime_ms, 10);
  EXPECT_EQ(agreed(audio_sdp("10.0.0.9", 4000, "8", "a=ptime:200\r\n")).ptime_ms, 60);
  EXPECT_EQ(agreed(audio_sdp("10.0.0.9", 4000, "8", "a=ptime:20\r\na=maxptime:50\r\n")).ptime_ms, 20);
  EXPECT_EQ(agreed(audio_sdp("10.0.0.9", 4000, "8", "a=ptime:50\r\n")).ptime_ms, 40) << "which every codec can make";
  EXPECT_EQ(agreed(audio_sdp("10.0.0.9", 4000, "8", "a=rtcp:4001\r\n")).rtcp_port, 0);
  EXPECT_EQ(agreed(audio_sdp("10.0.0.9", 4000, "8")).sent.telephone_event, api::kNoPayloadType);
}

TEST(ReadOffer, OneEncodingAtTwoClocksIsTwoCodecs) {
  const std::string both = "a=rtpmap:110 speex/16000\r\na=rtpmap:111 speex/8000\r\n";
  const auto takes = [&](api::Codec codec, const std::string& sdp) {
    const std::array accepted{codec};
    const Negotiated outcome = read_offer(sdp, accepted, kPath);
    return std::holds_alternative<Understood>(outcome) ? std::get<Understood>(outcome).agreement : Agreement{};
  };
  EXPECT_EQ(takes(api::Codec::Speex8, audio_sdp("10.0.0.9", 4000, "110 111", both)).sent.audio, 111);
  EXPECT_EQ(takes(api::Codec::Speex16, audio_sdp("10.0.0.9", 4000, "110 111", both)).sent.audio, 110);
  EXPECT_EQ(takes(api::Codec::Gsm, audio_sdp("10.0.0.9", 4000, "3")).sent.audio, 3) << "static";
  EXPECT_EQ(takes(api::Codec::G726_32, audio_sdp("10.0.0.9", 4000, "2", "a=rtpmap:2 G726-32/8000\r\n")).sent.audio, 2);
  EXPECT_EQ(takes(api::Codec::G726_32, audio_sdp("10.0.0.9", 4000, "2")).codec, api::Codec::None) << "reserved, RFC 3551 section 6";
  EXPECT_EQ(takes(api::Codec::G726_32, audio_sdp("10.0.0.9", 4000, "97", "a=rtpmap:97 AAL2-G726-32/8000\r\n")).codec, api::Codec::None)
      << "another order of bits";
  EXPECT_EQ(takes(api::Codec::L16_8, audio_sdp("10.0.0.9", 4000, "11")).codec, api::Codec::None) << "44.1 kHz";
  EXPECT_EQ(takes(api::Codec::L16_16, audio_sdp("10.0.0.9", 4000, "97", "a=rtpmap:97 L16/16000/2\r\n")).codec, api::Codec::None);
}

TEST(ReadOffer, ThePacketTimeIsOneTheCodecHas) {
  const auto ptime = [](api::Codec codec, const std::string& lines) {
    const std::array accepted{codec};
    const std::string map = "a=rtpmap:97 " + std::string(api::facts(codec).name) + (codec == api::Codec::Gsm ? "/8000\r\n" : "\r\n");
    const Negotiated outcome = read_offer(audio_sdp("10.0.0.9", 4000, "97", map + lines), accepted, kPath);
    return int{std::get<Understood>(outcome).agreement.ptime_ms};
  };
  for (const api::Codec codec : {api::Codec::Speex8, api::Codec::Speex16, api::Codec::Gsm}) {
    EXPECT_EQ(ptime(codec, ""), 20);
    EXPECT_EQ(ptime(codec, "a=ptime:10\r\n"), 20);
    EXPECT_EQ(ptime(codec, "a=ptime:30\r\n"), 40) << "RFC 5574 section 5.6";
    EXPECT_EQ(ptime(codec, "a=ptime:30\r\na=maxptime:30\r\n"), 20);
    EXPECT_EQ(ptime(codec, "a=ptime:50\r\n"), 60);
    EXPECT_EQ(ptime(codec, "a=maxptime:10\r\n"), 20) << "it has no shorter one";
    EXPECT_EQ(ptime(codec, "a=ptime:200\r\n"), 60);
  }
  EXPECT_EQ(ptime(api::Codec::L16_16, "a=ptime:60\r\n"), 40) << "what a datagram carries";
  EXPECT_EQ(ptime(api::Codec::L16_8, "a=ptime:60\r\n"), 60);
}

TEST(ReadOffer, TelephoneEventsFollowTheAudiosClock) {
  const std::string both = "a=rtpmap:101 telephone-event/8000\r\na=rtpmap:102 telephone-event/48000\r\n";
  const std::string opus = "a=rtpmap:111 opus/48000/2\r\n";
  const Agreement wide = agreed(audio_sdp("10.0.0.9", 4000, "111 101 102", opus + both));
  EXPECT_EQ(wide.sent.telephone_event, 102);
  EXPECT_EQ(wide.telephone_event_clock_hz, 48'000);
  const Agreement narrow = agreed(audio_sdp("10.0.0.9", 4000, "8 102 101", both));
  EXPECT_EQ(narrow.sent.telephone_event, 101);
  EXPECT_EQ(narrow.telephone_event_clock_hz, 8000);
  const Agreement old = agreed(audio_sdp("10.0.0.9", 4000, "111 101", opus + "a=rtpmap:101 telephone-event/8000\r\n"));
  EXPECT_EQ(old.sent.telephone_event, 101) << "all that many phones know";
  EXPECT_EQ(old.telephone_event_clock_hz, 8000);
  const Agreement none = agreed(audio_sdp("10.0.0.9", 4000, "8 102", "a=rtpmap:102 telephone-event/48000\r\n"));
  EXPECT_EQ(none.sent.telephone_event, api::kNoPayloadType) << "PCMA has no clock of 48 kHz";
}

TEST(Describe, AnOfferOfOpusHasEventsOfBothClocks) {
  const Description d{*Endpoint::parse("10.0.0.1:20000"), 7, 1, Direction::SendRecv, 20, {}};
  const std::string text = describe_offer(d, Layout::one_audio(), kAccepted, true, fresh());
  EXPECT_NE(text.find("RTP/AVP 8 96 0 102 101\r\n"), std::string::npos) << text;
  EXPECT_NE(text.find("a=rtpmap:102 telephone-event/48000\r\na=fmtp:102 0-15\r\n"), std::string::npos) << text;
  const std::vector<api::Codec> speex = {api::Codec::Speex16, api::Codec::Gsm};
  EXPECT_NE(describe_offer(d, Layout::one_audio(), speex, true, fresh()).find("RTP/AVP 98 3 103 101\r\na=rtpmap:98 speex/16000\r\n"),
            std::string::npos);
  const std::vector<api::Codec> narrow = {api::Codec::G722};
  EXPECT_NE(describe_offer(d, Layout::one_audio(), narrow, true, fresh()).find("RTP/AVP 9 101\r\n"), std::string::npos);
  EXPECT_EQ(describe_offer(d, Layout::one_audio(), kAccepted, false, fresh()).find("telephone-event"), std::string::npos);
}

TEST(ReadOffer, OtherStreamsAreSkippedAndSecureOnesNamed) {
  const std::string head = "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n";
  const Negotiated outcome = read_offer(head + "m=video 5 RTP/AVP 31\r\nm=audio 0 RTP/AVP 8\r\nm=audio 6 RTP/AVP 8\r\n", kAccepted, kPath);
  ASSERT_TRUE(std::holds_alternative<Understood>(outcome));
  EXPECT_EQ(std::get<Understood>(outcome).layout.audio, 2u);
  const Refusal r = refused(head + "m=audio 6 RTP/SAVP 8\r\n");
  EXPECT_EQ(r.rule, "no-audio-stream");
  EXPECT_NE(r.observed.find("RTP/SAVP"), std::string::npos);
}

TEST(ReadOffer, AddressesThatLeadNowhereAreRefused) {
  EXPECT_EQ(refused(audio_sdp("127.0.0.1", 4000, "8")).rule, "media-address-not-reachable");
  EXPECT_EQ(refused(audio_sdp("233.252.0.1", 4000, "8")).rule, "media-address-not-reachable");
  EXPECT_EQ(refused(audio_sdp("255.255.255.255", 4000, "8")).rule, "media-address-not-reachable");
  EXPECT_EQ(refused(audio_sdp("0.0.0.1", 4000, "8")).rule, "media-address-not-reachable");
  EXPECT_EQ(refused(audio_sdp("host.example", 4000, "8")).rule, "media-address-is-a-name");
  EXPECT_EQ(refused("v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nt=0 0\r\nm=audio 5 RTP/AVP 8\r\n").rule, "no-connection-line");
  EXPECT_EQ(refused("junk").rule, "malformed-sdp");
}

std::string audio6_sdp(const std::string& address) {
  return "v=0\r\no=- 1 1 IN IP6 " + address + "\r\ns=-\r\nc=IN IP6 " + address + "\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
}

TEST(ReadOffer, TheGatewaysOwnAddressesAndTheOtherIpVersionAreRefused) {
  const Refusal ours = refused(audio_sdp("10.0.0.1", 4000, "8"));
  EXPECT_EQ(ours.status, 488);
  EXPECT_EQ(ours.phrase(), "media address is ours: 10.0.0.1; an address that is not the gateway's");
  EXPECT_EQ(refused(audio6_sdp("2001:db8::1")).rule, "media-address-is-ours");
  EXPECT_EQ(refused(audio6_sdp("2001:db8::9")).phrase(), "media address family: 2001:db8::9; IPv4 on this leg");
  for (const char* nowhere : {"::1", "ff02::1", "::ffff:10.0.0.9"})
    EXPECT_EQ(refused(audio6_sdp(nowhere)).rule, "media-address-not-reachable") << nowhere;
  EXPECT_TRUE(std::holds_alternative<Understood>(read_offer(audio6_sdp("2001:db8::9"), kAccepted, {IpFamily::V6, kOurs})));
  EXPECT_TRUE(std::holds_alternative<Understood>(read_offer(audio6_sdp("64:ff9b::a00:9"), kAccepted, {IpFamily::V6, kOurs})));
}

TEST(ReadOffer, AnAddressWeAdvertiseIsOursToo) {
  const std::vector<std::pair<IpAddress, IpAddress>> advertised = {{kOurs[0], *IpAddress::parse("198.51.100.9")}};
  const MediaPath path{IpFamily::V4, kOurs, advertised};
  const auto rule = [&](const char* address) {
    const Negotiated outcome = read_offer(audio_sdp(address, 4000, "8"), kAccepted, path);
    return std::holds_alternative<Refusal>(outcome) ? std::get<Refusal>(outcome).rule : "";
  };
  EXPECT_EQ(rule("198.51.100.9"), "media-address-is-ours");
  EXPECT_EQ(rule("10.0.0.1"), "media-address-is-ours");
  EXPECT_EQ(rule("198.51.100.8"), "");
}

TEST(ReadOffer, TheZeroAddressIsAHoldInBothIpVersions) {
  for (const std::string& sdp : {audio_sdp("0.0.0.0", 4000, "8"), audio6_sdp("::")}) {
    const Agreement a = agreed(sdp);
    EXPECT_EQ(a.direction, Direction::SendOnly);
    EXPECT_FALSE(a.remote.present());
  }
  EXPECT_EQ(agreed(audio_sdp("0.0.0.0", 4000, "8", "a=recvonly\r\n")).direction, Direction::Inactive);
}

TEST(ReadAnswer, EveryMLineAnswersItsOwn) {
  const Layout layout{{{"video", "RTP/AVP", "31"}, {"audio", "RTP/AVP", ""}}, 1};
  const std::string head = "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n";
  const std::string video = "m=video 0 RTP/AVP 31\r\n", audio = "m=audio 4000 RTP/AVP 8\r\n";
  const auto outcome = [&](const std::string& lines) { return read_answer(head + lines, kAccepted, layout, kPath); };
  EXPECT_TRUE(std::holds_alternative<Understood>(outcome(video + audio)));
  const auto rule = [&](const std::string& lines) { return std::get<Refusal>(outcome(lines)).phrase(); };
  EXPECT_EQ(rule(audio), "answer m line count: 1 m= lines; offered 2");
  EXPECT_EQ(rule(video + audio + "m=image 0 udptl t38\r\n"), "answer m line count: 3 m= lines; offered 2");
  EXPECT_EQ(rule(audio + video), "answer m line differs: answered audio RTP/AVP; offered video RTP/AVP");
  EXPECT_EQ(rule(video + "m=audio 4000 RTP/SAVP 8\r\n"), "answer m line differs: answered audio RTP/SAVP; offered audio RTP/AVP");
  EXPECT_EQ(rule(video + "m=audio 0 RTP/AVP 8\r\n").substr(0, 22), "audio refused: port 0;");
}

TEST(ReadAnswer, FollowsTheAnswersOrderWithinWhatWeOffered) {
  const std::vector<api::Codec> offered = {api::Codec::Pcma, api::Codec::Pcmu};
  const Negotiated outcome = read_answer(audio_sdp("10.0.0.9", 4000, "18 0 8"), offered, Layout::one_audio(), kPath);
  ASSERT_TRUE(std::holds_alternative<Understood>(outcome));
  EXPECT_EQ(std::get<Understood>(outcome).agreement.codec, api::Codec::Pcmu);
  EXPECT_EQ(std::get<Refusal>(read_answer(audio_sdp("10.0.0.9", 0, "0"), offered, Layout::one_audio(), kPath)).rule, "audio-refused");
  EXPECT_EQ(std::get<Refusal>(read_answer("v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\n", offered, Layout::one_audio(), kPath)).rule,
            "answer-m-line-count");
}

// RFC 3264 sections 5.1, 6.1: each side sends by the numbers of the other's description.
TEST(ReadAnswer, EachSideIsSentTheNumbersOfItsOwnDescription) {
  const std::vector<api::Codec> offered = {api::Codec::Opus, api::Codec::Pcmu};
  const std::string text =
      audio_sdp("10.0.0.9", 4000, "110 111 112",
                "a=rtpmap:110 opus/48000/2\r\na=rtpmap:111 telephone-event/8000\r\na=rtpmap:112 telephone-event/48000\r\n");
  const Agreement a = std::get<Understood>(read_answer(text, offered, Layout::one_audio(), kPath)).agreement;
  EXPECT_EQ(a.sent, (PayloadTypes{110, 112, api::kNoPayloadType}));
  EXPECT_EQ(a.received, (PayloadTypes{96, kTelephoneEvent48PayloadType, api::kNoPayloadType}));
  EXPECT_FALSE(a.ambiguous);

  const Description ours{*Endpoint::parse("10.0.0.1:20000"), 7, 2, Direction::SendRecv, 20};
  const std::string again = describe_agreed(ours, Layout::one_audio(), a);
  EXPECT_NE(again.find("RTP/AVP 96 102\r\n"), std::string::npos) << again;
  const std::string renumbered = audio_sdp("10.0.0.9", 4000, "120", "a=rtpmap:120 opus/48000/2\r\n");
  const Agreement b = std::get<Understood>(read_answer(renumbered, offered, Layout::one_audio(), kPath, &a)).agreement;
  EXPECT_EQ(b.sent, (PayloadTypes{120, api::kNoPayloadType, api::kNoPayloadType}));
  EXPECT_EQ(b.received, (PayloadTypes{96, api::kNoPayloadType, api::kNoPayloadType}));

  // An offer of the party's own numbers is answered with them, and an offer of ours keeps to them.
  Agreement theirs = std::get<Understood>(read_offer(text, offered, kPath)).agreement;
  EXPECT_EQ(theirs.received, theirs.sent);
  theirs = std::get<Understood>(read_answer(renumbered, offered, Layout::one_audio(), kPath, &theirs)).agreement;
  EXPECT_EQ(theirs.received.audio, 110);
}

TEST(ReadAnswer, SaysWhetherThePartyMaySendSeveralCodecs) {
  const std::vector<api::Codec> offered = {api::Codec::Pcma, api::Codec::Pcmu};
  const auto ambiguous = [&](const std::string& formats) {
    return std::get<Understood>(read_answer(audio_sdp("10.0.0.9", 4000, formats), offered, Layout::one_audio(), kPath)).agreement.ambiguous;
  };
  EXPECT_TRUE(ambiguous("8 0"));
  EXPECT_TRUE(ambiguous("18 0 8"));
  EXPECT_FALSE(ambiguous("8 18")) << "which was not offered";
  EXPECT_FALSE(ambiguous("0"));
}

TEST(Describe, AnswerHasOneMLinePerOfferedOneAndOnlyOurAudioHasAPort) {
  const std::string offer = audio_sdp("10.0.0.9", 4000, "8 101",
                                      "a=rtpmap:101 telephone-event/8000\r\nm=video 5 RTP/AVP 31 34\r\nm=application 9 UDP/BFCP *\r\n");
  const Negotiated outcome = read_offer(offer, kAccepted, kPath);
  const auto& understood = std::get<Understood>(outcome);
  const std::string text =
      describe_agreed({*Endpoint::parse("10.0.0.1:20000"), 7, 1, Direction::SendRecv, 20}, understood.layout, understood.agreement);
  EXPECT_EQ(text,
            "v=0\r\no=ifgw 7 1 IN IP4 10.0.0.1\r\ns=ifgw\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
            "m=audio 20000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 "
            "0-15\r\na=ptime:20\r\na=sendrecv\r\n"
            "m=video 0 RTP/AVP 31\r\nm=application 0 UDP/BFCP *\r\n");
}

TEST(Describe, OnePortForRtpAndRtcpIsOfferedAndAnsweredWhereOffered) {
  const Description ours{*Endpoint::parse("10.0.0.1:20000"), 7, 1, Direction::SendRecv, 20};
  EXPECT_NE(describe_offer(ours, Layout::one_audio(), kAccepted, false, fresh()).find("a=rtcp-mux\r\n"), std::string::npos);
  for (const bool offered : {true, false}) {
    const Agreement a = agreed(audio_sdp("10.0.0.9", 4000, "8", offered ? "a=rtcp:4005\r\na=rtcp-mux\r\n" : ""));
    EXPECT_EQ(a.rtcp_mux, offered);
    EXPECT_EQ(a.rtcp_port, offered ? 4000 : 0);
    EXPECT_EQ(describe_agreed(ours, Layout::one_audio(), a).find("a=rtcp-mux") != std::string::npos, offered);
  }
}

TEST(CodecNames, AreReadWithoutCase) {
  EXPECT_EQ(codec_named("pcma"), api::Codec::Pcma);
  EXPECT_EQ(codec_named("OPUS"), api::Codec::Opus);
  EXPECT_EQ(codec_named("Speex/16000"), api::Codec::Speex16);
  EXPECT_FALSE(codec_named("speex")) << "which?";
  EXPECT_FALSE(codec_named("iLBC"));
  for (std::uint8_t codec = 1; codec <= api::kMaxCodec; ++codec)
    EXPECT_EQ(codec_named(api::facts(static_cast<api::Codec>(codec)).name), static_cast<api::Codec>(codec));
}

}  // namespace
}  // namespace ifgw::core
