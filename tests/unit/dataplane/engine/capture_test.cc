#include "dataplane/engine/capture.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

using api::CaptureDirection;
using api::CommandStatus;
using engine::dissect;

constexpr auto kIn = CaptureDirection::Inbound;
constexpr auto kOut = CaptureDirection::Outbound;

Endpoint at(const char* text) { return *Endpoint::parse(text); }

struct CapturePlane : Plane {
  api::CommandDone start(const auto& fill) {
    return command(api::CommandType::StartCapture, [&](api::Command& c) {
      c.start_capture = api::StartCapture{};
      c.start_capture.capture = 7;
      c.start_capture.duration_ms = 1000;
      c.start_capture.headers_only = 0;
      fill(c.start_capture);
    });
  }
  api::CommandDone start_leg(api::LegId leg, bool headers_only = false) {
    return start([&](api::StartCapture& c) {
      c.leg = leg;
      c.headers_only = headers_only ? 1 : 0;
    });
  }
  api::CommandDone start_source(const char* prefix, bool headers_only = false) {
    return start([&](api::StartCapture& c) {
      c.source = *IpPrefix::parse(prefix);
      c.headers_only = headers_only ? 1 : 0;
    });
  }
  api::CommandDone stop(std::uint32_t capture) {
    return command(api::CommandType::StopCapture, [&](api::Command& c) { c.stop_capture = {capture}; });
  }
  std::optional<api::CapturedHeader> take(const Frame& frame, CaptureDirection direction) const {
    api::CapturedHeader header;
    return engine.capture(frame, direction, engine::kNoLeg, header) ? std::optional(header) : std::nullopt;
  }
};

Frame tagged(const Frame& plain, std::initializer_list<unsigned> types) {
  Frame f(plain.begin(), plain.begin() + 12);
  for (const unsigned type : types) {
    put16(f, type);
    put16(f, 5);
  }
  f.insert(f.end(), plain.begin() + 12, plain.end());
  return f;
}

TEST(Dissect, FindsTheEndsWhateverIsAround) {
  const Frame plain = udp_frame(at("198.51.100.10:4000"), at("192.0.2.1:20000"), Frame(20, 1));
  for (const Frame& frame : {plain, tagged(plain, {0x8100}), tagged(plain, {0x88A8, 0x8100})}) {
    const engine::FrameParts parts = dissect(frame);
    EXPECT_EQ(parts.source.text(), "198.51.100.10");
    EXPECT_EQ(parts.destination.text(), "192.0.2.1");
    EXPECT_EQ(parts.source_port, 4000);
    EXPECT_EQ(parts.destination_port, 20000);
    EXPECT_EQ(parts.payload_offset, frame.size() - 20);
  }
  const Frame v6 = udp_frame(at("[2001:db8::5]:4000"), at("[2001:db8::1]:20000"), Frame(20, 1));
  EXPECT_EQ(dissect(v6).destination_port, 20000);
  EXPECT_EQ(dissect(v6).payload_offset, v6.size() - 20);
}

TEST(Dissect, IPv6ExtensionsAndFragments) {
  const IpAddress a = at("[2001:db8::5]:1").ip, b = at("[2001:db8::1]:1").ip;
  Frame udp;
  for (const unsigned word : {4000u, 20000u, 28u, 0u}) put16(udp, word);
  udp.resize(28, 1);
  Frame hops{17, 0, 1, 4, 0, 0, 0, 0};
  hops.insert(hops.end(), udp.begin(), udp.end());
  EXPECT_EQ(dissect(ip_frame(a, b, 0, hops)).destination_port, 20000);
  Frame first{17, 0, 0, 1, 0, 0, 0, 9};
  first.insert(first.end(), udp.begin(), udp.end());
  EXPECT_EQ(dissect(ip_frame(a, b, 44, first)).destination_port, 20000) << "the first fragment has the ports";
  Frame later{17, 0, 0x05, 0xA8, 0, 0, 0, 9};
  later.insert(later.end(), udp.begin(), udp.end());
  const engine::FrameParts parts = dissect(ip_frame(a, b, 44, later));
  EXPECT_EQ(parts.destination_port, 0);
  EXPECT_EQ(parts.payload_offset, 14 + 40 + 8) << "payload begins behind the fragment header";
}

