// telephone-events through the whole engine, where their clock changes: frames in, frames out.
#include <gtest/gtest.h>

#include "codecs/wire/telephone_event.h"
#include "tests/unit/dataplane/engine/two_parties.h"

namespace ifgw::test {
namespace {

using api::Codec;
using api::CommandStatus;

class MediaEvents : public TwoParties {
 protected:
  static api::MediaParams params(const char* remote, Codec codec, std::uint8_t payload_type, std::uint16_t event_clock) {
    api::MediaParams p = media_to(remote, codec);
    p.payload_type = payload_type;
    p.telephone_event_payload_type = event_clock == 8000 ? 101 : 102;
    p.telephone_event_clock_hz = event_clock;
    return p;
  }
  Plane::Sent from_alice(Frame rtp, bool marker = false) {
    if (marker) rtp[1] |= 0x80;
    return TwoParties::from_alice(rtp);
  }
  static Frame event(std::uint8_t code, bool end, std::uint16_t duration) {
    Frame payload(kTelephoneEventBytes);
    write_telephone_event(payload.data(), {code, end, 10, duration});
    return payload;
  }
  struct Seen {
    RtpHeader rtp;
    TelephoneEvent event;
  };
  static Seen seen(const Frame& frame) {
    const TwoParties::Seen s = TwoParties::seen(frame);
    EXPECT_EQ(s.payload.size(), kTelephoneEventBytes);
    return {s.rtp, read_telephone_event(s.payload.data())};
  }
};

TEST_F(MediaEvents, BetweenG711AndOpusDurationsAndSegmentsAreTheOtherClocks) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0, 8000), params("203.0.113.20:50000", Codec::Opus, 96, 48'000));
  const Seen first = seen(from_alice(rtp_packet(101, 1, 160, 7, event(3, false, 10'400)), true).frame);
  EXPECT_EQ(first.rtp.payload_type, 102);
  EXPECT_TRUE(first.rtp.marker);
  EXPECT_EQ(first.event.duration, 62'400);
  const Plane::Sent over = from_alice(rtp_packet(101, 2, 160, 7, event(3, false, 11'200)));
  const Seen full = seen(over.frame);
  EXPECT_EQ(full.rtp.timestamp, first.rtp.timestamp);
  EXPECT_EQ(full.rtp.sequence, static_cast<std::uint16_t>(first.rtp.sequence + 1));
  EXPECT_EQ(full.event, (TelephoneEvent{3, false, 10, 0xFFFF}));
  ASSERT_EQ(plane.spares.packets.size(), 1U);
  const engine::Packet& spare = plane.spares.packets[0].packet;
  ASSERT_EQ(spare.verdict, engine::PacketVerdict::Transmit);
  const Seen next = seen(Frame(spare.data, spare.data + spare.length));
  EXPECT_EQ(next.rtp.sequence, static_cast<std::uint16_t>(first.rtp.sequence + 2));
  EXPECT_EQ(next.rtp.timestamp, first.rtp.timestamp + 0xFFFF);
  EXPECT_EQ(next.event, (TelephoneEvent{3, false, 10, 67'200 - 0xFFFF}));
  for (std::uint16_t i = 0; i < 3; ++i) {
    const Seen end = seen(from_alice(rtp_packet(101, 3U + i, 160, 7, event(3, true, 12'000))).frame);
    EXPECT_EQ(end.rtp.sequence, static_cast<std::uint16_t>(first.rtp.sequence + 3 + i));
    EXPECT_EQ(end.event, (TelephoneEvent{3, true, 10, 72'000 - 0xFFFF}));
  }
  EXPECT_EQ(from_alice(rtp_packet(101, 4, 160, 7, event(3, true, 12'000))).packet.drop, api::DropReason::OutOfSequence) << "once";
}

TEST_F(MediaEvents, AnEventGoesBehindTheFrameThatHasBegun) {
  api::MediaParams b = params("203.0.113.20:50000", Codec::G722, 9, 8000);
  b.ptime_ms = 40;
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0, 8000), b);
  const Frame audio(160, 0x55);
  EXPECT_EQ(from_alice(rtp_packet(0, 1, 0, 7, audio)).packet.verdict, engine::PacketVerdict::Kept);
  const Plane::Sent sent = from_alice(rtp_packet(101, 2, 160, 7, event(3, false, 160)), true);
  ASSERT_EQ(sent.packet.verdict, engine::PacketVerdict::Transmit);
  ASSERT_EQ(plane.spares.packets.size(), 1U);
  const engine::Packet& spare = plane.spares.packets[0].packet;
  ASSERT_EQ(spare.verdict, engine::PacketVerdict::Transmit);
  const TwoParties::Seen frame = TwoParties::seen(sent.frame);
  const Seen begin = seen(Frame(spare.data, spare.data + spare.length));
  EXPECT_EQ(frame.rtp.payload_type, 9);
  EXPECT_EQ(frame.payload.size(), 320U);
  EXPECT_EQ(begin.rtp.payload_type, 101);
  EXPECT_TRUE(begin.rtp.marker);
  EXPECT_EQ(begin.event, (TelephoneEvent{3, false, 10, 160}));
  EXPECT_EQ(begin.rtp.sequence, static_cast<std::uint16_t>(frame.rtp.sequence + 1));
  EXPECT_EQ(begin.rtp.timestamp, frame.rtp.timestamp + 160);
  // The next one comes while nothing waits.
  const Seen end = seen(from_alice(rtp_packet(101, 3, 160, 7, event(3, true, 320))).frame);
  EXPECT_TRUE(plane.spares.packets.empty());
  EXPECT_EQ(end.rtp.sequence, static_cast<std::uint16_t>(frame.rtp.sequence + 2));
  EXPECT_EQ(end.rtp.timestamp, begin.rtp.timestamp);
}

// RFC 4733 section 2.5.1.2 leaves it to the sender whether audio goes on meanwhile.
TEST_F(MediaEvents, AudioBetweenThePacketsOfAnEventKeepsItsTime) {
  api::MediaParams b = params("203.0.113.20:50000", Codec::G722, 9, 8000);
  b.ptime_ms = 60;
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0, 8000), b);
  unsigned sequence = 0;
  std::uint32_t timestamp = 0;
  std::vector<TwoParties::Seen> frames;
  const auto collect = [&](const Plane::Sent& sent) {
    const auto look = [&](const Frame& frame) {
      if (const TwoParties::Seen s = TwoParties::seen(frame); s.rtp.payload_type == 9) frames.push_back(s);
    };
    if (sent.packet.verdict == engine::PacketVerdict::Transmit) look(sent.frame);
    for (const auto& spare : plane.spares.packets)
      if (spare.packet.verdict == engine::PacketVerdict::Transmit) look(Frame(spare.packet.data, spare.packet.data + spare.packet.length));
  };
  const auto speak = [&] {
    collect(from_alice(rtp_packet(0, ++sequence, timestamp, 7, Frame(160, 0x55))));
    timestamp += 160;
  };
  for (int i = 0; i < 3; ++i) speak();
  const std::uint32_t begin = timestamp;
  for (std::uint16_t i = 1; i <= 8; ++i) {
    speak();
    collect(from_alice(rtp_packet(101, ++sequence, begin, 7, event(3, i == 8, static_cast<std::uint16_t>(160 * i))), i == 1));
  }
  for (int i = 0; i < 9; ++i) speak();
  // Every frame begins where the one before ends, and none is ahead of what was said.
  for (std::size_t i = 1; i < frames.size(); ++i) ASSERT_EQ(frames[i].rtp.timestamp - frames[i - 1].rtp.timestamp, 480U) << i;
  const std::uint32_t heard = frames.back().rtp.timestamp + 480 - frames.front().rtp.timestamp;
  EXPECT_LE(heard, timestamp + 480);
  EXPECT_GT(heard, timestamp - 480);
}

// Read at once, after a pause of ours: what comes last must not make what is before it late.
TEST_F(MediaEvents, TheEndsOfAnEventAndTheAudioBehindThemMayComeInOneBurst) {
  connect(params("198.51.100.10:40000", Codec::Opus, 96, 8000), params("203.0.113.20:50000", Codec::Opus, 96, 48'000));
  ASSERT_EQ(from_alice(rtp_packet(101, 19, 960, 7, event(3, false, 800)), true).packet.verdict, engine::PacketVerdict::Transmit);
  std::vector<Frame> frames;
  for (std::uint16_t i = 0; i < 3; ++i)
    frames.push_back(frame_of_alice(alice_port, rtp_packet(101, 20U + i, 960, 7, event(3, true, 1600))));
  frames.push_back(frame_of_alice(alice_port, rtp_packet(96, 23, 9600, 7, Frame(40, 0x55))));
  std::vector<engine::Packet> packets;
  std::vector<engine::Packet*> burst;
  for (Frame& frame : frames) {
    const auto length = static_cast<std::uint16_t>(frame.size());
    frame.insert(frame.begin(), 128, 0);
    frame.resize(frame.size() + 1024);
    engine::Packet& packet = packets.emplace_back();
    packet.data = frame.data() + 128;
    packet.length = length;
    packet.headroom = 128;
    packet.tailroom = 1024;
  }
  plane.engine.classify(packets);
  for (engine::Packet& packet : packets) burst.push_back(&packet);
  plane.engine.media(burst, plane.now, plane.spares);
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(packets[i].verdict, engine::PacketVerdict::Transmit) << i;
    EXPECT_EQ(seen(Frame(packets[i].data, packets[i].data + packets[i].length)).event, (TelephoneEvent{3, true, 10, 9600}));
  }
  EXPECT_EQ(packets[3].verdict, engine::PacketVerdict::Transmit);
}

// One packet says nothing of a party's numbers (RFC 3550 appendix A.1).
TEST_F(MediaEvents, AnEventFarAheadDoesNotMoveTheStreamItIsIn) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0, 8000), params("203.0.113.20:50000", Codec::G722, 9, 8000));
  const auto audio = [&](unsigned sequence, std::uint32_t timestamp) {
    return TwoParties::seen(from_alice(rtp_packet(0, sequence, timestamp, 7, Frame(160, 0x55))).frame).rtp.sequence;
  };
  const std::uint16_t first = audio(1, 160);
  EXPECT_EQ(from_alice(rtp_packet(101, 20'001, 320, 7, event(3, false, 160)), true).packet.drop, api::DropReason::OutOfSequence);
  EXPECT_EQ(audio(2, 320), static_cast<std::uint16_t>(first + 1));
}

// As oRTP sends it. What is not an end is a copy that the wire made.
TEST_F(MediaEvents, AnEndSaidThriceUnderOneNumberLeavesThrice) {
  connect(params("198.51.100.10:40000", Codec::Opus, 96, 48'000), params("203.0.113.20:50000", Codec::Pcmu, 0, 8000));
  const Seen first = seen(from_alice(rtp_packet(102, 1, 960, 7, event(3, false, 960)), true).frame);
  EXPECT_EQ(from_alice(rtp_packet(102, 1, 960, 7, event(3, false, 960))).packet.drop, api::DropReason::OutOfSequence);
  for (std::uint16_t i = 0; i < 3; ++i) {
    const Seen end = seen(from_alice(rtp_packet(102, 2, 960, 7, event(3, true, 4800))).frame);
    EXPECT_EQ(end.rtp.sequence, static_cast<std::uint16_t>(first.rtp.sequence + 1 + i));
    EXPECT_EQ(end.rtp.timestamp, first.rtp.timestamp);
    EXPECT_EQ(end.event, (TelephoneEvent{3, true, 10, 800}));
  }
  const Seen next = seen(from_alice(rtp_packet(102, 4, 9600, 7, event(4, false, 960)), true).frame);
  EXPECT_EQ(next.rtp.sequence, static_cast<std::uint16_t>(first.rtp.sequence + 5)) << "one was lost";
}

TEST_F(MediaEvents, WithoutABufferTheEndOfASegmentLeavesAndTheRestIsCounted) {
  connect(params("198.51.100.10:40000", Codec::Pcmu, 0, 8000), params("203.0.113.20:50000", Codec::Opus, 96, 48'000));
  (void)from_alice(rtp_packet(101, 1, 160, 7, event(3, false, 10'400)), true);
  plane.spares.limit = 0;
  EXPECT_EQ(seen(from_alice(rtp_packet(101, 2, 160, 7, event(3, false, 11'200))).frame).event.duration, 0xFFFF);
  EXPECT_EQ(plane.drops(api::DropReason::NoBuffer), 1U);
}

TEST_F(MediaEvents, BesideRelayedOpusTheClockChangesToo) {
  connect(params("198.51.100.10:40000", Codec::Opus, 96, 8000), params("203.0.113.20:50000", Codec::Opus, 96, 48'000));
  const Seen first = seen(from_alice(rtp_packet(101, 1, 9600, 7, event(3, false, 400)), true).frame);
  EXPECT_EQ(first.rtp.payload_type, 102);
  EXPECT_TRUE(first.rtp.marker);
  EXPECT_EQ(first.event.duration, 2400);
  const Seen third = seen(from_alice(rtp_packet(101, 3, 9600, 7, event(3, true, 800))).frame);
  EXPECT_EQ(third.rtp.sequence, static_cast<std::uint16_t>(first.rtp.sequence + 2));
  EXPECT_EQ(third.rtp.timestamp, first.rtp.timestamp);
  EXPECT_EQ(third.event, (TelephoneEvent{3, true, 10, 4800}));
  EXPECT_EQ(from_alice(rtp_packet(101, 2, 9600, 7, event(3, false, 600))).packet.drop, api::DropReason::OutOfSequence);
}

TEST_F(MediaEvents, PayloadsThatAreNoEventsAreRefused) {
  for (const Codec codec : {Codec::Pcmu, Codec::Pcma, Codec::G722}) {
    Plane other{transcoding_config()};
    const api::CommandDone a = other.add(params("198.51.100.10:40000", Codec::Pcmu, 0, 8000));
    const api::CommandDone b = other.add(params("203.0.113.20:50000", codec, codec == Codec::Pcmu ? 0 : 8, 8000));
    ASSERT_EQ(other.join(a.leg, b.leg).status, CommandStatus::Ok);
    std::uint16_t sequence = 0;
    for (const std::size_t bytes : {0U, 1U, 3U, 5U, 7U}) {
      const Frame frame = frame_of_alice(a.local, rtp_packet(101, ++sequence, 160, 7, Frame(bytes, 0)));
      EXPECT_EQ(other.send(frame).packet.drop, api::DropReason::BadPayload) << bytes;
    }
    const Frame two = frame_of_alice(a.local, rtp_packet(101, ++sequence, 160, 7, Frame(8, 1)));
    EXPECT_EQ(other.send(two).packet.verdict, engine::PacketVerdict::Transmit) << "two events in one packet";
  }
}

}  // namespace
}  // namespace ifgw::test
