// The stage between packets and the client's ring. Buffers are made by hand; no EAL is started.
#include "dataplane/nodes/capture.h"

#include <gtest/gtest.h>

#include "dataplane/nodes/tx.h"
#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

constexpr std::uint16_t kPort = 3, kTap = 5;

Instant ticking() noexcept {
  static Instant now = from_ns(5'000);
  return now += Duration(1);
}

class CaptureStage : public ::testing::Test {
 protected:
  CaptureStage() : ring(shared.span().data(), kCapacity), reader(shared.span().data(), kCapacity) {
    std::fill(shared.span().begin(), shared.span().end(), std::byte{0});
    stage.use(&ring);
    start(1, "198.51.100.0/24");
  }
  void start(std::uint32_t number, const char* prefix) {
    const auto done = plane.command(api::CommandType::StartCapture, [&](api::Command& c) {
      c.start_capture = {number, 1000, {}, *IpPrefix::parse(prefix), 0};
    });
    ASSERT_EQ(done.status, api::CommandStatus::Ok);
  }
  // A classified packet to the SIP port.
  engine::Packet& packet(const char* from, engine::PacketKind kind = engine::PacketKind::SipUdp) {
    frames.push_back(udp_frame(*Endpoint::parse(from), *Endpoint::parse("192.0.2.1:5060"), {'h', 'i'}));
    engine::Packet& made = packets.emplace_back();
    made.data = frames.back().data();
    made.length = static_cast<std::uint16_t>(frames.back().size());
    made.rx_port = kPort;
    made.kind = kind;
    return made;
  }
  rte_mbuf* buffer(const Endpoint& to) {
    frames.push_back(udp_frame(*Endpoint::parse("192.0.2.1:5060"), to, {'y', 'o'}));
    buffers.push_back({});
    rte_mbuf& made = buffers.back();
    made.buf_addr = frames.back().data();
    made.data_len = static_cast<std::uint16_t>(frames.back().size());
    return &made;
  }
  std::vector<api::Captured> read() {
    std::vector<api::Captured> all;
    api::Captured one;
    while (reader.pop(one)) all.push_back(one);
    return all;
  }

  static constexpr std::uint32_t kCapacity = 4;
  Plane plane;
  AlignedBytes shared{api::ring_bytes<api::Captured>(kCapacity)};
  api::RingProducer<api::Captured> ring;
  api::RingConsumer<api::Captured> reader;
  std::array<std::uint16_t, 2> ports{1, kPort};
  nodes::Capture stage{plane.engine, *plane.block, 0, ports, ticking};
  std::deque<Frame> frames;
  std::deque<engine::Packet> packets;
  std::deque<rte_mbuf> buffers;
};

TEST_F(CaptureStage, WhatBecameOfAPacketIsToldWithIt) {
  std::array<engine::Packet, 3> burst{packet("198.51.100.1:5060"), packet("203.0.113.1:5060"), packet("198.51.100.2:5060")};
  const Frame as_received = frames[0];
  stage.received(burst, from_ns(1000), false);
  frames[0].assign(frames[0].size(), 0xAA);  // rewritten meanwhile
  burst[0].verdict = engine::PacketVerdict::Up;
  burst[2].verdict = engine::PacketVerdict::Drop;
  burst[2].drop = api::DropReason::SourceLimited;
  EXPECT_TRUE(read().empty()) << "not before it is decided";
  stage.decided();
  EXPECT_TRUE(stage.publish());
  EXPECT_FALSE(stage.publish());
  const auto seen = read();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].header.dropped, 0);
  EXPECT_EQ(seen[0].header.time_ns, 1000u);
  EXPECT_EQ(seen[0].header.port, 1) << "the second network port";
  EXPECT_EQ(Frame(seen[0].bytes.begin(), seen[0].bytes.begin() + seen[0].header.length), as_received);
  EXPECT_EQ(seen[1].header.dropped, 1);
  EXPECT_EQ(seen[1].header.drop, api::DropReason::SourceLimited);
}

