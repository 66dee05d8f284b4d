// Events between clocks under loss, disorder and duplication, through the engine, against a plain model: a receiver that
// follows RFC 4733 hears each event of which something arrived exactly once, with its duration when an end arrived.
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "codecs/wire/telephone_event.h"
#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

struct Wire {
  std::uint16_t sequence;
  std::uint32_t timestamp;
  bool marker;
  TelephoneEvent event;
  std::size_t of;  // index of the event
};
struct Event {
  std::uint8_t code;
  std::uint64_t duration;  // in units of the sender's clock
};

// What a sender of that clock makes of the events: reports each 50 ms, segments, every last report three times.
std::vector<Wire> send(const std::vector<Event>& events, std::uint32_t clock, std::mt19937& random) {
  std::vector<Wire> packets;
  std::uint16_t sequence = 65'000;
  std::uint32_t timestamp = 0xFFFF'0000;
  for (std::size_t e = 0; e < events.size(); ++e) {
    std::uint64_t done = 0;  // in whole segments
    bool first = true;
    const auto packet = [&](std::uint64_t until, bool end) {
      packets.push_back({sequence++,
                         static_cast<std::uint32_t>(timestamp + done),
                         first,
                         {events[e].code, end, 10, static_cast<std::uint16_t>(until - done)},
                         e});
      first = false;
    };
    for (std::uint64_t at = clock / 20; at < events[e].duration; at += clock / 20) {
      for (; at - done > 0xFFFF; done += 0xFFFF)
        for (int i = 0; i < 3; ++i) packet(done + 0xFFFF, false);
      packet(at, false);
    }
    for (; events[e].duration - done > 0xFFFF; done += 0xFFFF)
      for (int i = 0; i < 3; ++i) packet(done + 0xFFFF, false);
    for (int i = 0; i < 3; ++i) packet(events[e].duration, true);
    timestamp += static_cast<std::uint32_t>(events[e].duration) + clock / 10 + static_cast<std::uint32_t>(random() % clock);
  }
  return packets;
}

struct Heard {
  std::uint8_t code = 0;
  std::uint32_t begin = 0, segment = 0;
  std::uint64_t duration = 0;
  unsigned ends = 0;
};
// RFC 4733 section 2.5.2: a segment that begins where a full one ended goes on with its event.
void hear(std::vector<Heard>& heard, const RtpHeader& rtp, const TelephoneEvent& event, std::uint32_t units_per_duration) {
  const bool known = !heard.empty() && !rtp.marker && heard.back().code == event.code &&
                     (rtp.timestamp == heard.back().segment || (rtp.timestamp - heard.back().segment) % (0xFFFF * units_per_duration) == 0);
  if (!known) {
    EXPECT_TRUE(rtp.marker) << "the first packet of an event says so";
    heard.push_back({event.code, rtp.timestamp, rtp.timestamp, 0, 0});
  }
  Heard& h = heard.back();
  h.segment = rtp.timestamp;
  const std::uint64_t until = (rtp.timestamp - h.begin) / units_per_duration + std::uint64_t{event.duration};
  EXPECT_GE(until, h.duration) << "durations grow";
  EXPECT_GT(event.duration, 0);
  h.duration = until;
  h.ends += event.end ? 1 : 0;
}

struct Way {
  api::Codec from, to;
  std::uint16_t from_clock, to_clock;
};

