// The transaction machines against the figures of RFC 3261 section 17 and RFC 6026: every state with every event, and
// every timer at its instant.
#include "controlplane/sip/machine.h"

#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace ifgw::sip {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = MachineKind;
using State = MachineState;

constexpr TimerConfig kTimers;
constexpr Instant kStart = from_ns(0);

enum class Event { Provisional, Success, Failure, RequestAgain, Ack, Send1xx, Send2xx, Send3xx, TransportError };

// What happened, as letters: s send again, u pass up, a acknowledge, t timed out, y answer accepted.
std::string letters(const Actions& actions) {
  std::string out;
  if (actions.send_again) out += 's';
  if (actions.pass_up) out += 'u';
  if (actions.acknowledge) out += 'a';
  if (actions.timed_out) out += 't';
  return out;
}

std::string apply(Machine& machine, Event event, Instant now = kStart) {
  switch (event) {
    case Event::Provisional: return letters(machine.on_response(180, kTimers, now));
    case Event::Success: return letters(machine.on_response(200, kTimers, now));
    case Event::Failure: return letters(machine.on_response(486, kTimers, now));
    case Event::RequestAgain: return letters(machine.on_request(now));
    case Event::Ack: return letters(machine.on_ack(kTimers, now));
    case Event::Send1xx: return machine.on_answer(180, kTimers, now) ? "y" : "";
    case Event::Send2xx: return machine.on_answer(200, kTimers, now) ? "y" : "";
    case Event::Send3xx: return machine.on_answer(486, kTimers, now) ? "y" : "";
    case Event::TransportError: machine.on_transport_error(); return "";
  }
  return "?";
}

struct Row {
  Kind kind;
  bool reliable;
  std::vector<Event> before;  // from the initial state
  State at;                   // which must lead here
  Event event;
  State next;
  const char* actions;
};
std::ostream& operator<<(std::ostream& out, const Row& row) {
  return out << "kind " << static_cast<int>(row.kind) << " state " << static_cast<int>(row.at) << " event " << static_cast<int>(row.event)
             << (row.reliable ? " reliable" : " unreliable");
}

class MachineTable : public ::testing::TestWithParam<Row> {};

TEST_P(MachineTable, Step) {
  const Row& row = GetParam();
  Machine machine(row.kind, row.reliable, kTimers, kStart);
  for (const Event event : row.before) apply(machine, event);
  ASSERT_EQ(machine.state(), row.at);
  EXPECT_EQ(apply(machine, row.event), row.actions);
  EXPECT_EQ(machine.state(), row.next);
  if (machine.terminated()) {
    EXPECT_EQ(machine.deadline(), kNever);
  }
}

constexpr auto P = Event::Provisional, S = Event::Success, F = Event::Failure, R = Event::RequestAgain, A = Event::Ack,
               X = Event::TransportError;
constexpr auto S1 = Event::Send1xx, S2 = Event::Send2xx, S3 = Event::Send3xx;

// Figure 5 of RFC 3261 with figure 7 of RFC 6026.
INSTANTIATE_TEST_SUITE_P(InviteClient, MachineTable,
                         ::testing::Values(Row{Kind::InviteClient, false, {}, State::Calling, P, State::Proceeding, "u"},
                                           Row{Kind::InviteClient, false, {}, State::Calling, S, State::Accepted, "u"},
                                           Row{Kind::InviteClient, false, {}, State::Calling, F, State::Completed, "ua"},
                                           Row{Kind::InviteClient, true, {}, State::Calling, F, State::Terminated, "ua"},
                                           Row{Kind::InviteClient, true, {}, State::Calling, S, State::Accepted, "u"},
                                           Row{Kind::InviteClient, false, {}, State::Calling, X, State::Terminated, ""},
                                           Row{Kind::InviteClient, false, {P}, State::Proceeding, P, State::Proceeding, "u"},
                                           Row{Kind::InviteClient, false, {P}, State::Proceeding, S, State::Accepted, "u"},
                                           Row{Kind::InviteClient, false, {P}, State::Proceeding, F, State::Completed, "ua"},
                                           Row{Kind::InviteClient, true, {P}, State::Proceeding, F, State::Terminated, "ua"},
                                           Row{Kind::InviteClient, false, {F}, State::Completed, F, State::Completed, "a"},
                                           Row{Kind::InviteClient, false, {F}, State::Completed, P, State::Completed, ""},
                                           Row{Kind::InviteClient, false, {F}, State::Completed, S, State::Completed, ""},
                                           Row{Kind::InviteClient, false, {F}, State::Completed, X, State::Terminated, ""},
                                           Row{Kind::InviteClient, false, {S}, State::Accepted, S, State::Accepted, "u"},
                                           Row{Kind::InviteClient, false, {S}, State::Accepted, P, State::Accepted, ""},
                                           Row{Kind::InviteClient, false, {S}, State::Accepted, F, State::Accepted, ""}));

