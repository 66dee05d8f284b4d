// More audio than a worker has time for, in virtual time: who is served when, and who is given up.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <queue>
#include <random>

#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

using api::Codec;
using engine::PacketVerdict;

constexpr std::size_t kBurst = 32;  // of a port

// A packet of a party that speaks, in the buffer of a port.
struct Arrival {
  Frame buffer;
  engine::Packet packet;
  std::size_t speaker = 0;
};

// One leg whose party speaks, and what it was sent so far.
struct Speaker {
  Endpoint remote, port;
  api::LegId leg, peer;
  Codec from, to;
  std::size_t payload_bytes = 0;
  std::uint16_t sequence = 0;
  bool relay() const { return from == to; }
};

class Overload : public testing::TestWithParam<std::uint32_t> {
 protected:
  static engine::EngineConfig config(Duration late = std::chrono::milliseconds(1)) {
    engine::EngineConfig c = small_config();
    c.last_media_port = 21'999;
    c.transcoding_mb = 32;
    c.max_load_percent = 0;  // whoever comes is let in
    c.late = late;
    // L16 is next to nothing: it stands for codecs as dear as a test needs them.
    c.pair_costs_ns[api::codec_pair(Codec::Pcmu, Codec::L16_8)] = 100'000;
    return c;
  }
  explicit Overload(const engine::EngineConfig& c = config()) : plane(c) {}

  static std::size_t bytes_of(Codec codec) { return codec == Codec::G729 ? 20 : 160; }
  Duration cost(const Speaker& s) const { return Duration(plane.config.pair_costs_ns[api::codec_pair(s.from, s.to)]); }
  bool heavy(const Speaker& s) const { return !s.relay() && cost(s) >= Duration(api::kHeavyCostNs); }
  bool waits(const Speaker& s) const { return !s.relay() && !(s.from == Codec::Pcmu && s.to == Codec::Pcma); }

