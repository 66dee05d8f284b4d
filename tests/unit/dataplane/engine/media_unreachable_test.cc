// ICMP errors about what was sent to a party: counted and told, and nothing else.
#include <gtest/gtest.h>

#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

using api::DropReason;
using api::EventType;
using engine::PacketKind;
using engine::PacketVerdict;
using Cause = api::UnreachableCause;

class Unreachable : public testing::Test {
 protected:
  void connect(const char* bob_address, std::uint8_t local) {
    alice = plane.add(media_to("198.51.100.10:40000"));
    remote = *Endpoint::parse(bob_address);
    bob = plane.add(media_to(bob_address), local);
    ASSERT_EQ(plane.join(alice.leg, bob.leg).status, api::CommandStatus::Ok);
    const Plane::Sent sent =
        plane.send(udp_frame(*Endpoint::parse("198.51.100.10:40000"), alice.local, rtp_packet(0, 1, 160, 7, Frame(160, 0x55))));
    ASSERT_EQ(sent.packet.verdict, PacketVerdict::Transmit);
    quoted.assign(sent.frame.begin() + 14, sent.frame.end());
    quoted.resize(quoted.size() - 100);  // routers cut
  }
  // `second`: the four bytes after the checksum.
  Plane::Sent report(const char* reporter, unsigned type, unsigned code, std::uint32_t second = 0) {
    Frame rest;
    put32(rest, second);
    rest.insert(rest.end(), quoted.begin(), quoted.end());
    return plane.send(icmp_frame(*IpAddress::parse(reporter), bob.local.ip, type, code, rest));
  }
  const api::MediaUnreachable& told() const { return plane.events.last(EventType::MediaUnreachable)->media_unreachable; }
  std::uint32_t counted() { return plane.engine.row(bob.leg.index()).unreachable.get(); }

  Plane plane;
  api::CommandDone alice, bob;
  Endpoint remote;
  Frame quoted;
};

TEST_F(Unreachable, AHostThatHasNoSuchPortIsToldOfOnce) {
  connect("203.0.113.20:50000", 0);
  EXPECT_EQ(report("203.0.113.20", 3, 3).packet.verdict, PacketVerdict::Kept);
  ASSERT_EQ(plane.events.count(EventType::MediaUnreachable), 1U);
  EXPECT_EQ(told().leg, bob.leg);
  EXPECT_EQ(told().reporter, *IpAddress::parse("203.0.113.20"));
  EXPECT_EQ(told().remote, remote);
  EXPECT_EQ(told().cause, Cause::Port);
  EXPECT_EQ(told().mtu, 0U);
  (void)report("192.0.2.77", 3, 1);
  EXPECT_EQ(plane.events.count(EventType::MediaUnreachable), 1U);
  EXPECT_EQ(counted(), 2U);
  EXPECT_EQ(plane.send(udp_frame(*Endpoint::parse("198.51.100.10:40000"), alice.local, rtp_packet(0, 2, 320, 7, Frame(160, 0x55))))
                .packet.verdict,
            PacketVerdict::Transmit)
      << "media goes on";
}

TEST_F(Unreachable, AnotherAddressIsToldOfAnew) {
  connect("203.0.113.20:50000", 0);
  (void)report("203.0.113.20", 3, 3);
  ASSERT_EQ(plane.update(bob.leg, media_to("203.0.113.20:50000")).status, api::CommandStatus::Ok);
  (void)report("203.0.113.20", 3, 3);
  EXPECT_EQ(plane.events.count(EventType::MediaUnreachable), 1U) << "nothing has changed";
  ASSERT_EQ(plane.update(bob.leg, media_to("203.0.113.21:50000")).status, api::CommandStatus::Ok);
  EXPECT_EQ(report("203.0.113.20", 3, 3).packet.drop, DropReason::WrongMediaSource) << "of the address before";
  ASSERT_EQ(plane.update(bob.leg, media_to("203.0.113.20:50000")).status, api::CommandStatus::Ok);
  (void)report("203.0.113.20", 3, 3);
  EXPECT_EQ(plane.events.count(EventType::MediaUnreachable), 2U);
}

TEST_F(Unreachable, IsToldWhenTheRingHasRoomAgain) {
  connect("203.0.113.20:50000", 0);
  plane.events.deaf = true;
  (void)report("203.0.113.20", 3, 3);
  plane.events.deaf = false;
  EXPECT_EQ(plane.events.count(EventType::MediaUnreachable), 0U);
  (void)report("203.0.113.20", 3, 3);
  EXPECT_EQ(plane.events.count(EventType::MediaUnreachable), 1U);
  EXPECT_EQ(counted(), 2U);
}

