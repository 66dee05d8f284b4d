// Time, transport failures and views.
#include <algorithm>

#include "controlplane/sip/user_agent_impl.h"

namespace ifgw::sip {

void UserAgent::Impl::on_timer(Instant now) {
  while (const SlotId id = legs_.pop_due(now)) on_leg_timer(*legs_.find(id), now);
  failures_.clear();
  client_.on_timer(now, failures_);
  // A failure may start new transactions, never new failures.
  for (const ClientFailure& failure : failures_) {
    ++statistics_.timeouts;
    on_client_failure(failure, core::EndCause::TimedOut, 408, "no answer from the party", now);
  }
  statistics_.ack_timeouts += server_.on_timer(now);
}

Instant UserAgent::Impl::next_deadline() const {
  return std::min({legs_.next_deadline(), client_.next_deadline(), server_.next_deadline()});
}

void UserAgent::Impl::on_leg_timer(Leg& leg, Instant now) {
  Repeated& repeated = leg.repeated;
  if (now >= repeated.give_up_at) {
    ++statistics_.ack_timeouts;
    leg.repeated = {};
    if (leg.state == LegState::Ending) return send_bye(leg, now);  // section 15: the wait for the ACK is over
    return hang_up(leg, core::EndCause::TimedOut, 408, "no ACK to the answer", now);
  }
  if (now >= leg.give_up_at && leg.ours != 0 && leg.state != LegState::Ending) {
    give_up_ours(leg, now);
  } else if (now >= leg.give_up_at) {
    leg.give_up_at = kNever;
    if (leg.state == LegState::Ending) {
      if (!leg.over) client_.drop(leg.invite);
      return finish(leg, leg.cause, leg.status, leg.reason, now);
    }
    leg.state = LegState::Ending;
    leg.cause = core::EndCause::TimedOut;
    leg.cancel_wanted = true;
    report_end(leg, core::EndCause::TimedOut, 408, "no answer in time");
    if (leg.provisional) return send_cancel(leg, leg.invite, now);
  }
  if (now >= repeated.resend_at) {
    // A 2xx at T1, doubling up to T2; a 1xx every minute, so that no proxy gives up (section 13.3.1.1).
    const bool final = repeated.unacknowledged();
    repeated.interval = final ? std::min(2 * repeated.interval, config_.timers.t2) : Duration(std::chrono::minutes(1));
    repeated.resend_at = now + repeated.interval;
    server_.answer(repeated.server, final ? 200 : 180, repeated.bytes, now);
  }
  if (now >= leg.retry_at) return update_retry(leg, now);
  rearm(leg);
}

// Sections 9.1 and 14.1: cancelled, it still has 64*T1 for its final answer: 487, or a 2xx that crossed the CANCEL and counts. Then
// nothing is waited for any more, and for core the offer was refused.
void UserAgent::Impl::give_up_ours(Leg& leg, Instant now) {
  leg.give_up_at = kNever;
  if (!leg.cancel_sent) return send_cancel(leg, leg.ours, now);
  ++statistics_.timeouts;
  client_.drop(leg.ours);
  end_ours(leg);
  outbox_.event(core::LegUpdated{leg.key, {}, false, 408, std::nullopt});
}

void UserAgent::Impl::update_retry(Leg& leg, Instant now) {
  leg.retry_at = kNever;
  if (leg.theirs.pending() || leg.repeated.unacknowledged() || leg.ack_held) {
    leg.retry_at = now + config_.timers.t1;
    return rearm(leg);
  }
  send_reinvite(leg, now);
}

// The party was faster than an offer of ours that waits to be sent: as after a 491, core decides what to offer after this one.
void UserAgent::Impl::withdraw_waiting_update(Leg& leg) {
  if (leg.retry_at == kNever) return;
  leg.retry_at = kNever;
  leg.ours_sdp.clear();
  rearm(leg);
  outbox_.event(core::LegUpdated{leg.key, {}, false, 491, glare_wait(leg)});
}

void UserAgent::Impl::on_send_failed(std::uint64_t ticket, Instant now) {
  ++statistics_.send_failures;
  ClientFailure failure;
  if (client_.on_send_failed(ticket, failure))
    on_client_failure(failure, core::EndCause::Transport, 503, "the party cannot be reached", now);
}

Occupancy UserAgent::Impl::occupancy() const { return {client_.size(), server_.size(), legs_.size(), setups_in_flight_}; }

std::vector<LegView> UserAgent::Impl::legs() {
  std::vector<LegView> out;
  out.reserve(legs_.size());
  legs_.for_each([&out](SlotId, const Leg& leg) {
    std::string_view state;
    switch (leg.state) {
      case LegState::Offered: state = leg.ringing ? "ringing" : "offered"; break;
      case LegState::Answered: state = "answered"; break;
      case LegState::Calling: state = leg.ringing ? "ringing" : "calling"; break;
      case LegState::Confirmed: state = "confirmed"; break;
      case LegState::Ending: state = "ending"; break;
    }
    out.push_back({leg.key, leg.is_uas, state, leg.dialog.call_id, *leg.owner.trace_id, leg.dialog.remote, leg.dialog.hop.transport,
                   leg.dialog.hop.destination});
  });
  return out;
}

}  // namespace ifgw::sip