// Figure 6.
INSTANTIATE_TEST_SUITE_P(NonInviteClient, MachineTable,
                         ::testing::Values(Row{Kind::NonInviteClient, false, {}, State::Trying, P, State::Proceeding, "u"},
                                           Row{Kind::NonInviteClient, false, {}, State::Trying, S, State::Completed, "u"},
                                           Row{Kind::NonInviteClient, false, {}, State::Trying, F, State::Completed, "u"},
                                           Row{Kind::NonInviteClient, true, {}, State::Trying, S, State::Terminated, "u"},
                                           Row{Kind::NonInviteClient, false, {}, State::Trying, X, State::Terminated, ""},
                                           Row{Kind::NonInviteClient, false, {P}, State::Proceeding, P, State::Proceeding, "u"},
                                           Row{Kind::NonInviteClient, false, {P}, State::Proceeding, S, State::Completed, "u"},
                                           Row{Kind::NonInviteClient, false, {P}, State::Proceeding, X, State::Terminated, ""},
                                           Row{Kind::NonInviteClient, false, {S}, State::Completed, S, State::Completed, ""},
                                           Row{Kind::NonInviteClient, false, {S}, State::Completed, P, State::Completed, ""},
                                           Row{Kind::NonInviteClient, false, {S}, State::Completed, F, State::Completed, ""}));

// Figure 7 of RFC 3261 with figure 8 of RFC 6026.
INSTANTIATE_TEST_SUITE_P(InviteServer, MachineTable,
                         ::testing::Values(Row{Kind::InviteServer, false, {}, State::Proceeding, R, State::Proceeding, ""},
                                           Row{Kind::InviteServer, false, {S1}, State::Proceeding, R, State::Proceeding, "s"},
                                           Row{Kind::InviteServer, false, {}, State::Proceeding, S1, State::Proceeding, "y"},
                                           Row{Kind::InviteServer, false, {}, State::Proceeding, S2, State::Accepted, "y"},
                                           Row{Kind::InviteServer, true, {}, State::Proceeding, S2, State::Accepted, "y"},
                                           Row{Kind::InviteServer, false, {}, State::Proceeding, S3, State::Completed, "y"},
                                           Row{Kind::InviteServer, true, {}, State::Proceeding, S3, State::Completed, "y"},
                                           Row{Kind::InviteServer, false, {}, State::Proceeding, A, State::Proceeding, ""},
                                           Row{Kind::InviteServer, false, {}, State::Proceeding, X, State::Terminated, ""},
                                           Row{Kind::InviteServer, false, {S2}, State::Accepted, R, State::Accepted, ""},
                                           Row{Kind::InviteServer, false, {S2}, State::Accepted, A, State::Accepted, "u"},
                                           Row{Kind::InviteServer, false, {S2}, State::Accepted, S2, State::Accepted, "y"},
                                           Row{Kind::InviteServer, false, {S2}, State::Accepted, S3, State::Accepted, ""},
                                           Row{Kind::InviteServer, false, {S2}, State::Accepted, S1, State::Accepted, ""},
                                           Row{Kind::InviteServer, false, {S3}, State::Completed, R, State::Completed, "s"},
                                           Row{Kind::InviteServer, false, {S3}, State::Completed, A, State::Confirmed, ""},
                                           Row{Kind::InviteServer, true, {S3}, State::Completed, A, State::Terminated, ""},
                                           Row{Kind::InviteServer, false, {S3}, State::Completed, S2, State::Completed, ""},
                                           Row{Kind::InviteServer, false, {S3}, State::Completed, S3, State::Completed, ""},
                                           Row{Kind::InviteServer, false, {S3, A}, State::Confirmed, A, State::Confirmed, ""},
                                           Row{Kind::InviteServer, false, {S3, A}, State::Confirmed, R, State::Confirmed, ""}));

