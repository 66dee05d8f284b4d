// Media legs that an earlier control plane left behind.
#include <gtest/gtest.h>

#include "tests/support/call_world.h"

namespace ifgw::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::CallWorld;

// The dataplane's counters of some legs.
struct LegsView : DataplaneView {
  AttachState attach_state() const override { return {}; }
  std::vector<LegView> legs(std::size_t) const override { return {}; }
  std::optional<LegView> leg(api::LegId id) const override {
    const auto it = rows.find(id.value);
    return it == rows.end() ? std::nullopt : std::optional{it->second};
  }
  std::vector<WorkerView> workers() const override { return {}; }
  std::vector<PortView> ports() const override { return {}; }
  void list_sources(bool, std::size_t, SourcesDone) override {}
  void list_prefixes(PrefixesDone) override {}
  void block_source(const IpAddress&, Duration, Done) override {}
  void unblock_source(const IpAddress&, Done) override {}
  void start_capture(const api::StartCapture&, Done) override {}
  void stop_capture(const api::StartCapture&, Done) override {}
  std::uint64_t capture_lost(std::uint32_t, std::size_t) const override { return 0; }
  void exempt_prefix(const IpPrefix&, bool, Done) override {}

  std::map<std::uint64_t, LegView> rows;
};

// Two legs joined, as the table of the dataplane shows them.
struct Pair {
  explicit Pair(CallWorld& w, std::uint32_t index = 1) {
    a.id = api::LegId::make(1, index, 1);
    b.id = api::LegId::make(1, index + 1, 1);
    a.peer = b.id;
    b.peer = a.id;
    for (const api::LegInfo* leg : {&a, &b}) w.media.legs[leg->id.value] = {};
  }
  api::LegInfo a, b;
};

TEST(CallsAdopted, LegsOfAnEarlierControlPlaneStayUntilBothAreSilent) {
  CallWorld w;
  api::LegInfo a, b;
  a.id = api::LegId::make(1, 1, 1);
  b.id = api::LegId::make(1, 2, 1);
  a.peer = b.id;
  b.peer = a.id;
  a.media.media_timeout_ms = 30000;
  w.media.legs[a.id.value] = {};
  w.media.legs[b.id.value] = {};
  w.calls().on_media(MediaAttached{{a, b}}, w.now);
  w.settle_media();
  EXPECT_EQ(w.calls().adopted_legs(), 2u);
  EXPECT_TRUE(w.calls().is_adopted(a.id));
  EXPECT_EQ(w.media.legs.at(b.id.value).media.media_timeout_ms, 60000u);  // it had none
  w.calls().on_media(MediaTimedOut{a.id, {}}, w.now);
  w.settle_media();
  EXPECT_EQ(w.media.legs.size(), 2u);
  w.calls().on_media(MediaTimedOut{b.id, {}}, w.now);
  w.settle_media();
  EXPECT_TRUE(w.media.legs.empty());
  EXPECT_EQ(w.calls().adopted_legs(), 0u);
  EXPECT_EQ(w.calls().statistics().adopted_removed, 2u);
}

TEST(CallsAdopted, AHeldLegGoesWithItsPeer) {
  CallWorld w;
  api::LegInfo talks, held, inactive_a, inactive_b, alone;
  std::uint32_t index = 0;
  for (api::LegInfo* leg : {&talks, &held, &inactive_a, &inactive_b, &alone}) leg->id = api::LegId::make(1, ++index, 1);
  talks.peer = held.id;
  held.peer = talks.id;
  inactive_a.peer = inactive_b.id;
  inactive_b.peer = inactive_a.id;
  for (api::LegInfo* leg : {&held, &inactive_a, &inactive_b, &alone}) leg->media.receive = 0;
  for (const api::LegInfo* leg : {&talks, &held, &inactive_a, &inactive_b, &alone}) w.media.legs[leg->id.value] = {};
  w.calls().on_media(MediaAttached{{talks, held, inactive_a, inactive_b, alone}}, w.now);
  w.settle_media();
  EXPECT_EQ(w.calls().adopted_legs(), 2u) << "only the pair of which one party may talk";
  w.calls().on_media(MediaTimedOut{talks.id, {}}, w.now);
  w.settle_media();
  EXPECT_TRUE(w.media.legs.empty());
  EXPECT_EQ(w.calls().statistics().adopted_removed, 5u);
}

TEST(CallsAdopted, ALegThatTalksAgainIsNotSilent) {
  CallWorld w;
  LegsView view;
  w.view = &view;
  Pair pair{w};
  pair.a.media.media_timeout_ms = pair.b.media.media_timeout_ms = 30000;
  const auto talks = [&](const api::LegInfo& leg) { view.rows[leg.id.value].last_rx_ns = static_cast<std::uint64_t>(to_ns(w.now)); };
  const auto silent = [&](const api::LegInfo& leg) {
    w.calls().on_media(MediaTimedOut{leg.id, seconds{30}}, w.now);
    w.settle_media();
  };
  talks(pair.a);
  talks(pair.b);
  w.calls().on_media(MediaAttached{{pair.a, pair.b}}, w.now);
  w.advance(seconds{30});
  silent(pair.a);
  w.advance(seconds{10});
  talks(pair.a);
  w.advance(seconds{10});
  silent(pair.b);
  EXPECT_EQ(w.calls().adopted_legs(), 2u) << "a talks since its silence was reported";
  w.advance(seconds{20});
  silent(pair.a);
  EXPECT_EQ(w.calls().adopted_legs(), 0u);
  EXPECT_TRUE(w.media.legs.empty());
}

