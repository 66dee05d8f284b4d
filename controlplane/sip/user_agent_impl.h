// Inside of UserAgent; split over ua_*.cc by what comes in: messages, new requests, requests in dialogs, responses,
// commands, time. Not part of the interface.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/sip/admission.h"
#include "controlplane/sip/client_transactions.h"
#include "controlplane/sip/keyed_index.h"
#include "controlplane/sip/leg.h"
#include "controlplane/sip/reply.h"
#include "controlplane/sip/request.h"
#include "controlplane/sip/server_transactions.h"
#include "controlplane/sip/shed_invites.h"
#include "controlplane/sip/user_agent.h"

namespace ifgw::sip {

class UserAgent::Impl {
 public:
  Impl(UserAgentConfig config, Randomness randomness);

  // ua_receive.cc
  void on_message(const InboundMessage& message, Instant now);
  // ua_command.cc
  void on_command(const core::LegCommand& command, Instant now);
  // ua_timer.cc
  void on_timer(Instant now);
  Instant next_deadline() const;
  void on_send_failed(std::uint64_t ticket, Instant now);
  bool uses_connection(ConnectionId connection) const { return legs_heard_on_.count(connection) != 0; }
  Occupancy occupancy() const;
  std::vector<LegView> legs();

  void drain(Outputs& outputs) { outbox_.drain(outputs); }
  void set_draining(bool draining) { admission_.set_draining(draining); }
  const Statistics& statistics() const { return statistics_; }

 private:
  // A request on its way through the checks.
  struct Request {
    const InboundMessage& message;
    const PreScan& scan;  // of `bytes`
    Wire bytes;
  };
  // An error response, and why.
  struct Refusal {
    int status = 0;
    std::string reason;  // empty: the standard phrase
    core::Headers headers;
    bool allow = false;
  };

  // ---- ua_receive.cc: dispatch from the pre-scan
  void on_request(const InboundMessage& message, const PreScan& scan, Instant now);
  void on_ack(const InboundMessage& message, const PreScan& scan, Instant now);
  void on_response(const InboundMessage& message, const PreScan& scan, Instant now);
  bool check_structure(const Request& request, Instant now);
  void shed(const InboundMessage& message, const PreScan& scan);
  // Keeps no state (section 8.2.7): for requests whose repetition gets the same answer.
  void refuse(const Request& request, const Refusal& refusal, Instant now);
  std::string make_refusal(const Request& request, const Refusal& refusal, const Owner& owner) const;
  std::string stateless_tag(const PreScan& scan) const;

  // ---- ua_request.cc: requests that begin something
  void on_checked_request(const Request& request, Instant now);
  static std::optional<Refusal> content_refusal(const PreScan& scan, const Message& parsed);
  void on_new_invite(const Request& request, const Message& parsed, Instant now);
  void on_options(const Request& request, Instant now);
  void on_cancel(const Request& request, Instant now);

  // ---- ua_dialog_request.cc: requests inside a call
  void on_dialog_request(const Request& request, const Message& parsed, Instant now);
  void on_bye(const Request& request, const Message& parsed, Leg& leg, Instant now);
  void on_update(const Request& request, const Message& parsed, Leg& leg, Instant now);
  std::optional<Refusal> update_refusal(const Leg& leg);
  Refusal earlier_pending();
  void refresh_target(const Request& request, const Message& parsed, Leg& leg, Instant now);
  // With a server transaction, which repeats the answer; the caller has looked for room in the table.
  void refuse_in_dialog(const Request& request, const Leg& leg, const Refusal& refusal, Instant now);
  void on_dialog_ack(Leg& leg, const PreScan& scan, Instant now);
  void answer_update(Leg& leg, std::string_view sdp, Instant now);
  void refuse_update(Leg& leg, int status, std::string_view reason, Instant now);

  // ---- ua_response.cc
  void on_invite_response(const InboundMessage& message, const PreScan& scan, SlotId id, const Owner& owner, Instant now);
  void on_provisional(Leg& leg, const PreScan& scan, Instant now);
  void on_answer(const InboundMessage& message, const PreScan& scan, SlotId id, const Owner& owner, Instant now);
  void on_first_answer(Leg& leg, const Message* parsed, const PreScan& scan, const Hop& seen, SlotId id, Instant now);
  void on_forked_answer(const Message& parsed, const Hop& seen, SlotId id, const Owner& owner, Instant now);
  void on_reinvite_response(const InboundMessage& message, const PreScan& scan, SlotId id, const Owner& owner, Instant now);
  Duration glare_wait(const Leg& leg);
  void on_reinvite_answer(const InboundMessage& message, const PreScan& scan, SlotId id, Leg* leg, Instant now);
  // A 2xx to an INVITE of ours in an established dialog whose transaction is gone: sends its ACK. False: it is none.
  bool acknowledge_late(const InboundMessage& message, const PreScan& scan, Instant now);
  void on_client_failure(const ClientFailure& failure, core::EndCause cause, int status, std::string_view reason, Instant now);

