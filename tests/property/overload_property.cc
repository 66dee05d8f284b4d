// More audio than a worker has time for, in virtual time: who is served when, and who is given up.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <random>

#include "dataplane/engine/turns.h"
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
    near.telephone_event_payload_type = far.telephone_event_payload_type = 101;
    near.telephone_event_clock_hz = far.telephone_event_clock_hz = 8000;
    far.remote = {*IpAddress::parse("203.0.113.20"), static_cast<std::uint16_t>(50'000 + 2 * number)};
    far.codec = to;
    const api::CommandDone a = plane.add(near), b = plane.add(far);
    s.port = a.local;
    s.leg = a.leg;
    s.peer = b.leg;
    ASSERT_EQ(plane.join(a.leg, b.leg).status, api::CommandStatus::Ok);
    speakers.push_back(s);
  }
  void say(std::size_t who, Arrival& made, bool event = false, bool again = false) {
    Speaker& s = speakers[who];
    if (!again) ++s.sequence;
    const Frame payload = event ? Frame{5, 0x0A, 0, 160} : Frame(s.payload_bytes, 0xD5);
    const std::uint32_t timestamp = event ? 160U * 1'000 : 160U * s.sequence;
    const Frame frame = udp_frame(s.remote, s.port, rtp_packet(event ? 101 : 96, s.sequence, timestamp, 7, payload));
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

TEST_P(Overload, RelaysAtOnceThenLightThenTheOldestAndWhatWaitsTooLongIsGivenUp) {
  std::mt19937 random(GetParam());
  constexpr std::pair<Codec, Codec> kKinds[] = {{Codec::Pcmu, Codec::Pcmu}, {Codec::Pcmu, Codec::G722}, {Codec::Pcma, Codec::Opus},
                                                {Codec::Pcmu, Codec::G729}, {Codec::G729, Codec::Pcmu}, {Codec::Pcmu, Codec::Pcma}};
  for (int i = 0; i < 40; ++i) {
    const auto& [from, to] = kKinds[random() % std::size(kKinds)];
    add_call(from, to);
  }
  std::uint64_t given_up = 0, done = 0;
  std::deque<Arrival> arrivals;
  std::deque<std::pair<Arrival*, Instant>> waiting;  // as they came
  const auto first = [&] {
    const auto before = [&](const auto& a, const auto& b) {
      const auto rank = [&](const Arrival& one) { return std::pair(heavy(speakers[one.speaker]), one.speaker); };
      return rank(*a.first) < rank(*b.first);
    };
    return std::min_element(waiting.begin(), waiting.end(), before);
  };
  for (int round = 0; round < 300; ++round) {
    if (random() % 3 != 0) {
      std::vector<Arrival*> burst;
      for (std::size_t i = 1 + random() % 10; i > 0; --i) {
        say(random() % speakers.size(), arrivals.emplace_back());
        burst.push_back(&arrivals.back());
      }
      receive(burst);
      for (Arrival* arrival : burst) {
        const bool waiter = waits(speakers[arrival->speaker]);
        ASSERT_EQ(arrival->packet.verdict, waiter ? PacketVerdict::Waits : PacketVerdict::Transmit);
        if (waiter) waiting.emplace_back(arrival, plane.now);
      }
    }
    while (const engine::Packet* packet = plane.engine.shed(plane.now)) {
      ASSERT_FALSE(waiting.empty());
      ASSERT_GT(plane.now - waiting.front().second, plane.config.late);
      ASSERT_EQ(&of(*packet), waiting.front().first) << "who waits longest";
      ASSERT_EQ(packet->drop, api::DropReason::Overloaded);
      waiting.pop_front();
      ++given_up;
    }
    ASSERT_TRUE(waiting.empty() || plane.now - waiting.front().second <= plane.config.late);
    ASSERT_EQ(plane.engine.frames_waiting(), waiting.size());
    for (std::size_t i = random() % 4; i > 0 && !waiting.empty(); --i) {
      const auto next = first();
      const Speaker& s = speakers[next->first->speaker];
      ASSERT_EQ(plane.engine.next_is_heavy(), heavy(s));
      plane.spares.packets.clear();
      const engine::WaitingFrame* frame = plane.engine.next_frame(plane.spares);
      ASSERT_NE(frame, nullptr);
      ASSERT_EQ(&of(frame->packet), next->first);
      ASSERT_EQ(frame->packet.verdict, PacketVerdict::Transmit);
      waiting.erase(next);
      ++done;
      plane.advance(cost(s));
    }
  }
  EXPECT_GT(done, 100U);
  EXPECT_GT(given_up, 10U);
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
  ASSERT_EQ(plane.engine.shed(plane.now), nullptr);
  const auto next = [&] { return of(plane.engine.next_frame(plane.spares)->packet).speaker; };
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
  EXPECT_EQ(plane.engine.next_frame(plane.spares), nullptr);
}

// Their order among what was said is kept: the audio before them has waited longer.
TEST_F(Overload, TelephoneEventsThatWaitTooLongComeNextInstead) {
  add_call(Codec::Pcmu, Codec::L16_8);
  add_call(Codec::Pcmu, Codec::L16_8);
  std::deque<Arrival> arrivals;
  std::vector<Arrival*> burst;
  for (const auto& [who, event] : {std::pair<std::size_t, bool>{1, false}, {1, true}, {1, true}, {1, false}}) {
    say(who, arrivals.emplace_back(), event);
    burst.push_back(&arrivals.back());
  }
  receive(burst);
  plane.advance(plane.config.late + Duration(1));
  Arrival& fresh = arrivals.emplace_back();
  say(0, fresh);
  Arrival* one[] = {&fresh};
  receive(one);
  std::vector<const Arrival*> shed, made;
  while (const engine::Packet* packet = plane.engine.shed(plane.now)) shed.push_back(&of(*packet));
  EXPECT_EQ(shed, (std::vector<const Arrival*>{burst[0], burst[3]}));
  EXPECT_TRUE(plane.engine.hurried());
  while (const engine::WaitingFrame* frame = plane.engine.next_frame(plane.spares)) {
    EXPECT_EQ(frame->packet.verdict, PacketVerdict::Transmit);
    made.push_back(&of(frame->packet));
  }
  EXPECT_EQ(made, (std::vector<const Arrival*>{burst[1], burst[2], &fresh}));
}

// One stream that is faster than its time, and another, newer one that is not.
class Greedy : public Overload {
 protected:
  Greedy() {
    add_call(Codec::Pcmu, Codec::L16_8);
    add_call(Codec::Pcmu, Codec::L16_8);
  }
  // Whether a place was free for it.
  bool comes(std::size_t who, bool event = false) {
    say(who, arrivals.emplace_back(), event);
    Arrival* one[] = {&arrivals.back()};
    receive(one);
    return arrivals.back().packet.verdict == PacketVerdict::Waits;
  }
  std::size_t next() {
    plane.spares.packets.clear();
    return of(plane.engine.next_frame(plane.spares)->packet).speaker;
  }
  std::size_t shed() {
    std::size_t count = 0;
    while (plane.engine.shed(plane.now) != nullptr) ++count;
    return count;
  }
  void become_greedy() {
    for (int i = 0; i < 63; ++i) {  // 16 ms each
      ASSERT_TRUE(comes(0));
      ASSERT_EQ(next(), 0U);
    }
  }
  std::deque<Arrival> arrivals;
};

TEST_F(Greedy, ComesBehindNewerStreamsUntilItIsInItsTimeAgain) {
  ASSERT_TRUE(comes(0) && comes(1));
  EXPECT_EQ(next(), 0U) << "the oldest first";
  EXPECT_EQ(next(), 1U);
  become_greedy();
  ASSERT_TRUE(comes(0) && comes(1));
  EXPECT_EQ(next(), 1U);
  ASSERT_TRUE(comes(1));
  plane.advance(std::chrono::milliseconds(530));
  ASSERT_TRUE(comes(0)) << "while one of before still waits";
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(next(), 1U);
}

TEST_F(Greedy, HasFewPlacesAndNoPrivilegeForItsEvents) {
  become_greedy();
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(comes(0, i % 2 != 0));
  EXPECT_FALSE(comes(0));
  EXPECT_TRUE(comes(1));
  plane.advance(plane.config.late + Duration(1));
  EXPECT_EQ(shed(), 17U);
  EXPECT_FALSE(plane.engine.hurried());
}

TEST_F(Greedy, OthersHaveMorePlacesButNotAll) {
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(comes(1));
  EXPECT_FALSE(comes(1));
  EXPECT_EQ(plane.drops(api::DropReason::Overloaded), 1U);
}

// A whole frame is made of each: time stamps say that the rest was silence.
TEST_F(Greedy, ShortPayloadsCountAsWhatIsMadeOfThem) {
  speakers[0].payload_bytes = 8;
  for (int i = 0; i < 80; ++i) {
    ASSERT_TRUE(comes(0));
    ASSERT_EQ(next(), 0U);
  }
  ASSERT_TRUE(comes(0) && comes(1));
  EXPECT_EQ(next(), 1U);
}

// A held key beside audio, both every 20 ms.
TEST_F(Greedy, NobodyIsForTelephoneEvents) {
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(comes(0) && comes(0, true));
    ASSERT_EQ(next(), 0U);
    ASSERT_EQ(next(), 0U);
    plane.advance(std::chrono::milliseconds(20));
  }
  ASSERT_TRUE(comes(0) && comes(1));
  EXPECT_EQ(next(), 0U);
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
    while (const engine::Packet* packet = plane.engine.shed(plane.now)) {
      ++shed;
      ASSERT_GE(of(*packet).speaker, 48U) << "31 rounds of all have room, and forty of 49";
    }
  }
  EXPECT_EQ(shed + plane.engine.frames_waiting(), 40U * 64U);
  EXPECT_EQ(plane.engine.frames_waiting(), 31U * 64U);
}

