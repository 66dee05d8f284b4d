#include "controlplane/sip/prescan.h"

#include <gtest/gtest.h>

#include "controlplane/sip/text.h"

namespace ifgw::sip {
namespace {

PreScan scan(std::string_view text) { return prescan(as_bytes(text)); }

constexpr std::string_view kInvite =
    "INVITE sip:bob@biloxi.example SIP/2.0\r\n"
    "Via: SIP/2.0/UDP pc33.atlanta.example:5070;branch=z9hG4bK776asdhds;rport\r\n"
    "Via: SIP/2.0/UDP proxy.example;branch=z9hG4bK2\r\n"
    "Max-Forwards: 70\r\n"
    "To: Bob <sip:bob@biloxi.example>\r\n"
    "From: \"Alice; <x> ;tag=no\" <sip:alice@atlanta.example;tag=no>;tag=1928301774\r\n"
    "Call-ID: a84b4c76e66710@pc33\r\n"
    "CSeq: 314159 INVITE\r\n"
    "Content-Type: application/sdp\r\n"
    "Content-Length: 4\r\n\r\nv=0\n";

TEST(Prescan, ReadsARequest) {
  const PreScan s = scan(kInvite);
  EXPECT_EQ(s.start, StartLine::Request);
  EXPECT_EQ(s.defect, Defect::None) << describe_defect(s);
  EXPECT_EQ(s.method, "INVITE");
  EXPECT_EQ(s.request_uri, "sip:bob@biloxi.example");
  EXPECT_EQ(s.via.transport, "UDP");
  EXPECT_EQ(s.via.host, "pc33.atlanta.example");
  EXPECT_EQ(s.via.port, 5070);
  EXPECT_EQ(s.via.branch, "z9hG4bK776asdhds");
  EXPECT_TRUE(s.via.rport);
  EXPECT_EQ(s.from_tag, "1928301774") << "not the ones inside quotes or brackets";
  EXPECT_EQ(s.to_tag, "");
  EXPECT_EQ(s.call_id, "a84b4c76e66710@pc33");
  EXPECT_EQ(s.cseq, 314159u);
  EXPECT_EQ(s.max_forwards, 70u);
  EXPECT_EQ(s.body, "v=0\n");
}

TEST(Prescan, ReadsAResponse) {
  const PreScan s = scan(
      "SIP/2.0 180 Ringing and so on\r\nv: SIP/2.0/TLS [2001:db8::9]:5061;branch=z9hG4bKx;received=192.0.2.4;rport=99\r\n"
      "f: <sip:a@h.example>;tag=1\r\nt: <sip:b@h.example> ; tag = two\r\ni: id\r\nCSeq: 1 INVITE\r\nl: 0\r\n\r\n");
  EXPECT_EQ(s.start, StartLine::Response);
  EXPECT_EQ(s.defect, Defect::None) << describe_defect(s);
  EXPECT_EQ(s.status, 180);
  EXPECT_EQ(s.reason, "Ringing and so on");
  EXPECT_EQ(s.method, "INVITE");
  EXPECT_EQ(s.via.host, "[2001:db8::9]");
  EXPECT_EQ(s.via.port, 5061);
  EXPECT_EQ(s.via.received, "192.0.2.4");
  EXPECT_EQ(s.via.rport_value, 99);
  EXPECT_EQ(s.to_tag, "two");
}

// After RFC 4475 section 3.1.1.1: compact names, folds, white space where the grammar allows it, odd case.
TEST(Prescan, IsTolerantWhereTheGrammarIs) {
  const PreScan s = scan(
      "INVITE sip:vivekg@chair-dnrc.example;unknownparam SIP/2.0\r\n"
      "TO :\r\n sip:vivekg@chair-dnrc.example ;   tag    = 1918181833n\r\n"
      "from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n"
      "MaX-fOrWaRdS: 0068\r\n"
      "Call-ID: wsinv.ndaksdj@192.0.2.1\r\n"
      "cseq: 0009\r\n  INVITE\r\n"
      "Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n"
      "s :\r\n"
      "NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
      "UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n"
      "Content-Type: application/sdp\r\n"
      "v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; "
      "branch=\r\n z9hG4bK30239\r\n"
      "\r\n");
  EXPECT_EQ(s.defect, Defect::None) << describe_defect(s);
  EXPECT_EQ(s.to_tag, "1918181833n");
  EXPECT_EQ(s.from_tag, "98asjd8");
  EXPECT_EQ(s.cseq, 9u);
  EXPECT_EQ(s.cseq_method, "INVITE");
  EXPECT_EQ(s.max_forwards, 68u);
  EXPECT_EQ(s.via.transport, "UDP");
  EXPECT_EQ(s.via.host, "192.0.2.2");
  EXPECT_EQ(s.via.branch, "390skdjuw");
}

TEST(Prescan, SeveralViasInOneField) {
  TopVia via;
  std::string_view rest;
  const std::string_view first = split_comma("SIP/2.0/TCP a.example;x=\"1,2\";branch=z9hG4bK1 , SIP/2.0/UDP b.example", rest);
  ASSERT_TRUE(scan_via(first, via));
  EXPECT_EQ(via.branch, "z9hG4bK1");
  EXPECT_EQ(rest, "SIP/2.0/UDP b.example");
}

struct Bad {
  const char* what;
  std::string_view from;  // in kInvite
  std::string_view to;
  const char* says;
};
class PrescanBad : public ::testing::TestWithParam<Bad> {};
TEST_P(PrescanBad, NamesTheDefect) {
  std::string text(kInvite);
  const std::size_t at = text.find(GetParam().from);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, GetParam().from.size(), GetParam().to);
  const PreScan s = scan(text);
  EXPECT_EQ(s.start, StartLine::Request);
  EXPECT_EQ(describe_defect(s), GetParam().says) << GetParam().what;
}
INSTANTIATE_TEST_SUITE_P(
    Defects, PrescanBad,
    ::testing::Values(Bad{"no Call-ID", "Call-ID: a84b4c76e66710@pc33\r\n", "", "Missing Call-ID header"},
                      Bad{"no To", "To: Bob <sip:bob@biloxi.example>\r\n", "", "Missing To header"},
                      Bad{"no CSeq", "CSeq: 314159 INVITE\r\n", "", "Missing CSeq header"},
                      Bad{"CSeq of another method", "CSeq: 314159 INVITE", "CSeq: 314159 BYE", "Bad CSeq header"},
                      Bad{"CSeq too big", "CSeq: 314159", "CSeq: 2147483648", "Bad CSeq header"},
                      Bad{"CSeq overflows", "CSeq: 314159", "CSeq: 99999999999999999999", "Bad CSeq header"},
                      Bad{"two Call-IDs", "Call-ID: a84b4c76e66710@pc33\r\n", "Call-ID: a\r\ni: b\r\n", "Duplicate Call-ID header"},
                      Bad{"two Content-Lengths", "Content-Length: 4", "Content-Length: 4\r\nl: 4", "Duplicate Content-Length header"},
                      Bad{"negative Content-Length", "Content-Length: 4", "Content-Length: -4", "Bad Content-Length header"},
                      Bad{"Content-Length too large", "Content-Length: 4", "Content-Length: 5", "Content-Length larger than the body"},
                      Bad{"Max-Forwards too large", "Max-Forwards: 70", "Max-Forwards: 300", "Bad Max-Forwards header"},
                      Bad{"two tags", ";tag=1928301774", ";tag=1;tag=2", "Bad From header"},
                      Bad{"tag with a quote", ";tag=1928301774", ";tag=\"1\"", "Bad From header"},
                      Bad{"Via port", "atlanta.example:5070", "atlanta.example:70000", "Bad Via header"},
                      Bad{"Via without transport", "SIP/2.0/UDP pc33", "SIP/2.0 pc33", "Bad Via header"},
                      Bad{"white space in the URI", "sip:bob@biloxi", "sip:bob @biloxi", "Bad start line"},
                      Bad{"version", "example SIP/2.0\r\n", "example SIP/7.0\r\n", "Version Not Supported"},
                      Bad{"line without colon", "Max-Forwards: 70", "Max-Forwards 70", "Bad header line"},
                      Bad{"bare LF", "Max-Forwards: 70\r\n", "Max-Forwards: 70\n", "Bad header line"},
                      Bad{"bare CR", "Max-Forwards: 70\r\n", "Max-Forwards: 7\r0\r\n", "Bad header line"},
                      Bad{"no blank line", "4\r\n\r\nv=0\n", "4\r\n", "Bad header line"}));

TEST(Prescan, OtherThingsAreNotSip) {
  for (const std::string_view text :
       {std::string_view(""), std::string_view("\r\n\r\n"), std::string_view("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        std::string_view("INVITE\r\n\r\n"), std::string_view("INVITE sip:a@b SIP/2.0"), std::string_view("\x80\x60\x00\x01", 4),
        std::string_view("SIP/2.0\r\n\r\n")})
    EXPECT_EQ(scan(text).start, StartLine::None) << text;
}

TEST(Prescan, SurplusBytesAfterADatagramsBodyAreIgnored) { EXPECT_EQ(scan(std::string(kInvite) + "junk").body, "v=0\n"); }

TEST(Prescan, TooManyHeadersAreADefect) {
  std::string text(kInvite.substr(0, kInvite.find("Max-Forwards")));
  for (std::size_t i = 0; i <= kMaxHeaderFields; ++i) text += "X-A: b\r\n";
  EXPECT_EQ(scan(text + "\r\n").defect, Defect::TooManyHeaders);
}

// Every prefix of a message, and every single-byte change of it, is answered without reading outside (under ASan).
TEST(Prescan, AnyPrefixAndAnyByteIsHandled) {
  for (std::size_t size = 0; size <= kInvite.size(); ++size) {
    const std::string exact(kInvite.substr(0, size));
    scan(exact);
  }
  for (std::size_t at = 0; at < kInvite.size(); ++at) {
    std::string text(kInvite);
    for (const char c : {'\0', '\r', '\n', '"', '<', ';', ',', ':', '\xFF'}) {
      text[at] = c;
      scan(text);
    }
  }
}

TEST(Text, ParametersStayOutsideQuotesAndBrackets) {
  EXPECT_EQ(parameter("\"a;tag=1\" <sip:x;tag=2>;a;tag=3", "tag"), "3");
  EXPECT_EQ(parameter("<sip:x;tag=2>;lr", "lr"), "");
  EXPECT_EQ(parameter("<sip:x;lr>", "lr"), std::nullopt);
  EXPECT_EQ(parameter(";x=\"q;lr\"", "lr"), std::nullopt);
}

TEST(Text, WhatIsWrittenCannotEndItsHeader) {
  std::string out;
  append_safe(out, std::string_view("a\r\nX-Evil: 1\0b", 14));
  EXPECT_EQ(out, "a  X-Evil: 1 b");
}

}  // namespace
}  // namespace ifgw::sip
