// What a caller calls itself: from its From header to core, and from core into the other leg's From.
#include "controlplane/sip/text.h"
#include "tests/unit/controlplane/sip/user_agent_fixture.h"

namespace ifgw::sip {
namespace {

using test::line_of;
using test::Text;
using test::UserAgentTest;

class DisplayNameTest : public UserAgentTest {
 protected:
  // The name core hears of a caller with this From, without its tag; the call is offered in any case.
  std::string heard(const std::string& from) {
    Text invite;
    invite.call_id = "call-" + std::to_string(++calls);
    invite.branch += std::to_string(calls);
    std::string text = invite.str();
    text.replace(text.find("<sip:peer@192.0.2.9>"), 20, from);
    exchange(text);
    const auto* offered = gw->events.empty() ? nullptr : std::get_if<core::LegOffered>(&gw->events.back());
    EXPECT_EQ(count<core::LegOffered>(), calls) << from;
    return offered == nullptr ? "-" : offered->from_display;
  }
  // The From of an INVITE of ours.
  std::string said(const std::string& display) {
    core::OfferLeg offer;
    offer.leg = net->new_leg();
    offer.request_uri = "sip:peer@192.0.2.9:5080";
    offer.from = "sip:alice@192.0.2.2";
    offer.to = "sip:peer@192.0.2.9";
    offer.from_display = display;
    offer.sdp = sample_sdp(3);
    net->command(*gw, offer);
    const std::string from = line_of(arrived().at(0), "From");
    return from.substr(0, from.find(";tag="));
  }
  int calls = 0;
};

TEST_F(DisplayNameTest, OfACallerIsHandedToCoreUnquoted) {
  EXPECT_EQ(heard("\"Alice Example\" <sip:alice@192.0.2.9>"), "Alice Example");
  EXPECT_EQ(heard("Alice Example <sip:alice@192.0.2.9>"), "Alice Example") << "tokens need no quotes (section 25.1)";
  EXPECT_EQ(heard("<sip:alice@192.0.2.9>"), "");
  EXPECT_EQ(heard("\"\" <sip:alice@192.0.2.9>"), "");
  EXPECT_EQ(heard("\"Al \\\"ice\\\" \\\\ <x>, y\" <sip:alice@192.0.2.9>"), "Al \"ice\" \\ <x>, y");
  EXPECT_EQ(heard("\"J\xC3\xBCrgen \xE2\x82\xAC \xF0\x9F\x98\x80\" <sip:alice@192.0.2.9>"), "J\xC3\xBCrgen \xE2\x82\xAC \xF0\x9F\x98\x80");
}

TEST_F(DisplayNameTest, ThatIsTooLongOrCannotBeShownIsLeftOutAndTheCallGoesOn) {
  const std::string longest(core::kMaxDisplayBytes, 'a');
  EXPECT_EQ(heard("\"" + longest + "\" <sip:alice@192.0.2.9>"), longest);
  EXPECT_EQ(heard("\"" + longest + "a\" <sip:alice@192.0.2.9>"), "");
  EXPECT_EQ(heard("\"Al\\\x01ice\" <sip:alice@192.0.2.9>"), "") << "a control character by a quoted pair";
}

TEST(Displayable, IsUtf8WithoutControlCharacters) {
  for (const char* good :
       {"", "Alice", "\xC2\xA0", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEF\xBF\xBD", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
    EXPECT_TRUE(is_displayable(good)) << good;
  for (const char* bad : {"a\x01", "a\tb", "\r\n", "\x7F", "\xC2\x85", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80", "\x80", "\xC3", "\xE2\x82", "\xE2\x82(", "\xFF"})
    EXPECT_FALSE(is_displayable(bad)) << bad;
}

TEST_F(DisplayNameTest, GoesIntoTheFromOfTheOtherLegInQuotes) {
  EXPECT_EQ(said("Alice Example"), "From: \"Alice Example\" <sip:alice@192.0.2.2>");
  EXPECT_EQ(said(""), "From: <sip:alice@192.0.2.2>");
  EXPECT_EQ(said("Al \"ice\" \\ <x>, y"), "From: \"Al \\\"ice\\\" \\\\ <x>, y\" <sip:alice@192.0.2.2>");
  EXPECT_EQ(said("J\xC3\xBCrgen"), "From: \"J\xC3\xBCrgen\" <sip:alice@192.0.2.2>");
}

}  // namespace
}  // namespace ifgw::sip