// Figure 8.
INSTANTIATE_TEST_SUITE_P(NonInviteServer, MachineTable,
                         ::testing::Values(Row{Kind::NonInviteServer, false, {}, State::Trying, R, State::Trying, ""},
                                           Row{Kind::NonInviteServer, false, {}, State::Trying, S1, State::Proceeding, "y"},
                                           Row{Kind::NonInviteServer, false, {}, State::Trying, S2, State::Completed, "y"},
                                           Row{Kind::NonInviteServer, false, {}, State::Trying, S3, State::Completed, "y"},
                                           Row{Kind::NonInviteServer, true, {}, State::Trying, S2, State::Terminated, "y"},
                                           Row{Kind::NonInviteServer, false, {}, State::Trying, A, State::Trying, ""},
                                           Row{Kind::NonInviteServer, false, {}, State::Trying, X, State::Terminated, ""},
                                           Row{Kind::NonInviteServer, false, {S1}, State::Proceeding, R, State::Proceeding, "s"},
                                           Row{Kind::NonInviteServer, false, {S1}, State::Proceeding, S1, State::Proceeding, "y"},
                                           Row{Kind::NonInviteServer, false, {S1}, State::Proceeding, S2, State::Completed, "y"},
                                           Row{Kind::NonInviteServer, false, {S2}, State::Completed, R, State::Completed, "s"},
                                           Row{Kind::NonInviteServer, false, {S2}, State::Completed, S3, State::Completed, ""},
                                           Row{Kind::NonInviteServer, false, {S2}, State::Completed, X, State::Terminated, ""}));

// ---- timers ----------------------------------------------------------------------------------------------------

struct Timeline {
  std::vector<std::int64_t> resends_ms;
  std::int64_t end_ms = -1;  // -1: never
  bool timed_out = false;
};

// Runs the machine on its own deadlines for `limit`.
Timeline run(Machine& machine, Duration limit = std::chrono::hours(1)) {
  Timeline out;
  while (machine.deadline() != kNever && machine.deadline() <= kStart + limit) {
    const Instant now = machine.deadline();
    const Actions actions = machine.on_timer(kTimers, now);
    const std::int64_t ms = to_ns(now) / 1'000'000;
    if (actions.send_again) out.resends_ms.push_back(ms);
    if (machine.terminated()) {
      out.end_ms = ms;
      out.timed_out = actions.timed_out;
    }
  }
  return out;
}

Timeline timeline(Kind kind, bool reliable, std::vector<Event> before) {
  Machine machine(kind, reliable, kTimers, kStart);
  for (const Event event : before) apply(machine, event);
  return run(machine);
}

using Ms = std::vector<std::int64_t>;

TEST(MachineTimers, AandB) {
  const Timeline unreliable = timeline(Kind::InviteClient, false, {});
  EXPECT_EQ(unreliable.resends_ms, (Ms{500, 1500, 3500, 7500, 15500, 31500}));
  EXPECT_EQ(unreliable.end_ms, 32000);
  EXPECT_TRUE(unreliable.timed_out);
  const Timeline over_tcp = timeline(Kind::InviteClient, true, {});
  EXPECT_TRUE(over_tcp.resends_ms.empty());
  EXPECT_EQ(over_tcp.end_ms, 32000);
  EXPECT_TRUE(over_tcp.timed_out);
  EXPECT_EQ(timeline(Kind::InviteClient, false, {P}).end_ms, -1) << "Proceeding has no timer: timer C is the leg's";
}

