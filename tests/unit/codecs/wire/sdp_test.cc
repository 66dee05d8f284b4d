#include "codecs/wire/sdp.h"

#include <gtest/gtest.h>

namespace ifgw::wire::sdp {
namespace {

const std::string kOffer =
    "v=0\r\n"
    "o=alice 2890844526 2890844527 IN IP4 192.0.2.1\r\n"
    "s=Call\r\n"
    "c=IN IP4 192.0.2.1\r\n"
    "t=0 0\r\n"
    "a=tool:phone\r\n"
    "m=audio 49170 RTP/AVP 8 0 96 101\r\n"
    "a=rtpmap:96 opus/48000/2\r\n"
    "a=fmtp:96 useinbandfec=1;stereo=0\r\n"
    "a=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-15\r\n"
    "a=ptime:20\r\n"
    "a=maxptime:60\r\n"
    "a=rtcp:53020 IN IP4 192.0.2.9\r\n"
    "a=rtcp-mux\r\n"
    "a=sendonly\r\n"
    "a=ssrc:1234 cname:x\r\n"
    "m=video 0 RTP/AVP 31\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
    "c=IN IP6 2001:db8::5\r\n"
    "a=sctp-port:5000\r\n";

Session parsed(std::string_view text) {
  Result<Session> result = parse(text);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message + " in line " + std::to_string(result.error().position));
  return result.ok() ? std::move(result).value() : Session{};
}

TEST(SdpParse, ReadsEverythingTheGatewayUses) {
  const Session s = parsed(kOffer);
  EXPECT_EQ(s.origin.username, "alice");
  EXPECT_EQ(s.origin.session_version, "2890844527");
  ASSERT_EQ(s.attributes.size(), 1u);
  EXPECT_EQ(s.attributes[0].value, "phone");
  ASSERT_EQ(s.media.size(), 3u);

  const Media& audio = s.media[0];
  EXPECT_EQ(audio.port, 49170);
  ASSERT_EQ(audio.formats.size(), 4u);
  EXPECT_EQ(audio.formats[0].encoding, "PCMA");  // static: no rtpmap needed
  EXPECT_EQ(audio.formats[1].encoding, "PCMU");
  EXPECT_EQ(audio.formats[2].encoding, "opus");
  EXPECT_EQ(audio.formats[2].clock_rate, 48000u);
  EXPECT_EQ(audio.formats[2].channels, 2);
  EXPECT_EQ(audio.formats[2].fmtp, "useinbandfec=1;stereo=0");
  EXPECT_EQ(audio.ptime_ms, 20);
  EXPECT_EQ(audio.maxptime_ms, 60);
  ASSERT_TRUE(audio.rtcp && audio.rtcp->address);
  EXPECT_EQ(audio.rtcp->port, 53020);
  EXPECT_EQ(audio.rtcp->address->ip.text(), "192.0.2.9");
  EXPECT_TRUE(audio.rtcp_mux);
  EXPECT_EQ(s.direction_of(audio), Direction::SendOnly);
  ASSERT_EQ(audio.attributes.size(), 1u);
  EXPECT_EQ(audio.attributes[0].name, "ssrc");
  EXPECT_EQ(s.connection_of(audio)->ip.text(), "192.0.2.1");

  EXPECT_EQ(s.media[1].port, 0);
  EXPECT_EQ(s.media[2].tokens.at(0), "webrtc-datachannel");
  EXPECT_EQ(s.connection_of(s.media[2])->ip.text(), "2001:db8::5");
}

TEST(SdpParse, DirectionOfTheSessionHoldsUnlessTheMediaSaysOtherwise) {
  const Session s = parsed(
      "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\na=inactive\nm=audio 4 RTP/AVP 0\nm=audio 6 RTP/AVP 0\na=recvonly\n");
  EXPECT_EQ(s.direction_of(s.media[0]), Direction::Inactive);
  EXPECT_EQ(s.direction_of(s.media[1]), Direction::RecvOnly);
}

TEST(SdpParse, LineFeedAloneEndsALineAndALastLineNeedsNoEnd) {
  std::string text = kOffer;
  std::erase(text, '\r');
  text.pop_back();
  EXPECT_EQ(parsed(text), parsed(kOffer));
}

TEST(SdpParse, MulticastTtlIsDroppedAndHostNamesAreKeptAsText) {
  const Session s =
      parsed("v=0\r\no=- 1 1 IN IP4 host.example.com\r\ns= \r\nc=IN IP4 233.252.0.1/127\r\nt=0 0\r\nm=audio 4/2 RTP/AVP 0\r\n");
  EXPECT_EQ(s.origin.address.host, "host.example.com");
  EXPECT_FALSE(s.origin.address.ip.present());
  EXPECT_EQ(s.connection->ip.text(), "233.252.0.1");
  EXPECT_EQ(s.media[0].port_count, 2);
}

TEST(SdpParse, AnRtpmapOverridesAStaticTypeAndOneWithoutFormatIsIgnored) {
  const Session s = parsed(
      "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 4 RTP/AVP 9 18\r\na=rtpmap:9 G722/8000\r\na=rtpmap:77 "
      "X/8000\r\na=fmtp:18 annexb=no\r\n");
  ASSERT_EQ(s.media[0].formats.size(), 2u);
  EXPECT_EQ(s.media[0].formats[0].encoding, "G722");
  EXPECT_EQ(s.media[0].formats[1].encoding, "G729");
  EXPECT_EQ(s.media[0].formats[1].fmtp, "annexb=no");
}

struct BadCase {
  const char* text;
  std::size_t line;
  const char* says;
};

TEST(SdpParse, ErrorsNameTheLineAndTheRule) {
  const std::vector<BadCase> cases = {
      {"", 0, "empty"},
      {"x=0\r\n", 1, "v=0"},
      {"v=1\r\n", 1, "v=0"},
      {"v=0\r\ns=-\r\n", 2, "o= is missing"},
      {"v=0\r\no=- 1 1 IN IP4\r\n", 2, "o= is not"},
      {"v=0\r\no=- a 1 IN IP4 1.2.3.4\r\n", 2, "o= is not"},
      {"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\no=- 1 1 IN IP4 1.2.3.4\r\n", 3, "second o="},
      {"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nc=IN IP4 ::1\r\n", 3, "c= is not"},
      {"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nq=1\r\n", 3, "unknown line type 'q'"},
      {"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\njunk\r\n", 3, "<letter>=<value>"},
      {"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=a\rb\r\n", 3, "carriage return"},
      {"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\n\r\ns=-\r\n", 3, "<letter>=<value>"},
      {"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nm=audio 70000 RTP/AVP 0\r\n", 3, "m= is not"},
      {"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nm=audio 5 RTP/AVP\r\n", 3, "without formats"},
      {"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nm=audio 5 RTP/AVP 128\r\n", 3, "0..127"},
      {"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nm=audio 5 RTP/AVP 96\r\na=rtpmap:96 opus\r\n", 4, "rtpmap is not"},
      {"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nm=audio 5 RTP/AVP 96\r\na=rtpmap:96 opus/0\r\n", 4, "out of range"},
      {"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nm=audio 5 RTP/AVP 0\r\na=ptime:-20\r\n", 4, "ptime is not in"},
      {"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nm=audio 5 RTP/AVP 0\r\na=rtcp:0\r\n", 4, "rtcp port"},
      {"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\na=:x\r\n", 3, "attribute name"},
  };
  for (const BadCase& c : cases) {
    const Result<Session> result = parse(c.text);
    ASSERT_FALSE(result.ok()) << c.text;
    EXPECT_EQ(result.error().position, c.line) << c.text;
    EXPECT_NE(result.error().message.find(c.says), std::string::npos) << c.text << "\n" << result.error().message;
  }
}

TEST(SdpParse, EveryTableIsBounded) {
  const std::string head = "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\n";
  std::string formats = "m=audio 5 RTP/AVP";
  for (int i = 0; i < 65; ++i) formats += " " + std::to_string(i);
  std::string media, attributes, lines;
  for (int i = 0; i < 17; ++i) media += "m=audio 5 RTP/AVP 0\r\n";
  for (int i = 0; i < 129; ++i) attributes += "a=x\r\n";
  for (int i = 0; i < 512; ++i) lines += "b=AS:1\r\n";
  EXPECT_FALSE(parse(head + formats).ok());
  EXPECT_FALSE(parse(head + media).ok());
  EXPECT_FALSE(parse(head + attributes).ok());
  EXPECT_FALSE(parse(head + lines).ok());
  EXPECT_FALSE(parse(head + "a=" + std::string(kMaxLineBytes, 'x')).ok());
  EXPECT_FALSE(parse(head + std::string(kMaxBytes, 'x')).ok());
}

TEST(SdpWrite, ParsesBackToTheSameValue) {
  const Session s = parsed(kOffer);
  EXPECT_EQ(parsed(write(s)), s);
}

TEST(SdpWrite, ValuesCannotBreakOutOfTheirLine) {
  Session s;
  s.name = "x\r\na=evil";
  s.attributes.push_back({"tool", std::string{"y\nm=audio 1 RTP/AVP 0\0", 22}, true});
  const Session back = parsed(write(s));
  EXPECT_TRUE(back.media.empty());
  EXPECT_EQ(back.attributes.size(), 1u);
}

TEST(SdpWrite, ExactTextOfASmallAnswer) {
  Session s;
  s.origin = {"ifgw", "17", "1", {*IpAddress::parse("2001:db8::1"), "", true}};
  s.connection = s.origin.address;
  Media m;
  m.type = "audio";
  m.port = 16384;
  m.protocol = "RTP/AVP";
  m.formats.push_back({8, "PCMA", 8000, 1, ""});
  m.ptime_ms = 20;
  m.direction = Direction::SendRecv;
  s.media.push_back(m);
  EXPECT_EQ(write(s),
            "v=0\r\no=ifgw 17 1 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\n"
            "m=audio 16384 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=sendrecv\r\n");
}

TEST(SdpStaticTypes, G722AdvertisesEightKilohertz) {
  EXPECT_EQ(static_payload_type(kG722PayloadType)->clock_rate, 8000u);
  EXPECT_EQ(static_payload_type(kG729PayloadType)->encoding, "G729");
  EXPECT_EQ(static_payload_type(kPcmuPayloadType)->encoding, "PCMU");
  EXPECT_FALSE(static_payload_type(96));
  EXPECT_FALSE(static_payload_type(1));
}

}  // namespace
}  // namespace ifgw::wire::sdp