class Ways : public ::testing::TestWithParam<Way> {};
INSTANTIATE_TEST_SUITE_P(TelephoneEvents, Ways,
                         ::testing::Values(Way{api::Codec::Pcmu, api::Codec::Opus, 8000, 48'000},
                                           Way{api::Codec::Opus, api::Codec::Pcma, 48'000, 8000},
                                           Way{api::Codec::Pcmu, api::Codec::G722, 8000, 8000},
                                           Way{api::Codec::Pcmu, api::Codec::Opus, 8000, 16'000}));

TEST_P(Ways, EachEventOnceWithItsDurationWhateverTheNetworkDoes) {
  const Way& way = GetParam();
  for (unsigned seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::vector<Event> events;
    for (std::size_t i = 0; i < 12; ++i)
      events.push_back(
          {static_cast<std::uint8_t>(random() % 3), way.from_clock / 20 + random() % (i % 4 == 3 ? 3U * way.from_clock : 2000U)});
    std::vector<Wire> wire = send(events, way.from_clock, random);
    for (std::size_t i = 1; i < wire.size(); ++i)
      if (random() % 12 == 0) std::swap(wire[i - 1], wire[i]);
    Plane plane(transcoding_config());
    api::MediaParams a = media_to("198.51.100.10:40000", way.from), b = media_to("203.0.113.20:50000", way.to);
    a.telephone_event_payload_type = b.telephone_event_payload_type = 101;
    a.telephone_event_clock_hz = way.from_clock;
    b.telephone_event_clock_hz = way.to_clock;
    const api::CommandDone leg = plane.add(a);
    ASSERT_EQ(plane.join(leg.leg, plane.add(b).leg).status, api::CommandStatus::Ok);
    std::vector<Heard> heard;
    std::vector<unsigned> arrived(events.size()), ended(events.size());
    std::optional<std::uint16_t> newest, sent;
    const std::uint32_t units_per_duration = (way.to == api::Codec::Opus ? 48'000U : 8000U) / way.to_clock;
    const auto receive = [&](const Frame& frame) {
      const Datagram d = read_udp(frame.data(), frame.size());
      RtpHeader rtp;
      ASSERT_TRUE(d.ok && parse_rtp(d.payload, rtp) && rtp.payload_type == 101);
      EXPECT_TRUE(!sent || serial_newer(rtp.sequence, *sent));
      sent = rtp.sequence;
      hear(heard, rtp, read_telephone_event(d.payload.data() + rtp.payload_offset), units_per_duration);
    };
    for (const Wire& packet : wire) {
      if (random() % 4 == 0) continue;
      for (unsigned copies = 1 + (random() % 10 == 0 ? 1 : 0); copies > 0; --copies) {
        Frame payload(kTelephoneEventBytes);
        write_telephone_event(payload.data(), packet.event);
        Frame rtp = rtp_packet(101, packet.sequence, packet.timestamp, 7, payload);
        if (packet.marker) rtp[1] |= 0x80;
        const Plane::Sent out = plane.send(udp_frame(*Endpoint::parse("198.51.100.10:40000"), leg.local, rtp));
        plane.advance(std::chrono::milliseconds(5));
        const bool end_again = newest == packet.sequence && packet.event.end;  // as some phones say it
        if (newest && serial_distance(*newest, packet.sequence) <= 0 && !end_again) {
          EXPECT_EQ(out.packet.drop, api::DropReason::OutOfSequence);
          continue;
        }
        newest = packet.sequence;
        ++arrived[packet.of];
        ended[packet.of] += packet.event.end ? 1 : 0;
        ASSERT_EQ(out.packet.verdict, engine::PacketVerdict::Transmit);
        receive(out.frame);
        for (const Spares::Spare& spare : plane.spares.packets) receive(Frame(spare.packet.data, spare.packet.data + spare.packet.length));
      }
    }
    std::size_t at = 0;
    for (std::size_t e = 0; e < events.size(); ++e) {
      if (arrived[e] == 0) continue;
      ASSERT_LT(at, heard.size());
      EXPECT_EQ(heard[at].code, events[e].code);
      EXPECT_EQ(heard[at].ends, ended[e]) << "as many as came";
      // What came before the first packet that arrived is lost: whole segments of it.
      const std::uint64_t whole = events[e].duration * way.to_clock / way.from_clock;
      if (ended[e] != 0 && events[e].duration <= 0xFFFF) {
        EXPECT_EQ(heard[at].duration, whole) << "event " << e;
      }
      ++at;
    }
    EXPECT_EQ(at, heard.size()) << "no event more than once";
  }
}

}  // namespace
}  // namespace ifgw::test
