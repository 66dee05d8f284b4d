#include <gtest/gtest.h>

#include <string>

#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

using api::CommandStatus;
using api::DropReason;
using engine::PacketKind;
using engine::PacketVerdict;
using std::chrono::milliseconds;
using std::chrono::seconds;

const Endpoint kSip = *Endpoint::parse("192.0.2.1:5060");
const Endpoint kSip6 = *Endpoint::parse("[2001:db8::1]:5060");
const Endpoint kPeer = *Endpoint::parse("198.51.100.7:5060");

Frame options() {
  const std::string text = "OPTIONS sip:gw SIP/2.0\r\n\r\n";
  return {text.begin(), text.end()};
}

class SignallingTest : public testing::Test {
 protected:
  Plane::Sent from(const Endpoint& peer) { return plane.send(udp_frame(peer, peer.ip.is_v4() ? kSip : kSip6, options())); }
  int admitted_of(const Endpoint& peer, int count) {
    int up = 0;
    for (int i = 0; i < count; ++i) up += from(peer).packet.verdict == PacketVerdict::Up ? 1 : 0;
    return up;
  }
  CommandStatus limits(api::SetLimits l) {
    return plane.command(api::CommandType::SetLimits, [&](api::Command& c) { c.set_limits = l; }).status;
  }
  CommandStatus prefix_limit(const char* prefix, std::uint32_t requests, std::uint32_t window_ms = 1000) {
    return plane
        .command(api::CommandType::SetPrefixLimit,
                 [&](api::Command& c) {
                   c.set_prefix_limit = {*IpPrefix::parse(prefix), requests, window_ms};
                 })
        .status;
  }
  CommandStatus exempt(const char* prefix, std::uint8_t flag = 1) {
    return plane.command(api::CommandType::ExemptPrefix,
                         [&](api::Command& c) {
                           c.exempt_prefix = {*IpPrefix::parse(prefix), flag};
                         })
        .status;
  }
  CommandStatus forget() {
    return plane.command(api::CommandType::ForgetPrefixes, [](api::Command&) {}).status;
  }
  CommandStatus block(const char* ip, std::uint64_t ms = 0) {
    return plane.command(api::CommandType::BlockSource, [&](api::Command& c) { c.block_source = {*IpAddress::parse(ip), ms}; }).status;
  }
  CommandStatus unblock(const char* ip) {
    return plane.command(api::CommandType::UnblockSource, [&](api::Command& c) { c.unblock_source = {*IpAddress::parse(ip)}; }).status;
  }
  Plane plane;
};

TEST_F(SignallingTest, SipGoesUpWithItsPayload) {
  const Plane::Sent sent = from(kPeer);
  EXPECT_EQ(sent.packet.kind, PacketKind::SipUdp);
  ASSERT_EQ(sent.packet.verdict, PacketVerdict::Up);
  const Frame payload(sent.frame.begin() + sent.packet.payload_offset,
                      sent.frame.begin() + sent.packet.payload_offset + sent.packet.payload_length);
  EXPECT_EQ(payload, options());
  EXPECT_EQ(sent.packet.source_port, 5060);
}

TEST_F(SignallingTest, ExactlyThirtyOfAFloodPass) {
  EXPECT_EQ(admitted_of(kPeer, 2500), 30);
  EXPECT_EQ(plane.drops(DropReason::SourceLimited), 2470U);
  EXPECT_EQ(plane.events.count(api::EventType::LimiterVerdict), 1U) << "one event, not one per packet";
  const api::LimiterVerdict& verdict = plane.events.last(api::EventType::LimiterVerdict)->limiter_verdict;
  EXPECT_EQ(verdict.verdict, api::Verdict::Limited);
  EXPECT_EQ(verdict.source, kPeer.ip);
  EXPECT_EQ(verdict.limit, 30U);
  const Endpoint neighbour = *Endpoint::parse("198.51.100.8:5060");
  EXPECT_EQ(from(neighbour).packet.verdict, PacketVerdict::Up) << "others are not affected";
  plane.advance(seconds(10) + milliseconds(1));
  EXPECT_EQ(admitted_of(kPeer, 100), 30);
}

