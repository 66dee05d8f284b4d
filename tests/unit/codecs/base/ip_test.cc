#include "codecs/base/ip.h"

#include <gtest/gtest.h>

namespace ifgw {
namespace {

TEST(IpAddress, ParsesBothFamiliesAndRefusesTheRest) {
  EXPECT_EQ(IpAddress::parse("192.0.2.1")->text(), "192.0.2.1");
  EXPECT_EQ(IpAddress::parse("2001:DB8:0::1")->text(), "2001:db8::1");
  for (const char* bad : {"", "192.0.2", "192.0.2.256", "192.0.2.1 ", "[::1]", "fe80::1%eth0", "host.example", "1.2.3.4.5"})
    EXPECT_FALSE(IpAddress::parse(bad)) << bad;
  EXPECT_FALSE(IpAddress::parse(std::string_view("192.0.2.1\0x", 11)));
  EXPECT_FALSE(IpAddress::parse(std::string(300, '1')));
}

TEST(IpAddress, V4IsHostOrderInAndOut) {
  EXPECT_EQ(IpAddress::v4(0xC0000201).text(), "192.0.2.1");
  EXPECT_EQ(IpAddress::v4(0xC0000201).v4_host_order(), 0xC0000201u);
  EXPECT_EQ(IpAddress{}.text(), "-");
}

TEST(IpAddress, UnspecifiedIsAllZero) {
  for (const char* text : {"0.0.0.0", "::"}) EXPECT_TRUE(is_unspecified(*IpAddress::parse(text))) << text;
  for (const char* text : {"0.0.0.1", "::1", "192.0.2.1"}) EXPECT_FALSE(is_unspecified(*IpAddress::parse(text))) << text;
}

TEST(IpAddress, ValuesFromElsewhereMayBeNone) {
  IpAddress address = IpAddress::v4(0xC0000201);
  EXPECT_TRUE(is_well_formed(address));
  EXPECT_TRUE(is_well_formed(IpAddress{}));
  EXPECT_TRUE(is_well_formed(*IpAddress::parse("2001:db8::1")));
  address.bytes[15] = 1;
  EXPECT_FALSE(is_well_formed(address)) << "an address has one representation";
  address.family = IpFamily::None;
  EXPECT_FALSE(is_well_formed(address));
  address.family = static_cast<IpFamily>(5);
  EXPECT_FALSE(is_well_formed(address));
}

TEST(IpAddress, MartiansAreWhatNoNetworkCarries) {
  for (const char* text :
       {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "ff02::1", "::ffff:10.0.0.9"})
    EXPECT_TRUE(is_martian(*IpAddress::parse(text))) << text;
  for (const char* text : {"1.0.0.1", "10.0.0.1", "223.255.255.255", "2001:db8::1", "fd01::1", "fe80::1", "64:ff9b::a00:9", "64:ff9b:1::1"})
    EXPECT_FALSE(is_martian(*IpAddress::parse(text))) << text;
}

TEST(Endpoint, NeedsBracketsExactlyForV6) {
  EXPECT_EQ(Endpoint::parse("192.0.2.1:5060")->text(), "192.0.2.1:5060");
  EXPECT_EQ(Endpoint::parse("[2001:db8::1]:65535")->text(), "[2001:db8::1]:65535");
  for (const char* bad :
       {"192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "[192.0.2.1]:5060", "2001:db8::1:5060", ":5060", "192.0.2.1: 5"})
    EXPECT_FALSE(Endpoint::parse(bad)) << bad;
}

TEST(IpPrefix, RefusesHostBits) {
  EXPECT_EQ(IpPrefix::parse("203.0.113.0/24")->text(), "203.0.113.0/24");
  EXPECT_EQ(IpPrefix::parse("203.0.113.7")->length, 32);
  EXPECT_EQ(IpPrefix::parse("2001:db8::/32")->text(), "2001:db8::/32");
  for (const char* bad : {"203.0.113.7/24", "203.0.113.0/33", "2001:db8::1/64", "203.0.113.0/", "::/129"})
    EXPECT_FALSE(IpPrefix::parse(bad)) << bad;
}

TEST(IpPrefix, ContainsByBitsAndFamily) {
  const auto prefix = *IpPrefix::parse("10.0.0.128/25");
  EXPECT_TRUE(prefix.contains(*IpAddress::parse("10.0.0.255")));
  EXPECT_FALSE(prefix.contains(*IpAddress::parse("10.0.0.127")));
  EXPECT_FALSE(IpPrefix::parse("0.0.0.0/0")->contains(*IpAddress::parse("::1")));
  EXPECT_TRUE(IpPrefix::parse("::/0")->contains(*IpAddress::parse("::1")));
}

}  // namespace
}  // namespace ifgw
