// Legs that move from one worker to another: ids, ports, what is refused, and what is given back in the end.
#include <gtest/gtest.h>

#include "codecs/wire/rtcp.h"
#include "tests/support/two_workers.h"

namespace ifgw::test {
namespace {

using api::Codec;
using api::CommandStatus;
using engine::PacketVerdict;
using std::chrono::milliseconds;

class Moves : public testing::Test {
 protected:
  static constexpr const char* kAlice = "198.51.100.10:40000";
  static constexpr const char* kBob = "203.0.113.20:50000";
  static engine::EngineConfig config() {
    engine::EngineConfig c = transcoding_config();
    c.transcoding_mb = 2;
    return c;
  }
  void add(Codec a = Codec::Pcmu, Codec b = Codec::Pcmu) {
    const auto media = [](const char* remote, Codec codec) {
      api::MediaParams m = media_to(remote, codec);
      if (codec == Codec::None) m.payload_type = api::kNoPayloadType;  // not known yet
      return m;
    };
    alice = workers[0].add(media(kAlice, a));
    bob = workers[0].add(media(kBob, b));
    ASSERT_TRUE(alice.leg.present() && bob.leg.present());
  }
  void join() { ASSERT_EQ(workers[0].join(alice.leg, bob.leg).status, CommandStatus::Ok); }
  // Alice's and Bob's new ids.
  std::pair<api::LegId, api::LegId> move() {
    const api::CommandDone done = workers.move(alice.leg, bob.leg);
    EXPECT_EQ(done.status, CommandStatus::Ok);
    EXPECT_EQ(done.command, api::CommandType::MoveLegs);
    return {done.leg, api::LegId{done.value}};
  }
  Plane::Sent from_alice(std::uint8_t payload_type = 0) {
    ++sequence;
    return workers.send(
        udp_frame(*Endpoint::parse(kAlice), alice.local, rtp_packet(payload_type, sequence, 160U * sequence, 7, Frame(160, 0x55))));
  }

