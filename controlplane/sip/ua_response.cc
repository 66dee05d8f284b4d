// Responses to what we sent, and their absence.
#include "controlplane/sip/text.h"
#include "controlplane/sip/user_agent_impl.h"

namespace ifgw::sip {
namespace {

// Retry-After: delta-seconds, then a comment or parameters (section 20.33).
std::optional<Duration> retry_after(const PreScan& scan) {
  HeaderWalker walker(scan.headers);
  HeaderField field;
  while (walker.next(field)) {
    if (!same(field.name, "Retry-After")) continue;
    const std::string_view value = trim(field.value);
    const auto seconds = parse_u32(value.substr(0, value.find_first_not_of("0123456789")));
    return seconds ? std::optional<Duration>(std::chrono::seconds(*seconds)) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

void UserAgent::Impl::on_invite_response(const InboundMessage& message, const PreScan& scan, SlotId id, const Owner& owner, Instant now) {
  Leg* leg = find_leg(owner.leg);
  if (scan.status >= 200 && scan.status < 300) return on_answer(message, scan, id, owner, now);
  if (leg == nullptr) return;
  if (leg->dialog.remote_tag.empty()) heard(*leg, message);
  if (scan.status < 200) return on_provisional(*leg, scan, now);
  if (leg->state == LegState::Ending) return finish(*leg, leg->cause, scan.status, leg->reason, now);
  finish(*leg, core::EndCause::Rejected, scan.status, scan.reason, now);
}

void UserAgent::Impl::on_provisional(Leg& leg, const PreScan& scan, Instant now) {
  leg.provisional = true;
  const bool begins_dialog = scan.status > 100 && !scan.to_tag.empty() && leg.dialog.remote_tag.empty();
  if (begins_dialog && leg.early_dialog(scan.to_tag) == nullptr) {
    if (leg.early.size() < kMaxEarlyDialogs) {
      leg.early.push_back({std::string(scan.to_tag), {}});
    } else {
      ++statistics_.early_dialogs_full;
    }
  }
  if (leg.cancel_wanted && !leg.cancel_sent) return send_cancel(leg, leg.invite, now);
  if (leg.state != LegState::Calling || scan.status == 100) return;
  leg.ringing = true;
  outbox_.event(
      core::LegProgressed{leg.key, scan.status, std::string(scan.reason), has_sdp(scan) ? std::string(scan.body) : std::string{}});
}

// A 2xx to the first INVITE: the answer, the same again, or a fork's (section 13.2.2.4).
void UserAgent::Impl::on_answer(const InboundMessage& message, const PreScan& scan, SlotId id, const Owner& owner, Instant now) {
  if (client_.acknowledge_again(id, scan.to_tag, now)) {
    ++statistics_.response_retransmissions_received;
    return;
  }
  Leg* leg = find_leg(owner.leg);
  if (leg != nullptr && leg->ack_held && leg->dialog.remote_tag == scan.to_tag) return;  // core still owes the answer
  const auto parsed = Message::parse(std::make_shared<const std::string>(as_text(message.bytes)), {config_.limits.header_value_bytes});
  const Hop seen = seen_hop(message);
  const bool first = leg != nullptr && leg->invite == id && leg->dialog.remote_tag.empty();
  if (first) heard(*leg, message);
  if (first) return on_first_answer(*leg, parsed ? &*parsed : nullptr, scan, seen, id, now);
  if (!parsed) {
    ++statistics_.malformed_responses;
    return;
  }
  on_forked_answer(*parsed, seen, id, owner, now);
}

void UserAgent::Impl::on_first_answer(Leg& leg, const Message* parsed, const PreScan& scan, const Hop& seen, SlotId id, Instant now) {
  const bool usable = parsed != nullptr && complete_uac_dialog(*parsed, seen, leg.dialog);
  if (const EarlyDialog* early = leg.early_dialog(scan.to_tag)) leg.dialog.remote_cseq = early->remote_cseq;
  leg.early = {};
  if (!usable) {
    // It cannot carry a call, but it has to be acknowledged and hung up like one: with the INVITE's own route.
    ++statistics_.malformed_responses;
    leg.dialog.remote = unfold(scan.to);
    leg.dialog.remote_tag = scan.to_tag.empty() ? std::string("-") : std::string(scan.to_tag);
    send_ack(leg, id, {}, now);
    return hang_up(leg, core::EndCause::Rejected, 502, "the answer had no usable Contact or tag", now);
  }
  if (leg.state == LegState::Ending) {  // the answer crossed our CANCEL
    send_ack(leg, id, {}, now);
    leg.cancel_wanted = false;
    return send_bye(leg, now);
  }
  leg.state = LegState::Confirmed;
  leg.give_up_at = kNever;
  leg.ack_held = !leg.had_offer && has_sdp(scan);
  if (!leg.ack_held) send_ack(leg, id, {}, now);
  rearm(leg);
  outbox_.event(core::LegAnswered{leg.key, has_sdp(scan) ? std::string(scan.body) : std::string{}});
}

void UserAgent::Impl::on_forked_answer(const Message& parsed, const Hop& seen, SlotId id, const Owner& owner, Instant now) {
  const Wire invite = client_.request(id);
  if (!invite) return;
  const PreScan sent = prescan(as_bytes(*invite));
  Leg fork;
  fork.owner = {{}, owner.trace_id};
  fork.dialog.call_id = std::string(sent.call_id);
  fork.dialog.local = std::string(sent.from);
  fork.dialog.local_cseq = sent.cseq;
  if (!complete_uac_dialog(parsed, seen, fork.dialog)) {
    ++statistics_.malformed_responses;
    return;
  }
  ++statistics_.forked_answers;
  const std::string ack = send_in_dialog_text(fork, "ACK", {}, sent.cseq);
  client_.acknowledge(id, fork.dialog.remote_tag, std::make_shared<const std::string>(ack), fork.dialog.hop, now);
  const std::string bye = send_in_dialog_text(fork, "BYE", {}, sent.cseq + 1);
  client_.start(std::make_shared<const std::string>(bye), fork.dialog.hop, Purpose::Bye, fork.owner, now);
}

void UserAgent::Impl::on_reinvite_response(const InboundMessage& message, const PreScan& scan, SlotId id, const Owner& owner, Instant now) {
  Leg* leg = find_leg(owner.leg);
  if (leg != nullptr && leg->ours == id) heard(*leg, message);
  if (scan.status >= 200 && scan.status < 300) return on_reinvite_answer(message, scan, id, leg, now);
  if (leg == nullptr || leg->ours != id) return;
  if (scan.status < 200) {
    // Timer B ends with the first 1xx: as long again for the final answer, however many come.
    if (leg->state == LegState::Ending || leg->give_up_at != kNever) return;
    leg->give_up_at = now + 64 * config_.timers.t1;
    return rearm(*leg);
  }
  end_ours(*leg);
  if (leg->over) return finish(*leg, leg->cause, leg->status, leg->reason, now);
  if (leg->state == LegState::Ending) return;
  if (scan.status == 408 || scan.status == 481)  // section 12.2.1.2: the dialog is gone
    return hang_up(*leg, core::EndCause::Rejected, scan.status, scan.reason, now);
  outbox_.event(core::LegUpdated{leg->key, {}, false, scan.status, scan.status == 491 ? glare_wait(*leg) : retry_after(scan)});
}

// Section 14.1: the owner of the Call-ID waits 2.1-4 s, the other 0-2 s, in steps of 10 ms. Only then may ours come again;
// the party's is welcome before that.
Duration UserAgent::Impl::glare_wait(const Leg& leg) {
  const std::uint64_t steps = leg.is_uas ? randomness_.random() % 201 : 210 + randomness_.random() % 191;
  return std::chrono::milliseconds(10 * steps);
}

void UserAgent::Impl::on_reinvite_answer(const InboundMessage& message, const PreScan& scan, SlotId id, Leg* leg, Instant now) {
  if (client_.acknowledge_again(id, scan.to_tag, now)) {
    ++statistics_.response_retransmissions_received;
    return;
  }
  if (leg == nullptr || leg->ours != id) return;  // the 2xx of another tag than the dialog's
  const auto parsed = Message::parse(std::make_shared<const std::string>(as_text(message.bytes)), {config_.limits.header_value_bytes});
  if (parsed && parsed->contact() && parsed->contact()->uri.scheme != Scheme::Other)
    set_target(leg->dialog, parsed->contact()->uri, seen_hop(message));
  send_ack(*leg, id, {}, now);
  end_ours(*leg);
  if (leg->over) return finish(*leg, leg->cause, leg->status, leg->reason, now);
  if (leg->state == LegState::Ending) return;
  outbox_.event(core::LegUpdated{leg->key, has_sdp(scan) ? std::string(scan.body) : std::string{}, false});
}

// Section 13.2.2.4: every 2xx is acknowledged, also when its transaction was given up; without its ACK the party would repeat it and
// then end the call. It is no answer for core, which was told that the offer was refused, and moves no target.
bool UserAgent::Impl::acknowledge_late(const InboundMessage& message, const PreScan& scan, Instant now) {
  if (scan.cseq_method != "INVITE" || scan.status < 200 || scan.status >= 300) return false;
  Leg* leg = legs_.find(leg_by_tag_.find(scan.from_tag));
  if (leg == nullptr || scan.to_tag.empty() || leg->dialog.remote_tag != scan.to_tag || leg->dialog.call_id != scan.call_id) return false;
  const bool open = leg->ours != 0 && scan.cseq == leg->dialog.local_cseq;  // its answer would have named its transaction
  if (open || leg->ack_held || scan.cseq > leg->dialog.local_cseq) return false;
  outbox_.received(message, scan, std::make_shared<const std::string>(as_text(message.bytes)), leg->owner, false, now);
  ++statistics_.late_answers;
  const std::string ack = send_in_dialog_text(*leg, "ACK", {}, scan.cseq);
  outbox_.send(leg->dialog.hop, std::make_shared<const std::string>(ack), leg->owner, false, 0, now);
  return true;
}

// Timers B and F, or a transport that cannot send: `cause` and `status` are for a request nobody had ended yet.
void UserAgent::Impl::on_client_failure(const ClientFailure& failure, core::EndCause cause, int status, std::string_view reason,
                                        Instant now) {
  Leg* leg = find_leg(failure.owner.leg);
  if (leg == nullptr) return;
  switch (failure.purpose) {
    case Purpose::Cancel: return;
    case Purpose::Bye: return finish(*leg, leg->cause, leg->status, leg->reason, now);
    case Purpose::Invite:
      if (leg->state == LegState::Ending) return finish(*leg, leg->cause, leg->status, leg->reason, now);
      return finish(*leg, cause, status, reason, now);
    case Purpose::ReInvite:
      if (leg->ours == failure.id) end_ours(*leg);
      if (leg->over) return finish(*leg, leg->cause, leg->status, leg->reason, now);
      if (leg->state != LegState::Ending) hang_up(*leg, cause, status, reason, now);
  }
}

}  // namespace ifgw::sip