// A port's queue of 1024 packets before a worker, in virtual time. As Worker::iterate() does it: a burst from the queue, then, if it is
// their turn, one dear frame.
class LongOverload : public Overload {
 protected:
  static constexpr std::size_t kQueue = 1024;
  static constexpr Duration kRelayCost{300}, kDearCost{100'000}, kCheapCost{1000};
  struct Due {
    Instant at;
    std::size_t who = 0;
    bool event = false, again = false;
    friend bool operator<(const Due& a, const Due& b) { return a.at < b.at; }
  };

  LongOverload() : Overload(config(engine::EngineConfig{}.late)) {}

  void every_20_ms(std::size_t who, Instant first, int count) {
    for (; count > 0; --count, first += std::chrono::milliseconds(20)) coming.push_back({first, who});
  }
  // All that is coming, until half a second after the last of it.
  void run() {
    std::stable_sort(coming.begin(), coming.end());
    made.assign(speakers.size(), 0);
    said.assign(speakers.size(), 0);
    engine::Turns turns;
    std::deque<Due> queue;
    std::deque<std::unique_ptr<Arrival>> held;
    std::size_t next = 0;
    const Instant end = coming.back().at + std::chrono::milliseconds(500);
    while (plane.now < end) {
      for (; next < coming.size() && coming[next].at <= plane.now; ++next) {
        ++said[coming[next].who];
        if (queue.size() < kQueue)
          queue.push_back(coming[next]);
        else
          ++lost_in_queue;
      }
      std::vector<Arrival*> burst;
      std::vector<Instant> came;
      for (; !queue.empty() && burst.size() < kBurst; queue.pop_front()) {
        const Due& due = queue.front();
        say(due.who, *held.emplace_back(std::make_unique<Arrival>()), due.event, due.again);
        burst.push_back(held.back().get());
        came.push_back(due.at);
      }
      receive(burst);
      spend(kRelayCost * static_cast<std::int64_t>(burst.size()));
      std::size_t relays = 0;
      for (std::size_t i = 0; i < burst.size(); ++i)
        if (burst[i]->packet.verdict == PacketVerdict::Transmit) {
          ++relays;
          longest_relay = std::max(longest_relay, plane.now - came[i]);
        }
      turns.looked(burst.size() == kBurst, burst.size(), relays, plane.now);
      while (plane.engine.shed(plane.now) != nullptr) {
      }
      plane.spares.packets.clear();
      if (plane.engine.frames_waiting() != 0 && turns.frames(plane.now)) {
        const engine::WaitingFrame* frame = plane.engine.next_frame(plane.spares);
        const bool left = frame->packet.verdict == PacketVerdict::Transmit;
        if (left) ++made[of(frame->packet).speaker];
        turns.frames_ran(plane.now);
        spend(left && frame->kind == engine::FrameKind::Audio ? kDearCost : kCheapCost);
      } else if (burst.empty() && queue.empty()) {
        plane.now = next < coming.size() ? std::max(plane.now, coming[next].at) : end;
      }
    }
  }
  void spend(Duration time) {
    plane.advance(time);
    busy += time;
  }

  std::vector<Due> coming;
  std::vector<std::size_t> said, made;  // by who
  std::size_t lost_in_queue = 0;
  Duration longest_relay{}, busy{};
};

TEST_P(LongOverload, NoRelayIsLostWhateverElseThereIsToDo) {
  constexpr std::size_t kRelays = 40, kDear = 266;
  for (std::size_t i = 0; i < kRelays; ++i) add_call(Codec::Pcmu, Codec::Pcmu);
  for (std::size_t i = 0; i < kDear; ++i) add_call(Codec::Pcmu, Codec::L16_8);
  std::mt19937_64 random(GetParam());
  std::exponential_distribution<double> pause(100'000 / 1e9);
  for (Instant at = plane.now; at < plane.now + std::chrono::seconds(1); at += Duration(static_cast<std::int64_t>(pause(random))))
    coming.push_back({at, random() % kRelays});
  ASSERT_GT(coming.size(), 90'000U);
  for (std::size_t who = kRelays; who < speakers.size(); ++who) every_20_ms(who, plane.now + Duration(random() % 20'000'000), 50);
  run();
  EXPECT_EQ(lost_in_queue, 0U);
  EXPECT_LT(longest_relay, 2 * kDearCost) << "a relay waits for one dear frame";
  // 266 streams of 50 frames a second, 0.1 ms each: 1.33 s of work in a second. The older ones lose nothing.
  std::size_t whole = 0;
  while (whole + kRelays < speakers.size() && made[kRelays + whole] == said[kRelays + whole]) ++whole;
  EXPECT_GT(whole, 180U);
  std::size_t rest = 0, all = 0;
  for (std::size_t who = speakers.size() - 40; who < speakers.size(); ++who) rest += made[who], all += said[who];
  EXPECT_LT(rest * 5, all) << "it is the newest that are given up";
}

// A bridge that sends to all at once, or a network that held everybody back for a moment: nobody is behind for that.
TEST_F(LongOverload, NothingIsGivenUpWhileThereIsTimeForAll) {
  for (int i = 0; i < 158; ++i) add_call(Codec::Pcmu, Codec::L16_8);  // four fifths of the time
  for (std::size_t who = 0; who < speakers.size(); ++who) every_20_ms(who, plane.now, 100);
  run();
  EXPECT_EQ(made, said);
  EXPECT_GT(busy, std::chrono::milliseconds(1500));
}

TEST_F(LongOverload, AStreamThatFloodsHarmsItselfAlone) {
  for (int i = 0; i < 11; ++i) add_call(Codec::Pcmu, Codec::L16_8);
  for (int i = 0; i < 24'000; ++i)
    coming.push_back({plane.now + Duration(i * 1'000'000'000LL / 12'000), 0});  // the oldest, at 240 times its pace
  for (std::size_t who = 1; who < speakers.size(); ++who) every_20_ms(who, plane.now + std::chrono::milliseconds(who), 100);
  run();
  for (std::size_t who = 1; who < speakers.size(); ++who) EXPECT_EQ(made[who], said[who]) << who;
  EXPECT_LT(made[0], said[0]);
}

TEST_F(LongOverload, CopiesCostNobodyAnything) {
  for (int i = 0; i < 11; ++i) add_call(Codec::Pcmu, Codec::L16_8);
  for (std::size_t who = 1; who < speakers.size(); ++who) every_20_ms(who, plane.now, 50);
  for (int i = 0; i < 50; ++i)
    for (int copy = 0; copy < 110; ++copy) coming.push_back({plane.now + i * std::chrono::milliseconds(20), 0, false, copy != 0});
  run();
  for (std::size_t who = 1; who < speakers.size(); ++who) EXPECT_EQ(made[who], said[who]) << who;
}

TEST_F(LongOverload, EventsOfTheNewestCallAllArrive) {
  for (int i = 0; i < 250; ++i) add_call(Codec::Pcmu, Codec::L16_8);
  for (std::size_t who = 0; who < speakers.size(); ++who) every_20_ms(who, plane.now, 100);
  const std::size_t newest = speakers.size() - 1;
  for (Due& due : coming) due.event = due.who == newest;
  run();
  EXPECT_EQ(made[newest], said[newest]);
  EXPECT_LT(made[newest - 1] * 2, said[newest - 1]) << "there is too much to do";
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