  TwoWorkers workers{config()};
  api::CommandDone alice, bob;
  std::uint16_t sequence = 100;
};

TEST_F(Moves, LegsKeepTheirPortsAndGetNewIds) {
  add();
  const auto [a, b] = move();
  EXPECT_EQ(a.worker(), 1);
  EXPECT_EQ(b.worker(), 1);
  EXPECT_NE(a, b);
  const auto at_a = api::read_leg(workers[1].rows[a.index()]);
  ASSERT_TRUE(at_a);
  EXPECT_EQ(at_a->id, a);
  EXPECT_EQ(at_a->local, alice.local);
  EXPECT_EQ(at_a->media.remote, *Endpoint::parse(kAlice));
  EXPECT_FALSE(api::read_leg(workers[0].rows[alice.leg.index()])) << "one leg is shown once";
  EXPECT_EQ(workers[0].block->legs_in_use.get(), 0U);
  EXPECT_EQ(workers[1].block->legs_in_use.get(), 2U);
  EXPECT_EQ(workers[0].update(alice.leg, media_to(kAlice)).status, CommandStatus::UnknownLeg);
  const api::CommandDone captured = workers[1].command(api::CommandType::StartCapture, [&](api::Command& c) {
    c.start_capture = {1, 1000, a, {}, 0};
  });
  EXPECT_EQ(captured.status, CommandStatus::Ok);
  EXPECT_EQ(captured.local, alice.local) << "what is captured is what the party sends there";
  EXPECT_EQ(workers[0].hops.held, 0U) << "next hops were given back";
  EXPECT_EQ(workers[1].hops.held, 2U);
  ASSERT_EQ(workers[1].join(a, b).status, CommandStatus::Ok);
  const Plane::Sent sent = from_alice();
  EXPECT_EQ(workers.hops, 1) << "by way of the worker whose port it is";
  ASSERT_EQ(sent.packet.verdict, PacketVerdict::Transmit);
  EXPECT_EQ(sent.datagram.from, bob.local);
  EXPECT_EQ(sent.datagram.to, *Endpoint::parse(kBob));
  EXPECT_TRUE(sent.datagram.ok) << "checksum";
}

TEST_F(Moves, JoinedLegsStayJoinedAndTheirStreamGoesOn) {
  add();
  join();
  RtpHeader before, after;
  ASSERT_TRUE(parse_rtp(from_alice().datagram.payload, before));
  const auto [a, b] = move();
  workers.advance(milliseconds(20));
  const Plane::Sent sent = from_alice();
  ASSERT_TRUE(parse_rtp(sent.datagram.payload, after));
  EXPECT_EQ(after.ssrc, before.ssrc);
  EXPECT_EQ(after.sequence, before.sequence + 1);
  EXPECT_EQ(after.timestamp, before.timestamp + 160);
  EXPECT_FALSE(after.marker);
  EXPECT_EQ(workers[1].rows[a.index()].rx_packets.get(), 2U) << "counters go along";
  EXPECT_EQ(workers[1].rows[b.index()].tx_packets.get(), 2U);
  EXPECT_EQ(workers[1].events.count(api::EventType::FirstPacket), 0U) << "it is not the first";
}

TEST_F(Moves, WhatIsTranscodedGoesOnInOneStream) {
  add(Codec::Pcmu, Codec::G722);
  join();
  RtpHeader before, after;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(parse_rtp(from_alice().datagram.payload, before));
    workers.advance(milliseconds(20));
  }
  const auto [a, b] = move();
  ASSERT_TRUE(parse_rtp(from_alice().datagram.payload, after));
  EXPECT_EQ(after.ssrc, before.ssrc);
  EXPECT_EQ(after.sequence, before.sequence + 1);
  EXPECT_EQ(after.timestamp, before.timestamp + 160);
  EXPECT_EQ(workers[1].rows[b.index()].transcoded.get(), 6U);
  EXPECT_EQ(workers[0].block->load_booked_ppm.get(), 0U);
  EXPECT_GT(workers[1].block->load_booked_ppm.get(), 0U);
  ASSERT_EQ(workers[1].remove(a).status, CommandStatus::Ok);
  EXPECT_EQ(workers[1].block->load_booked_ppm.get(), 0U);
}

TEST_F(Moves, AHeavyPairIsTranscodedWhereItMovedTo) {
  add(Codec::Pcmu, Codec::None);
  const auto [a, b] = move();
  ASSERT_EQ(workers[1].update(b, media_to(kBob, Codec::Opus)).status, CommandStatus::Ok);
  ASSERT_EQ(workers[1].join(a, b).status, CommandStatus::Ok);
  EXPECT_EQ(workers[0].block->load_booked_ppm.get(), 0U);
  EXPECT_GT(workers[1].block->load_booked_ppm.get(), 0U);
  EXPECT_EQ(from_alice().packet.verdict, PacketVerdict::Transmit);
  EXPECT_EQ(workers[1].rows[b.index()].transcoded.get(), 1U);
}

TEST_F(Moves, WhoeverMovesFreesThePortInTheEnd) {
  add();
  const auto [a, b] = move();
  ASSERT_EQ(workers[1].remove(a).status, CommandStatus::Ok);
  ASSERT_EQ(workers[1].remove(b).status, CommandStatus::Ok);
  workers.deliver();
  EXPECT_EQ(from_alice().packet.drop, api::DropReason::UnknownMediaPort);
  EXPECT_EQ(workers.hops, 0) << "nothing is passed on any more";
  workers.advance(workers[0].config.port_quarantine);
  unsigned free = 0;
  while (workers[0].add(media_to(nullptr)).status == CommandStatus::Ok) ++free;
  EXPECT_EQ(free, 16U) << "every port of the first address";
}

TEST_F(Moves, AReleaseThatFoundNoRoomIsSaidAgain) {
  add();
  const auto [a, b] = move();
  workers.deaf = true;
  ASSERT_EQ(workers[1].remove(a).status, CommandStatus::Ok);
  ASSERT_EQ(workers[1].remove(b).status, CommandStatus::Ok);
  workers[1].run(milliseconds(10));
  EXPECT_TRUE(workers.messages.empty());
  EXPECT_EQ(from_alice().packet.drop, api::DropReason::UnknownMediaPort);
  EXPECT_EQ(workers.hops, 1) << "still passed on, to where nobody is";
  workers.deaf = false;
  workers[1].run(milliseconds(10));
  EXPECT_EQ(workers.messages.size(), 2U);
  workers.deliver();
  (void)from_alice();
  EXPECT_EQ(workers.hops, 0);
}

TEST_F(Moves, CommandsWaitUntilTheOtherWorkerHasAnswered) {
  add();
  const std::uint32_t request = workers.begin_move(alice.leg, bob.leg);
  EXPECT_FALSE(workers[1].engine.accepts_commands());
  ASSERT_TRUE(workers.deliver_one());
  EXPECT_EQ(workers.answer(request).request_id, 0U);
  ASSERT_TRUE(workers.deliver_one());
  EXPECT_TRUE(workers[1].engine.accepts_commands());
  EXPECT_EQ(workers.answer(request).status, CommandStatus::Ok);
}

TEST_F(Moves, AClientThatDidNotAskIsNotAnswered) {
  add();
  (void)workers.begin_move(alice.leg, bob.leg);
  workers[1].engine.on_client();
  workers.deliver();
  EXPECT_EQ(workers[1].events.count(api::EventType::CommandDone), 0U);
  EXPECT_TRUE(workers[1].engine.accepts_commands());
  EXPECT_EQ(workers[1].block->legs_in_use.get(), 2U);
}

TEST_F(Moves, AnAnswerThatFoundNoRoomIsSaidAgain) {
  add();
  const std::uint32_t request = workers.begin_move(alice.leg, bob.leg);
  workers[1].events.deaf = true;
  workers.deliver();
  EXPECT_FALSE(workers[1].engine.accepts_commands()) << "an answer after another command's would be out of order";
  workers[1].run(milliseconds(10));
  EXPECT_FALSE(workers[1].engine.accepts_commands());
  workers[1].events.deaf = false;
  workers[1].run(milliseconds(10));
  EXPECT_TRUE(workers[1].engine.accepts_commands());
  const api::CommandDone done = workers.answer(request);
  EXPECT_EQ(done.status, CommandStatus::Ok);
  ASSERT_EQ(workers[1].join(done.leg, api::LegId{done.value}).status, CommandStatus::Ok);
  EXPECT_EQ(from_alice().packet.verdict, PacketVerdict::Transmit);
  EXPECT_EQ(workers[1].events.count(api::EventType::CommandDone), 2U) << "once";
}

TEST_F(Moves, AnAnswerThatNobodyTookIsNotTheNextClients) {
  add();
  (void)workers.begin_move(alice.leg, bob.leg);
  workers[1].events.deaf = true;
  workers.deliver();
  workers[1].engine.on_client();
  EXPECT_TRUE(workers[1].engine.accepts_commands());
  workers[1].events.deaf = false;
  workers[1].run(milliseconds(10));
  EXPECT_EQ(workers[1].events.count(api::EventType::CommandDone), 0U);
}

// Of a capture by source, which runs at both workers.
TEST_F(Moves, PacketsAreCapturedWhereTheirLegIs) {
  add();
  const auto [a, b] = move();
  engine::Packet packet;
  packet.kind = engine::PacketKind::Media;
  packet.leg_index = alice.leg.index();
  EXPECT_TRUE(workers[0].engine.captured_elsewhere(packet));
  packet.leg_index = a.index();
  EXPECT_FALSE(workers[1].engine.captured_elsewhere(packet));
  const api::CommandDone started = workers[1].command(api::CommandType::StartCapture, [&](api::Command& c) {
    c.start_capture = {1, 1000, {}, *IpPrefix::parse("198.51.100.0/24"), 0};
  });
  ASSERT_EQ(started.status, CommandStatus::Ok);
  const Frame frame = udp_frame(*Endpoint::parse(kAlice), alice.local, rtp_packet(0, 1, 160, 7, Frame(160, 0x55)));
  api::CapturedHeader header;
  ASSERT_TRUE(workers[1].engine.capture(frame, api::CaptureDirection::Inbound, a.index(), header));
  EXPECT_EQ(header.leg, a) << "as it is called now";
  ASSERT_TRUE(workers[1].engine.capture(frame, api::CaptureDirection::Inbound, engine::kNoLeg, header));
  EXPECT_FALSE(header.leg.present()) << "its port is another worker's";
  ASSERT_EQ(workers[1].remove(a).status, CommandStatus::Ok);
  workers.deliver();
  packet.leg_index = alice.leg.index();
  EXPECT_FALSE(workers[0].engine.captured_elsewhere(packet));
}

TEST_F(Moves, WhatCannotMoveStays) {
  add();
  const auto refused = [&](api::LegId a, api::LegId b, std::size_t offset) {
    const api::CommandDone done = workers.answer(workers.begin_move(a, b));
    EXPECT_EQ(done.status, CommandStatus::InvalidArgument);
    EXPECT_EQ(done.value, offset);
    EXPECT_TRUE(workers.messages.empty());
  };
  const api::LegId own = workers[1].add(media_to(kAlice)).leg;
  refused({}, bob.leg, offsetof(api::MoveLegs, a));
  refused(own, bob.leg, offsetof(api::MoveLegs, a));
  refused(api::LegId::make(2, 0, 1), bob.leg, offsetof(api::MoveLegs, a));
  refused(api::LegId::make(0, 0xFFFFFF, 1), bob.leg, offsetof(api::MoveLegs, a));
  refused(alice.leg, own, offsetof(api::MoveLegs, b));
  refused(alice.leg, {}, offsetof(api::MoveLegs, b));
  refused(alice.leg, alice.leg, offsetof(api::MoveLegs, b));

  const api::LegId third = workers[0].add(media_to("198.51.100.12:40000")).leg;
  join();
  EXPECT_EQ(workers.move(alice.leg, third).status, CommandStatus::UnknownLeg) << "joined with another";
  EXPECT_EQ(workers.move(alice.leg, api::LegId{bob.leg.value + 1}).status, CommandStatus::UnknownLeg) << "another generation";
  EXPECT_EQ(from_alice().packet.verdict, PacketVerdict::Transmit) << "as it was";
  EXPECT_EQ(workers[1].block->legs_in_use.get(), 1U);
}

TEST_F(Moves, AMovedLegStays) {
  add();
  const auto [a, b] = move();
  engine::WorkerMessage ask;
  ask.kind = engine::WorkerMessage::Kind::Ask;
  ask.legs = {a, b};
  workers[1].engine.on_message(ask, workers[1].now);
  ASSERT_EQ(workers.messages.size(), 1U);
  EXPECT_EQ(workers.messages.front().second->kind, engine::WorkerMessage::Kind::Deny);
}

TEST_F(Moves, NoSlotsNoMove) {
  engine::EngineConfig small = config();
  small.max_legs = 3;
  TwoWorkers few(small);
  const api::LegId a = few[0].add(media_to(kAlice)).leg, b = few[0].add(media_to(kBob)).leg;
  for (int i = 0; i < 2; ++i) ASSERT_EQ(few[1].add(media_to(nullptr)).status, CommandStatus::Ok);
  EXPECT_EQ(few.answer(few.begin_move(a, b)).status, CommandStatus::TableFull);
  EXPECT_TRUE(few.messages.empty());
  EXPECT_EQ(few[1].add(media_to(nullptr)).status, CommandStatus::Ok) << "the slot that was taken already is free again";
}

TEST_F(Moves, WithoutMemoryForTheTranscoderTheyArriveParted) {
  engine::EngineConfig tight = config();
  tight.transcoding_mb = 1;
  tight.last_media_port = 20511;
  tight.pair_costs_ns.fill(1);
  TwoWorkers full(tight);
  const api::LegId a = full[0].add(media_to(kAlice, Codec::G722)).leg, b = full[0].add(media_to(kBob)).leg;
  ASSERT_EQ(full[0].join(a, b).status, CommandStatus::Ok);
  for (const Codec codec : {Codec::Opus, Codec::G722})
    while (full[1].join(full[1].add(media_to(kAlice)).leg, full[1].add(media_to(kBob, codec)).leg).status == CommandStatus::Ok) {
    }
  const api::CommandDone done = full.move(a, b);
  EXPECT_EQ(done.status, CommandStatus::NoTranscoder);
  const auto info = api::read_leg(full[1].rows[done.leg.index()]);
  ASSERT_TRUE(info);
  EXPECT_FALSE(info->peer.present());
  EXPECT_EQ(full[1].remove(done.leg).status, CommandStatus::Ok);
}

TEST_F(Moves, ReportsNameTheSameSourceAfterwards) {
  add(Codec::Pcmu, Codec::G722);
  join();
  const auto cname = [](Plane& plane) {
    std::string name;
    for (const auto& spare : plane.spares.packets) {
      const Datagram d = read_udp(spare.packet.data, spare.packet.length);
      if (d.to.port != 40001) continue;
      RtcpReader reader(d.payload);
      for (RtcpPacket p; reader.next(p);)
        if (p.type == static_cast<std::uint8_t>(RtcpType::SourceDescription)) name.assign(p.body.begin(), p.body.end());
    }
    return name;
  };
  workers[1].advance(milliseconds(4000));
  workers[0].run(milliseconds(4000));
  const std::string before = cname(workers[0]);
  (void)move();
  workers[1].run(milliseconds(9000));
  EXPECT_FALSE(before.empty());
  EXPECT_EQ(cname(workers[1]), before);
}

}  // namespace
}  // namespace ifgw::test
