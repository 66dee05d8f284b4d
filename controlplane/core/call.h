// One bridged call: two parties, each with a signalling leg and a media leg. A value owned by Calls.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "codecs/base/time.h"
#include "controlplane/core/call_state.h"
#include "controlplane/core/leg.h"
#include "controlplane/core/negotiation.h"
#include "controlplane/core/party.h"
#include "controlplane/core/refusal.h"
#include "controlplane/core/settings.h"
#include "dataplane/api/messages.h"

namespace ifgw::core {

// Of both media legs to another worker.
enum class MovePhase : std::uint8_t {
  None,
  Wanted,  // begins when no other request is under way
  UnderWay,
};

struct Side {
  LegKey leg;               // value 0: no signalling leg yet
  bool signalling = false;  // from opening until LegEnded
  api::LegId media;         // absent: none
  Endpoint local;           // where the dataplane receives
  Endpoint advertised;      // what the party is told
  api::MediaParams params;  // as last sent to the dataplane

  Agreement agreed;                      // codec None: nothing agreed yet
  Direction wish = Direction::SendRecv;  // what the party wants, its view
  FormatParameters asked;                // what the party was, or is about to be, told that we want to receive
  bool noise_told = false;               // likewise: that comfort noise may be sent
  Layout layout = Layout::one_audio();
  PayloadNumbers numbers;  // told and received, of that line
  std::uint64_t session_id = 0;
  std::uint32_t version = 0;
  std::uint64_t described = 0;           // hash of our last description without its version
  Direction told = Direction::SendRecv;  // our direction in it
  bool everything_told = true;           // it had every codec, not what was agreed
  bool offer_pending = false;            // we offered, the party has not answered
  bool update_pending = false;           // the party offered, our answer waits for the dataplane
  Agreement agreed_before;               // while update_pending: what to go back to
  Direction wish_before = Direction::SendRecv;
  Direction told_before = Direction::SendRecv;  // while offer_pending: likewise
  FormatParameters asked_before;
  bool noise_told_before = false;
  bool narrowing = false;      // while offer_pending: it is there to keep the party to one codec
  unsigned refusals = 0;       // of our offers, one after the other
  Instant offer_due = kNever;  // until then no offer is made: the party asked for the wait, or was not able to take one
};

struct Call {
  std::uint64_t id = 0;
  CallState state = CallState::Idle;
  std::string trace_id;
  std::array<Side, 2> sides;
  std::shared_ptr<const CallSettings> settings;  // the snapshot the call was admitted under
  const Route* route = nullptr;                  // within `settings`

  std::string request_uri;
  std::string from;
  std::string from_display;
  std::string to;
  std::string target;
  std::string sip_call_id;
  std::string offer;  // the caller's SDP, until it is negotiated
  Headers headers;    // X-IF-* to pass on, until the callee is invited
  SecurityContext security;

  std::uint8_t max_forwards = 69;
  std::uint8_t worker = 0;
  unsigned media_requests = 0;   // under way
  unsigned bridge_requests = 0;  // of these: update and join that the answer waits for
  MovePhase move = MovePhase::None;
  bool late_offer = false;  // the caller sent no SDP: our answer is the offer, its ACK the answer
  bool joined = false;
  bool answered = false;  // the callee answered

  std::optional<Refusal> refusal;  // why it ended, unless a party just hung up
  std::string end_text;            // one line for people: who ended it and how

  Instant offered_at{};
  Instant connected_at{};  // the answer left; zero: never
  Instant state_deadline = kNever;
  Instant duration_deadline = kNever;
  Instant scheduled = kNever;  // the deadline the registry knows

  Side& side(Party p) noexcept { return sides[static_cast<std::size_t>(p)]; }
  const Side& side(Party p) const noexcept { return sides[static_cast<std::size_t>(p)]; }
  bool held() const noexcept { return !wire::sdp::receives(sides[0].wish) || !wire::sdp::receives(sides[1].wish); }
  bool clear() const noexcept {
    return !sides[0].signalling && !sides[1].signalling && !sides[0].media.present() && !sides[1].media.present() && media_requests == 0;
  }
  Instant deadline() const noexcept { return std::min({state_deadline, duration_deadline, sides[0].offer_due, sides[1].offer_due}); }
  // No timer runs any more but, where it is set, that of the state.
  void stop_timers() noexcept { state_deadline = duration_deadline = sides[0].offer_due = sides[1].offer_due = kNever; }
};

}  // namespace ifgw::core