TEST(Dissect, CutAnywhereNothingIsInvented) {
  Frame frame = udp_frame(at("198.51.100.10:4000"), at("192.0.2.1:20000"), Frame(4, 1));
  for (std::size_t n = 0; n <= frame.size(); ++n) {
    const engine::FrameParts parts = dissect(Bytes(frame).first(n));
    EXPECT_LE(parts.payload_offset, n);
    EXPECT_EQ(parts.source.present(), n >= 34);
    EXPECT_EQ(parts.destination_port != 0, n >= 38);
  }
  frame[14] = 0x4F;  // options that are longer than the packet
  EXPECT_TRUE(dissect(frame).source.present()) << "damaged, and still of its source";
  EXPECT_EQ(dissect(frame).payload_offset, frame.size());
}

TEST(Capture, OfALegTakesItsPortsBothWaysAndNothingElse) {
  CapturePlane plane;
  const api::CommandDone leg = plane.add(media_to("198.51.100.10:40000"));
  const api::CommandDone other = plane.add(media_to("198.51.100.10:40002"));
  EXPECT_FALSE(plane.engine.capturing());
  ASSERT_EQ(plane.start_leg(leg.leg).status, CommandStatus::Ok);
  EXPECT_TRUE(plane.engine.capturing());
  const Endpoint party = at("198.51.100.10:40000");
  const Endpoint rtcp{leg.local.ip, static_cast<std::uint16_t>(leg.local.port + 1)};
  const Frame in = udp_frame(party, leg.local, rtp_packet(0, 1, 1, 1, Frame(160, 0x55)));
  const auto taken = plane.take(in, kIn);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->leg, leg.leg);
  EXPECT_EQ(taken->capture, 7u);
  EXPECT_EQ(taken->length, in.size());
  EXPECT_EQ(taken->original_length, in.size());
  EXPECT_EQ(taken->direction, kIn);
  EXPECT_TRUE(plane.take(udp_frame(at("203.0.113.66:9"), leg.local, {1}), kIn)) << "from whomever";
  EXPECT_TRUE(plane.take(udp_frame(party, rtcp, {1}), kIn));
  EXPECT_TRUE(plane.take(udp_frame(rtcp, party, {1}), kOut));
  EXPECT_TRUE(plane.take(udp_frame(leg.local, party, {1}), kOut));
  EXPECT_FALSE(plane.take(udp_frame(party, leg.local, {1}), kOut)) << "the wrong way";
  EXPECT_FALSE(plane.take(udp_frame(party, other.local, {1}), kIn));
  EXPECT_FALSE(plane.take(udp_frame(other.local, party, {1}), kOut));
  EXPECT_FALSE(plane.take(udp_frame(party, {plane.config.local_addresses[0], 5060}, {1}), kIn));
  EXPECT_FALSE(plane.take(ip_frame(party.ip, leg.local.ip, 6, Frame(20, 0)), kIn)) << "TCP";
  EXPECT_FALSE(plane.take(Frame(60, 0xFF), kIn));
}

TEST(Capture, OfASourceTakesAllThatComesAndGoes) {
  CapturePlane plane;
  const api::CommandDone leg = plane.add(media_to("198.51.100.10:40000"));
  ASSERT_EQ(plane.start_source("198.51.100.0/28").status, CommandStatus::Ok);
  const Endpoint ours = {plane.config.local_addresses[0], 5060};
  const auto sip = plane.take(udp_frame(at("198.51.100.10:5060"), ours, {'x'}), kIn);
  ASSERT_TRUE(sip);
  EXPECT_FALSE(sip->leg.present());
  EXPECT_EQ(plane.take(udp_frame(at("198.51.100.15:4"), leg.local, {1}), kIn)->leg, leg.leg);
  EXPECT_EQ(plane.take(udp_frame(leg.local, at("198.51.100.15:4"), {1}), kOut)->leg, leg.leg);
  EXPECT_TRUE(plane.take(ip_frame(at("198.51.100.1:1").ip, ours.ip, 1, Frame(8, 0)), kIn)) << "ICMP";
  EXPECT_TRUE(plane.take(udp_frame(at("198.51.100.10:4"), at("203.0.113.1:5060"), {1}), kIn)) << "to another's address";
  EXPECT_FALSE(plane.take(udp_frame(at("198.51.100.16:5060"), ours, {'x'}), kIn));
  EXPECT_FALSE(plane.take(udp_frame(at("198.51.100.10:5060"), ours, {'x'}), kOut));
  ASSERT_EQ(plane.stop(7).status, CommandStatus::Ok);
  ASSERT_EQ(plane.start_source("2001:db8::/64").status, CommandStatus::Ok);
  EXPECT_TRUE(plane.take(udp_frame(at("[2001:db8::5]:5060"), at("[2001:db8::1]:5060"), {'x'}), kIn));
  EXPECT_FALSE(plane.take(udp_frame(at("198.51.100.10:5060"), ours, {'x'}), kIn));
}

