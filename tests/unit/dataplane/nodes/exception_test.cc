// What reaches the kernel, and at what rate. Buffers are made by hand; no EAL is started. No port has an interface of the
// kernel here, so what passes a policer is counted as NoKernelInterface.
#include "dataplane/nodes/exception.h"

#include <gtest/gtest.h>

#include "dataplane/nodes/signalling.h"
#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

using api::DropReason;

constexpr std::uint32_t kPerSecond = 1000, kBurstPackets = 100;

Instant no_time() noexcept { return from_ns(0); }

nodes::ExceptionConfig no_kernel() {
  nodes::ExceptionConfig config;
  config.peer.fill(nodes::kNoDevice);
  config.packets_per_second = kPerSecond;
  config.burst = kBurstPackets;
  return config;
}

class ExceptionStage : public ::testing::Test {
 protected:
  // Classified and handled as the worker does.
  void receive(Frame frame) {
    rte_mbuf buffer{};
    buffer.buf_addr = frame.data();
    buffer.buf_len = buffer.data_len = static_cast<std::uint16_t>(frame.size());
    buffer.pkt_len = buffer.data_len;
    buffer.nb_segs = 1;
    buffer.refcnt = 2;  // one is ours: freeing it puts it nowhere
    engine::Packet packet;
    nodes::view(&buffer, 0, packet);
    plane.engine.classify({&packet, 1});
    if (packet.kind == engine::PacketKind::Exception) return exception.police_to_kernel(packet, plane.now);
    nodes::PacketList list;
    list.add(packet);
    (void)signalling.receive(list, plane.now, nullptr, plane.config.local_addresses);
  }
  // From another source each.
  void flood(int packets, unsigned tcp_flags) {
    const Endpoint to = *Endpoint::parse("192.0.2.1:5060");
    for (int i = 0; i < packets; ++i) receive(tcp_frame({IpAddress::v4(0xC6000001 + ++source), 40000}, to, tcp_flags));
  }
  static Frame arp() {
    Frame frame(42, 0);
    frame[12] = 0x08;
    frame[13] = 0x06;
    return frame;
  }
  std::uint64_t passed() const { return plane.drops(DropReason::NoKernelInterface); }

  std::uint32_t source = 0;
  Plane plane;
  std::array<std::uint16_t, 1> ports{0};
  nodes::Vlans vlans;
  nodes::Capture capture{plane.engine, *plane.block, 0, ports, no_time};
  nodes::PortsTime time;
  nodes::SharedQueues shared;
  nodes::Tx tx{0, shared, vlans, *plane.block, no_time, capture, time};
  nodes::Exception exception{no_kernel(), *plane.block, tx};
  nodes::Signalling signalling{plane.engine, plane.hops, *plane.block, exception, tx, nullptr};
};

TEST_F(ExceptionStage, AFloodOfTcpPacketsIsBoundedAndSaidSo) {
  flood(1000, 0x10);
  EXPECT_EQ(passed(), kBurstPackets);
  EXPECT_EQ(plane.drops(DropReason::SignallingTcpPolicer), 1000u - kBurstPackets);
  plane.advance(std::chrono::milliseconds(50));
  flood(100, 0x10);
  EXPECT_EQ(passed(), kBurstPackets + 50) << "a thousand a second";
  plane.advance(std::chrono::seconds(100));
  flood(1000, 0x10);
  EXPECT_EQ(passed(), 2 * kBurstPackets + 50) << "a rest is not saved for longer than the burst";
  EXPECT_EQ(plane.drops(DropReason::ExceptionPolicer), 0u);
}

TEST_F(ExceptionStage, OneKindsFloodTakesNothingFromTheOther) {
  flood(1000, 0x10);
  for (int i = 0; i < 1000; ++i) receive(arp());
  EXPECT_EQ(passed(), 2 * kBurstPackets);
  EXPECT_EQ(plane.drops(DropReason::ExceptionPolicer), 1000u - kBurstPackets);
  flood(10, 0x02);
  EXPECT_EQ(passed(), 2 * kBurstPackets + 10) << "the limiter counts connection attempts, and nothing else";
}

TEST_F(ExceptionStage, WhatTheKernelsInterfaceCannotTakeDoesNotReachIt) {
  nodes::ExceptionConfig config = no_kernel();
  config.peer[0] = 1;
  nodes::Exception towards{config, *plane.block, tx};
  for (const std::size_t length : {std::size_t{1518}, std::size_t{1519}, std::size_t{1600}}) {
    Frame frame(length, 0);
    rte_mbuf buffer{};
    buffer.buf_addr = frame.data();
    buffer.buf_len = buffer.data_len = static_cast<std::uint16_t>(length);
    buffer.refcnt = 2;
    engine::Packet packet;
    nodes::view(&buffer, 0, packet);
    towards.police_to_kernel(packet, plane.now);
  }
  EXPECT_EQ(plane.drops(DropReason::OversizedDatagram), 2u);
  EXPECT_EQ(plane.block->exception_to_kernel.get(), 1u);
}

TEST_F(ExceptionStage, WithoutAnInterfaceOfTheKernelTheReasonIsThat) {
  receive(arp());
  EXPECT_EQ(plane.drops(DropReason::NoKernelInterface), 1u);
  EXPECT_EQ(plane.drops(DropReason::ExceptionQueueFull), 0u);
}

}  // namespace
}  // namespace ifgw::test
