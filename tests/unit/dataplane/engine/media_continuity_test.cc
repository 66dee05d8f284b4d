// What the listener hears of a relayed stream is one stream (RFC 3550 section 5.1), whatever the sender and the control
// plane do.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <vector>

#include "codecs/base/serial.h"
#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

using api::Codec;
using api::DropReason;
using std::chrono::milliseconds;

struct Heard {
  std::uint16_t sequence;
  std::uint32_t timestamp, ssrc;
  bool marker;
  std::uint8_t payload_type;
};

class Continuity : public testing::Test {
 protected:
  static constexpr const char* kAlice = "198.51.100.10:40000";
  static constexpr const char* kBob = "203.0.113.20:50000";

  void connect(Codec a, Codec b) {
    alice = add(kAlice, a);
    bob = add(kBob, b);
    ASSERT_EQ(plane.join(alice.leg, bob.leg).status, api::CommandStatus::Ok);
  }
  api::CommandDone add(const char* remote, Codec codec) {
    api::MediaParams media = media_to(remote, codec);
    media.telephone_event_payload_type = 101;
    return plane.add(media);
  }
  Plane::Sent send(std::uint16_t sequence, std::uint32_t timestamp, std::uint32_t ssrc, std::uint8_t payload_type = 0,
                   bool marker = false) {
    return plane.send(udp_frame(*Endpoint::parse(kAlice), alice.local,
                                rtp_packet(payload_type | (marker ? 0x80U : 0U), sequence, timestamp, ssrc, Frame(160, 0x55))));
  }
  static Heard heard(const Plane::Sent& sent) {
    EXPECT_EQ(sent.packet.verdict, engine::PacketVerdict::Transmit) << api::info(sent.packet.drop).label;
    EXPECT_TRUE(sent.datagram.ok) << "checksum";
    RtpHeader h;
    EXPECT_TRUE(parse_rtp(sent.datagram.payload, h));
    return {h.sequence, h.timestamp, h.ssrc, h.marker, h.payload_type};
  }
  void hold(bool on) {
    api::MediaParams media = media_to(kAlice, Codec::Pcmu);
    media.telephone_event_payload_type = 101;
    media.receive = media.send = on ? 0 : 1;
    ASSERT_EQ(plane.update(alice.leg, media).status, api::CommandStatus::Ok);
  }

  Plane plane{transcoding_config()};
  api::CommandDone alice, bob;
};

TEST_F(Continuity, TheFirstStreamKeepsItsNumbersUnderOurSsrc) {
  connect(Codec::Pcmu, Codec::Pcmu);
  const Heard a = heard(send(100, 5000, 0xABCD)), b = heard(send(101, 5160, 0xABCD)), late = heard(send(99, 4840, 0xABCD));
  EXPECT_EQ(a.sequence, 100);
  EXPECT_EQ(a.timestamp, 5000U);
  EXPECT_NE(a.ssrc, 0xABCDU);
  EXPECT_FALSE(a.marker);
  EXPECT_EQ(b.sequence, 101);
  EXPECT_EQ(b.ssrc, a.ssrc);
  EXPECT_EQ(late.sequence, 99) << "before the first, and not too late";
}

TEST_F(Continuity, ADamagedPacketIsNoOtherStream) {
  for (const Codec listener : {Codec::Pcmu, Codec::Pcma, Codec::G722}) {
    connect(Codec::Pcmu, listener);
    for (std::uint16_t i = 0; i < 3; ++i) (void)send(100 + i, 5000 + 160U * i, 0xABCD);
    Frame frame = udp_frame(*Endpoint::parse(kAlice), alice.local, rtp_packet(0, 103, 5480, 0xABCD, Frame(160, 0x55)));
    frame[14 + 20 + 8 + 8] ^= 0x40;  // its SSRC
    EXPECT_EQ(plane.send(frame).packet.drop, api::DropReason::BadChecksum);
    const Plane::Sent next = send(104, 5640, 0xABCD);
    EXPECT_EQ(next.packet.verdict, engine::PacketVerdict::Transmit) << api::info(next.packet.drop).label;
  }
}

