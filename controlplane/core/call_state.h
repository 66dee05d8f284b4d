// The states of a bridged call, the events that move it, and the one table that says what each event does in each
// state. The table is complete: every (state, event) pair has an entry, and nothing about the sequence of a call is
// decided elsewhere (calls.cc carries the actions out).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ifgw::core {

enum class CallState : std::uint8_t {
  Idle,           // nothing asked yet
  Setup,          // policy, media allocation, invitation sent
  Ringing,        // the called party progressed
  Connected,      // answered, media joined
  Hold,           // connected, and a party does not want to receive
  Disconnecting,  // ending: legs and media are being cleared
  Disconnected,   // nothing left of it
  Error,          // as Disconnecting, but the end is a failure of ours or of the media plane
};
inline constexpr std::size_t kCallStates = 8;

enum class CallEvent : std::uint8_t {
  Offered,     // the calling party opened the call and passed admission
  Allowed,     // guard
  Refused,     // guard, route, negotiation, witness; the call's refusal says why. Connected: before the 200 left
  MediaReady,  // both media legs are there
  Progressed,  // 1xx of the called party
  Answered,    // 2xx of the called party
  Bridged,     // its answer is in the dataplane and the legs are joined
  Reoffered,   // a party re-negotiates
  Reanswered,  // a party answered our offer
  Held,        // a party stopped receiving
  Resumed,     // both receive again
  CallerEnded,
  CalleeEnded,
  MediaFailed,   // allocation, join or update was refused
  MediaSilent,   // media timeout of a leg
  MediaLost,     // the dataplane went away, or no longer knows a leg
  TimerExpired,  // the timer of the state
  DurationReached,
  OfferDue,  // the wait after a party's refusal of our offer is over
  Killed,    // operator, or the gateway stops
  Cleared,   // no signalling leg, media leg or media request is left
};
inline constexpr std::size_t kCallEvents = 21;

enum class CallAction : std::uint8_t {
  Ignore,      // a race that is normal: the other side had not heard yet
  Unexpected,  // cannot happen unless a peer breaks its contract; counted
  AskGuard,
  AllocateMedia,
  Refuse,
  OfferCallee,
  Ring,
  Bridge,
  AnswerCaller,
  RefuseUpdate,  // 491: not now
  Renegotiate,
  TakeAnswer,
  OfferAgain,
  NoteHold,
  EndByCaller,
  EndByCallee,
  Fail,
  EndSilent,
  EndTimedOut,
  EndDuration,
  End,
  ForceClear,  // the clearing itself took too long: forget the call, count it
  Finish,
};

struct Transition {
  CallAction action;
  std::optional<CallState> next;  // absent: the state stays
};

const Transition& transition(CallState state, CallEvent event) noexcept;

std::string_view name(CallState state) noexcept;  // "IDLE", "SETUP", ...
std::string_view name(CallEvent event) noexcept;  // "Offered", ...

constexpr bool is_ending(CallState s) noexcept {
  return s == CallState::Disconnecting || s == CallState::Error || s == CallState::Disconnected;
}
constexpr bool is_answered(CallState s) noexcept { return s == CallState::Connected || s == CallState::Hold; }

}  // namespace ifgw::core