TEST_F(CaptureStage, WhatWaitsToBeTranscodedIsToldWhenThatIsDecided) {
  std::array<engine::Packet, 3> burst{packet("198.51.100.1:5060"), packet("198.51.100.2:5060"), packet("198.51.100.3:5060")};
  for (engine::Packet& one : burst) one.handle = &one;
  stage.received(burst, from_ns(1000), false);
  burst[1].verdict = engine::PacketVerdict::Waits;
  stage.decided();
  EXPECT_TRUE(stage.publish());
  EXPECT_EQ(read().size(), 1u) << "what stands before it";
  EXPECT_FALSE(stage.publish());
  engine::Packet later = burst[1];  // as the engine hands it back
  later.verdict = engine::PacketVerdict::Drop;
  later.drop = api::DropReason::Overloaded;
  const engine::Packet another = packet("198.51.100.4:5060");
  stage.decided(another);  // of before the capture
  EXPECT_FALSE(stage.publish());
  stage.decided(later);
  EXPECT_TRUE(stage.publish());
  const auto seen = read();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].header.drop, api::DropReason::Overloaded);
  EXPECT_EQ(seen[0].header.time_ns, 1000u);
  EXPECT_EQ(seen[1].header.dropped, 0);
}

TEST_F(CaptureStage, WhatStillWaitsAtTheEndIsNotHeldBack) {
  engine::Packet one = packet("198.51.100.1:5060");
  one.handle = &one;
  stage.received({&one, 1}, from_ns(1), false);
  one.verdict = engine::PacketVerdict::Waits;
  stage.decided();
  EXPECT_FALSE(stage.publish());
  EXPECT_TRUE(stage.publish_all());
  EXPECT_EQ(read().size(), 1u);
  one.verdict = engine::PacketVerdict::Drop;
  stage.decided(one);
  EXPECT_FALSE(stage.publish());
}

TEST_F(CaptureStage, AnotherWorkersPacketsAreItsToCaptureUnlessTheyEndHere) {
  engine::Packet handed_over = packet("198.51.100.1:5060");
  handed_over.owner = 1;
  engine::Packet malformed = packet("198.51.100.1:5060", engine::PacketKind::Malformed);
  malformed.owner = 1;
  std::array<engine::Packet, 2> burst{handed_over, malformed};
  stage.received(burst, from_ns(1), false);
  stage.decided();
  stage.dropped(handed_over, api::DropReason::HandoverFull);
  stage.received({&handed_over, 1}, from_ns(1), true);
  stage.decided();
  (void)stage.publish();
  const auto seen = read();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[1].header.drop, api::DropReason::HandoverFull);
  EXPECT_EQ(seen[2].header.dropped, 0);
}

TEST_F(CaptureStage, AFullRingLosesTheNewestAndCountsThemByPort) {
  for (int i = 0; i < 6; ++i) {
    const engine::Packet one = packet("198.51.100.1:5060");
    stage.received({&one, 1}, from_ns(1), false);
    stage.decided();
  }
  EXPECT_EQ(plane.block->capture_lost[1].get(), 2u);
  EXPECT_EQ(plane.block->capture_lost[0].get(), 0u);
  (void)stage.publish();
  EXPECT_EQ(read().size(), kCapacity);
  const engine::Packet one = packet("198.51.100.1:5060");
  stage.received({&one, 1}, from_ns(1), false);
  stage.decided();
  (void)stage.publish();
  const auto next = read();
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].header.lost, 2u) << "how many are missing before it";
}

TEST_F(CaptureStage, WhatGoesToAPortAndWhatThePortRefused) {
  const std::array<rte_mbuf*, 3> burst{buffer(*Endpoint::parse("198.51.100.1:5060")), buffer(*Endpoint::parse("203.0.113.1:5060")),
                                       buffer(*Endpoint::parse("198.51.100.2:5060"))};
  const std::vector<const api::LegRow*> legs(burst.size());
  stage.sending(std::vector(burst.size(), kPort), burst, legs);
  stage.not_sent(1);
  stage.sending(std::vector(burst.size(), kTap), burst, legs);
  stage.not_sent(0);
  (void)stage.publish();
  const auto seen = read();
  ASSERT_EQ(seen.size(), 2u) << "the kernel's side is no network";
  EXPECT_EQ(seen[0].header.direction, api::CaptureDirection::Outbound);
  EXPECT_EQ(seen[0].header.dropped, 0);
  EXPECT_GT(seen[0].header.time_ns, 5000u);
  EXPECT_EQ(seen[1].header.drop, api::DropReason::TxQueueFull);
}

TEST_F(CaptureStage, AnotherClientHasNothingOfIt) {
  stage.use(nullptr);
  EXPECT_FALSE(stage.on()) << "who asked for it is gone";
  start(2, "198.51.100.0/24");
  const engine::Packet one = packet("198.51.100.1:5060");
  stage.received({&one, 1}, from_ns(1), false);
  stage.decided();
  EXPECT_FALSE(stage.publish());
  EXPECT_TRUE(read().empty());
}

}  // namespace
}  // namespace ifgw::test
