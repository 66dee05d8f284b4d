// Commands of core.
#include "controlplane/sip/text.h"
#include "controlplane/sip/user_agent_impl.h"

namespace ifgw::sip {
namespace {

// Without an answer_timeout of core's: RFC 3261 timer C.
constexpr Duration kTimerC = std::chrono::minutes(3);

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

// RFC 3326: what a BYE or CANCEL says about its cause.
std::string reason_value(int status, std::string_view text) {
  if (status == 0 && text.empty()) return {};
  std::string out = "SIP ;cause=" + std::to_string(status == 0 ? 480 : status);
  if (text.empty()) return out;
  out += " ;text=\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

std::string address_value(const std::string& display, const std::string& uri) {
  if (display.empty()) return "<" + uri + ">";
  std::string out = "\"";
  for (const char c : display) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\" <" + uri + ">";
}

// Header fields of core that go to the wire: extensions only, never one that would change what the message means.
core::Headers allowed_extensions(const core::Headers& headers) {
  core::Headers out;
  for (const auto& field : headers) {
    if (is_token(field.first) && starts_with_same(field.first, "X-") && !same(field.first, kTraceHeader)) out.push_back(field);
  }
  return out;
}

}  // namespace

void UserAgent::Impl::on_command(const core::LegCommand& command, Instant now) {
  std::visit(Overloaded{[&](const core::OfferLeg& c) { offer(c, now); }, [&](const core::RingLeg& c) { ring(c, now); },
                        [&](const core::AnswerLeg& c) { answer(c, now); }, [&](const core::UpdateLeg& c) { update(c, now); },
                        [&](const core::RefuseUpdate& c) { refuse(c, now); }, [&](const core::EndLeg& c) { end(c, now); }},
             command);
}

// Transport and address of a new leg. False: nowhere to send it.
bool UserAgent::Impl::choose_hop(const core::OfferLeg& command, const Uri& target, Hop& hop) const {
  if (command.transport.empty()) {
    const auto wanted = target.wanted_transport(Transport::Udp);
    if (!wanted) return false;
    hop.transport = *wanted;
  } else if (!parse_transport(command.transport, hop.transport)) {
    return false;
  }
  const auto resolved = target.endpoint();
  if (!command.next_hop.present() && !resolved) return false;
  hop.destination = command.next_hop.present() ? command.next_hop : *resolved;
  const AdvertisedAddress* here = address_for(hop.transport, command.local);
  if (here == nullptr) return false;
  hop.local = here->local;
  return true;
}

std::string UserAgent::Impl::make_invite(const core::OfferLeg& command, const Leg& leg, std::string_view branch) const {
  const core::Headers extensions = allowed_extensions(command.headers);
  RequestParts parts;
  parts.method = "INVITE";
  parts.request_uri = leg.dialog.request_uri;
  parts.from_here = &address_or_first(leg.dialog.hop.transport, leg.dialog.hop.local);
  parts.branch = branch;
  parts.from = leg.dialog.local;
  parts.to = leg.dialog.remote;
  parts.call_id = leg.dialog.call_id;
  parts.cseq = leg.dialog.local_cseq;
  parts.max_forwards = command.max_forwards;
  parts.contact = true;
  parts.secure_contact = leg.secure;
  parts.trace_id = *leg.owner.trace_id;
  parts.product = config_.product;
  parts.extra = &extensions;
  parts.sdp = command.sdp;
  return make_request(parts);
}

void UserAgent::Impl::offer(const core::OfferLeg& command, Instant now) {
  const auto refused = [&](core::EndCause cause, int status, std::string reason) {
    outbox_.event(core::LegEnded{command.leg, cause, status, std::move(reason)});
  };
  if (find_leg(command.leg) != nullptr) {
    ++statistics_.late_commands;
    return;
  }
  const auto target = parse_uri(command.request_uri);
  if (!target) return refused(core::EndCause::Rejected, 416, "request URI \"" + command.request_uri + "\": " + target.error().message);
  for (const std::string* party : {&command.from, &command.to}) {
    if (!parse_name_addr("<" + *party + ">")) return refused(core::EndCause::Rejected, 400, "\"" + *party + "\" is no address");
  }
  Leg leg;
  leg.key = command.leg;
  leg.state = LegState::Calling;
  leg.owner = {command.leg, std::make_shared<const std::string>(command.trace_id)};
  leg.had_offer = !command.sdp.empty();
  leg.secure = target->scheme == Scheme::Sips;
  Hop& hop = leg.dialog.hop;
  if (!choose_hop(command, *target, hop)) {
    return refused(core::EndCause::Transport, 503,
                   "no way to " + command.request_uri + ": give the route an address and a transport that has a listener");
  }
  if (legs_.full() || client_.full()) {
    ++statistics_.table_full;
    return refused(core::EndCause::Transport, 503, "the table of SIP legs or transactions is full");
  }
  leg.dialog.local_tag = new_token();
  leg.dialog.local = address_value(command.from_display, command.from) + ";tag=" + leg.dialog.local_tag;
  leg.dialog.remote = "<" + command.to + ">";
  leg.dialog.call_id = new_token(2);
  leg.dialog.local_cseq = 1;
  leg.dialog.request_uri = target->text;
  leg.give_up_at = now + (command.answer_timeout > Duration::zero() ? command.answer_timeout : kTimerC);
  std::string invite = make_invite(command, leg, new_branch());
  Leg& added = add_leg(std::move(leg));
  added.invite = client_.start(std::make_shared<const std::string>(std::move(invite)), added.dialog.hop, Purpose::Invite, added.owner, now);
  rearm(added);
}

void UserAgent::Impl::ring(const core::RingLeg& command, Instant now) {
  Leg* leg = find_leg(command.leg);
  if (leg == nullptr || leg->state != LegState::Offered || command.status <= 100 || command.status >= 200) {
    ++statistics_.late_commands;
    return;
  }
  leg->ringing = true;
  leg->repeated.bytes = std::make_shared<const std::string>(make_leg_response(*leg, leg->stem, command.status, {}, command.sdp));
  leg->repeated.resend_at = now + std::chrono::minutes(1);
  server_.answer(leg->invite, command.status, leg->repeated.bytes, now);
  rearm(*leg);
}

void UserAgent::Impl::answer(const core::AnswerLeg& command, Instant now) {
  Leg* leg = find_leg(command.leg);
  if (leg != nullptr && leg->state == LegState::Offered) return answer_invite(*leg, command.sdp, now);
  if (leg != nullptr && leg->state != LegState::Ending) {
    if (leg->theirs.pending()) return answer_update(*leg, command.sdp, now);
    if (leg->ack_held) {
      leg->ack_held = false;
      return send_ack(*leg, leg->invite, command.sdp, now);
    }
  }
  ++statistics_.late_commands;
}

void UserAgent::Impl::answer_invite(Leg& leg, std::string_view sdp, Instant now) {
  --setups_in_flight_;
  leg.state = LegState::Answered;
  auto bytes = std::make_shared<const std::string>(make_leg_response(leg, leg.stem, 200, {}, sdp));
  leg.stem = {};
  server_.answer(leg.invite, 200, bytes, now);
  repeat_until_ack(leg, leg.invite, leg.repeated.cseq, std::move(bytes), !leg.had_offer && !sdp.empty(), now);
}

void UserAgent::Impl::update(const core::UpdateLeg& command, Instant now) {
  Leg* leg = find_leg(command.leg);
  const bool established = leg != nullptr && (leg->state == LegState::Confirmed || leg->state == LegState::Answered);
  if (!established || leg->ours != 0 || leg->retry_at != kNever) {
    ++statistics_.late_commands;
    return;
  }
  leg->ours_sdp = command.sdp;
  // Section 14.1: not while another INVITE of this dialog is open; soon after it then.
  if (leg->theirs.pending() || leg->repeated.unacknowledged() || leg->ack_held) {
    leg->retry_at = now + config_.timers.t1;
    return rearm(*leg);
  }
  send_reinvite(*leg, now);
}

void UserAgent::Impl::refuse(const core::RefuseUpdate& command, Instant now) {
  Leg* leg = find_leg(command.leg);
  if (leg == nullptr || !leg->theirs.pending()) {
    ++statistics_.late_commands;
    return;
  }
  const int status = command.status >= 400 && command.status < 700 ? command.status : 488;
  refuse_update(*leg, status, command.reason, now);
}

void UserAgent::Impl::end(const core::EndLeg& command, Instant now) {
  Leg* leg = find_leg(command.leg);
  if (leg == nullptr || leg->state == LegState::Ending) {
    ++statistics_.late_commands;
    return;
  }
  leg->reason_header = reason_value(command.status, command.reason);
  switch (leg->state) {
    case LegState::Offered: return reject(*leg, command, now);
    case LegState::Calling:
      leg->state = LegState::Ending;
      leg->cause = core::EndCause::Cancelled;
      leg->status = 487;
      leg->reason = command.reason;
      leg->cancel_wanted = true;
      if (leg->provisional) send_cancel(*leg, leg->invite, now);  // else as soon as a 1xx allows it (section 9.1)
      return;
    default: return hang_up(*leg, core::EndCause::Bye, 0, command.reason, now);
  }
}

void UserAgent::Impl::reject(Leg& leg, const core::EndLeg& command, Instant now) {
  const int status = command.status >= 300 && command.status < 700 ? command.status : 480;
  core::Headers extra;
  if (command.retry_after_s > 0) extra.emplace_back("Retry-After", std::to_string(command.retry_after_s));
  if (!leg.reason_header.empty()) extra.emplace_back("Reason", leg.reason_header);
  ResponseParts parts;
  parts.status = status;
  parts.reason = command.reason;
  parts.product = config_.product;
  parts.trace_id = *leg.owner.trace_id;
  parts.extra = &extra;
  server_.answer(leg.invite, status, std::make_shared<const std::string>(make_response(parts, leg.stem)), now);
  finish(leg, core::EndCause::Rejected, status, command.reason, now);
}

}  // namespace ifgw::sip
