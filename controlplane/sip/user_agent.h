// The SIP user agent: both ends of every SIP leg of the gateway (RFC 3261 UAC and UAS; core joins two of them into a
// back-to-back user agent). Sans-IO: bytes, commands and time in; messages, events, wire records and a deadline out.
//
// Driving it:
//   ua.on_message(message, now);  ua.on_command(command, now);  ua.on_timer(now);      // in any order
//   ua.drain(outputs);                                 // after each batch: send, tell core, tell the witness
//   sleep until ua.next_deadline(), or input
//
// Thread: one; no member may run concurrently with another of the same object. Several objects may live on several
// threads (shards). Nothing here throws, and no input reaches an IFGW_CHECK.
// Cost: a retransmission, an ACK, a response to anything but INVITE, and an INVITE refused by admission are handled
// from the pre-scan (a few microseconds); other messages pass belle-sip's grammar (0.1-0.4 ms; sip_bench: ParseInvite,
// ParseDearestMessage).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "codecs/base/result.h"
#include "codecs/base/time.h"
#include "controlplane/core/leg.h"
#include "controlplane/sip/config.h"
#include "controlplane/sip/statistics.h"
#include "controlplane/sip/transport.h"

namespace ifgw::sip {

// What the user agent wants done, in order. Reuse one object: drain() swaps the vectors.
struct Outputs {
  std::vector<OutboundMessage> messages;
  std::vector<core::LegEvent> events;
  std::vector<WireMessage> wire;  // in the order in which the messages were received and sent
};

// One dialog or half-dialog, for `ifgw legs show`.
struct LegView {
  core::LegKey leg;
  bool is_caller = false;  // true: the party called us (we are UAS)
  std::string_view state;  // "offered", "ringing", "calling", "answered", "confirmed", "ending"
  std::string call_id;
  std::string trace_id;
  std::string remote_uri;
  Transport transport = Transport::Udp;
  Endpoint peer;
};

class UserAgent {
 public:
  // A configuration without an address, or a Randomness with an empty function, is a programmer error.
  UserAgent(UserAgentConfig config, Randomness randomness);
  ~UserAgent();
  UserAgent(const UserAgent&) = delete;
  UserAgent& operator=(const UserAgent&) = delete;

  // A datagram or a framed stream message. Anything may be in it.
  void on_message(const InboundMessage& message, Instant now);

  // A command of core's.
  //   OfferLeg    INVITE. `next_hop` is where it goes; without one, request_uri's host must be an IP address, else the
  //               leg ends at once with EndCause::Transport. An empty `sdp` is a late offer: LegAnswered brings the
  //               offer, and AnswerLeg then sends the ACK with the answer.
  //               Headers named X-* are written as they are; all others are ours and ignored.
  //   RingLeg     provisional response; 100 is not sent again. Ignored once answered.
  //   AnswerLeg   200 to the INVITE, to the pending re-INVITE or UPDATE; or the answer in a held ACK (see OfferLeg).
  //   UpdateLeg   re-INVITE. Its outcome is LegUpdated{is_offer = false}: `sdp` is the answer, or empty when the party
  //               refused (the leg goes on as it was), with `status` and what its Retry-After said. Never repeated here: what
  //               was offered may not hold any more. After 491, also when an offer of the party's came before ours was
  //               sent, `retry_after` is the wait of RFC 3261 section 14.1.
  //   RefuseUpdate, EndLeg  as core/leg.h says. LegEnded follows when the signalling is over: at once for a refused
  //               caller, else with the answer to BYE or to the cancelled INVITE, or when their timers run out.
  // A command for a leg that is gone, or that does not fit its state, is ignored and counted (late_commands): core
  // and the party act at the same time, so this is no error.
  void on_command(const core::LegCommand& command, Instant now);

  // Runs what is due. Calling it early or late is harmless.
  void on_timer(Instant now);
  // When on_timer wants to run next; kNever when nothing is pending.
  Instant next_deadline() const;

  // OutboundMessage::ticket could not be sent (no route, connection refused, queue full). RFC 3261 section 8.1.3.1.
  void on_send_failed(std::uint64_t ticket, Instant now);

  // A leg lives whose party was last heard on this connection: its next request may come, and has to go, over it. O(1).
  bool uses_connection(ConnectionId connection) const;

  // Moves what is pending into `outputs` (its old content is dropped).
  void drain(Outputs& outputs);

  // Stop admitting: new INVITEs get 503, dialogs go on.
  void set_draining(bool draining);

  const Statistics& statistics() const;
  // Current table sizes; all zero when nothing is going on and every timer has run out.
  Occupancy occupancy() const;
  // Every leg, unordered. Allocates; for operators.
  std::vector<LegView> legs() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ifgw::sip