TEST_F(SignallingTest, AWholeIpv6CustomerIsOneSource) {
  int up = 0;
  for (int i = 0; i < 40; ++i) up += admitted_of(*Endpoint::parse("[2001:db8:1:2::" + std::to_string(i + 1) + "]:5060"), 1);
  EXPECT_EQ(up, 30);
  EXPECT_EQ(from(*Endpoint::parse("[2001:db8:1:3::1]:5060")).packet.verdict, PacketVerdict::Up);
}

TEST_F(SignallingTest, FragmentsAndConnectionAttemptsCount) {
  Frame fragment = udp_frame(kPeer, kSip, options());
  fragment[14 + 6] = 0x20;  // more fragments
  fragment[14 + 10] = fragment[14 + 11] = 0;
  const unsigned sum = ~ones_sum(&fragment[14], 20) & 0xFFFF;
  fragment[14 + 10] = static_cast<std::uint8_t>(sum >> 8);
  fragment[14 + 11] = static_cast<std::uint8_t>(sum);
  const Plane::Sent piece = plane.send(fragment);
  EXPECT_EQ(piece.packet.kind, PacketKind::Fragment);
  EXPECT_EQ(piece.packet.verdict, PacketVerdict::Kernel);
  const Plane::Sent syn = plane.send(tcp_frame(kPeer, kSip, 0x02));
  EXPECT_EQ(syn.packet.kind, PacketKind::SignallingTcpSyn);
  EXPECT_EQ(syn.packet.verdict, PacketVerdict::Kernel);
  EXPECT_EQ(admitted_of(kPeer, 100), 28);
  EXPECT_EQ(plane.send(tcp_frame(kPeer, kSip, 0x02)).packet.drop, DropReason::SourceLimited);
  const Plane::Sent established = plane.send(tcp_frame(kPeer, kSip, 0x10));
  EXPECT_EQ(established.packet.kind, PacketKind::SignallingTcp);
  EXPECT_EQ(established.packet.verdict, PacketVerdict::Kernel) << "an open connection is not cut by the window";
  EXPECT_EQ(block("198.51.100.7"), CommandStatus::Ok);
  EXPECT_EQ(plane.send(tcp_frame(kPeer, kSip, 0x10)).packet.drop, DropReason::SourceBlocked) << "but by a block";
}

TEST_F(SignallingTest, BlockingHasItsOwnDuration) {
  ASSERT_EQ(limits({5, 1000, 3000}), CommandStatus::Ok);
  EXPECT_EQ(admitted_of(kPeer, 6), 5);
  EXPECT_EQ(plane.events.last(api::EventType::LimiterVerdict)->limiter_verdict.verdict, api::Verdict::Blocked);
  plane.advance(seconds(2));
  EXPECT_EQ(from(kPeer).packet.drop, DropReason::SourceBlocked) << "the window is over, the block is not";
  plane.advance(seconds(2));
  EXPECT_EQ(from(kPeer).packet.drop, DropReason::SourceBlocked) << "counted from its last packet over the budget";
  plane.advance(milliseconds(3002));
  EXPECT_EQ(from(kPeer).packet.verdict, PacketVerdict::Up);
  EXPECT_EQ(plane.events.last(api::EventType::LimiterVerdict)->limiter_verdict.verdict, api::Verdict::Released);
}

TEST_F(SignallingTest, ABlockThatRanOutIsReportedWithoutTraffic) {
  ASSERT_EQ(block("198.51.100.7", 1000), CommandStatus::Ok);
  EXPECT_EQ(plane.block->limiter_blocked.get(), 1U);
  plane.run(seconds(2));
  ASSERT_EQ(plane.events.count(api::EventType::LimiterVerdict), 1U);
  EXPECT_EQ(plane.events.last(api::EventType::LimiterVerdict)->limiter_verdict.verdict, api::Verdict::Released);
  EXPECT_EQ(plane.block->limiter_blocked.get(), 0U);
}

TEST_F(SignallingTest, UnblockForgetsTheWindow) {
  EXPECT_EQ(admitted_of(kPeer, 50), 30);
  EXPECT_EQ(unblock("198.51.100.7"), CommandStatus::Ok);
  EXPECT_EQ(admitted_of(kPeer, 50), 30);
  EXPECT_EQ(unblock("198.51.100.99"), CommandStatus::NotFound);
}

