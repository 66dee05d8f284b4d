#include "controlplane/core/call_state.h"

#include <array>

namespace ifgw::core {
namespace {

using A = CallAction;
using S = CallState;
using Row = std::array<Transition, kCallStates>;

constexpr Transition stay(A action) { return {action, std::nullopt}; }
constexpr Transition go(A action, S next) { return {action, next}; }

constexpr Transition kLate = stay(A::Ignore);
constexpr Transition kStrange = stay(A::Unexpected);

// Columns: IDLE, SETUP, RINGING, CONNECTED, HOLD, DISCONNECTING, DISCONNECTED, ERROR. Rows: CallEvent, in its order.
constexpr std::array<Row, kCallEvents> kTable{{
    // Offered
    {go(A::AskGuard, S::Setup), kStrange, kStrange, kStrange, kStrange, kStrange, kStrange, kStrange},
    // Allowed
    {kStrange, stay(A::AllocateMedia), kStrange, kStrange, kStrange, kLate, kLate, kLate},
    // Refused
    {kStrange, go(A::Refuse, S::Disconnecting), go(A::Refuse, S::Disconnecting), go(A::Refuse, S::Disconnecting),
     go(A::Refuse, S::Disconnecting), kLate, kLate, kLate},
    // MediaReady
    {kStrange, stay(A::OfferCallee), kStrange, kStrange, kStrange, kLate, kLate, kLate},
    // Progressed
    {kStrange, go(A::Ring, S::Ringing), stay(A::Ring), kLate, kLate, kLate, kLate, kLate},
    // Answered
    {kStrange, stay(A::Bridge), stay(A::Bridge), kLate, kLate, kLate, kLate, kLate},
    // Bridged
    {kStrange, go(A::AnswerCaller, S::Connected), go(A::AnswerCaller, S::Connected), kStrange, kStrange, kLate, kLate, kLate},
    // Reoffered
    {kStrange, stay(A::RefuseUpdate), stay(A::RefuseUpdate), stay(A::Renegotiate), stay(A::Renegotiate), kLate, kLate, kLate},
    // Reanswered
    {kStrange, kLate, kLate, stay(A::TakeAnswer), stay(A::TakeAnswer), kLate, kLate, kLate},
    // Held
    {kStrange, kStrange, kStrange, go(A::NoteHold, S::Hold), kLate, kLate, kLate, kLate},
    // Resumed
    {kStrange, kStrange, kStrange, kLate, go(A::NoteHold, S::Connected), kLate, kLate, kLate},
    // CallerEnded
    {kStrange, go(A::EndByCaller, S::Disconnecting), go(A::EndByCaller, S::Disconnecting), go(A::EndByCaller, S::Disconnecting),
     go(A::EndByCaller, S::Disconnecting), kLate, kLate, kLate},
    // CalleeEnded
    {kStrange, go(A::EndByCallee, S::Disconnecting), go(A::EndByCallee, S::Disconnecting), go(A::EndByCallee, S::Disconnecting),
     go(A::EndByCallee, S::Disconnecting), kLate, kLate, kLate},
    // MediaFailed
    {kStrange, go(A::Fail, S::Error), go(A::Fail, S::Error), go(A::Fail, S::Error), go(A::Fail, S::Error), kLate, kLate, kLate},
    // MediaSilent: before the answer nobody has to send
    {kStrange, kLate, kLate, go(A::EndSilent, S::Disconnecting), kLate, kLate, kLate, kLate},
    // MediaLost
    {kStrange, go(A::Fail, S::Error), go(A::Fail, S::Error), go(A::Fail, S::Error), go(A::Fail, S::Error), kLate, kLate, kLate},
    // TimerExpired
    {kStrange, go(A::EndTimedOut, S::Disconnecting), go(A::EndTimedOut, S::Disconnecting), kLate, kLate, go(A::ForceClear, S::Disconnected),
     kLate, go(A::ForceClear, S::Disconnected)},
    // DurationReached
    {kStrange, kLate, kLate, go(A::EndDuration, S::Disconnecting), go(A::EndDuration, S::Disconnecting), kLate, kLate, kLate},
    // OfferDue
    {kStrange, kStrange, kStrange, stay(A::OfferAgain), stay(A::OfferAgain), kLate, kLate, kLate},
    // Killed
    {kStrange, go(A::End, S::Disconnecting), go(A::End, S::Disconnecting), go(A::End, S::Disconnecting), go(A::End, S::Disconnecting),
     kLate, kLate, kLate},
    // Cleared
    {kStrange, kStrange, kStrange, kStrange, kStrange, go(A::Finish, S::Disconnected), kLate, go(A::Finish, S::Disconnected)},
}};

}  // namespace

const Transition& transition(CallState state, CallEvent event) noexcept {
  return kTable[static_cast<std::size_t>(event)][static_cast<std::size_t>(state)];
}

std::string_view name(CallState state) noexcept {
  constexpr std::array<std::string_view, kCallStates> names{"IDLE", "SETUP",         "RINGING",      "CONNECTED",
                                                            "HOLD", "DISCONNECTING", "DISCONNECTED", "ERROR"};
  return names[static_cast<std::size_t>(state)];
}

std::string_view name(CallEvent event) noexcept {
  constexpr std::array<std::string_view, kCallEvents> names{
      "Offered",     "Allowed",    "Refused",      "MediaReady",      "Progressed",  "Answered",    "Bridged",
      "Reoffered",   "Reanswered", "Held",         "Resumed",         "CallerEnded", "CalleeEnded", "MediaFailed",
      "MediaSilent", "MediaLost",  "TimerExpired", "DurationReached", "OfferDue",    "Killed",      "Cleared"};
  return names[static_cast<std::size_t>(event)];
}

}  // namespace ifgw::core
