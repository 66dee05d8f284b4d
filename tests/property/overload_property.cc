// Bursts of relays and of frames light and heavy, in virtual time: who is served when, and who is given up.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

using api::Codec;
using engine::PacketVerdict;

// One leg whose party speaks, and what it was sent so far.
struct Speaker {
  Endpoint remote, port;
  Codec from, to;
  std::uint8_t payload_type = 96;
  std::size_t payload_bytes = 0;
  unsigned born = 0;
  std::uint16_t sequence = 0;
  bool relay() const { return from == to; }
};

class Overload : public testing::TestWithParam<std::uint32_t> {
 protected:
  static engine::EngineConfig config() {
    engine::EngineConfig c = small_config();
    c.transcoding_mb = 8;
    c.max_load_percent = 100;
    c.late = std::chrono::milliseconds(1);
    return c;
  }
  static std::size_t bytes_of(Codec codec) { return codec == Codec::G729 ? 20 : 160; }
  bool heavy(const Speaker& s) const { return !s.relay() && plane.config.pair_costs_ns[api::codec_pair(s.from, s.to)] >= 20'000; }
  Duration cost(const Speaker& s) const { return Duration(plane.config.pair_costs_ns[api::codec_pair(s.from, s.to)]); }

  void add_call(Codec from, Codec to) {
    const auto number = static_cast<std::uint16_t>(speakers.size());
    Speaker s{
        {*IpAddress::parse("198.51.100.10"), static_cast<std::uint16_t>(40'000 + 2 * number)}, {}, from, to, 96, bytes_of(from), number, 0};
    api::MediaParams near, far;
    near.remote = s.remote;
    near.codec = from;
    near.payload_type = far.payload_type = 96;
    far.remote = {*IpAddress::parse("203.0.113.20"), static_cast<std::uint16_t>(50'000 + 2 * number)};
    far.codec = to;
    const api::CommandDone a = plane.add(near), b = plane.add(far);
    s.port = a.local;
    ASSERT_EQ(plane.join(a.leg, b.leg).status, api::CommandStatus::Ok);
    speakers.push_back(s);
  }

  Plane plane{config()};
  std::vector<Speaker> speakers;
};

TEST_P(Overload, RelaysFirstThenLightThenTheOldestAndOnlyTheNewestAreGivenUp) {
  std::mt19937 random(GetParam());
  constexpr std::pair<Codec, Codec> kKinds[] = {{Codec::Pcmu, Codec::Pcmu}, {Codec::Pcmu, Codec::G722}, {Codec::Pcma, Codec::Opus},
                                                {Codec::Pcmu, Codec::G729}, {Codec::G729, Codec::Pcmu}, {Codec::Pcmu, Codec::Pcma}};
  for (int i = 0; i < 14; ++i) {
    const auto& [from, to] = kKinds[random() % std::size(kKinds)];
    add_call(from, to);
  }
  std::uint64_t given_up = 0;
  for (int round = 0; round < 60; ++round) {
    const std::size_t count = 1 + random() % 32;
    std::vector<Frame> buffers(count);
    std::vector<engine::Packet> packets(count);
    std::vector<engine::Packet*> pointers;
    std::vector<std::size_t> who(count);
    for (std::size_t i = 0; i < count; ++i) {
      Speaker& s = speakers[who[i] = random() % speakers.size()];
      ++s.sequence;
      const Frame frame =
          udp_frame(s.remote, s.port, rtp_packet(s.payload_type, s.sequence, 160U * s.sequence, 7, Frame(s.payload_bytes, 0xD5)));
      buffers[i].assign(128 + frame.size() + 1024, 0xEE);
      std::copy(frame.begin(), frame.end(), buffers[i].begin() + 128);
      packets[i].data = buffers[i].data() + 128;
      packets[i].length = static_cast<std::uint16_t>(frame.size());
      packets[i].headroom = 128;
      packets[i].tailroom = 1024;
      pointers.push_back(&packets[i]);
    }
    const Instant received = plane.now;
    // Sometimes the queue has been too long for a while.
    const Instant due = received - Duration(random() % 3 == 0 ? random() % 5'000'000 : 0);
    plane.engine.classify(packets);
    plane.engine.begin_media(pointers, received);
    for (std::size_t i = 0; i < count; ++i) {
      const Speaker& s = speakers[who[i]];
      const bool at_once = s.relay() || (s.from == Codec::Pcmu && s.to == Codec::Pcma);
      ASSERT_EQ(packets[i].verdict, at_once ? PacketVerdict::Transmit : PacketVerdict::Pending);
    }
    Instant current = received;
    std::map<const engine::Packet*, int> handed_back;
    bool heavy_began = false;
    unsigned newest = 0;
    std::map<unsigned, std::size_t> last_of;  // speaker -> index of its last packet
    plane.spares.packets.clear();
    while (plane.engine.frames_waiting() != 0) {
      const bool announced = plane.engine.next_is_heavy();
      const engine::Packet* packet = plane.engine.next_frame({received, due, current}, plane.spares);
      ASSERT_NE(packet, nullptr);
      const auto i = static_cast<std::size_t>(packet - packets.data());
      const Speaker& s = speakers[who[i]];
      ASSERT_EQ(++handed_back[packet], 1) << "once";
      ASSERT_EQ(announced, heavy(s));
      ASSERT_FALSE(heavy_began && !heavy(s)) << "light before heavy";
      heavy_began = heavy(s);
      if (heavy(s)) {
        ASSERT_GE(s.born, newest) << "the oldest first";
        newest = s.born;
      }
      if (last_of.contains(s.born)) {
        ASSERT_GT(i, last_of[s.born]) << "a stream's packets in their order";
      }
      last_of[s.born] = i;
      const bool late = current - received > engine::heavy_allowance(received - due, plane.config.late);
      if (heavy(s) && late) {
        ASSERT_EQ(packet->verdict, PacketVerdict::Drop);
        ASSERT_EQ(packet->drop, api::DropReason::Overloaded);
        ++given_up;
      } else {
        ASSERT_EQ(packet->verdict, PacketVerdict::Transmit);
        current += cost(s);
      }
    }
    ASSERT_EQ(plane.engine.next_frame({received, due, current}, plane.spares), nullptr);
    // What the burst took is bounded by the bound, its last heavy frame, and its light ones.
    Duration light{};
    for (std::size_t i = 0; i < count; ++i)
      if (!heavy(speakers[who[i]])) light += cost(speakers[who[i]]);
    ASSERT_LE(current - received, std::max(plane.config.late, light) + std::chrono::microseconds(200));
    plane.advance(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(plane.drops(api::DropReason::Overloaded), given_up);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Overload, testing::Range(1U, 11U));

TEST(Backlog, CountsFromTheFirstOfTheFullBursts) {
  engine::Backlog backlog;
  const auto at = [](int us) { return from_ns(1000 * us); };
  EXPECT_EQ(backlog.burst(false, at(1)), at(1));
  EXPECT_EQ(backlog.burst(true, at(2)), at(2));
  EXPECT_EQ(backlog.burst(true, at(5)), at(2));
  EXPECT_EQ(backlog.burst(false, at(9)), at(2)) << "the rest had to wait as well";
  EXPECT_EQ(backlog.burst(true, at(10)), at(10));
  backlog.empty();
  EXPECT_EQ(backlog.burst(true, at(12)), at(12));
}

// Random joins, partings, changes and removals against the sum of what is joined.
class Admission : public testing::TestWithParam<std::uint32_t> {};

TEST_P(Admission, WhatIsBookedIsWhatIsJoinedAndNeverMoreThanAllowed) {
  std::mt19937 random(GetParam());
  engine::EngineConfig config = small_config();
  config.transcoding_mb = 32;
  config.max_load_percent = 2;
  Plane plane(config);
  struct Leg {
    api::LegId id;
    Codec codec;
    api::LegId peer;
  };
  std::map<std::uint64_t, Leg> legs;
  const auto cost = [&](Codec a, Codec b) { return (config.pair_costs_ns[api::codec_pair(a, b)] + 19) / 20; };
  const auto booked = [&] {
    std::uint64_t sum = 0;
    for (const auto& [id, leg] : legs)
      if (leg.peer.present()) sum += cost(leg.codec, legs.at(leg.peer.value).codec);
    return sum;
  };
  const auto part = [&](Leg& leg) {
    if (leg.peer.present()) legs.at(leg.peer.value).peer = {};
    leg.peer = {};
  };
  const auto some_leg = [&]() -> Leg& { return std::next(legs.begin(), static_cast<std::ptrdiff_t>(random() % legs.size()))->second; };
  const auto some_codec = [&] { return static_cast<Codec>(1 + random() % api::kMaxCodec); };
  unsigned refused = 0;
  for (int step = 0; step < 1500; ++step) {
    const unsigned what = random() % 8;
    const std::uint64_t before = booked();
    ASSERT_EQ(plane.block->load_booked_ppm.get(), before) << "step " << step;
    if (what < 3 && legs.size() < 40) {
      const Codec codec = some_codec();
      const api::CommandDone done = plane.add(media_to("198.51.100.10:40000", codec), static_cast<std::uint8_t>(0));
      if (done.status == api::CommandStatus::Ok) legs[done.leg.value] = {done.leg, codec, {}};
      plane.advance(std::chrono::seconds(6));
      continue;
    }
    if (legs.size() < 2) continue;
    Leg& a = some_leg();
    if (what == 3) {
      ASSERT_EQ(plane.remove(a.id).status, api::CommandStatus::Ok);
      part(a);
      legs.erase(a.id.value);
      continue;
    }
    api::CommandStatus status{};
    const auto saved = legs;
    if (what == 4) {
      status = plane.join(a.id, {}).status;
      part(a);
    } else if (what == 5) {
      const Codec codec = some_codec();
      status = plane.update(a.id, media_to("198.51.100.10:40000", codec)).status;
      a.codec = codec;
    } else {
      Leg& b = some_leg();
      if (a.id == b.id) continue;
      status = plane.join(a.id, b.id).status;
      part(a);
      part(b);
      a.peer = b.id;
      b.peer = a.id;
    }
    const bool dearer = booked() > before;
    if (status == api::CommandStatus::NoHeadroom) {
      ++refused;
      EXPECT_TRUE(dearer && booked() > 20'000) << "refused what would have fitted";
      legs = saved;
    } else {
      ASSERT_EQ(status, api::CommandStatus::Ok);
      EXPECT_TRUE(!dearer || booked() <= 20'000 + 100) << "only relays, which are next to nothing, may exceed it";
    }
  }
  EXPECT_GT(refused, 10U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Admission, testing::Range(1U, 7U));

}  // namespace
}  // namespace ifgw::test