TEST(CallsAdopted, ATimeoutThatFoundTheRingFullIsAskedForAgain) {
  constexpr std::uint32_t kLegs = 5000, kRing = 1024;
  CallWorld w;
  MediaAttached attached;
  for (std::uint32_t i = 0; i < kLegs; i += 2) {
    const Pair pair{w, 1 + i};
    attached.legs.push_back(pair.a);
    attached.legs.push_back(pair.b);
  }
  const auto fill_ring = [&] {
    w.media.fail_next.assign(kRing, MediaStatus::Ok);
    w.media.fail_next.resize(kLegs, MediaStatus::Overloaded);
  };
  fill_ring();
  w.calls().on_media(attached, w.now);
  w.settle_media();
  const auto bounded = [&] {
    return std::count_if(w.media.legs.begin(), w.media.legs.end(),
                         [](const auto& leg) { return leg.second.media.media_timeout_ms == 60000; });
  };
  EXPECT_EQ(bounded(), kRing);
  for (int round = 2; round <= 5; ++round) {
    fill_ring();
    w.advance(milliseconds{100});
    w.settle_media();
    EXPECT_EQ(bounded(), std::min<std::uint32_t>(kRing * static_cast<std::uint32_t>(round), kLegs));
  }
  EXPECT_EQ(w.calls().next_deadline(), kNever) << "nothing is asked twice";
}

TEST(CallsAdopted, WhatBecameOfThemIsInTheAuditTrail) {
  CallWorld w;
  LegsView view;
  w.view = &view;
  Pair pair{w};
  pair.a.media.media_timeout_ms = 30000;
  pair.a.local = *Endpoint::parse("10.0.0.1:20000");
  pair.a.media.remote = *Endpoint::parse("10.0.0.9:4000");
  pair.a.tag = {0xab, 1, 2, 3, 4, 5, 6, 7, 0, 42};  // the caller of call 42
  pair.b.media.receive = 0;
  pair.b.tag = {0xab, 1, 2, 3, 4, 5, 6, 7, 1, 42};
  pair.b.current_remote = *Endpoint::parse("192.0.2.7:6000");
  LegView& row = view.rows[pair.a.id.value];
  row.rx_packets = 90;
  row.tx_packets = 70;
  row.expected = 93;
  Pair lost{w, 10}, later{w, 20};
  w.calls().on_media(MediaAttached{{pair.a, pair.b, lost.a, lost.b, later.a, later.b}}, w.now);
  ASSERT_EQ(w.witness.events(), std::vector<std::string>(6, "LEG_ADOPTED"));
  const auto adopted = w.witness.records.front().details;
  EXPECT_EQ(adopted.at("media_leg"), "1:1:1");
  EXPECT_EQ(adopted.at("peer_leg"), "1:2:1");
  EXPECT_EQ(adopted.at("tag"), "ab01020304050607002a000000000000");
  EXPECT_EQ(adopted.at("earlier_call"), "42");
  EXPECT_EQ(adopted.at("earlier_party"), "caller");
  EXPECT_EQ(adopted.at("local"), "10.0.0.1:20000");
  EXPECT_EQ(adopted.at("remote"), "10.0.0.9:4000");
  w.witness.records.clear();
  w.calls().on_media(MediaTimedOut{pair.a.id, seconds{30}}, w.now);
  ASSERT_EQ(w.witness.events(), std::vector<std::string>(2, "ADOPTED_LEG_REMOVED"));
  const auto removed = w.witness.records.front().details;
  EXPECT_EQ(removed.at("rule"), "media-timeout");
  EXPECT_EQ(removed.at("rx_packets"), "90");
  EXPECT_EQ(removed.at("tx_packets"), "70");
  EXPECT_EQ(removed.at("lost"), "3");
  EXPECT_EQ(w.witness.records.back().details.at("remote"), "192.0.2.7:6000");
  EXPECT_EQ(w.witness.records.back().details.at("earlier_party"), "callee");
  EXPECT_FALSE(w.witness.records.back().details.contains("rx_packets")) << "nobody counted them";
  w.settle_media();
  w.calls().on_media(MediaResync{{later.a, later.b}}, w.now);
  EXPECT_EQ(w.witness.last("ADOPTED_LEG_REMOVED")->details.at("rule"), "leg-lost");
  w.calls().on_media(MediaDetached{}, w.now);
  EXPECT_EQ(w.witness.last("ADOPTED_LEG_REMOVED")->details.at("rule"), "dataplane-lost");
  EXPECT_EQ(w.witness.records.size(), 6u);
  EXPECT_EQ(w.calls().adopted_legs(), 0u);
}

}  // namespace
}  // namespace ifgw::core