// What is kept of a frame to the leg, behind its UDP header.
std::size_t kept(const CapturePlane& plane, const Endpoint& to, const Frame& payload) {
  const auto taken = plane.take(udp_frame(at("198.51.100.10:40000"), to, payload), kIn);
  return taken ? taken->length - 42U : 9999;
}

TEST(Capture, HeadersOnlyLeavesOutWhatIsSaid) {
  CapturePlane plane;
  const api::CommandDone leg = plane.add(media_to("198.51.100.10:40000"));
  ASSERT_EQ(plane.start_source("198.51.100.10/32", true).status, CommandStatus::Ok);
  EXPECT_EQ(kept(plane, leg.local, rtp_packet(0, 1, 1, 1, Frame(160, 0x55))), 12u);
  EXPECT_EQ(kept(plane, leg.local, rtp_packet(101, 1, 1, 1, {5, 0x8A, 3, 0x20})), 12u) << "a digit that was pressed";
  Frame csrc = rtp_packet(0, 1, 1, 1, Frame(160, 0x55));
  csrc[0] = 0x82;
  EXPECT_EQ(kept(plane, leg.local, csrc), 20u);
  Frame extension = rtp_packet(0, 1, 1, 1, Frame(160, 0x55));
  extension[0] = 0x90;
  EXPECT_EQ(kept(plane, leg.local, extension), 12u) << "an extension may say anything";
  csrc.resize(14);
  EXPECT_EQ(kept(plane, leg.local, csrc), 14u) << "shorter than it says";
  Frame rtcp{0x81, 201, 0, 7};
  rtcp.resize(32, 1);
  EXPECT_EQ(kept(plane, leg.local, rtcp), 8u);
  EXPECT_EQ(kept(plane, {leg.local.ip, static_cast<std::uint16_t>(leg.local.port + 1)}, rtcp), 8u);
  EXPECT_EQ(kept(plane, leg.local, Frame(160, 0x55)), 0u) << "neither RTP nor RTCP";
  EXPECT_EQ(kept(plane, leg.local, {0x80}), 0u);
  EXPECT_EQ(kept(plane, {leg.local.ip, 5060}, Frame(400, 'x')), 0u) << "SIP";
  EXPECT_EQ(kept(plane, at("203.0.113.9:20000"), rtp_packet(0, 1, 1, 1, Frame(160, 0x55))), 0u) << "a media port, but not of ours";
  Frame tcp(20 + 100, 'x');
  tcp[12] = 0x50;
  EXPECT_EQ(plane.take(ip_frame(at("198.51.100.10:1").ip, leg.local.ip, 6, tcp), kIn)->length, 14 + 20 + 20);
  EXPECT_EQ(plane.take(ip_frame(at("198.51.100.10:1").ip, leg.local.ip, 1, Frame(100, 'x')), kIn)->length, 14 + 20);
  Frame fragment = udp_frame(at("198.51.100.10:40000"), leg.local, Frame(100, 'x'));
  fragment[21] = 9;  // a later one
  EXPECT_EQ(plane.take(fragment, kIn)->length, 14 + 20);
}

TEST(Capture, LongerFramesThanASlotAreCut) {
  CapturePlane plane;
  ASSERT_EQ(plane.start_source("198.51.100.10/32").status, CommandStatus::Ok);
  const auto taken = plane.take(udp_frame(at("198.51.100.10:1"), at("192.0.2.1:5060"), Frame(5000, 1)), kIn);
  EXPECT_EQ(taken->length, api::kMaxCapturedBytes);
  EXPECT_EQ(taken->original_length, 5042);
}

