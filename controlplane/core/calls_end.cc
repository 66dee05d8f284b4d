// Every way a call ends, what each party is told, and what is written down.
#include "controlplane/core/calls.h"

namespace ifgw::core {
namespace {

// Layers that are core's own; every other name is one of the guard's, so its refusal is a security event.
bool is_core_layer(std::string_view layer) noexcept {
  for (const std::string_view own : {"admission", "route", "negotiation", "media", "witness", "callee", "timer", "operator"}) {
    if (layer == own) return true;
  }
  return false;
}

// What the calling party is told when the called party's leg ended before an answer.
int status_for_caller(EndCause cause, int status) noexcept {
  switch (cause) {
    case EndCause::TimedOut: return 408;
    case EndCause::Transport: return 503;
    case EndCause::Bye:
    case EndCause::Cancelled: return 480;
    case EndCause::Rejected: break;
  }
  if (status == 401 || status == 407) return 502;  // the callee challenges the gateway, which has no account there
  if (status == 481 || status < 300) return 500;
  if (status < 400) return 480;  // redirections are not followed
  return status <= 699 ? status : 500;
}

std::string_view cause_text(EndCause cause) noexcept {
  switch (cause) {
    case EndCause::Bye: return "hung up";
    case EndCause::Cancelled: return "cancelled";
    case EndCause::Rejected: return "refused";
    case EndCause::TimedOut: return "did not answer in time";
    case EndCause::Transport: return "could not be reached";
  }
  return "ended";
}

}  // namespace

bool Calls::record(const Call& call, std::string_view event, Severity severity, LegKey leg, Details details, Instant now) {
  AuditRecord record;
  record.event = event;
  record.severity = severity;
  record.trace_id = call.trace_id;
  record.call = call.id;
  record.leg = leg.value;
  record.security = &call.security;
  record.details = std::move(details);
  const bool kept = ports_.witness.record(record, now);
  if (!kept) ++statistics_.records_lost;
  return kept;
}

void Calls::add_refusal(Details& details, const Refusal& r) {
  details.emplace_back("status", std::to_string(r.status));
  details.emplace_back("layer", r.layer);
  details.emplace_back("rule", r.rule);
  details.emplace_back("observed", r.observed);
  details.emplace_back("limit", r.limit);
  details.emplace_back("remedy", r.remedy);
}

bool Calls::record_termination(Call& call, Details details, Instant now) {
  details.emplace_back("end", call.end_text);
  if (call.connected_at != Instant{}) {
    details.emplace_back("duration_ms", std::to_string((now - call.connected_at) / std::chrono::milliseconds{1}));
    for (const Party party : {Party::Caller, Party::Callee}) {
      if (ports_.view == nullptr) break;
      const auto leg = ports_.view->leg(call.side(party).media);
      if (!leg) continue;
      const bool caller = party == Party::Caller;
      details.emplace_back(caller ? "caller_rx_packets" : "callee_rx_packets", std::to_string(leg->rx_packets));
      details.emplace_back(caller ? "caller_tx_packets" : "callee_tx_packets", std::to_string(leg->tx_packets));
      details.emplace_back(caller ? "caller_lost" : "callee_lost",
                           std::to_string(leg->expected > leg->rx_packets ? leg->expected - leg->rx_packets : 0));
    }
  }
  return record(call, "TERMINATED", Severity::Info, LegKey{}, std::move(details), now);
}

// One reason per call: the layer that refused it, or made it fail.
void Calls::count_refusal(const Refusal& r) {
  if (r.layer == "admission") {
    ++statistics_.refused_admission;
  } else if (r.layer == "route") {
    ++statistics_.refused_route;
  } else if (r.layer == "negotiation") {
    ++statistics_.refused_negotiation;
  } else if (r.layer == "media") {
    ++statistics_.refused_media;
  } else if (r.layer == "witness") {
    ++statistics_.refused_witness;
  } else {
    ++statistics_.refused_policy;
  }
}

// Signalling legs are told to end, media legs to go. Status, reason and Retry-After reach an unanswered caller.
void Calls::clear_legs(Call& call, const Refusal& r) {
  for (const Party party : {Party::Caller, Party::Callee}) {
    if (call.side(party).signalling) commands_.push_back(EndLeg{call.side(party).leg, r.status, r.phrase_for(party), r.retry_after_s});
    remove_side(call, party);
  }
}

// What cannot be, of our own or the guard's accord; an answered call ends with it.
void Calls::refuse(Call& call, Instant now) {
  const Refusal& r = *call.refusal;
  count_refusal(r);
  if (call.connected_at != Instant{}) return end_with(call, r, now);
  call.end_text = r.phrase();
  Details details{{"from", call.from}, {"target", call.target}};
  add_refusal(details, r);
  const bool security = !is_core_layer(r.layer);
  (void)record(call, security ? "SECURITY_REJECTED" : "REJECTED", security ? Severity::Alert : Severity::Warn, call.side(Party::Caller).leg,
               std::move(details), now);
  clear_legs(call, r);
}

void Calls::end_by_party(Call& call, Party party, const Input& input, Instant now) {
  call.end_text = std::string{name(party)} + " " + std::string{cause_text(input.cause)};
  if (input.status != 0) call.end_text += " (" + std::to_string(input.status) + ")";
  const std::string told = call.end_text;
  if (!input.text->empty()) call.end_text += ": " + input.text->substr(0, 120);
  Refusal refusal{480, "callee", "callee-ended", call.end_text, "", "ask the called party", 0, told, party};
  if (call.connected_at == Instant{} && party == Party::Callee) {
    ++statistics_.failed_callee;
    refusal.status = status_for_caller(input.cause, input.status);
    call.refusal = refusal;
    Details details{{"from", call.from}, {"target", call.target}};
    add_refusal(details, *call.refusal);
    (void)record(call, "REJECTED", Severity::Info, call.side(Party::Callee).leg, std::move(details), now);
  } else {
    ++statistics_.ended_by_party;
    (void)record_termination(call, {{"by", std::string{name(party)}}}, now);
  }
  clear_legs(call, refusal);
}

// A failure of ours or of the media plane. `refusal` says which.
void Calls::fail(Call& call, Instant now) {
  const Refusal& r = *call.refusal;
  count_refusal(r);
  call.end_text = r.phrase();
  Details details;
  add_refusal(details, r);
  (void)record(call, "BRIDGE_ERROR", Severity::Alert, LegKey{}, std::move(details), now);
  if (call.connected_at != Instant{}) (void)record_termination(call, {{"by", "gateway"}}, now);
  clear_legs(call, r);
}

void Calls::end_timed_out(Call& call, Instant now) {
  ++statistics_.ended_by_timer;
  const CallTimers& timers = call.settings->timers;
  const auto seconds = [](Duration d) { return std::to_string(d / std::chrono::seconds{1}) + " s"; };
  if (call.answered) {
    return end_with(call,
                    Refusal{504, "timer", "bridge-timeout", "the dataplane did not join the legs", "within " + seconds(timers.bridge),
                            "see ifgw status", 0},
                    now);
  }
  if (call.side(Party::Callee).leg.value != 0) {
    return end_with(call,
                    Refusal{480, "timer", "no-answer", "the called party did not answer", "within " + seconds(timers.answer),
                            "raise [call] answer_timeout", 0},
                    now);
  }
  return end_with(call,
                  Refusal{504, "timer", "setup-timeout", "policy or media allocation took too long", "limit " + seconds(timers.setup),
                          "see ifgw status", 0},
                  now);
}

void Calls::end_with(Call& call, Refusal refusal, Instant now) {
  call.refusal = std::move(refusal);
  call.end_text = call.refusal->phrase();
  Details details{{"by", "gateway"}};
  add_refusal(details, *call.refusal);
  (void)record_termination(call, std::move(details), now);
  clear_legs(call, *call.refusal);
}

// A leg's end or a removal was never confirmed. Media legs that are left get removed without a call.
void Calls::force_clear(Call& call, Instant now) {
  ++statistics_.forced_clear;
  for (const Party party : {Party::Caller, Party::Callee}) {
    const api::LegId leg = call.side(party).media;
    if (leg.present()) request_remove({0, party, RequestKind::Remove, leg});
  }
  finish(call, now);
}

void Calls::finish(Call& call, Instant now) {
  if (ended_.size() == kEndedCalls) ended_.pop_front();
  EndedCall e;
  e.id = call.id;
  e.trace_id = call.trace_id;
  e.from = call.from;
  e.target = call.target.empty() ? call.request_uri : call.target;
  e.route = call.route == nullptr ? "" : call.route->id;
  e.ended_at = now;
  if (call.connected_at != Instant{}) {
    e.setup = call.connected_at - call.offered_at;
    e.duration = now - call.connected_at;
  }
  e.end_text = std::move(call.end_text);
  e.refusal = std::move(call.refusal);
  ended_.push_back(std::move(e));
}

}  // namespace ifgw::core
