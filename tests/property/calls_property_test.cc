// The call machine against random histories: parties that call, ring, answer, hold, refuse and hang up at any moment,
// a dataplane that answers late, refuses, goes away and comes back, records that fail, timers that run out. Whatever
// happens, every call ends with no signalling leg, no media leg, no request and no timer left.
#include <gtest/gtest.h>

#include <random>

#include "tests/support/call_world.h"

namespace ifgw::core {
namespace {

using test::audio_sdp;

class History {
 public:
  // Seeds differ in how much goes wrong, so that calls also grow old.
  explicit History(std::uint32_t seed) : chaos_(seed % 4), random_(seed) {
    auto s = std::make_shared<CallSettings>(*w.settings);
    s->limits.calls = 8;
    s->timers.max_duration = std::chrono::seconds{120};
    s->routes[0].callee.codecs = {api::Codec::Pcmu, api::Codec::Pcma};
    w.settings = s;
    w.media.divided = seed / 4 % 2 == 0;
  }

  void step() {
    if (pick(4) >= chaos_) w.settle_media();
    switch (pick(pick(8) < chaos_ ? 15 : 10)) {
      case 0:
      case 1:
      case 2: (void)w.offer(random_sdp(true), pick(8) == 0 ? "sip:nobody@gw" : "sip:expert-1@gw"); break;
      case 3:
        if (const auto leg = any_leg())
          w.give(LegProgressed{*leg, 180 + static_cast<int>(pick(4)), "", pick(3) == 0 ? random_sdp(false) : ""});
        break;
      case 4:
      case 5:
        if (const auto leg = any_leg()) w.give(LegAnswered{*leg, random_sdp(false)});
        break;
      case 6:
        if (const auto leg = any_leg()) w.give(LegUpdated{*leg, random_sdp(true), pick(2) == 0});
        break;
      case 7:
        if (const auto leg = any_leg(); leg && pick(4) <= chaos_)
          w.end(*leg, static_cast<EndCause>(pick(5)), 400 + static_cast<int>(pick(250)));
        break;
      case 8:
      case 9: one_media_answer(); break;
      case 10: w.media.fail_next.push_back(static_cast<MediaStatus>(1 + pick(6))); break;
      case 11: pass_time(); break;
      case 12: pick(3) == 0 ? void(w.media.heavy_worker_full = !w.media.heavy_worker_full) : media_event(); break;
      case 13: w.witness.fail_from = pick(4) == 0 ? 1 : 0; break;
      case 14:
        if (w.calls().size() > 0) (void)w.calls().kill(w.calls().list(100)[pick(w.calls().size())]->id, "test", w.now);
        break;
    }
    w.guard.answer_at_once = pick(20) >= chaos_;
    w.collect();
    if (pick(3) == 0) w.settle_legs();
    check();
  }

  void finish() {
    w.media.fail_next.clear();
    if (!w.media.is_attached) attach();
    w.settle_media();
    w.calls().stop(w.now);
    w.collect();
    for (int round = 0; round < 5; ++round) {  // removals may be tried again
      w.settle_legs();
      w.settle_media();
      w.advance(std::chrono::milliseconds{100});
    }
    w.settle_media();
    EXPECT_EQ(w.calls().size(), 0u);
    EXPECT_EQ(w.calls().timers(), 0u);
    EXPECT_TRUE(w.media.legs.empty()) << w.media.legs.size();
    EXPECT_EQ(w.calls().statistics().forced_clear, 0u);
    const CallStatistics& s = w.calls().statistics();
    EXPECT_EQ(s.unexpected_events, 0u);
    const auto ended = s.refused_admission + s.refused_route + s.refused_policy + s.refused_negotiation + s.refused_media +
                       s.refused_witness + s.failed_callee + s.ended_by_party + s.ended_by_timer + s.ended_by_silence + s.ended_by_operator;
    EXPECT_EQ(ended, s.offered) << "each call has exactly one reason to end";
  }

  test::CallWorld w;

 private:
  std::size_t pick(std::size_t bound) { return random_() % bound; }

