#include "controlplane/sip/message/message.h"

#include <gtest/gtest.h>

namespace ifgw::sip {
namespace {

std::string with(std::string_view extra, std::string_view contact = "Contact: <sip:alice@192.0.2.1:5070;transport=tcp>;expires=3\r\n") {
  return "INVITE sip:bob@biloxi.example;transport=tcp SIP/2.0\r\n"
         "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"
         "To: Bob <sip:bob@biloxi.example>\r\n"
         "From: \"Alice \\\"A\\\"\" <sip:alice@atlanta.example:5062>;tag=1\r\n"
         "Call-ID: a\r\nCSeq: 1 INVITE\r\n" +
         std::string(contact) + std::string(extra) + "Content-Length: 0\r\n\r\n";
}
Result<Message> parse(const std::string& text) { return Message::parse(std::make_shared<const std::string>(text)); }
std::string error_of(const std::string& text) {
  const auto parsed = parse(text);
  return parsed ? "" : parsed.error().message;
}

TEST(Uri, TakesApart) {
  const auto uri = parse_uri("sips:al%69ce:secret@[2001:db8::7]:5071;transport=TLS;lr?subject=x");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->scheme, Scheme::Sips);
  EXPECT_EQ(uri->user, "alice");
  EXPECT_EQ(uri->host, "2001:db8::7");
  EXPECT_EQ(uri->port, 5071);
  EXPECT_TRUE(uri->loose_route);
  EXPECT_EQ(uri->endpoint()->text(), "[2001:db8::7]:5071");
  EXPECT_EQ(uri->wanted_transport(Transport::Udp), Transport::Tls);
}

TEST(Uri, FindsItsWay) {
  EXPECT_EQ(parse_uri("sip:192.0.2.7")->endpoint()->text(), "192.0.2.7:5060");
  EXPECT_EQ(parse_uri("sips:192.0.2.7")->endpoint()->text(), "192.0.2.7:5061");
  EXPECT_EQ(parse_uri("sip:x@host.example;maddr=192.0.2.8:5060")->endpoint(), std::nullopt);
  EXPECT_EQ(parse_uri("sip:x@host.example;maddr=192.0.2.8")->endpoint()->text(), "192.0.2.8:5060");
  EXPECT_EQ(parse_uri("sip:host.example")->endpoint(), std::nullopt) << "names are the shell's to resolve";
  EXPECT_EQ(parse_uri("sip:192.0.2.7;transport=sctp")->wanted_transport(Transport::Udp), std::nullopt);
  EXPECT_EQ(parse_uri("sip:192.0.2.7;transport=TCP")->wanted_transport(Transport::Udp), Transport::Tcp);
}

TEST(Uri, RefusesTheRest) {
  for (const char* bad :
       {"", "sip:", "sip:@host.example", "tel:+1", "http://x", "sip:x@host.example junk", "sip:x@host.example:99999", "sip:x@host.example>",
        "<sip:x@host.example>", "sip:x@\thost.example", "sip:x@host.example\"", "bob", "sip:[2001:db8::1", "sip:2001:db8::1]"})
    EXPECT_FALSE(parse_uri(bad)) << bad;
}

TEST(NameAddr, TakesApart) {
  const auto quoted = parse_name_addr("\"Alice, <b> ;tag=x\" <sip:alice@host.example;p=1>;q=0.5;tag=abc");
  ASSERT_TRUE(quoted);
  EXPECT_EQ(quoted->display, "Alice, <b> ;tag=x");
  EXPECT_EQ(quoted->uri.text, "sip:alice@host.example;p=1");
  EXPECT_EQ(quoted->tag, "abc");
  const auto bare = parse_name_addr("sip:alice@host.example;tag=abc");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->uri.text, "sip:alice@host.example");
  EXPECT_EQ(bare->uri.host, "host.example");
  EXPECT_EQ(bare->tag, "abc");
  const auto folded = parse_name_addr("Alice\r\n   <sip:alice@host.example>");
  ASSERT_TRUE(folded);
  EXPECT_EQ(folded->uri.user, "alice");
  const auto tel = parse_name_addr("<tel:+15551234>;tag=1");
  ASSERT_TRUE(tel);
  EXPECT_EQ(tel->uri.text, "tel:+15551234");
  EXPECT_EQ(tel->uri.scheme, Scheme::Other);
}