TEST_F(SignallingTest, TheMostSpecificPrefixWins) {
  ASSERT_EQ(prefix_limit("198.51.0.0/16", 10), CommandStatus::Ok);
  ASSERT_EQ(exempt("198.51.100.0/24"), CommandStatus::Ok);
  ASSERT_EQ(prefix_limit("198.51.100.64/26", 3), CommandStatus::Ok);
  EXPECT_EQ(admitted_of(kPeer, 200), 200) << "exempt";
  EXPECT_EQ(admitted_of(*Endpoint::parse("198.51.100.70:5060"), 20), 3);
  EXPECT_EQ(admitted_of(*Endpoint::parse("198.51.100.71:5060"), 20), 0) << "one budget for the whole prefix";
  EXPECT_EQ(admitted_of(*Endpoint::parse("198.51.7.1:5060"), 20), 10);
  EXPECT_EQ(admitted_of(*Endpoint::parse("203.0.113.1:5060"), 40), 30) << "elsewhere the source's own window";
  plane.advance(seconds(1));
  EXPECT_EQ(admitted_of(*Endpoint::parse("198.51.100.71:5060"), 20), 3);
  EXPECT_EQ(prefix_limit("198.51.100.64/26", 0), CommandStatus::Ok);
  EXPECT_EQ(admitted_of(*Endpoint::parse("198.51.100.71:5060"), 20), 20);
  EXPECT_EQ(prefix_limit("198.51.100.64/26", 0), CommandStatus::NotFound);
}

TEST_F(SignallingTest, AnOperatorsBlockBeatsAnExemption) {
  ASSERT_EQ(exempt("198.51.100.0/24"), CommandStatus::Ok);
  ASSERT_EQ(block("198.51.100.7"), CommandStatus::Ok);
  EXPECT_EQ(from(kPeer).packet.drop, DropReason::SourceBlocked);
  ASSERT_EQ(unblock("198.51.100.7"), CommandStatus::Ok);
  EXPECT_EQ(from(kPeer).packet.verdict, PacketVerdict::Up);
}

TEST_F(SignallingTest, PrefixBudgetsAreBoundedTogether) {
  ASSERT_EQ(prefix_limit("10.1.0.0/16", 600), CommandStatus::Ok);
  EXPECT_EQ(prefix_limit("10.2.0.0/16", 600), CommandStatus::TableFull) << "1000 stamps in all";
  ASSERT_EQ(prefix_limit("10.2.0.0/16", 300), CommandStatus::Ok);
  ASSERT_EQ(prefix_limit("10.1.0.0/16", 0), CommandStatus::Ok);
  ASSERT_EQ(prefix_limit("10.3.0.0/16", 500), CommandStatus::Ok) << "the gap is found again";
  for (int i = 0; i < 6; ++i) ASSERT_EQ(exempt(("172.16." + std::to_string(i) + ".0/24").c_str()), CommandStatus::Ok);
  EXPECT_EQ(exempt("172.16.9.0/24"), CommandStatus::TableFull) << "8 prefixes in all";
}

