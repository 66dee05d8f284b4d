#include "controlplane/core/routing.h"

#include <gtest/gtest.h>

#include "controlplane/core/uri.h"

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

}  // namespace
}  // namespace ifgw::core
