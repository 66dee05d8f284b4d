#include "controlplane/sip/message/message.h"

#include <gtest/gtest.h>

#include "controlplane/sip/message/shape.h"

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

TEST(Uri, UserAsRfc3261WritesIt) {
  EXPECT_EQ(parse_uri("sip:+1-234;phone-context=x.example?y/z@host.example")->user, "+1-234;phone-context=x.example?y/z");
  EXPECT_EQ(parse_uri("sip:%61%c3%a4~!*'()&=+$,@host.example")->user, "a\xc3\xa4~!*'()&=+$,");
  EXPECT_EQ(parse_uri("sip:host.example")->user, "");
  EXPECT_EQ(parse_uri("sip:host.example;x=a@b")->host, "b") << "no parameter holds an '@'";
  for (const char* bad : {"sip::secret@host.example", "sip:a#b@host.example", "sip:a%4@host.example", "sip:a%zz@host.example",
                          "sip:a@b@host.example", "sip:a%00b@host.example", "sip:a%0d%0ab@host.example", "sip:a%7f@host.example",
                          "sip:a:b/c@host.example", "sip:a:%1@host.example", "sip:\xc3\xa4@host.example"})
    EXPECT_FALSE(parse_uri(bad)) << bad;
}

TEST(Uri, HostIsANameOrAnAddress) {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
  for (const std::string& good : {std::string("b"), std::string("host."), std::string("a-b.c-d.xn--p1ai"), std::string("3f2a1b9c"),
                                  std::string("1.2.3.4"), std::string("[2001:db8::1]"), std::string("[::ffff:192.0.2.1]"), label, longest})
    EXPECT_TRUE(parse_uri("sip:x@" + good + ":5060;lr")) << good;
  for (const std::string& bad :
       {std::string(""), std::string("."), std::string("a..b"), std::string("-a.example"), std::string("a-.example"),
        std::string("a_b.example"), std::string("1.2.3"), std::string("1.2.3.400"), std::string("12"), std::string("[192.0.2.1]"),
        std::string("[1234]"), std::string("[::g]"), std::string("[::1]x"), std::string("::1"), label + "a", longest + "a"})
    EXPECT_FALSE(parse_uri("sip:x@" + bad + ";lr")) << bad;
}

// belle-sip takes minutes for these, as they are.
TEST(Uri, LongPartsAreNotForTheGrammar) {
  const std::string user(1900, 'u'), name = "sip:" + user + "@host.example;lr?x=y";
  EXPECT_EQ(parse_uri(name)->user, user);
  const auto shape = shape_of_sip_uri(name);
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->text, "sip:user@host.invalid;lr?x=y");
  EXPECT_FALSE(shape_of_sip_uri("sip:" + std::string(2048, 'u') + "@host.example"));
  EXPECT_EQ(shape_of_sip_uri("sips:" + std::string(63, 'h') + ":70;transport=tcp")->text, "sips:host.invalid:70;transport=tcp");
  const std::string other = "http://" + std::string(1900, 'h') + "/";
  EXPECT_EQ(parse_name_addr("\"A\" <" + other + ">;tag=1")->uri.text, other);
  EXPECT_LT(shape_of_other_uri(other)->text.size(), 16U);
  for (const char* bad : {":x", "1a:x", "a:", "foo", "a b:x", "tel:+1%2", "tel:\xc3\xa4", "http://[::1]/"})
    EXPECT_FALSE(shape_of_other_uri(bad)) << bad;
  EXPECT_FALSE(shape_of_other_uri("tel:" + std::string(2048, '1')));
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