TEST_F(SignallingTest, ChangingAPrefixBudgetForgivesNothing) {
  ASSERT_EQ(prefix_limit("198.51.100.0/24", 20, 10'000), CommandStatus::Ok);
  EXPECT_EQ(admitted_of(kPeer, 15), 15);
  ASSERT_EQ(prefix_limit("198.51.100.0/24", 25, 10'000), CommandStatus::Ok);
  EXPECT_EQ(admitted_of(kPeer, 50), 10);
  ASSERT_EQ(prefix_limit("198.51.100.0/24", 5, 10'000), CommandStatus::Ok);
  EXPECT_EQ(admitted_of(kPeer, 50), 0);
}

TEST_F(SignallingTest, WhatANewClientDoesNotSetIsForgotten) {
  ASSERT_EQ(prefix_limit("198.51.100.0/24", 5), CommandStatus::Ok);
  ASSERT_EQ(exempt("203.0.113.0/24"), CommandStatus::Ok);
  ASSERT_EQ(forget(), CommandStatus::Ok);
  EXPECT_EQ(admitted_of(kPeer, 50), 5) << "the client's own stay";
  plane.engine.on_client();
  EXPECT_EQ(admitted_of(*Endpoint::parse("203.0.113.1:5060"), 50), 50) << "in force until the new client has said what it wants";
  ASSERT_EQ(forget(), CommandStatus::Ok);
  EXPECT_EQ(admitted_of(*Endpoint::parse("203.0.113.2:5060"), 50), 30);
  EXPECT_EQ(admitted_of(kPeer, 50), 30);
}

TEST_F(SignallingTest, WhatANewClientSetsAgainKeepsItsWindow) {
  ASSERT_EQ(prefix_limit("198.51.100.0/24", 20, 10'000), CommandStatus::Ok);
  ASSERT_EQ(exempt("203.0.113.0/24"), CommandStatus::Ok);
  EXPECT_EQ(admitted_of(kPeer, 15), 15);
  plane.engine.on_client();
  ASSERT_EQ(exempt("203.0.113.0/24"), CommandStatus::Ok);
  ASSERT_EQ(prefix_limit("198.51.100.0/24", 20, 10'000), CommandStatus::Ok);
  ASSERT_EQ(forget(), CommandStatus::Ok);
  EXPECT_EQ(admitted_of(kPeer, 50), 5) << "a restart is no second budget";
  EXPECT_EQ(admitted_of(*Endpoint::parse("203.0.113.1:5060"), 50), 50);
}

TEST_F(SignallingTest, ANewClientMayMakeABudgetOfAnExemption) {
  ASSERT_EQ(exempt("198.51.100.0/24"), CommandStatus::Ok);
  plane.engine.on_client();
  ASSERT_EQ(prefix_limit("198.51.100.0/24", 7), CommandStatus::Ok);
  ASSERT_EQ(forget(), CommandStatus::Ok);
  EXPECT_EQ(admitted_of(kPeer, 50), 7);
}

TEST_F(SignallingTest, EarlierClientsLeaveRoomForANewOne) {
  for (int i = 0; i < 6; ++i) ASSERT_EQ(exempt(("172.16." + std::to_string(i) + ".0/24").c_str()), CommandStatus::Ok);
  ASSERT_EQ(prefix_limit("10.1.0.0/16", 900), CommandStatus::Ok);
  plane.engine.on_client();
  ASSERT_EQ(prefix_limit("10.2.0.0/16", 900), CommandStatus::Ok) << "1000 stamps in all";
  for (int i = 10; i < 17; ++i)
    ASSERT_EQ(exempt(("172.16." + std::to_string(i) + ".0/24").c_str()), CommandStatus::Ok) << "8 prefixes in all";
  EXPECT_EQ(exempt("172.16.20.0/24"), CommandStatus::TableFull) << "now all are the client's own";
  EXPECT_EQ(prefix_limit("10.2.0.0/16", 1001), CommandStatus::TableFull);
  EXPECT_EQ(admitted_of(*Endpoint::parse("10.2.0.1:5060"), 1000), 900);
}

TEST_F(SignallingTest, ListsSourcesInPages) {
  for (int i = 1; i <= 50; ++i) (void)from(*Endpoint::parse("203.0.113." + std::to_string(i) + ":5060"));
  ASSERT_EQ(block("203.0.113.7"), CommandStatus::Ok);
  std::uint64_t cursor = 0;
  int pages = 0;
  do {
    const std::size_t before = plane.events.count(api::EventType::SourceRow);
    const api::CommandDone done = plane.command(api::CommandType::ListSources, [&](api::Command& c) { c.list_sources = {cursor, 0}; });
    EXPECT_LE(plane.events.count(api::EventType::SourceRow) - before, 32U);
    cursor = done.value;
    ++pages;
  } while (cursor != 0);
  EXPECT_EQ(plane.events.count(api::EventType::SourceRow), 50U);
  EXPECT_EQ(pages, 2);
  (void)plane.command(api::CommandType::ListSources, [&](api::Command& c) { c.list_sources = {0, 1}; });
  EXPECT_EQ(plane.events.count(api::EventType::SourceRow), 51U);
  const api::SourceRow& row = plane.events.last(api::EventType::SourceRow)->source_row;
  EXPECT_EQ(row.source, *IpAddress::parse("203.0.113.7"));
  EXPECT_EQ(row.blocked, 1);
  EXPECT_EQ(row.blocked_until_ns, 0U);
  EXPECT_EQ(row.in_window, 1U);
}

TEST_F(SignallingTest, ListsPrefixesWithWhatTheyDid) {
  ASSERT_EQ(prefix_limit("198.51.100.0/24", 20, 10'000), CommandStatus::Ok);
  ASSERT_EQ(prefix_limit("203.0.113.0/24", 20, 10'000), CommandStatus::Ok);
  ASSERT_EQ(exempt("203.0.113.0/24"), CommandStatus::Ok);
  const auto list = [&](std::uint64_t cursor) {
    plane.events.events.clear();
    return plane.command(api::CommandType::ListPrefixes, [&](api::Command& c) { c.list_prefixes = {cursor}; }).value;
  };
  const auto row = [&](std::size_t i) { return plane.events.events[i].prefix_row; };
  EXPECT_EQ(admitted_of(kPeer, 15), 15);
  plane.advance(seconds(6));
  EXPECT_EQ(admitted_of(kPeer, 8), 5);
  EXPECT_EQ(list(0), 0U);
  ASSERT_EQ(plane.events.count(api::EventType::PrefixRow), 2U);
  EXPECT_EQ(row(0).prefix.text(), "198.51.100.0/24");
  EXPECT_EQ(row(0).request_id, plane.request);
  EXPECT_EQ(row(0).requests, 20U);
  EXPECT_EQ(row(0).window_ms, 10'000U);
  EXPECT_EQ(row(0).in_window, 20U);
  EXPECT_EQ(row(0).refused, 3U);
  EXPECT_EQ(row(0).exempt, 0);
  EXPECT_EQ(row(1).exempt, 1);
  plane.advance(seconds(5));
  (void)list(0);
  EXPECT_EQ(row(0).in_window, 5U) << "the first fifteen are older than the window";
  EXPECT_EQ(list(~std::uint64_t{0}), 0U) << "a cursor that was made up";
  EXPECT_EQ(plane.events.count(api::EventType::PrefixRow), 0U);
}

TEST(Signalling, ListsPrefixesInPages) {
  engine::EngineConfig config = small_config();
  config.max_prefixes = 100;
  Plane plane(config);
  for (int i = 0; i < 70; ++i) {
    const auto prefix = *IpPrefix::parse("172.16." + std::to_string(i) + ".0/24");
    (void)plane.command(api::CommandType::ExemptPrefix, [&](api::Command& c) { c.exempt_prefix = {prefix, 1}; });
  }
  std::uint64_t cursor = 0;
  for (const std::size_t rows : {32U, 32U, 6U}) {
    plane.events.events.clear();
    cursor = plane.command(api::CommandType::ListPrefixes, [&](api::Command& c) { c.list_prefixes = {cursor}; }).value;
    EXPECT_EQ(plane.events.count(api::EventType::PrefixRow), rows);
    EXPECT_EQ(cursor == 0, rows == 6);
  }
}

TEST_F(SignallingTest, EventsAreBoundedPerSecond) {
  engine::EngineConfig config = small_config();
  config.limits = {1, 10'000, 0};
  config.verdict_events_per_second = 10;
  Plane small(config);
  for (int i = 1; i <= 50; ++i) {
    const Endpoint peer = *Endpoint::parse("203.0.113." + std::to_string(i) + ":5060");
    for (int k = 0; k < 3; ++k) (void)small.send(udp_frame(peer, kSip, options()));
  }
  EXPECT_EQ(small.events.count(api::EventType::LimiterVerdict), 10U);
  EXPECT_EQ(small.block->events_lost.get(), 40U);
}

TEST_F(SignallingTest, SpoofedAndDamagedSignallingIsDropped) {
  EXPECT_EQ(from(*Endpoint::parse("127.0.0.1:5060")).packet.drop, DropReason::MalformedIp);
  EXPECT_EQ(from(*Endpoint::parse("224.0.0.5:5060")).packet.drop, DropReason::MalformedIp);
  EXPECT_EQ(from(*Endpoint::parse("192.0.2.1:5060")).packet.drop, DropReason::MalformedIp);
  EXPECT_EQ(from(*Endpoint::parse("[::1]:5060")).packet.drop, DropReason::MalformedIp);
  EXPECT_EQ(from(*Endpoint::parse("[64:ff9b::1]:5060")).packet.verdict, PacketVerdict::Up) << "NAT64 is a real source";
  Frame damaged = udp_frame(kPeer, kSip, options());
  damaged.back() ^= 1;
  EXPECT_EQ(plane.send(damaged).packet.drop, DropReason::BadChecksum);
}

TEST_F(SignallingTest, SourcesBelongToOneWorker) {
  engine::EngineConfig config = small_config();
  config.worker_count = 4;
  std::vector<std::unique_ptr<Plane>> workers;
  for (std::uint8_t w = 0; w < 4; ++w) {
    config.worker = w;
    workers.push_back(std::make_unique<Plane>(config));
  }
  int per_worker[4] = {};
  for (int i = 1; i < 200; ++i) {
    const Frame frame = udp_frame(*Endpoint::parse("198.51.100." + std::to_string(i) + ":5060"), kSip, options());
    const int owner = workers[0]->send(frame).packet.owner;
    ++per_worker[owner];
    for (auto& worker : workers) EXPECT_EQ(worker->send(frame).packet.owner, owner);
  }
  for (const int share : per_worker) EXPECT_GT(share, 20);
  // A prefix with a budget belongs to one worker as a whole.
  for (auto& worker : workers) {
    (void)worker->command(api::CommandType::SetPrefixLimit, [&](api::Command& c) {
      c.set_prefix_limit = {*IpPrefix::parse("198.51.100.0/24"), 10, 1000};
    });
  }
  const int owner = workers[0]->send(udp_frame(kPeer, kSip, options())).packet.owner;
  for (int i = 1; i < 200; ++i) {
    const Frame frame = udp_frame(*Endpoint::parse("198.51.100." + std::to_string(i) + ":5060"), kSip, options());
    EXPECT_EQ(workers[1]->send(frame).packet.owner, owner);
  }
}

TEST_F(SignallingTest, DatagramsDownGetTheirHeaders) {
  Frame buffer(256, 0);
  const Frame text = options();
  std::copy(text.begin(), text.end(), buffer.begin() + 64);
  engine::Packet p;
  p.data = buffer.data() + 64;
  p.length = static_cast<std::uint16_t>(text.size());
  p.headroom = 64;
  api::DatagramHeader header;
  header.local = kSip;
  header.remote = kPeer;
  header.length = p.length;
  header.dscp = 24;
  plane.engine.build_datagram(p, header, plane.hops);
  ASSERT_EQ(p.verdict, PacketVerdict::Transmit);
  const Datagram d = read_udp(p.data, p.length);
  EXPECT_TRUE(d.ok);
  EXPECT_EQ(d.from, kSip);
  EXPECT_EQ(d.to, kPeer);
  EXPECT_EQ(d.payload, text);
  EXPECT_EQ(d.tos, 24U << 2);

  const auto refused = [&](const auto& change, DropReason reason) {
    engine::Packet q;
    q.data = buffer.data() + 64;
    q.length = static_cast<std::uint16_t>(text.size());
    q.headroom = 64;
    api::DatagramHeader h = header;
    change(h, q);
    plane.engine.build_datagram(q, h, plane.hops);
    EXPECT_EQ(q.verdict, PacketVerdict::Drop);
    EXPECT_EQ(api::info(q.drop).label, api::info(reason).label);
  };
  const auto invalid = [this] { return plane.block->invalid_messages.get(); };
  refused([](auto& h, auto&) { h.local.port = 5062; }, DropReason::RefusedDatagram);
  refused([](auto& h, auto&) { h.local.ip = kPeer.ip; }, DropReason::RefusedDatagram);
  refused([](auto& h, auto&) { h.dscp = 64; }, DropReason::RefusedDatagram);
  refused([](auto& h, auto&) { h.length = 1; }, DropReason::RefusedDatagram);
  EXPECT_EQ(invalid(), 4u);
  refused([](auto& h, auto&) { h.remote = kSip6; }, DropReason::RefusedDatagram);
  refused([](auto& h, auto&) { h.remote.port = 0; }, DropReason::RefusedDatagram);
  refused([](auto& h, auto&) { h.remote.ip = *IpAddress::parse("127.0.0.1"); }, DropReason::RefusedDatagram);
  refused([](auto& h, auto&) { h.remote.ip = kSip.ip; }, DropReason::RefusedDatagram);
  EXPECT_EQ(invalid(), 4u) << "a Contact that cannot be used is no fault of the control plane";
  refused([](auto&, auto& q) { q.headroom = 41; }, DropReason::NoBuffer);
  refused([](auto& h, auto& q) { h.length = q.length = 1473; }, DropReason::OversizedDatagram);
}

}  // namespace
}  // namespace ifgw::test