TEST(Capture, EndsWithItsTimeItsLegOrItsClient) {
  CapturePlane plane;
  const api::CommandDone leg = plane.add(media_to("198.51.100.10:40000"));
  ASSERT_EQ(plane.start_leg(leg.leg).status, CommandStatus::Ok);
  plane.advance(std::chrono::milliseconds(999));
  plane.engine.check_capture(plane.now);
  EXPECT_TRUE(plane.engine.capturing());
  plane.advance(std::chrono::milliseconds(1));
  plane.engine.check_capture(plane.now);
  EXPECT_FALSE(plane.engine.capturing());
  EXPECT_EQ(plane.stop(7).status, CommandStatus::NotFound);
  ASSERT_EQ(plane.start_leg(leg.leg).status, CommandStatus::Ok);
  ASSERT_EQ(plane.remove(leg.leg).status, CommandStatus::Ok);
  plane.engine.check_capture(plane.now);
  EXPECT_FALSE(plane.engine.capturing());
  ASSERT_EQ(plane.start_source("198.51.100.10/32").status, CommandStatus::Ok);
  plane.engine.end_capture();
  EXPECT_FALSE(plane.engine.capturing());
}

TEST(Capture, OneAtATimeUntilItsTimeIsOver) {
  CapturePlane plane;
  ASSERT_EQ(plane.start_source("198.51.100.10/32").status, CommandStatus::Ok);
  const api::CommandDone second = plane.start([](api::StartCapture& c) {
    c.capture = 8;
    c.source = *IpPrefix::parse("203.0.113.0/24");
  });
  EXPECT_EQ(second.status, CommandStatus::Busy);
  EXPECT_EQ(second.value, 7u) << "which one is in the way";
  EXPECT_EQ(plane.stop(8).status, CommandStatus::NotFound);
  EXPECT_TRUE(plane.engine.capturing());
  plane.advance(std::chrono::seconds(1));
  EXPECT_EQ(plane.start_source("198.51.100.10/32").status, CommandStatus::Ok);
}

TEST(Capture, EveryFieldOfTheCommandIsChecked) {
  CapturePlane plane;
  const api::LegId leg = plane.add(media_to("198.51.100.10:40000")).leg;
  using C = api::StartCapture;
  const auto bad = [&](std::size_t offset, const auto& fill) {
    const api::CommandDone done = plane.start([&](C& c) {
      c.leg = leg;
      fill(c);
    });
    EXPECT_EQ(done.status, CommandStatus::InvalidArgument);
    EXPECT_EQ(done.value, offset);
    EXPECT_FALSE(plane.engine.capturing());
  };
  bad(offsetof(C, capture), [](C& c) { c.capture = 0; });
  bad(offsetof(C, duration_ms), [](C& c) { c.duration_ms = 0; });
  bad(offsetof(C, duration_ms), [](C& c) { c.duration_ms = api::kMaxCaptureMs + 1; });
  bad(offsetof(C, headers_only), [](C& c) { c.headers_only = 2; });
  bad(offsetof(C, source), [](C& c) { c.source = *IpPrefix::parse("192.0.2.0/24"); });
  bad(offsetof(C, source) + offsetof(IpPrefix, ip), [](C& c) { c.leg = {}; });
  bad(offsetof(C, source) + offsetof(IpPrefix, length), [](C& c) {
    c.leg = {};
    c.source = *IpPrefix::parse("192.0.2.0/24");
    c.source.length = 33;
  });
  bad(offsetof(C, source) + offsetof(IpPrefix, ip), [](C& c) {
    c.leg = {};
    c.source = *IpPrefix::parse("192.0.2.0/24");
    c.source.length = 8;
  });
  EXPECT_EQ(plane.start_leg(api::LegId::make(0, 1, 99)).status, CommandStatus::UnknownLeg);
  EXPECT_EQ(plane.stop(0).status, CommandStatus::InvalidArgument);
}

}  // namespace
}  // namespace ifgw::test