  void add_call(Codec from, Codec to) {
    const auto number = static_cast<std::uint16_t>(speakers.size());
    Speaker s;
    s.remote = {*IpAddress::parse("198.51.100.10"), static_cast<std::uint16_t>(40'000 + 2 * number)};
    s.from = from;
    s.to = to;
    s.payload_bytes = bytes_of(from);
    api::MediaParams near, far;
    near.remote = s.remote;
    near.codec = from;
    near.payload_type = far.payload_type = 96;
    far.remote = {*IpAddress::parse("203.0.113.20"), static_cast<std::uint16_t>(50'000 + 2 * number)};
    far.codec = to;
    const api::CommandDone a = plane.add(near), b = plane.add(far);
    s.port = a.local;
    s.leg = a.leg;
    s.peer = b.leg;
    ASSERT_EQ(plane.join(a.leg, b.leg).status, api::CommandStatus::Ok);
    speakers.push_back(s);
  }
  void say(std::size_t who, Arrival& made) {
    Speaker& s = speakers[who];
    ++s.sequence;
    const Frame frame = udp_frame(s.remote, s.port, rtp_packet(96, s.sequence, 160U * s.sequence, 7, Frame(s.payload_bytes, 0xD5)));
    made.speaker = who;
    made.buffer.assign(128 + frame.size() + 1024, 0xEE);
    std::copy(frame.begin(), frame.end(), made.buffer.begin() + 128);
    made.packet = {};
    made.packet.data = made.buffer.data() + 128;
    made.packet.handle = &made;
    made.packet.length = static_cast<std::uint16_t>(frame.size());
    made.packet.headroom = 128;
    made.packet.tailroom = 1024;
  }
  static Arrival& of(const engine::Packet& packet) { return *static_cast<Arrival*>(packet.handle); }
  void receive(std::span<Arrival*> burst) {
    std::vector<engine::Packet> packets;
    for (const Arrival* arrival : burst) packets.push_back(arrival->packet);
    std::vector<engine::Packet*> pointers;
    for (engine::Packet& packet : packets) pointers.push_back(&packet);
    plane.engine.classify(packets);
    plane.engine.begin_media(pointers, plane.now);
    for (std::size_t i = 0; i < burst.size(); ++i) burst[i]->packet = packets[i];
  }

  Plane plane;
  std::vector<Speaker> speakers;
};

TEST_P(Overload, RelaysAtOnceThenLightThenTheOldestAndTheNewestAreGivenUp) {
  std::mt19937 random(GetParam());
  constexpr std::pair<Codec, Codec> kKinds[] = {{Codec::Pcmu, Codec::Pcmu}, {Codec::Pcmu, Codec::G722}, {Codec::Pcma, Codec::Opus},
                                                {Codec::Pcmu, Codec::G729}, {Codec::G729, Codec::Pcmu}, {Codec::Pcmu, Codec::Pcma}};
  for (int i = 0; i < 14; ++i) {
    const auto& [from, to] = kKinds[random() % std::size(kKinds)];
    add_call(from, to);
  }
  std::uint64_t given_up = 0, done = 0;
  std::deque<Arrival> arrivals;
  std::vector<std::deque<Arrival*>> waiting(speakers.size());  // of each speaker, as they came
  const auto rank = [&](std::size_t who) { return std::pair(heavy(speakers[who]), who); };
  const auto first = [&] {
    std::size_t best = waiting.size();
    for (std::size_t who = 0; who < waiting.size(); ++who)
      if (!waiting[who].empty() && (best == waiting.size() || rank(who) < rank(best))) best = who;
    return best;
  };
  const auto last = [&] {
    std::size_t best = waiting.size();
    for (std::size_t who = 0; who < waiting.size(); ++who)
      if (!waiting[who].empty() && (best == waiting.size() || rank(who) > rank(best))) best = who;
    return best;
  };
  const auto take = [&](std::size_t who) { waiting[who].pop_front(); };
  for (int round = 0; round < 400; ++round) {
    if (random() % 3 != 0) {
      std::vector<Arrival*> burst;
      for (std::size_t i = 1 + random() % 6; i > 0; --i) {
        say(random() % speakers.size(), arrivals.emplace_back());
        burst.push_back(&arrivals.back());
      }
      receive(burst);
      for (Arrival* arrival : burst) {
        const bool waiter = waits(speakers[arrival->speaker]);
        ASSERT_EQ(arrival->packet.verdict, waiter ? PacketVerdict::Waits : PacketVerdict::Transmit);
        if (waiter) waiting[arrival->speaker].push_back(arrival);
      }
      while (const engine::Packet* packet = plane.engine.shed()) {
        std::size_t work = 0;
        for (std::size_t who = 0; who < waiting.size(); ++who)
          work += waiting[who].size() * static_cast<std::size_t>(cost(speakers[who]).count());
        ASSERT_GT(work, static_cast<std::size_t>(plane.config.late.count())) << "more than can be done in time";
        const std::size_t who = last();
        ASSERT_EQ(&of(*packet), waiting[who].front()) << "the newest stream's, the earliest of it";
        ASSERT_EQ(packet->drop, api::DropReason::Overloaded);
        take(who);
        ++given_up;
      }
    }
    ASSERT_EQ(plane.engine.frames_waiting(), [&] {
      std::size_t all = 0;
      for (const auto& of_one : waiting) all += of_one.size();
      return all;
    }());
    for (std::size_t i = random() % 4; i > 0 && plane.engine.frames_waiting() != 0; --i) {
      const std::size_t who = first();
      ASSERT_EQ(plane.engine.next_is_heavy(), heavy(speakers[who]));
      plane.spares.packets.clear();
      const engine::WaitingFrame* frame = plane.engine.next_frame(plane.now, plane.spares);
      ASSERT_NE(frame, nullptr);
      ASSERT_EQ(&of(frame->packet), waiting[who].front());
      take(who);
      ASSERT_EQ(frame->packet.verdict, PacketVerdict::Transmit);
      ++done;
      plane.advance(cost(speakers[who]));
    }
  }
  EXPECT_GT(done, 100U);
  EXPECT_EQ(plane.drops(api::DropReason::Overloaded), given_up);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Overload, testing::Range(1U, 11U));

// A change of legs comes behind what their parties said before it.
TEST_F(Overload, FramesOfLegsThatChangeComeFirst) {
  for (int i = 0; i < 6; ++i) add_call(Codec::Pcmu, Codec::L16_8);
  std::deque<Arrival> arrivals;
  std::vector<Arrival*> burst;
  for (const std::size_t who : {0, 1, 2, 3, 4, 5, 4}) say(who, arrivals.emplace_back()), burst.push_back(&arrivals.back());
  receive(burst);
  ASSERT_EQ(plane.engine.shed(), nullptr);
  const auto next = [&] { return of(plane.engine.next_frame(plane.now, plane.spares)->packet).speaker; };
  api::Command command;
  command.type = api::CommandType::UpdateLeg;
  command.update_leg = api::UpdateLeg{};
  command.update_leg.leg = speakers[4].peer;
  plane.engine.hurry(command);
  ASSERT_TRUE(plane.engine.hurried());
  EXPECT_EQ(next(), 4U);
  EXPECT_TRUE(plane.engine.hurried());
  EXPECT_EQ(next(), 4U);
  EXPECT_FALSE(plane.engine.hurried());
  command.type = api::CommandType::JoinLegs;
  command.join_legs = {speakers[5].leg, speakers[2].peer};
  plane.engine.hurry(command);
  std::vector<std::size_t> both;
  while (plane.engine.hurried()) both.push_back(next());
  std::sort(both.begin(), both.end());
  EXPECT_EQ(both, (std::vector<std::size_t>{2, 5})) << "each once, whoever it is joined with";
  engine::WorkerMessage ask;
  ask.kind = engine::WorkerMessage::Kind::Ask;
  ask.legs = {speakers[3].leg, speakers[3].peer};
  plane.engine.hurry(ask);
  EXPECT_EQ(next(), 3U);
  EXPECT_FALSE(plane.engine.hurried());
  command.type = api::CommandType::RemoveLeg;
  command.remove_leg = {speakers[5].leg};
  plane.engine.hurry(command);
  EXPECT_FALSE(plane.engine.hurried()) << "nothing of it waits";
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(plane.engine.next_frame(plane.now, plane.spares), nullptr);
}

// A worker that did not run for a while: what is old by then is not worth anybody's time.
TEST_F(Overload, AFrameThatWaitedForSeveralTimesTheLimitIsGivenUp) {
  add_call(Codec::Pcmu, Codec::L16_8);
  std::deque<Arrival> arrivals;
  for (const auto waited : {4 * plane.config.late, 4 * plane.config.late + Duration(1)}) {
    say(0, arrivals.emplace_back());
    Arrival* one[] = {&arrivals.back()};
    receive(one);
    plane.advance(waited);
    const engine::Packet& packet = plane.engine.next_frame(plane.now, plane.spares)->packet;
    EXPECT_EQ(packet.verdict, waited > 4 * plane.config.late ? PacketVerdict::Drop : PacketVerdict::Transmit);
  }
  EXPECT_EQ(plane.drops(api::DropReason::Overloaded), 1U);
}

// What 60 ms of audio cost counts as 60 ms.
TEST_F(Overload, WorkGoesByTheLengthOfThePackets) {
  for (int i = 0; i < 8; ++i) add_call(Codec::Pcmu, Codec::L16_8);
  for (Speaker& s : speakers) s.payload_bytes = 480;
  std::deque<Arrival> arrivals;
  const auto all_speak = [&] {
    std::vector<Arrival*> burst;
    for (std::size_t who = 0; who < speakers.size(); ++who) say(who, arrivals.emplace_back()), burst.push_back(&arrivals.back());
    receive(burst);
    std::size_t shed = 0;
    while (plane.engine.shed() != nullptr) ++shed;
    while (plane.engine.next_frame(plane.now, plane.spares) != nullptr) plane.spares.packets.clear();
    plane.advance(std::chrono::milliseconds(60));
    return shed;
  };
  EXPECT_EQ(all_speak(), 0U) << "0.8 ms, as far as is known";
  EXPECT_EQ(all_speak(), 5U) << "2.4 ms of 1";
}

class PatientOverload : public Overload {
 protected:
  PatientOverload() : Overload(config(std::chrono::seconds(1))) {}
};

TEST_F(PatientOverload, ThereIsRoomForOneMoreBurstAlways) {
  for (int i = 0; i < 64; ++i) add_call(Codec::Pcmu, Codec::L16_8);
  std::deque<Arrival> arrivals;
  std::size_t shed = 0;
  for (int round = 0; round < 40; ++round) {
    std::vector<Arrival*> burst;
    for (std::size_t who = 0; who < speakers.size(); ++who) say(who, arrivals.emplace_back()), burst.push_back(&arrivals.back());
    receive(burst);
    while (const engine::Packet* packet = plane.engine.shed()) {
      ++shed;
      ASSERT_GE(of(*packet).speaker, 23U) << "fifteen bursts have room, which is forty rounds of twenty-four";
    }
  }
  EXPECT_EQ(shed + plane.engine.frames_waiting(), 40U * 64U);
  EXPECT_EQ(plane.engine.frames_waiting(), 15U * 64U);
}

class LongOverload : public Overload {
 protected:
  LongOverload() : Overload(config(engine::EngineConfig{}.late)) {}
};

// A port's queue of 1024 packets before a worker that has a third more to do than it can, most of it dear codecs. As
// Worker::iterate() does it: a burst from the queue, then, if that was not full, one dear frame.
TEST_P(LongOverload, NoRelayIsLostWhateverElseThereIsToDo) {
  constexpr std::size_t kRelays = 40, kDear = 266, kQueue = 1024;
  constexpr double kRelaysPerSecond = 100'000;
  constexpr Duration kRelayCost{300}, kDearCost{100'000};
  for (std::size_t i = 0; i < kRelays; ++i) add_call(Codec::Pcmu, Codec::Pcmu);
  for (std::size_t i = 0; i < kDear; ++i) add_call(Codec::Pcmu, Codec::L16_8);
  std::mt19937_64 random(GetParam());
  std::exponential_distribution<double> pause(kRelaysPerSecond / 1e9);
  using Due = std::pair<Instant, std::size_t>;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> dear;
  for (std::size_t who = kRelays; who < speakers.size(); ++who) dear.emplace(plane.now + Duration(random() % 20'000'000), who);
  Instant next_relay = plane.now;
  std::deque<std::pair<Instant, std::size_t>> queue;
  std::size_t relays_lost = 0, relays = 0;
  Duration longest{};
  std::vector<std::size_t> done(speakers.size()), came(speakers.size());
  const auto arrive = [&](Instant until) {
    for (;;) {
      const bool relay = next_relay <= dear.top().first;
      const Due due = relay ? Due{next_relay, random() % kRelays} : dear.top();
      if (due.first > until) return;
      if (relay) {
        next_relay += Duration(static_cast<std::int64_t>(pause(random)));
        ++relays;
      } else {
        dear.pop();
        dear.emplace(due.first + std::chrono::milliseconds(20), due.second);
      }
      ++came[due.second];
      if (queue.size() < kQueue)
        queue.push_back(due);
      else if (relay)
        ++relays_lost;
    }
  };
  const Instant end = plane.now + std::chrono::seconds(1);
  std::vector<std::unique_ptr<Arrival>> held;
  while (plane.now < end) {
    arrive(plane.now);
    const std::size_t count = std::min(queue.size(), kBurst);
    std::vector<Arrival*> burst;
    std::vector<Instant> when;
    for (std::size_t i = 0; i < count; ++i) {
      say(queue.front().second, *held.emplace_back(std::make_unique<Arrival>()));
      when.push_back(queue.front().first);
      burst.push_back(held.back().get());
      queue.pop_front();
    }
    receive(burst);
    plane.advance(kRelayCost * static_cast<std::int64_t>(count));
    for (std::size_t i = 0; i < count; ++i)
      if (burst[i]->packet.verdict == PacketVerdict::Transmit) longest = std::max(longest, plane.now - when[i]);
    while (plane.engine.shed() != nullptr) {
    }
    plane.spares.packets.clear();
    if (count == kBurst) continue;
    const engine::WaitingFrame* frame = plane.engine.next_frame(plane.now, plane.spares);
    if (frame == nullptr) {
      plane.now = std::max(plane.now, std::min(next_relay, dear.top().first));
      continue;
    }
    if (frame->packet.verdict != PacketVerdict::Transmit) continue;
    ++done[of(frame->packet).speaker];
    plane.advance(kDearCost);
  }
  EXPECT_GT(relays, 90'000U);
  EXPECT_EQ(relays_lost, 0U);
  EXPECT_LT(longest, 2 * kDearCost) << "a relay waits for one dear frame";
  // 266 streams of 50 frames a second, 0.1 ms each: 1.33 s of work in a second. The older ones lose nothing.
  std::size_t whole = 0;
  while (whole + kRelays < speakers.size() && done[kRelays + whole] + 2 >= came[kRelays + whole]) ++whole;
  EXPECT_GT(whole, 180U);
  std::size_t rest = 0, all = 0;
  for (std::size_t who = speakers.size() - 40; who < speakers.size(); ++who) rest += done[who], all += came[who];
  EXPECT_LT(rest * 10, all) << "it is the newest that are given up";
}

INSTANTIATE_TEST_SUITE_P(Seeds, LongOverload, testing::Range(1U, 7U));

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
