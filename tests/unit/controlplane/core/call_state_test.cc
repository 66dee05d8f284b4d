#include "controlplane/core/call_state.h"

#include <gtest/gtest.h>

#include <set>

namespace ifgw::core {
namespace {

constexpr CallState state_at(std::size_t i) { return static_cast<CallState>(i); }
constexpr CallEvent event_at(std::size_t i) { return static_cast<CallEvent>(i); }

TEST(CallTable, EveryPairHasAnEntryAndIgnoredEventsMoveNothing) {
  for (std::size_t s = 0; s < kCallStates; ++s) {
    for (std::size_t e = 0; e < kCallEvents; ++e) {
      const Transition& t = transition(state_at(s), event_at(e));
      if (t.action == CallAction::Ignore || t.action == CallAction::Unexpected) {
        EXPECT_FALSE(t.next) << name(state_at(s)) << " " << name(event_at(e));
      }
      if (t.next) {
        EXPECT_LT(static_cast<std::size_t>(*t.next), kCallStates);
      }
    }
  }
}

TEST(CallTable, NamesAreDistinct) {
  std::set<std::string_view> states, events;
  for (std::size_t s = 0; s < kCallStates; ++s) states.insert(name(state_at(s)));
  for (std::size_t e = 0; e < kCallEvents; ++e) events.insert(name(event_at(e)));
  EXPECT_EQ(states.size(), kCallStates);
  EXPECT_EQ(events.size(), kCallEvents);
  EXPECT_EQ(name(CallState::Hold), "HOLD");
  EXPECT_EQ(name(CallEvent::Cleared), "Cleared");
}

TEST(CallTable, EveryStateIsReachedFromIdle) {
  std::set<CallState> reached{CallState::Idle};
  for (std::size_t round = 0; round < kCallStates; ++round) {
    for (const CallState s : std::set<CallState>{reached}) {
      for (std::size_t e = 0; e < kCallEvents; ++e) {
        if (const auto next = transition(s, event_at(e)).next) reached.insert(*next);
      }
    }
  }
  EXPECT_EQ(reached.size(), kCallStates);
}

TEST(CallTable, AnEndingCallOnlyEnds) {
  for (const CallState s : {CallState::Disconnecting, CallState::Error, CallState::Disconnected}) {
    for (std::size_t e = 0; e < kCallEvents; ++e) {
      const auto next = transition(s, event_at(e)).next;
      if (next) {
        EXPECT_EQ(*next, CallState::Disconnected) << name(s) << " " << name(event_at(e));
      }
    }
  }
}

TEST(CallTable, EveryLivingStateCanBeEndedByEitherPartyTheOperatorAndTheMediaPlane) {
  for (const CallState s : {CallState::Setup, CallState::Ringing, CallState::Connected, CallState::Hold}) {
    for (const CallEvent e :
         {CallEvent::CallerEnded, CallEvent::CalleeEnded, CallEvent::Killed, CallEvent::MediaLost, CallEvent::MediaFailed}) {
      const auto next = transition(s, e).next;
      ASSERT_TRUE(next) << name(s) << " " << name(e);
      EXPECT_TRUE(is_ending(*next));
    }
  }
}

}  // namespace
}  // namespace ifgw::core
