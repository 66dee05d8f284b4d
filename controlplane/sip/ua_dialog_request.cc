// Requests inside a call: BYE, re-INVITE, UPDATE, OPTIONS, and the ACK of our 2xx.
#include "controlplane/sip/text.h"
#include "controlplane/sip/user_agent_impl.h"

namespace ifgw::sip {

void UserAgent::Impl::on_dialog_request(const Request& request, const Message& parsed, Instant now) {
  const PreScan& scan = request.scan;
  Leg* leg = find_dialog(scan);
  EarlyDialog* early = leg == nullptr ? nullptr : leg->early_dialog(scan.from_tag);
  if (leg == nullptr || (early != nullptr && scan.method == "BYE")) {  // a called party ends an early dialog by its answer (section 15)
    ++statistics_.outside_dialog;
    return refuse(request, {481, {}, {}, false}, now);
  }
  // Section 12.2.2. Equal numbers cannot be a retransmission here: the transaction would have taken it.
  std::optional<std::uint32_t>& last_cseq = early != nullptr ? early->remote_cseq : leg->dialog.remote_cseq;
  if (last_cseq && scan.cseq <= *last_cseq) return refuse(request, {500, "CSeq out of order", {}, false}, now);
  if (server_.full()) {
    ++statistics_.table_full;
    return refuse(request, {503, {}, {{"Retry-After", std::to_string(config_.limits.retry_after_s)}}, false}, now);
  }
  // The answers above stay what they are however often the request comes. Those below depend on the moment, so from here
  // on a transaction repeats them, and what outlives the transaction is out of order.
  last_cseq = scan.cseq;
  heard(*leg, request.message);
  if (const auto refusal = content_refusal(scan, parsed)) {
    ++statistics_.unsupported_requests;
    return refuse_in_dialog(request, *leg, *refusal, now);
  }
  if (scan.method == "BYE") return on_bye(request, parsed, *leg, now);
  if (early == nullptr && leg->state == LegState::Ending) {  // the dialog went with our BYE (section 15.1.1)
    ++statistics_.outside_dialog;
    return refuse_in_dialog(request, *leg, {481, {}, {}, false}, now);
  }
  if (scan.method == "OPTIONS") return on_options(request, now);
  if (scan.method == "UPDATE" && !has_sdp(scan)) return refresh_target(request, parsed, *leg, now);
  if (const auto refusal = update_refusal(*leg)) return refuse_in_dialog(request, *leg, *refusal, now);
  on_update(request, parsed, *leg, now);
}

void UserAgent::Impl::refuse_in_dialog(const Request& request, const Leg& leg, const Refusal& refusal, Instant now) {
  outbox_.received(request.message, request.scan, request.bytes, leg.owner, false, now);
  const SlotId id = server_.start(request.scan, reply_hop(request.message, request.scan), leg.owner, now);
  server_.answer(id, refusal.status, std::make_shared<const std::string>(make_refusal(request, refusal, leg.owner)), now);
}

void UserAgent::Impl::on_bye(const Request& request, const Message& parsed, Leg& leg, Instant now) {
  outbox_.received(request.message, request.scan, request.bytes, leg.owner, false, now);
  const SlotId id = server_.start(request.scan, reply_hop(request.message, request.scan), leg.owner, now);
  const std::string stem = make_stem(request.scan, request.message.source, {});
  server_.answer(id, 200, std::make_shared<const std::string>(make_leg_response(leg, stem, 200, {}, {})), now);
  // Crossing BYEs: ours goes on until it is answered, and core is told then.
  if (leg.state == LegState::Ending && !leg.bye_wanted && !leg.cancel_wanted) return;
  if (leg.state == LegState::Offered)  // the caller may hang up an early dialog (section 15)
    server_.answer(leg.invite, 487, std::make_shared<const std::string>(make_leg_response(leg, leg.stem, 487, {}, {})), now);
  finish(leg, core::EndCause::Bye, 0, parsed.reason_header(), now);
}

// Why the party may not begin a re-negotiation now (section 14.2, RFC 3311 section 5.2); nothing: it may.
std::optional<UserAgent::Impl::Refusal> UserAgent::Impl::update_refusal(const Leg& leg) {
  const bool early = leg.dialog.remote_tag.empty();  // the called party has not answered our INVITE yet
  if (early || leg.ours != 0 || leg.ack_held) return Refusal{491, {}, {}, false};
  const bool too_early = leg.state != LegState::Confirmed && leg.state != LegState::Answered;
  if (!too_early && !leg.theirs.pending() && !leg.repeated.unacknowledged()) return std::nullopt;
  return earlier_pending();
}

UserAgent::Impl::Refusal UserAgent::Impl::earlier_pending() {
  return {500, "Earlier request pending", {{"Retry-After", std::to_string(randomness_.random() % 11)}}, false};
}

// An UPDATE without an offer asks for nothing but its 200, whatever is being negotiated (RFC 3311 section 5.2).
void UserAgent::Impl::refresh_target(const Request& request, const Message& parsed, Leg& leg, Instant now) {
  const PreScan& scan = request.scan;
  if (leg.theirs.pending() && !leg.theirs.is_invite) return refuse_in_dialog(request, leg, earlier_pending(), now);
  outbox_.received(request.message, scan, request.bytes, leg.owner, false, now);
  if (!leg.dialog.remote_tag.empty()) {  // else the 2xx brings the target
    if (parsed.contact() && parsed.contact()->uri.scheme != Scheme::Other) {
      set_target(leg.dialog, parsed.contact()->uri, leg.dialog.hop);
      leg.theirs.target.reset();  // that of an open re-INVITE is older
    }
  }
  const SlotId id = server_.start(scan, reply_hop(request.message, scan), leg.owner, now);
  const std::string stem = make_stem(scan, request.message.source, {});
  server_.answer(id, 200, std::make_shared<const std::string>(make_leg_response(leg, stem, 200, {}, {})), now);
}

void UserAgent::Impl::on_update(const Request& request, const Message& parsed, Leg& leg, Instant now) {
  const PreScan& scan = request.scan;
  outbox_.received(request.message, scan, request.bytes, leg.owner, false, now);
  TheirUpdate& theirs = leg.theirs;
  theirs.server = server_.start(scan, reply_hop(request.message, scan), leg.owner, now);
  theirs.stem = make_stem(scan, request.message.source, {});
  theirs.is_invite = scan.method == "INVITE";
  theirs.had_offer = has_sdp(scan);
  theirs.cseq = scan.cseq;
  if (parsed.contact() && parsed.contact()->uri.scheme != Scheme::Other) theirs.target = parsed.contact()->uri;
  if (theirs.is_invite) {
    ResponseParts trying;
    trying.status = 100;
    trying.trace_id = *leg.owner.trace_id;
    server_.answer(theirs.server, 100, std::make_shared<const std::string>(make_response(trying, theirs.stem)), now);
  }
  withdraw_waiting_update(leg);
  outbox_.event(core::LegUpdated{leg.key, theirs.had_offer ? std::string(scan.body) : std::string{}, true});
}

void UserAgent::Impl::answer_update(Leg& leg, std::string_view sdp, Instant now) {
  const TheirUpdate theirs = std::exchange(leg.theirs, {});
  if (theirs.target) set_target(leg.dialog, *theirs.target, leg.dialog.hop);
  auto bytes = std::make_shared<const std::string>(make_leg_response(leg, theirs.stem, 200, {}, sdp));
  if (!server_.answer(theirs.server, 200, bytes, now) || !theirs.is_invite) return;
  repeat_until_ack(leg, theirs.server, theirs.cseq, std::move(bytes), !theirs.had_offer, now);
}

void UserAgent::Impl::refuse_update(Leg& leg, int status, std::string_view reason, Instant now) {
  const TheirUpdate theirs = std::exchange(leg.theirs, {});
  server_.answer(theirs.server, status, std::make_shared<const std::string>(make_leg_response(leg, theirs.stem, status, reason, {})), now);
}

void UserAgent::Impl::on_dialog_ack(Leg& leg, const PreScan& scan, Instant now) {
  const bool carried_offer = leg.repeated.carries_offer;
  leg.repeated = {};
  if (leg.state == LegState::Answered) leg.state = LegState::Confirmed;
  if (leg.bye_wanted) return send_bye(leg, now);
  rearm(leg);
  if (carried_offer) outbox_.event(core::LegUpdated{leg.key, has_sdp(scan) ? std::string(scan.body) : std::string{}, false});
}

}  // namespace ifgw::sip
