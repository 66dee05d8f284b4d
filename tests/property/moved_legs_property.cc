// A call whose legs move to another worker, beside the same call that stays: the same packets in, the same packets out.
#include <gtest/gtest.h>

#include <random>

#include "tests/support/two_workers.h"

namespace ifgw::test {
namespace {

using api::Codec;
using api::CommandStatus;
using std::chrono::milliseconds;

struct Random {
  std::uint32_t operator()() { return static_cast<std::uint32_t>(engine()); }
  std::mt19937 engine;
};

struct Party {
  Endpoint remote, port;
  std::uint16_t sequence = 1000;
  std::uint32_t timestamp = 77;
  std::uint32_t ssrc = 1;
  Codec codec = Codec::Pcmu;
  api::LegId moving, staying;
};

class MovedLegs : public testing::TestWithParam<std::uint32_t> {
 protected:
  static api::MediaParams media(const Party& party, bool held) {
    api::MediaParams m = media_to(nullptr, party.codec);
    m.remote = party.remote;
    m.telephone_event_payload_type = 101;
    m.receive = held ? 0 : 1;
    return m;
  }
  void add(Party& party, const char* remote) {
    party.remote = *Endpoint::parse(remote);
    const api::CommandDone a = moving[0].add(media(party, false)), b = staying[0].add(media(party, false));
    ASSERT_EQ(a.local, b.local);
    party.port = a.local;
    party.moving = a.leg;
    party.staying = b.leg;
  }
  void update(const Party& party, bool held) {
    ASSERT_EQ(moving[party.moving.worker()].update(party.moving, media(party, held)).status, CommandStatus::Ok);
    ASSERT_EQ(staying[0].update(party.staying, media(party, held)).status, CommandStatus::Ok);
  }
  void speak(Party& party, Random& random) {
    const unsigned chance = random() % 40;
    if (chance == 0) party.ssrc += 1, party.sequence = static_cast<std::uint16_t>(random()), party.timestamp = random();
    const unsigned late = chance == 1 ? 3 : 0;  // an old one once more, or out of order
    if (late == 0) party.sequence = static_cast<std::uint16_t>(party.sequence + (chance == 2 ? 2 : 1));
    party.timestamp += late == 0 ? 160 : 0;
    const bool event = chance == 3;
    const Frame payload = event ? Frame{5, 10, 0, 160} : Frame(160, static_cast<std::uint8_t>(0x55 + party.sequence % 16));
    const unsigned type = event ? 101 : media(party, false).payload_type;
    const Frame frame =
        udp_frame(party.remote, party.port,
                  rtp_packet(type, static_cast<std::uint16_t>(party.sequence - late), party.timestamp - 160 * late, party.ssrc, payload));
    const Plane::Sent here = moving.send(frame), there = staying.send(frame);
    ASSERT_EQ(here.packet.verdict, there.packet.verdict) << api::info(here.packet.drop).label << " " << api::info(there.packet.drop).label;
    if (here.packet.verdict == engine::PacketVerdict::Drop) {
      ASSERT_EQ(here.packet.drop, there.packet.drop) << api::info(here.packet.drop).label << " " << api::info(there.packet.drop).label;
    }
    if (here.packet.verdict == engine::PacketVerdict::Transmit) {
      ASSERT_EQ(here.frame, there.frame);
    }
  }

  TwoWorkers moving{transcoding_config()}, staying{transcoding_config()};
  Party alice, bob;
};

TEST_P(MovedLegs, NobodyHearsTheMove) {
  Random random{std::mt19937(GetParam())};
  alice.codec = random() % 2 == 0 ? Codec::Pcmu : Codec::Pcma;
  add(alice, "198.51.100.10:40000");
  add(bob, "203.0.113.20:50000");
  const unsigned move_at = random() % 300;
  std::uint32_t request = 0;
  bool joined = false, moved = false;
  for (unsigned step = 0; step < 400; ++step) {
    const bool under_way = !moving[1].engine.accepts_commands();
    if (step == move_at) request = moving.begin_move(alice.moving, bob.moving);
    if (step != move_at && !under_way && random() % 16 == 0) {
      Party& party = random() % 2 == 0 ? alice : bob;
      if (random() % 2 == 0) party.codec = random() % 2 == 0 ? Codec::Pcmu : Codec::Pcma;
      update(party, random() % 3 == 0);
    }
    if (!joined && step != move_at && !under_way && random() % 8 == 0) {
      joined = true;
      ASSERT_EQ(moving[alice.moving.worker()].join(alice.moving, bob.moving).status, CommandStatus::Ok);
      ASSERT_EQ(staying[0].join(alice.staying, bob.staying).status, CommandStatus::Ok);
    }
    speak(random() % 2 == 0 ? alice : bob, random);
    if (HasFatalFailure()) return;
    if (random() % 2 == 0) moving.deliver_one();
    if (const api::CommandDone done = moving.answer(request); request != 0 && !moved && done.request_id == request) {
      ASSERT_EQ(done.status, CommandStatus::Ok);
      alice.moving = done.leg;
      bob.moving = api::LegId{done.value};
      moved = true;
    }
    const Duration pause = milliseconds(random() % 3 * 10);
    moving.advance(pause);
    staying.advance(pause);
  }
  ASSERT_TRUE(moved);
  for (const Party* party : {&alice, &bob}) {
    const api::LegRow &here = moving[1].rows[party->moving.index()], &there = staying[0].rows[party->staying.index()];
    EXPECT_EQ(here.rx_packets.get(), there.rx_packets.get());
    EXPECT_EQ(here.tx_packets.get(), there.tx_packets.get());
    EXPECT_EQ(here.expected.get(), there.expected.get());
    EXPECT_EQ(here.reordered.get(), there.reordered.get());
    EXPECT_EQ(here.dropped.get(), there.dropped.get());
    EXPECT_EQ(here.jitter.get(), there.jitter.get());
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, MovedLegs, testing::Range(1U, 101U));

}  // namespace
}  // namespace ifgw::test