TEST(MachineTimers, DandM) {
  const Timeline completed = timeline(Kind::InviteClient, false, {F});
  EXPECT_EQ(completed.end_ms, 32000);
  EXPECT_FALSE(completed.timed_out);
  for (const bool reliable : {false, true}) {
    const Timeline accepted = timeline(Kind::InviteClient, reliable, {S});
    EXPECT_EQ(accepted.end_ms, 32000) << "M also waits on reliable transports";
    EXPECT_FALSE(accepted.timed_out);
  }
}

TEST(MachineTimers, EandF) {
  const Timeline trying = timeline(Kind::NonInviteClient, false, {});
  EXPECT_EQ(trying.resends_ms, (Ms{500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500}));
  EXPECT_EQ(trying.end_ms, 32000);
  EXPECT_TRUE(trying.timed_out);
  // A provisional response slows E down to T2 after the turn that is running.
  const Timeline proceeding = timeline(Kind::NonInviteClient, false, {P});
  EXPECT_EQ(proceeding.resends_ms, (Ms{500, 4500, 8500, 12500, 16500, 20500, 24500, 28500}));
  EXPECT_TRUE(proceeding.timed_out);
  const Timeline over_tcp = timeline(Kind::NonInviteClient, true, {P});
  EXPECT_TRUE(over_tcp.resends_ms.empty());
  EXPECT_EQ(over_tcp.end_ms, 32000);
}

TEST(MachineTimers, K) {
  EXPECT_EQ(timeline(Kind::NonInviteClient, false, {S}).end_ms, 5000);
  EXPECT_FALSE(timeline(Kind::NonInviteClient, false, {S}).timed_out);
}

TEST(MachineTimers, GandH) {
  const Timeline unreliable = timeline(Kind::InviteServer, false, {S3});
  EXPECT_EQ(unreliable.resends_ms, (Ms{500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500}));
  EXPECT_EQ(unreliable.end_ms, 32000);
  EXPECT_TRUE(unreliable.timed_out);
  const Timeline over_tcp = timeline(Kind::InviteServer, true, {S3});
  EXPECT_TRUE(over_tcp.resends_ms.empty());
  EXPECT_TRUE(over_tcp.timed_out);
}

TEST(MachineTimers, IandLandJ) {
  EXPECT_EQ(timeline(Kind::InviteServer, false, {S3, A}).end_ms, 5000);
  EXPECT_FALSE(timeline(Kind::InviteServer, false, {S3, A}).timed_out);
  for (const bool reliable : {false, true}) EXPECT_EQ(timeline(Kind::InviteServer, reliable, {S2}).end_ms, 32000);
  EXPECT_FALSE(timeline(Kind::InviteServer, false, {S2}).timed_out);
  EXPECT_EQ(timeline(Kind::NonInviteServer, false, {S2}).end_ms, 32000);
  EXPECT_FALSE(timeline(Kind::NonInviteServer, false, {S2}).timed_out);
  EXPECT_EQ(timeline(Kind::NonInviteServer, false, {}).end_ms, -1);
}

TEST(MachineTimers, FollowTheConfiguredT1) {
  const TimerConfig fast{milliseconds(100), seconds(1), seconds(2)};
  Machine machine(Kind::InviteClient, false, fast, kStart);
  EXPECT_EQ(machine.deadline(), kStart + milliseconds(100));
  machine.on_response(486, fast, kStart);
  EXPECT_EQ(machine.deadline(), kStart + seconds(32)) << "D is never below 32 s";
}

TEST(MachineTimers, EarlyCallsDoNothing) {
  Machine machine(Kind::InviteClient, false, kTimers, kStart);
  EXPECT_EQ(letters(machine.on_timer(kTimers, kStart + milliseconds(499))), "");
  EXPECT_EQ(machine.deadline(), kStart + milliseconds(500));
}

}  // namespace
}  // namespace ifgw::sip