TEST(NameAddr, RefusesWhatBelleSipLetsThrough) {
  for (const char* bad : {"<sip:alice@host.example", "\"Alice <sip:alice@host.example>", "<sip:alice@host.example> junk", "junk", "<>", "*",
                          "<sip:alice@host.example>;tag=1;tag=2", "<sip:alice@host.example>;tag=", "<sip: alice@host.example>",
                          "<sip:alice@host.example>;x=\""})
    EXPECT_FALSE(parse_name_addr(bad)) << bad;
}

TEST(Message, DecodesWhatTheUserAgentNeeds) {
  const auto parsed = parse(with(
      "Record-Route: <sip:p2.example;lr>, \"x,y\" <sip:p1.example;lr;a=b>;c=d\r\nRecord-Route: <sip:192.0.2.3;lr>\r\n"
      "Require: 100rel, foo\r\nRequire: bar\r\nX-IF-Hazard: fire\r\nx-if-hazard: water\r\n  and smoke\r\nReason: Q.850 ;cause=16\r\n"));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->request_uri().host, "biloxi.example");
  EXPECT_EQ(parsed->from().display, "Alice \"A\"");
  EXPECT_EQ(parsed->from().uri.text, "sip:alice@atlanta.example:5062");
  EXPECT_EQ(parsed->contact()->uri.endpoint()->text(), "192.0.2.1:5070");
  EXPECT_EQ(parsed->record_route(),
            (std::vector<std::string>{"<sip:p2.example;lr>", "\"x,y\" <sip:p1.example;lr;a=b>;c=d", "<sip:192.0.2.3;lr>"}));
  EXPECT_EQ(parsed->required(), (std::vector<std::string>{"100rel", "foo", "bar"}));
  EXPECT_EQ(parsed->values("X-IF-Hazard"), (std::vector<std::string>{"fire", "water and smoke"})) << "duplicates are seen, folds are gone";
  EXPECT_EQ(parsed->extensions().size(), 2u);
  EXPECT_EQ(parsed->reason_header(), "Q.850 ;cause=16");
}

TEST(Message, NeverDropsAHeaderItCannotRead) {
  EXPECT_EQ(error_of(with("", "Contact: <sip:alice@host.example\r\n")), "Bad Contact header");
  EXPECT_EQ(error_of(with("", "m: junk\r\n")), "Bad m header");
  EXPECT_EQ(error_of(with("Record-Route: <sip:p2.example;lr>, sip:p1.example\r\n")), "Bad Record-Route header");
  EXPECT_EQ(error_of(with("Record-Route: <tel:1>\r\n")), "Bad Record-Route header");
  EXPECT_EQ(error_of(with("X-IF-Hazard: " + std::string(5000, 'x') + "\r\n")), "Oversized X-IF-Hazard header");
  std::string many;
  for (int i = 0; i < 17; ++i) many += "Record-Route: <sip:p.example.com;lr>\r\n";
  EXPECT_EQ(error_of(with(many)), "Too many Record-Route headers");
  std::string no_tag = with("");
  no_tag.replace(no_tag.find(";tag=1"), 6, "");
  EXPECT_EQ(error_of(no_tag), "Missing From tag");
}

TEST(Message, AWildcardIsNoContact) {
  const auto parsed = parse(with("", "Contact: *\r\n"));
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->contact());
}

TEST(Message, OutlivesTheBytesItWasMadeFrom) {
  auto bytes = std::make_shared<const std::string>(with(""));
  auto parsed = Message::parse(bytes);
  bytes.reset();
  const Message moved = *std::move(parsed);
  EXPECT_EQ(moved.scan().call_id, "a");
  EXPECT_EQ(moved.scan().from_tag, "1");
}

}  // namespace
}  // namespace ifgw::sip
