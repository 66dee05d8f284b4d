#include "controlplane/core/routing.h"

#include <gtest/gtest.h>

#include "controlplane/core/uri.h"
#include "tests/support/call_world.h"

namespace ifgw::core {
namespace {

TEST(SplitUri, TakesTheUserBeforeAnythingElse) {
  const auto uri = split_uri("sip:a;b?c:secret@Gw.Example:5070;transport=tcp?x=y");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->user, "a;b?c");
  EXPECT_EQ(uri->host, "Gw.Example");
  EXPECT_EQ(uri->port, 5070);
  EXPECT_EQ(uri->rest, ";transport=tcp?x=y");
}

TEST(SplitUri, AddressesBecomeEndpointsWithTheSchemesPort) {
  EXPECT_EQ(split_uri("sip:x@192.0.2.1")->endpoint()->text(), "192.0.2.1:5060");
  EXPECT_EQ(split_uri("sips:x@[2001:db8::1]")->endpoint()->text(), "[2001:db8::1]:5061");
  EXPECT_FALSE(split_uri("sip:x@gw.example")->endpoint());
}

TEST(SplitUri, RefusesWhatItCannotRoute) {
  for (const char* bad : {"", "tel:+1", "sip:", "sip:x@", "sip:x@h:0", "sip:x@h:70000", "sip:x@h:", "sip:x@[::1", "http://x"})
    EXPECT_FALSE(split_uri(bad)) << bad;
  EXPECT_FALSE(split_uri("sip:" + std::string(3000, 'x') + "@h"));
}

TEST(CalleesInvite, NamesTheCallerAsItNamedItself) {
  test::CallWorld w;
  w.display = "J\xC3\xBCrgen \"Example\"";
  w.connect();
  EXPECT_EQ(w.last<OfferLeg>()->from_display, w.display);
  EXPECT_EQ(w.last<OfferLeg>()->from, "sip:agent@swarm.example");
}

TEST(FindRoute, FirstMatchWinsWithExactPrefixAndAnyPatterns) {
  std::vector<Route> routes(3);
  routes[0].id = "exact";
  routes[0].user = {"expert-safety"};
  routes[0].host = {"External.Advisor"};
  routes[1].id = "prefix";
  routes[1].user = {"expert*"};
  routes[2].id = "any";
  EXPECT_EQ(find_route(routes, "sip:expert-safety@external.advisor")->id, "exact");
  EXPECT_EQ(find_route(routes, "sip:Expert-safety@external.advisor")->id, "any");  // users compare with case
  EXPECT_EQ(find_route(routes, "sip:expert-x@h")->id, "prefix");
  EXPECT_EQ(find_route(routes, "sip:h")->id, "any");
  EXPECT_EQ(find_route(routes, "tel:1"), nullptr);
}

TEST(TargetUri, FillsInTheUserAndNothingElse) {
  Route route;
  route.target = "sip:{user}@192.0.2.7:5060;transport=tcp";
  EXPECT_EQ(target_uri(route, "sip:bob@gw"), "sip:bob@192.0.2.7:5060;transport=tcp");
  EXPECT_EQ(target_uri(route, "sip:gw"), "sip:192.0.2.7:5060;transport=tcp");
  EXPECT_EQ(target_uri(route, "sip:a b<>\"@gw"), "sip:ab@192.0.2.7:5060;transport=tcp");
}

TEST(Sips, WantsTlsOnEveryHop) {
  const std::string sips = "sips:expert-safety@gw.example", sip = "sip:expert-safety@gw.example";
  const struct {
    std::string uri, over, on;
    std::string observed, told;  // empty: the call goes on
  } cases[] = {
      {sips, "udp", "tls", "came over udp", "sips needs tls: came over udp; TLS on every hop"},
      {sips, "tcp", "tls", "came over tcp", "sips needs tls: came over tcp; TLS on every hop"},
      {"SIPS:expert-safety@gw.example", "udp", "udp", "came over udp", "sips needs tls: came over udp; TLS on every hop"},
      {sips, "tls", "udp", "route experts goes on over udp", "sips needs tls: the way on has none"},
      {sips, "tls", "tcp", "route experts goes on over tcp", "sips needs tls: the way on has none"},
      {sips, "tls", "tls", "", ""},
      {sip, "udp", "udp", "", ""},
      {sip, "tls", "udp", "", ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.uri + " over " + c.over + ", on over " + c.on);
    test::CallWorld w;
    auto settings = std::make_shared<CallSettings>(*w.settings);
    settings->routes.at(0).transport = c.on;
    w.settings = settings;
    LegOffered e;
    e.leg = LegKey{w.next_leg++};
    e.request_uri = e.to = c.uri;
    e.from = "sip:agent@swarm.example";
    e.security.source = *Endpoint::parse("10.0.0.9:5060");
    e.security.local = *Endpoint::parse("10.0.0.1:5060");
    e.security.transport = c.over;
    e.sdp = test::audio_sdp("10.0.0.9", 4000, "0 8");
    w.open.insert(e.leg.value);
    w.give(e);
    if (c.observed.empty()) {
      EXPECT_EQ(w.last<EndLeg>(), nullptr);
      EXPECT_EQ(w.guard.asked.size(), 1u);
      continue;
    }
    ASSERT_NE(w.last<EndLeg>(), nullptr);
    EXPECT_EQ(w.last<EndLeg>()->status, 403);
    EXPECT_EQ(w.told(e.leg), c.told) << "nothing of what lies behind the gateway";
    EXPECT_TRUE(w.guard.asked.empty());
    ASSERT_NE(w.witness.last("REJECTED"), nullptr);
    EXPECT_EQ(w.witness.last("REJECTED")->details.at("rule"), "sips-needs-tls");
    EXPECT_EQ(w.witness.last("REJECTED")->details.at("observed"), c.observed);
  }
}

}  // namespace
}  // namespace ifgw::core
