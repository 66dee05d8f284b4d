#include "dataplane/engine/running_cost.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

using api::Codec;
using engine::RunningCost;

void feed(RunningCost& cost, std::uint32_t ns, unsigned frames) {
  for (unsigned i = 0; i < frames; ++i) (void)cost.took(ns);
}

TEST(RunningCost, IsWhatWasMeasuredAtStartUntilEnoughFramesWereSeen) {
  RunningCost cost(50'000);
  feed(cost, 60'000, RunningCost::kWindow - 1);
  EXPECT_EQ(cost.ns(), 50'000U);
  EXPECT_EQ(cost.now_ns(), 0U);
  EXPECT_TRUE(cost.took(60'000));
  EXPECT_EQ(cost.ns(), 60'000U);
  EXPECT_EQ(cost.start_ns(), 50'000U);
}

TEST(RunningCost, FramesThatWereInterruptedDoNotMoveIt) {
  RunningCost cost(50'000);
  std::mt19937 random(1);
  for (unsigned i = 0; i < 100 * RunningCost::kWindow; ++i) {
    const bool interrupted = random() % 4 == 0;
    (void)cost.took(45'000 + static_cast<std::uint32_t>(random() % 10'000 + (interrupted ? 5'000'000 : 0)));
  }
  EXPECT_NEAR(cost.ns(), 51'500, 2'500) << "a quarter of them: the median is that of two thirds of the others";
}

TEST(RunningCost, AHostThatSlowsDownForGoodIsFollowed) {
  RunningCost cost(50'000);
  feed(cost, 50'000, 10 * RunningCost::kWindow);
  feed(cost, 100'000, 2 * RunningCost::kWindow);
  EXPECT_LT(cost.ns(), 65'000U) << "not at once";
  feed(cost, 100'000, 30 * RunningCost::kWindow);
  EXPECT_GT(cost.ns(), 98'000U);
  feed(cost, 50'000, 40 * RunningCost::kWindow);
  EXPECT_LT(cost.ns(), 51'000U);
}

TEST(RunningCost, StaysWithinItsBounds) {
  RunningCost cost(50'000);
  feed(cost, 4'000'000'000U, 100 * RunningCost::kWindow);
  EXPECT_LE(cost.ns(), 200'000U);
  EXPECT_GT(cost.ns(), 199'000U);
  feed(cost, 0, 100 * RunningCost::kWindow);
  EXPECT_GE(cost.ns(), 12'500U);
  EXPECT_LT(cost.ns(), 13'000U);
}

TEST(RunningCost, MayBeUnknownAtStart) {
  RunningCost cost(0, 1000);
  EXPECT_EQ(cost.ns(), 0U);
  feed(cost, 300, RunningCost::kWindow);
  EXPECT_EQ(cost.ns(), 300U);
  feed(cost, 50'000, 100 * RunningCost::kWindow);
  EXPECT_LE(cost.ns(), 1000U);
  EXPECT_GT(cost.ns(), 990U);
}

// One party speaks, in frames whose time the test decides.
class Frames : public testing::Test {
 protected:
  static engine::EngineConfig config() {
    engine::EngineConfig c = transcoding_config();
    c.max_load_percent = 1;
    return c;
  }
  void join(Codec to, std::uint8_t ptime_ms = 20) {
    api::MediaParams far = media_to("203.0.113.20:50000", to);
    far.ptime_ms = ptime_ms;
    alice = plane.add(media_to("198.51.100.10:40000"));
    bob = plane.add(far);
    ASSERT_EQ(plane.join(alice.leg, bob.leg).status, api::CommandStatus::Ok);
  }
  void speak(unsigned packets, std::uint32_t ms, Duration each) {
    for (unsigned i = 0; i < packets; ++i) {
      ++sequence;
      const Frame frame = udp_frame(*Endpoint::parse("198.51.100.10:40000"), alice.local,
                                    rtp_packet(0, sequence, timestamp += 8 * ms, 7, Frame(8 * ms, 0x55)));
      Frame buffer(128 + frame.size() + 1024, 0xEE);
      std::copy(frame.begin(), frame.end(), buffer.begin() + 128);
      engine::Packet packet;
      packet.data = buffer.data() + 128;
      packet.length = static_cast<std::uint16_t>(frame.size());
      packet.headroom = 128;
      packet.tailroom = 1024;
      engine::Packet* one[] = {&packet};
      plane.engine.classify({&packet, 1});
      plane.engine.begin_media(one, plane.now);
      plane.spares.packets.clear();
      if (plane.engine.next_frame(plane.spares) != nullptr) plane.engine.frame_took(each);
      plane.advance(std::chrono::milliseconds(ms));
    }
  }
  std::uint64_t now_ns(Codec from, Codec to) { return plane.block->pair_cost_now_ns[api::codec_pair(from, to)].get(); }

  Plane plane{config()};
  api::CommandDone alice, bob;
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;
};

TEST_F(Frames, TellWhatTheirPairCosts) {
  join(Codec::G722);
  speak(31, 20, std::chrono::microseconds(15));
  EXPECT_EQ(now_ns(Codec::Pcmu, Codec::G722), 0U);
  speak(1, 20, std::chrono::microseconds(15));
  EXPECT_EQ(now_ns(Codec::Pcmu, Codec::G722), 15'000U);
  EXPECT_EQ(now_ns(Codec::G722, Codec::Pcmu), 0U) << "nobody spoke that way";
}

TEST_F(Frames, OfAnotherLengthAreCountedAsOf20Ms) {
  join(Codec::G722, 40);
  speak(40, 40, std::chrono::microseconds(30));
  EXPECT_EQ(now_ns(Codec::Pcmu, Codec::G722), 15'000U);
}

TEST_F(Frames, ThatMakeMoreOrLessThanOneDoNotCount) {
  join(Codec::G722, 20);
  speak(200, 10, std::chrono::microseconds(15));
  speak(200, 40, std::chrono::microseconds(15));
  EXPECT_EQ(now_ns(Codec::Pcmu, Codec::G722), 0U);
}

TEST_F(Frames, RelaysAreNotTimed) {
  join(Codec::Pcmu);
  speak(100, 20, std::chrono::microseconds(15));
  EXPECT_EQ(now_ns(Codec::Pcmu, Codec::Pcmu), 0U);
}

// One party may send comfort noise, the other refuses it: what looks like a relay is not one.
TEST_F(Frames, OfACodecThatMustBeTranscodedToItselfCostWhatTheyCost) {
  api::MediaParams near = media_to("198.51.100.10:40000");
  near.comfort_noise_payload_type = 13;
  alice = plane.add(near);
  bob = plane.add(media_to("203.0.113.20:50000"));
  ASSERT_EQ(plane.join(alice.leg, bob.leg).status, api::CommandStatus::Ok);
  const std::uint32_t declared = plane.config.pair_costs_ns[api::recoded_pair(Codec::Pcmu)];
  EXPECT_GT(declared, 10 * plane.config.pair_costs_ns[api::codec_pair(Codec::Pcmu, Codec::Pcmu)]);
  EXPECT_EQ(plane.block->load_booked_ppm.get(), 2 * declared / 20);
  speak(RunningCost::kWindow, 20, std::chrono::microseconds(1));
  EXPECT_EQ(plane.block->pair_cost_now_ns[api::recoded_pair(Codec::Pcmu)].get(), 1000U);
  EXPECT_EQ(now_ns(Codec::Pcmu, Codec::Pcmu), 0U) << "relays are as cheap as before";
}

TEST_F(Frames, AdmissionKnowsWhatIsNoRelay) {
  const auto call = [&](bool sid) {
    api::MediaParams far = media_to("203.0.113.20:50000", Codec::G729);
    far.encoder.annex_b = sid ? 1 : 0;
    const api::LegId a = plane.add(media_to("198.51.100.10:40000", Codec::G729)).leg, b = plane.add(far).leg;
    return plane.join(a, b).status;
  };
  // Declared: 48 us each way, 4800 ppm of the 10 000 that a hundredth of a worker is.
  EXPECT_EQ(call(true), api::CommandStatus::Ok);
  EXPECT_EQ(call(true), api::CommandStatus::Ok);
  EXPECT_EQ(call(true), api::CommandStatus::NoHeadroom);
  EXPECT_EQ(call(false), api::CommandStatus::Ok) << "a relay always fits";
}

TEST_F(Frames, WhatIsBookedFollowsAndAdmissionWithIt) {
  join(Codec::G722);
  const std::uint64_t before = plane.block->load_booked_ppm.get();
  const auto another = [&] {
    const api::LegId a = plane.add(media_to("198.51.100.12:40000")).leg, b = plane.add(media_to("203.0.113.22:50000", Codec::G722)).leg;
    const api::CommandStatus status = plane.join(a, b).status;
    plane.remove(a);
    plane.remove(b);
    return status;
  };
  EXPECT_EQ(another(), api::CommandStatus::Ok);
  EXPECT_EQ(plane.block->load_booked_ppm.get(), before);
  // Declared costs: 12.3 us and 9.5 us a call of 1 % of a worker, 200 us; four times as much leaves no room for eight calls.
  speak(40 * RunningCost::kWindow, 20, std::chrono::seconds(1));
  const std::uint64_t now = plane.block->load_booked_ppm.get();
  EXPECT_GT(now, 2 * before);
  EXPECT_GE(now, now_ns(Codec::Pcmu, Codec::G722) / 20);
  std::vector<api::LegId> more;
  while (true) {
    more.push_back(plane.add(media_to("198.51.100.12:40000")).leg);
    more.push_back(plane.add(media_to("203.0.113.22:50000", Codec::G722)).leg);
    if (plane.join(more[more.size() - 2], more.back()).status == api::CommandStatus::NoHeadroom) break;
    ASSERT_LT(more.size(), 12U) << "it should be full";
  }
  EXPECT_LE(plane.block->load_booked_ppm.get(), 10'000U);
  for (const api::LegId leg : more) plane.remove(leg);
  plane.remove(alice.leg);
  EXPECT_EQ(plane.block->load_booked_ppm.get(), 0U) << "what was booked at one cost is given back at another";
}

// Of 1 % of a worker; 50 us for a packet's way make 2500 ppm of each direction.
class Ways : public Frames {
 protected:
  void packets_take(Duration each) {
    for (unsigned i = 0; i < 40 * RunningCost::kWindow; ++i) plane.engine.ports_took(each);
  }
  // Adds two legs; remembers them in `a` and `b`.
  api::CommandStatus call(Codec far) {
    a = plane.add(media_to("198.51.100.12:40000")).leg;
    b = plane.add(media_to("203.0.113.22:50000", far)).leg;
    return plane.join(a, b).status;
  }
  api::LegId a, b;
};

TEST_F(Ways, ThroughThePortsAreBookedForEachDirection) {
  ASSERT_EQ(call(Codec::Pcmu), api::CommandStatus::Ok);
  const std::uint64_t codecs = plane.block->load_booked_ppm.get();
  EXPECT_EQ(plane.block->load_ports_ppm.get(), 0U) << "nothing is known";
  packets_take(std::chrono::microseconds(50));
  EXPECT_EQ(plane.block->ports_cost_now_ns.get(), 50'000U);
  EXPECT_EQ(plane.block->load_ports_ppm.get(), 5000U);
  EXPECT_EQ(plane.block->load_booked_ppm.get(), codecs + 5000);
  plane.join(a, {});
  EXPECT_EQ(plane.block->load_booked_ppm.get(), 0U);
}

TEST_F(Ways, ThatDoNotFitRefuseRelaysToo) {
  packets_take(std::chrono::microseconds(50));
  ASSERT_EQ(call(Codec::Pcmu), api::CommandStatus::Ok);
  EXPECT_EQ(call(Codec::G722), api::CommandStatus::NoHeadroom) << "with its codecs it is more than all";
  plane.remove(a);
  plane.remove(b);
  ASSERT_EQ(call(Codec::Pcmu), api::CommandStatus::Ok);
  const api::LegId near = a, far = b;
  EXPECT_EQ(call(Codec::Pcmu), api::CommandStatus::NoHeadroom);
  EXPECT_EQ(plane.join(near, b).status, api::CommandStatus::Ok) << "in place of the other";
  EXPECT_EQ(plane.join(near, far).status, api::CommandStatus::Ok);
  EXPECT_EQ(plane.update(far, media_to("203.0.113.22:50000", Codec::Pcma)).status, api::CommandStatus::Ok) << "as many packets as before";
  packets_take(std::chrono::microseconds(25));
  EXPECT_EQ(plane.join(a, b).status, api::CommandStatus::Ok);
}

TEST_F(Ways, AreNoReasonWhereNothingIsRefused) {
  plane.config.max_load_percent = 0;
  Plane unlimited(plane.config);
  for (unsigned i = 0; i < RunningCost::kWindow; ++i) unlimited.engine.ports_took(std::chrono::milliseconds(1));
  for (int i = 0; i < 12; ++i) {
    const api::LegId from = unlimited.add(media_to("198.51.100.12:40000")).leg,
                     to = unlimited.add(media_to("203.0.113.22:50000", Codec::G722)).leg;
    ASSERT_EQ(unlimited.join(from, to).status, api::CommandStatus::Ok);
  }
  EXPECT_GT(unlimited.block->load_booked_ppm.get(), 1'000'000U);
  EXPECT_EQ(unlimited.block->load_limit_ppm.get(), 0U);
}

}  // namespace
}  // namespace ifgw::test