  // ---- ua_command.cc
  void offer(const core::OfferLeg& command, Instant now);
  bool choose_hop(const core::OfferLeg& command, const Uri& target, Hop& hop) const;
  std::string make_invite(const core::OfferLeg& command, const Leg& leg, std::string_view branch) const;
  void ring(const core::RingLeg& command, Instant now);
  void answer(const core::AnswerLeg& command, Instant now);
  void answer_invite(Leg& leg, std::string_view sdp, Instant now);
  void update(const core::UpdateLeg& command, Instant now);
  void refuse(const core::RefuseUpdate& command, Instant now);
  void end(const core::EndLeg& command, Instant now);
  void reject(Leg& leg, const core::EndLeg& command, Instant now);

  // ---- ua_leg.cc: what the others share
  Leg* find_leg(core::LegKey key);
  // The leg whose dialog, or one of whose early dialogs, the tags and Call-ID of a request inside one name.
  Leg* find_dialog(const PreScan& request);
  Leg& add_leg(Leg leg);
  void rearm(const Leg& leg);
  // The party of a leg in legs_ has shown itself: what is sent to it from now on goes over the connection it used.
  void heard(Leg& leg, const InboundMessage& message);
  void set_heard_on(Leg& leg, ConnectionId connection);
  std::string send_in_dialog_text(Leg& leg, std::string_view method, std::string_view sdp, std::uint32_t cseq);
  void send_ack(Leg& leg, SlotId client, std::string_view sdp, Instant now);
  void send_reinvite(Leg& leg, Instant now);
  void send_bye(Leg& leg, Instant now);
  void send_cancel(Leg& leg, SlotId id, Instant now);
  void end_ours(Leg& leg);
  // The call is over for core: says so once.
  void report_end(Leg& leg, core::EndCause cause, int status, std::string_view reason);
  // Hangs up an established leg and reports when that is done; `cause` is what LegEnded will say.
  void hang_up(Leg& leg, core::EndCause cause, int status, std::string_view reason, Instant now);
  // The leg is over: reports, answers what is still open, forgets it (once our re-INVITE is answered). `leg` may dangle
  // afterwards.
  void finish(Leg& leg, core::EndCause cause, int status, std::string_view reason, Instant now);
  void await_answer_to_ours(Leg& leg, Instant now);
  void repeat_until_ack(Leg& leg, SlotId server, std::uint32_t cseq, Wire bytes, bool carries_offer, Instant now);
  void on_leg_timer(Leg& leg, Instant now);
  void give_up_ours(Leg& leg, Instant now);
  void update_retry(Leg& leg, Instant now);
  void withdraw_waiting_update(Leg& leg);
  std::string make_leg_response(const Leg& leg, std::string_view stem, int status, std::string_view reason, std::string_view sdp) const;

  // The address for what goes out from `local`: that one, else one of the same IP, else the transport's first. nullptr:
  // none of the transport.
  const AdvertisedAddress* address_for(Transport transport, const Endpoint& local) const;
  const AdvertisedAddress& address_or_first(Transport transport, const Endpoint& local) const;
  std::string new_token(std::size_t words = 1);
  std::string new_branch() { return "z9hG4bK" + new_token(); }
  // The request's own trace id; nothing: it has none, several, or one that is not valid.
  static std::optional<std::string> given_trace_id(const PreScan& scan);
  // Of a request that begins no call: the leg whose dialog it names, else no leg and the request's own trace id, else one made of the
  // request, so that a copy gets the same answer.
  Owner owner_of(const PreScan& scan);
  static Hop seen_hop(const InboundMessage& message) { return {message.transport, message.source, message.local, message.connection}; }

  const UserAgentConfig config_;
  Randomness randomness_;
  Statistics statistics_;
  Outbox outbox_;
  ServerTransactions server_;
  ClientTransactions client_;
  SlotTable<Leg> legs_;
  std::unordered_map<std::uint64_t, SlotId> leg_by_key_;  // keys are our own numbers
  KeyedIndex leg_by_tag_;                                 // local tag
  std::unordered_map<ConnectionId, std::size_t> legs_heard_on_;
  Admission admission_;
  ShedInvites shed_invites_;
  std::size_t setups_in_flight_ = 0;
  std::vector<ClientFailure> failures_;  // scratch of on_timer
};

// True when the body is a session description.
bool has_sdp(const PreScan& scan) noexcept;

}  // namespace ifgw::sip
