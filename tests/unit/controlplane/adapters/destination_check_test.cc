#include "controlplane/adapters/destination_check.h"

#include <gtest/gtest.h>

#include <array>

namespace ifgw::adapters {
namespace {

const std::array kOurs{*IpAddress::parse("10.1.0.1"), *IpAddress::parse("10.2.0.1"), *IpAddress::parse("fd01::1")};

std::string_view fault(const char* local, const char* remote) {
  return destination_fault(*Endpoint::parse(local), *Endpoint::parse(remote), kOurs);
}

TEST(DestinationCheck, AddressesOfANetworkAreFine) {
  EXPECT_EQ(fault("10.1.0.1:5060", "10.1.0.9:5060"), "");
  EXPECT_EQ(fault("10.1.0.1:5060", "198.51.100.7:40000"), "");
  EXPECT_EQ(fault("[fd01::1]:5060", "[2001:db8::7]:5060"), "");
}

TEST(DestinationCheck, WhatTheDataplaneWouldDropIsNamed) {
  for (const char* nowhere : {"0.0.0.0:5060", "127.0.0.1:5060", "224.0.0.1:5060", "255.255.255.255:5060"})
    EXPECT_NE(fault("10.1.0.1:5060", nowhere).find("no packet of a network"), std::string_view::npos) << nowhere;
  for (const char* nowhere : {"[::1]:5060", "[ff02::1]:5060"})
    EXPECT_NE(fault("[fd01::1]:5060", nowhere).find("no packet of a network"), std::string_view::npos) << nowhere;
  EXPECT_EQ(fault("10.1.0.1:5060", "10.1.0.1:5060"), "it is an address of this gateway");
  EXPECT_EQ(fault("10.1.0.1:5060", "10.2.0.1:9"), "it is an address of this gateway") << "also another one, at any port";
  EXPECT_NE(fault("10.1.0.1:5060", "[fd01::2]:5060").find("IP version"), std::string_view::npos);
  EXPECT_NE(fault("[fd01::1]:5060", "10.1.0.9:5060").find("IP version"), std::string_view::npos);
  EXPECT_EQ(destination_fault(*Endpoint::parse("10.1.0.1:5060"), Endpoint{}, kOurs), "it names no address and port");
  EXPECT_EQ(destination_fault(*Endpoint::parse("10.1.0.1:5060"), Endpoint{*IpAddress::parse("10.1.0.9"), 0}, kOurs),
            "it names no address and port");
}

}  // namespace
}  // namespace ifgw::adapters