TEST_F(Unreachable, CausesOfBothFamilies) {
  const struct {
    const char* party;
    std::uint8_t local;
    const char* reporter;
    unsigned type, code;
    std::uint32_t second;
    Cause cause;
    std::uint32_t mtu;
  } cases[] = {
      {"203.0.113.20:50000", 0, "192.0.2.254", 3, 0, 0, Cause::Network, 0},
      {"203.0.113.20:50000", 0, "192.0.2.254", 3, 1, 0, Cause::Host, 0},
      {"203.0.113.20:50000", 0, "203.0.113.20", 3, 2, 0, Cause::Protocol, 0},
      {"203.0.113.20:50000", 0, "192.0.2.254", 3, 4, 1400, Cause::TooBig, 1400},
      {"203.0.113.20:50000", 0, "192.0.2.254", 3, 13, 0, Cause::Prohibited, 0},
      {"203.0.113.20:50000", 0, "192.0.2.254", 11, 0, 0, Cause::TimeExceeded, 0},
      {"[2001:db8::20]:50000", 1, "2001:db8::fe", 1, 0, 0, Cause::Network, 0},
      {"[2001:db8::20]:50000", 1, "2001:db8::fe", 1, 1, 0, Cause::Prohibited, 0},
      {"[2001:db8::20]:50000", 1, "2001:db8::fe", 1, 3, 0, Cause::Host, 0},
      {"[2001:db8::20]:50000", 1, "2001:db8::20", 1, 4, 0, Cause::Port, 0},
      {"[2001:db8::20]:50000", 1, "2001:db8::fe", 2, 0, 1280, Cause::TooBig, 1280},
      {"[2001:db8::20]:50000", 1, "2001:db8::fe", 3, 0, 0, Cause::TimeExceeded, 0},
  };
  for (const auto& c : cases) {
    connect(c.party, c.local);
    EXPECT_EQ(report(c.reporter, c.type, c.code, c.second).packet.verdict, PacketVerdict::Kept)
        << c.reporter << ' ' << c.type << '/' << c.code;
    ASSERT_NE(plane.events.last(EventType::MediaUnreachable), nullptr);
    EXPECT_EQ(told().leg, bob.leg);
    EXPECT_EQ(told().cause, c.cause) << c.type << '/' << c.code;
    EXPECT_EQ(told().mtu, c.mtu);
    plane.remove(alice.leg);
    plane.remove(bob.leg);
    plane.advance(std::chrono::seconds(10));
  }
}

TEST_F(Unreachable, WhatIsNotAboutMediaOfOursIsTheKernels) {
  connect("203.0.113.20:50000", 0);
  const auto kind = [&](unsigned type, unsigned code) { return report("203.0.113.20", type, code).packet.kind; };
  EXPECT_EQ(kind(8, 0), PacketKind::Exception) << "an echo request, whatever it carries";
  EXPECT_EQ(kind(5, 1), PacketKind::Exception) << "a redirect";
  EXPECT_EQ(kind(3, 16), PacketKind::Exception);
  const Frame whole = quoted;
  for (std::size_t size = 0; size < 24; ++size) {
    quoted.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(kind(3, 3), PacketKind::Exception) << size;
  }
  quoted.assign(whole.begin(), whole.begin() + 24);
  EXPECT_EQ(kind(3, 3), PacketKind::Media) << "the ports are enough (RFC 792)";
  for (const auto& [offset, value] : {std::pair{9, 6}, std::pair{0, 0x44}, std::pair{0, 0x55}, std::pair{7, 1}, std::pair{12, 9}}) {
    quoted = whole;
    quoted[static_cast<std::size_t>(offset)] = static_cast<std::uint8_t>(value);  // TCP, no IP, a later fragment, from somebody else
    EXPECT_EQ(kind(3, 3), PacketKind::Exception) << offset;
  }
  quoted = whole;
  quoted[20] = 0x13;  // from signalling
  quoted[21] = 0xC4;
  EXPECT_EQ(kind(3, 3), PacketKind::Exception);
  quoted = whole;
  Frame rest(4, 0);
  rest.insert(rest.end(), quoted.begin(), quoted.end());
  Frame damaged = icmp_frame(*IpAddress::parse("203.0.113.20"), bob.local.ip, 3, 3, rest);
  damaged.back() ^= 1;
  EXPECT_EQ(plane.send(damaged).packet.kind, PacketKind::Exception);
  EXPECT_EQ(counted(), 1U) << "the short one";
}

TEST_F(Unreachable, AClaimAboutSomebodyElseIsDropped) {
  connect("203.0.113.20:50000", 0);
  quoted[22] ^= 1;  // the destination port
  EXPECT_EQ(report("203.0.113.20", 3, 3).packet.drop, DropReason::WrongMediaSource);
  plane.remove(bob.leg);
  quoted[22] ^= 1;
  EXPECT_EQ(report("203.0.113.20", 3, 3).packet.drop, DropReason::UnknownMediaPort) << "the call is over";
  EXPECT_EQ(plane.events.count(EventType::MediaUnreachable), 0U);
}

}  // namespace
}  // namespace ifgw::test