TEST_F(Continuity, AnotherSsrcGoesOnBehindTheOldOne) {
  for (const Codec listener : {Codec::Pcmu, Codec::Pcma}) {
    connect(Codec::Pcmu, listener);
    const Heard a = heard(send(100, 5000, 1));
    plane.advance(milliseconds(30));
    const Heard b = heard(send(7, 99, 2));
    EXPECT_EQ(b.ssrc, a.ssrc);
    EXPECT_EQ(b.sequence, 101);
    EXPECT_EQ(b.timestamp, 5240U) << "30 ms later";
    EXPECT_TRUE(b.marker) << "the listener's buffer may start anew";
    const Heard c = heard(send(8, 259, 2));
    EXPECT_EQ(c.sequence, 102);
    EXPECT_EQ(c.timestamp, 5400U);
    EXPECT_FALSE(c.marker);
    EXPECT_EQ(send(101, 5160, 1).packet.drop, DropReason::OutOfSequence) << "a straggler of the old stream";
    EXPECT_EQ(send(6, 0, 2).packet.drop, DropReason::OutOfSequence) << "its number was the old stream's";
    EXPECT_EQ(heard(send(8, 259, 2)).sequence, 102) << "a copy is a copy";
    plane.advance(milliseconds(300));
    EXPECT_EQ(heard(send(500, 90000, 1)).sequence, 103) << "the old one is back";
    plane.remove(alice.leg);
    plane.remove(bob.leg);
  }
}

TEST_F(Continuity, AJumpIsFollowedWhenASecondPacketConfirmsIt) {
  connect(Codec::Pcmu, Codec::Pcmu);
  (void)heard(send(100, 5000, 1));
  EXPECT_EQ(send(40000, 77, 1).packet.drop, DropReason::OutOfSequence);
  plane.advance(milliseconds(20));
  EXPECT_EQ(heard(send(101, 5160, 1)).sequence, 101) << "one stray packet changes nothing";
  EXPECT_EQ(send(40000, 77, 1).packet.drop, DropReason::OutOfSequence);
  plane.advance(milliseconds(40));
  const Heard after = heard(send(40001, 237, 1));
  EXPECT_EQ(after.sequence, 102);
  EXPECT_EQ(after.timestamp, 5160U + 320);
}

TEST_F(Continuity, LossIsMirrored) {
  connect(Codec::Pcmu, Codec::Pcmu);
  (void)heard(send(100, 5000, 1));
  plane.advance(milliseconds(20));
  (void)heard(send(7, 99, 2));
  const Heard after = heard(send(12, 99 + 5 * 160, 2));
  EXPECT_EQ(after.sequence, 106);
  EXPECT_EQ(after.timestamp, 5160U + 5 * 160);
  EXPECT_EQ(heard(send(10, 99 + 3 * 160, 2)).sequence, 104) << "late";
}

