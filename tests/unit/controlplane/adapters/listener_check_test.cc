#include "controlplane/adapters/listener_check.h"

#include <gtest/gtest.h>

namespace ifgw::adapters {
namespace {

class ListenerCheckTest : public ::testing::Test {
 protected:
  ListenerCheckTest() {
    plane.local_addresses[plane.local_address_count++] = *IpAddress::parse("10.1.0.1");
    plane.local_addresses[plane.local_address_count++] = *IpAddress::parse("fd01::1");
    plane.signalling_ports[plane.signalling_port_count++] = 5060;
    plane.signalling_tcp_ports[plane.signalling_tcp_port_count++] = 5060;
    plane.signalling_tcp_ports[plane.signalling_tcp_port_count++] = 5061;
    plane.media_port_first = 16384;
    plane.media_port_last = 32767;
  }
  std::vector<std::string> complaints() const {
    return listener_complaints(sip, plane, [this](const IpAddress& ip) { return is_here && ip != *IpAddress::parse("10.1.0.9"); });
  }
  static Endpoint at(const char* text) { return *Endpoint::parse(text); }

  config::Sip sip;
  api::AttachReply plane;
  bool is_here = true;
};

TEST_F(ListenerCheckTest, WhatTheDataplaneWatchesIsFine) {
  sip.udp = {at("10.1.0.1:5060"), at("[fd01::1]:5060"), at("0.0.0.0:5060")};
  sip.tcp = {at("10.1.0.1:5060")};
  sip.tls = {at("10.1.0.1:5061")};
  EXPECT_EQ(complaints(), std::vector<std::string>{});
}

TEST_F(ListenerCheckTest, OtherAddressesOfTheMachineAreNotTheDataplanes) {
  sip.udp = {at("127.0.0.1:5070"), at("192.0.2.1:20000")};
  sip.tcp = {at("127.0.0.1:5070")};
  EXPECT_EQ(complaints(), std::vector<std::string>{});
}

TEST_F(ListenerCheckTest, AUdpPortThatTheLimiterDoesNotWatchIsNamedWithTheRemedy) {
  for (const char* address : {"10.1.0.1:5070", "[fd01::1]:5070", "0.0.0.0:5070"}) {
    sip.udp = {at("10.1.0.1:5060"), at(address)};
    ASSERT_EQ(complaints().size(), 1u) << address;
    EXPECT_EQ(complaints()[0].find(std::string{"[sip] udp: "} + address + " is on no signalling port of the dataplane (5060)"), 0u);
    EXPECT_NE(complaints()[0].find("--sip-udp-port 5060,5070"), std::string::npos) << complaints()[0];
  }
  plane.signalling_ports = {5060, 5062, 5064, 5066};
  plane.signalling_port_count = 4;
  EXPECT_NE(complaints()[0].find("--sip-udp-port (at most 4)"), std::string::npos) << complaints()[0];
  plane.signalling_port_count = 0;
  EXPECT_NE(complaints()[1].find("(none)"), std::string::npos) << complaints()[1];
  EXPECT_NE(complaints()[1].find("--sip-udp-port 5070,"), std::string::npos) << complaints()[1];
}

TEST_F(ListenerCheckTest, AUdpPortAmongTheMediaPortsIsNamedAndATcpPortThereIsNot) {
  plane.signalling_tcp_ports[0] = 16384;
  sip.tcp = {at("10.1.0.1:16384")};
  for (const auto& [address, among] :
       {std::pair{"10.1.0.1:16383", false}, {"10.1.0.1:16384", true}, {"10.1.0.1:32767", true}, {"10.1.0.1:32768", false}}) {
    sip.udp = {at(address)};
    ASSERT_EQ(complaints().size(), 1u) << address;
    EXPECT_EQ(complaints()[0].find("among the media ports of the dataplane (16384-32767)") != std::string::npos, among) << address;
  }
}

TEST_F(ListenerCheckTest, AStreamPortThatTheLimiterDoesNotWatchIsNamed) {
  sip.tcp = {at("10.1.0.1:5061")};
  sip.tls = {at("10.1.0.1:443")};
  ASSERT_EQ(complaints().size(), 1u);
  EXPECT_EQ(complaints()[0].find("[sip] tls: 10.1.0.1:443 is on no signalling port of the dataplane (5060, 5061)"), 0u) << complaints()[0];
  EXPECT_NE(complaints()[0].find("--signalling-tcp-port 5060,5061,443"), std::string::npos) << complaints()[0];
}

TEST_F(ListenerCheckTest, AnAddressThatNobodyHasIsNamedWithThoseThereAre) {
  sip.udp = {at("10.1.0.9:5060")};
  sip.tcp = {at("10.1.0.9:5060")};
  ASSERT_EQ(complaints().size(), 2u);
  EXPECT_EQ(complaints()[0].find("[sip] udp: 10.1.0.9:5060 is not an address of this machine nor of the dataplane"), 0u);
  EXPECT_NE(complaints()[1].find("it has 10.1.0.1, fd01::1"), std::string::npos) << complaints()[1];
  is_here = false;  // a control plane in another network namespace: only datagrams by the ring reach it
  sip.udp = {at("10.1.0.1:5060")};
  sip.tcp = {};
  EXPECT_EQ(complaints(), std::vector<std::string>{});
}

}  // namespace
}  // namespace ifgw::adapters