  std::string random_sdp(bool caller) {
    static const char* const formats[] = {"0", "8 0", "8 0 101", "3 0", "18"};
    static const char* const directions[] = {"", "a=sendonly\r\n", "a=inactive\r\n", "a=recvonly\r\n"};
    if (pick(12) < chaos_) return pick(2) == 0 ? "" : "v=0\r\nbroken";
    return audio_sdp(caller ? "10.0.0.9" : "192.0.2.7", 4000 + static_cast<unsigned>(pick(100)), formats[pick(chaos_ == 0 ? 4 : 5)],
                     directions[pick(4)]);
  }
  std::optional<LegKey> any_leg() {
    if (w.open.empty()) return std::nullopt;
    auto it = w.open.begin();
    std::advance(it, pick(w.open.size()));
    return LegKey{*it};
  }
  void one_media_answer() {
    if (w.media.answers.empty()) return;
    const MediaDone done = w.media.answers.front();
    w.media.answers.pop_front();
    w.calls().on_media(done, w.now);
    w.collect();
  }
  // Stacks and dataplane keep their bounds: what was told to end has ended before seconds pass.
  void pass_time() {
    for (int i = 0; i < 20; ++i) {
      w.settle_legs();
      w.settle_media();
      w.advance(std::chrono::milliseconds{pick(1000)});
    }
  }
  void attach() {
    w.media.is_attached = true;
    w.calls().on_media(MediaAttached{}, w.now);
  }
  void media_event() {
    if (pick(6) == 0) {
      if (!w.media.is_attached) return attach();
      w.media.is_attached = false;
      w.media.legs.clear();
      for (MediaDone& done : w.media.answers) done.status = MediaStatus::Detached;
      w.settle_media();
      w.calls().on_media(MediaDetached{}, w.now);
      return;
    }
    if (w.media.legs.empty()) return;
    auto it = w.media.legs.begin();
    std::advance(it, pick(w.media.legs.size()));
    const api::LegId leg{it->first};
    if (pick(2) == 0) {
      w.calls().on_media(MediaTimedOut{leg, std::chrono::seconds{60}}, w.now);
    } else {
      w.calls().on_media(MediaFirstPacket{leg, {}}, w.now);
    }
  }
  // Holds between any two inputs.
  void check() {
    ASSERT_LE(w.calls().size(), 8u);
    for (const Call* call : w.calls().list(100)) {
      ASSERT_NE(call->state, CallState::Idle);
      ASSERT_NE(call->state, CallState::Disconnected);
      ASSERT_NE(call->deadline(), kNever) << "a call without a timer can stay for ever";
      for (const Side& side : call->sides) {
        if (side.media.present() && w.media.is_attached && !is_ending(call->state)) {
          const bool moved = call->move == MovePhase::UnderWay;  // the answer with the new ids may still be on its way
          ASSERT_TRUE(moved || w.media.legs.contains(side.media.value));
        }
      }
      const api::Codec a = call->sides[0].agreed.codec, b = call->sides[1].agreed.codec;
      if (is_answered(call->state) && call->media_requests == 0 && !call->sides[0].offer_pending && b != api::Codec::None) {
        ASSERT_TRUE(w.media.carries(call->worker, w.media.weight(a, b))) << "a heavy call on a worker for light ones";
      }
      if (call->state == CallState::Connected) {
        ASSERT_TRUE(call->sides[0].signalling && call->sides[1].signalling);
      }
    }
    ASSERT_EQ(w.calls().timers(), w.calls().size());
  }

  std::size_t chaos_;
  std::mt19937 random_;
};

TEST(CallsProperty, EveryHistoryEndsWithNothingLeft) {
  std::uint64_t connected = 0;
  std::uint64_t renegotiated = 0;
  std::uint64_t moved = 0;
  for (std::uint32_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history{seed};
    for (int i = 0; i < 300; ++i) {
      history.step();
      if (::testing::Test::HasFatalFailure()) return;
    }
    history.finish();
    if (::testing::Test::HasFailure()) return;
    connected += history.w.calls().statistics().connected;
    renegotiated += history.w.calls().statistics().renegotiations;
    moved += history.w.media.moves;
  }
  EXPECT_GT(connected, 1000u) << "the histories have become too short to mean anything";
  EXPECT_GT(renegotiated, 100u);
  EXPECT_GT(moved, 500u);
}

}  // namespace
}  // namespace ifgw::core