TEST_F(Continuity, AClockThatIsSetAnewIsNotHeard) {
  connect(Codec::Pcmu, Codec::Pcmu);
  (void)heard(send(100, 5'000'000, 1));
  plane.advance(milliseconds(20));
  const Heard back = heard(send(101, 100, 1));
  EXPECT_EQ(back.sequence, 101);
  EXPECT_EQ(back.timestamp, 5'000'160U);
  EXPECT_TRUE(back.marker);
  plane.advance(milliseconds(5000));
  const Heard silence = heard(send(102, 100 + 40'000, 1));
  EXPECT_EQ(silence.timestamp, 5'040'160U) << "silence that was not sent is time that passes";
  EXPECT_FALSE(silence.marker) << "the marker is the sender's";
}

TEST_F(Continuity, ReportsDoNotShortenASilence) {
  connect(Codec::Pcmu, Codec::Pcmu);
  const Heard before = heard(send(100, 5000, 1));
  for (int i = 0; i < 12; ++i) {
    plane.advance(milliseconds(5000));
    const Endpoint port{alice.local.ip, static_cast<std::uint16_t>(alice.local.port + 1)};
    const Plane::Sent report = plane.send(udp_frame(Endpoint{Endpoint::parse(kAlice)->ip, 40001}, port, rtcp_packet(1)));
    ASSERT_NE(report.packet.verdict, engine::PacketVerdict::Drop) << api::info(report.packet.drop).label;
  }
  const Heard after = heard(send(7, 99, 2));
  EXPECT_EQ(after.sequence, static_cast<std::uint16_t>(before.sequence + 1));
  EXPECT_EQ(after.timestamp, before.timestamp + 60 * 8000);
}

TEST_F(Continuity, HoldLeavesNoGap) {
  connect(Codec::Pcmu, Codec::Pcmu);
  (void)heard(send(100, 5000, 1));
  hold(true);
  for (int i = 1; i <= 50; ++i) {
    plane.advance(milliseconds(20));
    EXPECT_EQ(send(static_cast<std::uint16_t>(100 + i), static_cast<std::uint32_t>(5000 + i * 160), 1).packet.drop,
              DropReason::DirectionOff);
  }
  hold(false);
  plane.advance(milliseconds(20));
  const Heard after = heard(send(151, 5000 + 51 * 160, 1));
  EXPECT_EQ(after.sequence, 101) << "nothing was sent meanwhile: nothing was lost";
  EXPECT_EQ(after.timestamp, 5000U + 51 * 160) << "but time has passed";
  EXPECT_EQ(send(150, 5000 + 50 * 160, 1).packet.drop, DropReason::OutOfSequence);
}

TEST_F(Continuity, HoldLeavesNoGapInATranscodedStream) {
  connect(Codec::Pcmu, Codec::G722);
  const Heard first = heard(send(100, 5000, 1));
  hold(true);
  for (int i = 1; i <= 50; ++i) {
    plane.advance(milliseconds(20));
    (void)send(static_cast<std::uint16_t>(100 + i), static_cast<std::uint32_t>(5000 + i * 160), 1);
  }
  hold(false);
  plane.advance(milliseconds(20));
  const Heard after = heard(send(151, 5000 + 51 * 160, 1));
  EXPECT_EQ(after.sequence, static_cast<std::uint16_t>(first.sequence + 1));
  EXPECT_EQ(after.timestamp, first.timestamp + 51 * 160);
  EXPECT_TRUE(after.marker);
  EXPECT_EQ(after.ssrc, first.ssrc);
}

TEST_F(Continuity, AnUpdateThatChangesNothingOfTheStreamIsNotHeard) {
  connect(Codec::Pcmu, Codec::Pcmu);
  (void)heard(send(100, 5000, 1));
  hold(false);
  plane.advance(milliseconds(23));
  const Heard after = heard(send(102, 5320, 1));
  EXPECT_EQ(after.sequence, 102) << "the loss between is still seen";
  EXPECT_EQ(after.timestamp, 5320U);
  EXPECT_FALSE(after.marker);
}

TEST_F(Continuity, AnotherSpeakerGoesOnWhereTheFirstEnded) {
  connect(Codec::Pcmu, Codec::Pcmu);
  const Heard a = heard(send(100, 5000, 1));
  const api::CommandDone first = alice;
  alice = add("198.51.100.10:40000", Codec::Pcmu);
  ASSERT_EQ(plane.join(alice.leg, bob.leg).status, api::CommandStatus::Ok);
  plane.advance(milliseconds(60));
  const Heard b = heard(send(9, 9, 9));
  EXPECT_EQ(b.ssrc, a.ssrc);
  EXPECT_EQ(b.sequence, 101);
  EXPECT_EQ(b.timestamp, 5480U);
  ASSERT_EQ(plane.remove(first.leg).status, api::CommandStatus::Ok);
}

TEST_F(Continuity, EventsKeepTheirTimeAndDoNotMoveTheAudios) {
  connect(Codec::Pcmu, Codec::Pcma);
  (void)heard(send(100, 5000, 1));
  plane.advance(milliseconds(20));
  (void)heard(send(7, 1000, 2));
  const Heard event = heard(send(8, 1160, 2, 101, true));
  EXPECT_EQ(event.payload_type, 101);
  EXPECT_EQ(event.sequence, 102);
  EXPECT_EQ(event.timestamp, 5320U);
  EXPECT_TRUE(event.marker);
  EXPECT_EQ(heard(send(9, 1160, 2, 101)).timestamp, 5320U);
  const Heard audio = heard(send(10, 1480, 2));
  EXPECT_EQ(audio.timestamp, 5640U);
  EXPECT_FALSE(audio.marker);
}

// Nearly every packet takes a short way (Media::relay_next). The other plane is never allowed to: its legs are updated, to
// what they are, before every packet. Whatever comes, both do the same.
TEST_F(Continuity, TheShortWayDoesWhatTheLongOneDoes) {
  int transmitted = 0;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 generator(seed);
    const auto random = [&] { return static_cast<std::uint32_t>(generator()); };
    const auto one_in = [&](unsigned n) { return random() % n == 0; };
    Plane planes[2];
    api::CommandDone legs[2][2];
    const bool v6 = one_in(3);
    api::MediaParams from = media_to(kAlice, Codec::Pcmu);
    api::MediaParams to = media_to(v6 ? "[2001:db8::20]:50000" : kBob, Codec::Pcmu);
    from.telephone_event_payload_type = to.telephone_event_payload_type = 101;
    from.source_policy = one_in(3) ? api::SourcePolicy::Latch : api::SourcePolicy::Strict;
    from.latch_window_ms = 200;
    for (int i = 0; i < 2; ++i) {
      legs[i][0] = planes[i].add(from);
      legs[i][1] = planes[i].add(to, v6 ? 1 : 0);
      ASSERT_EQ(planes[i].join(legs[i][0].leg, legs[i][1].leg).status, api::CommandStatus::Ok);
    }
    std::uint32_t ssrc = random(), timestamp = random();
    auto sequence = static_cast<std::uint16_t>(random());
    for (int n = 0; n < 1500; ++n) {
      const Duration pause = milliseconds(one_in(50) ? 500 : 20);
      ++sequence;
      timestamp += 160;
      if (one_in(200)) ssrc = random();
      if (one_in(200)) sequence = static_cast<std::uint16_t>(random());
      if (one_in(200)) timestamp = random();
      if (one_in(20)) continue;
      const std::uint16_t back = one_in(20) ? random() % 4 : 0;
      const unsigned type = one_in(20) ? random() % 128 : one_in(20) ? 101 : 0;
      Frame rtp = rtp_packet(type | (one_in(20) ? 0x80U : 0U), static_cast<std::uint16_t>(sequence - back), timestamp - back * 160U, ssrc,
                             Frame(type == 101 ? 4 : random() % 200, 0x55));
      if (one_in(20)) rtp[0] = static_cast<std::uint8_t>(random());
      if (one_in(50)) rtp.resize(random() % 14);
      if (one_in(50)) rtp = rtcp_packet(ssrc);
      const char* sender = one_in(50) ? "198.51.100.10:40002" : kAlice;
      const bool no_checksum = one_in(10), damaged = one_in(20);
      const bool unreachable = one_in(100), to_rtcp = one_in(50);
      const auto l4 = one_in(2) ? engine::Checksum::Good : engine::Checksum::Unknown;
      std::optional<Plane::Sent> sent[2];
      for (int i = 0; i < 2; ++i) {
        planes[i].advance(pause);
        planes[i].hops.hop(0).usable = unreachable ? 0 : 1;
        if (i == 1) {
          ASSERT_EQ(planes[1].update(legs[1][1].leg, to).status, api::CommandStatus::Ok);
        }
        Endpoint local = legs[i][0].local;
        local.port += to_rtcp;
        Frame frame = udp_frame(*Endpoint::parse(sender), local, rtp);
        if (no_checksum) frame[40] = frame[41] = 0;
        if (damaged) frame.back() ^= 1;
        sent[i] = planes[i].send(frame, std::nullopt, l4);
      }
      ASSERT_EQ(sent[0]->packet.verdict, sent[1]->packet.verdict) << "seed " << seed << ", packet " << n;
      ASSERT_EQ(sent[0]->packet.drop, sent[1]->packet.drop) << "seed " << seed << ", packet " << n;
      ASSERT_EQ(sent[0]->frame, sent[1]->frame) << "seed " << seed << ", packet " << n;
      transmitted += sent[0]->packet.verdict == engine::PacketVerdict::Transmit;
    }
    for (int leg = 0; leg < 2; ++leg) {
      const api::LegRow& a = planes[0].engine.row(legs[0][leg].leg.index());
      const api::LegRow& b = planes[1].engine.row(legs[1][leg].leg.index());
      const auto counted = [](const api::LegRow& row) {
        return std::vector<std::uint64_t>{row.rx_packets.get(), row.rx_bytes.get(), row.rx_rtcp.get(),    row.dropped.get(),
                                          row.last_rx_ns.get(), row.expected.get(), row.reordered.get(),  row.jitter.get(),
                                          row.tx_packets.get(), row.tx_bytes.get(), row.transcoded.get(), row.tx_rtcp.get()};
      };
      EXPECT_EQ(counted(a), counted(b)) << "seed " << seed << ", leg " << leg;
    }
  }
  EXPECT_GT(transmitted, 15'000) << "most of it is audio that flows";
}

// A sender that loses, reorders, copies, restarts, changes its SSRC and is put on hold, at random. Kept beside: what was
// sent under which numbers.
TEST_F(Continuity, RandomSendersMakeOneStream) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    std::mt19937 generator(seed);
    const auto random = [&] { return static_cast<std::uint32_t>(generator()); };
    const auto one_in = [&](unsigned n) { return random() % n == 0; };
    connect(Codec::Pcmu, seed % 2 != 0 ? Codec::Pcmu : Codec::Pcma);
    std::uint32_t ssrc = random(), timestamp = random();
    auto sequence = static_cast<std::uint16_t>(random());
    std::map<std::uint16_t, std::uint32_t> sent;  // number: which of the sender's packets
    std::uint32_t id = 0, out_ssrc = 0;
    std::uint16_t newest = 0;
    std::uint32_t newest_timestamp = 0;
    bool on_hold = false;
    for (int i = 0; i < 1500; ++i) {
      plane.advance(milliseconds(20));
      ++sequence;
      timestamp += 160;
      ++id;
      if (one_in(100)) ssrc = random();
      if (one_in(100)) sequence = static_cast<std::uint16_t>(random()), timestamp = random();
      if (one_in(60)) hold(on_hold = !on_hold);
      if (one_in(10)) continue;
      const int back = one_in(10) ? static_cast<int>(random() % 4) : 0;
      const Plane::Sent out = send(static_cast<std::uint16_t>(sequence - back), timestamp - static_cast<std::uint32_t>(back * 160), ssrc);
      if (out.packet.verdict != engine::PacketVerdict::Transmit) continue;
      const Heard h = heard(out);
      if (out_ssrc == 0) {
        out_ssrc = h.ssrc;
        newest = h.sequence;
        newest_timestamp = h.timestamp;
      }
      ASSERT_EQ(h.ssrc, out_ssrc) << seed;
      const auto [known, fresh] = sent.emplace(h.sequence, id - static_cast<std::uint32_t>(back));
      ASSERT_EQ(known->second, id - static_cast<std::uint32_t>(back)) << "seed " << seed << ": two packets under number " << h.sequence;
      if (!serial_newer(h.sequence, newest)) continue;
      ASSERT_LE(serial_distance(newest, h.sequence), 30) << seed << ": only what was lost is missing";
      ASSERT_TRUE(serial_newer(h.timestamp, newest_timestamp)) << seed;
      newest = h.sequence;
      newest_timestamp = h.timestamp;
      if (sent.size() > 20000) sent.clear();
    }
    plane.remove(alice.leg);
    plane.remove(bob.leg);
    plane.advance(std::chrono::seconds(60));
  }
}

}  // namespace
}  // namespace ifgw::test
