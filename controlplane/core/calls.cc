#include "controlplane/core/calls.h"

#include <algorithm>

namespace ifgw::core {

Calls::Calls(std::shared_ptr<const CallSettings> settings, CallPorts ports, const HashKey& key)
    : settings_(std::move(settings)), ports_(std::move(ports)), key_(key), setup_times_(std::make_unique<api::LatencyHistogram>()) {}

Calls::~Calls() = default;

// ---- inputs ------------------------------------------------------------------------------------------------------

void Calls::on_leg(const LegEvent& event, Instant now) {
  std::visit([&](const auto& e) { on(e, now); }, event);
  run(now);
}

void Calls::on_media(const MediaEvent& event, Instant now) {
  std::visit([&](const auto& e) { on(e, now); }, event);
  run(now);
}

void Calls::on_decision(std::uint64_t id, const Decision& decision, Instant now) {
  Call* call = by_id(id);
  if (call == nullptr) return;  // it ended while the guard was thinking
  if (call->state == CallState::Setup) {
    Details details{{"layer", decision.layer}, {"rule", decision.rule}, {"observed", decision.observed}, {"limit", decision.limit}};
    if (decision.allow) {
      if (record(*call, "POLICY_APPROVED", Severity::Info, call->side(Party::Caller).leg, std::move(details), now)) {
        post(*call, CallEvent::Allowed);
      } else {
        refuse_later(*call, witness_refusal());
      }
    } else {
      refuse_later(*call, Refusal{decision.status, decision.layer, decision.rule, decision.observed, decision.limit, decision.remedy,
                                  decision.retry_after_s});
    }
  }
  run(now);
}

void Calls::on_timer(Instant now) {
  if (retry_at_ <= now) {
    retry_at_ = kNever;
    std::vector<Request> retries;
    retries.swap(retries_);
    for (const Request& r : retries) {
      Call* call = by_id(r.call);
      if (r.kind == RequestKind::Remove) {
        request_remove(r);
      } else if (r.kind == RequestKind::Adopt) {
        if (const auto adopted = adopted_.find(r.leg.value); adopted != adopted_.end()) request_timeout(adopted->second.info);
      } else if (call != nullptr) {
        call->side(r.party).params = api::MediaParams{};  // what the dataplane has is not what was last asked for
        if (!is_ending(call->state)) (void)request_update(*call, r.party, RequestKind::Refresh, now);
      }
    }
  }
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    Call* call = by_id(deadlines_.begin()->second);
    IFGW_CHECK(call != nullptr);
    expire(*call, now);
    run(now);
  }
  run(now);
}

// One of the timers that are due.
void Calls::expire(Call& call, Instant now) {
  CallEvent event = CallEvent::OfferDue;
  Input input;
  if (call.duration_deadline <= now) {
    event = CallEvent::DurationReached;
    call.duration_deadline = kNever;
  } else if (call.state_deadline <= now) {
    event = CallEvent::TimerExpired;
    call.state_deadline = kNever;
  } else {
    input.party = call.side(Party::Caller).offer_due <= now ? Party::Caller : Party::Callee;
    call.side(input.party).offer_due = kNever;
  }
  reschedule(call);
  post(call, event, input);
}

Instant Calls::next_deadline() const noexcept {
  const Instant first = deadlines_.empty() ? kNever : deadlines_.begin()->first;
  return std::min(first, retry_at_);
}

bool Calls::kill(std::uint64_t id, const std::string& who, Instant now) {
  Call* call = by_id(id);
  if (call == nullptr) return false;
  if (!is_ending(call->state)) {
    call->refusal = Refusal{480, "operator", "ended-by-operator", who, "", "call again", 0, "ended by operator"};
    post(*call, CallEvent::Killed);
    run(now);
  }
  return true;
}

void Calls::stop(Instant now) {
  stopping_ = true;
  for (auto& [id, call] : calls_) {
    if (is_ending(call->state)) continue;
    call->refusal =
        Refusal{503, "operator", "gateway-is-stopping", "", "", "call again when the gateway is back", settings_->limits.retry_after_s};
    post(*call, CallEvent::Killed);
  }
  run(now);
}

std::vector<LegCommand> Calls::take_commands() {
  std::vector<LegCommand> commands;
  commands.swap(commands_);
  return commands;
}

void Calls::on(const LegOffered& e, Instant now) {
  ++statistics_.offered;
  if (auto refusal = admit(now)) {
    ++statistics_.refused_admission;
    refuse_offer(e, *refusal, now);
    return;
  }
  auto owned = std::make_unique<Call>();
  Call& call = *owned;
  call.id = next_call_++;
  call.trace_id = e.trace_id;
  call.settings = settings_;
  call.request_uri = e.request_uri;
  call.from = e.from;
  call.from_display = e.from_display;
  call.to = e.to;
  call.sip_call_id = e.call_id;
  call.max_forwards = e.max_forwards;
  call.offer = e.sdp;
  call.security = e.security;
  call.offered_at = now;
  for (const Party party : {Party::Caller, Party::Callee}) {
    call.side(party).session_id = keyed_hash(call.id * 2 + static_cast<std::uint64_t>(party), key_) >> 2;
  }
  calls_.emplace(call.id, std::move(owned));
  open_leg(call, Party::Caller, e.leg);
  post(call, CallEvent::Offered, Input{.offered = &e});
}

void Calls::on(const LegProgressed& e, Instant) {
  Party party{};
  Call* call = by_leg(e.leg, party);
  if (call != nullptr && party == Party::Callee)
    post(*call, CallEvent::Progressed, Input{.party = party, .sdp = &e.sdp, .status = e.status});
}

void Calls::on(const LegAnswered& e, Instant) {
  Party party{};
  Call* call = by_leg(e.leg, party);
  if (call != nullptr && party == Party::Callee) post(*call, CallEvent::Answered, Input{.party = party, .sdp = &e.sdp});
}

void Calls::on(const LegUpdated& e, Instant) {
  Party party{};
  Call* call = by_leg(e.leg, party);
  if (call != nullptr)
    post(*call, e.is_offer ? CallEvent::Reoffered : CallEvent::Reanswered,
         Input{.party = party, .sdp = &e.sdp, .status = e.status, .retry_after = e.retry_after});
}

void Calls::on(const LegEnded& e, Instant) {
  Party party{};
  Call* call = by_leg(e.leg, party);
  if (call == nullptr) return;
  legs_.erase(e.leg.value);
  call->side(party).signalling = false;
  post(*call, party == Party::Caller ? CallEvent::CallerEnded : CallEvent::CalleeEnded,
       Input{.party = party, .status = e.status, .cause = e.cause, .text = &e.reason});
}

// ---- the machine -------------------------------------------------------------------------------------------------

void Calls::post(Call& call, CallEvent event) { post(call, event, Input{}); }

void Calls::post(Call& call, CallEvent event, const Input& input) { posted_.push_back(Posted{call.id, event, input}); }

void Calls::run(Instant now) {
  if (running_) return;  // a decision from inside Guard::decide: the outer run carries on
  running_ = true;
  while (!posted_.empty()) {
    const Posted posted = posted_.front();
    posted_.pop_front();
    Call* call = by_id(posted.call);
    if (call == nullptr) continue;
    step(*call, posted.event, posted.input, now);
    check_clear(*call);
    if (call->state == CallState::Disconnected) erase(*call);
  }
  running_ = false;
}

void Calls::step(Call& call, CallEvent event, const Input& input, Instant now) {
  const Transition& t = transition(call.state, event);
  if (t.next) enter(call, *t.next, now);
  act(call, t.action, input, now);
  reschedule(call);
}

void Calls::enter(Call& call, CallState state, Instant now) {
  const CallState before = call.state;
  call.state = state;
  if (state == before) return;
  const CallTimers& timers = call.settings->timers;
  switch (state) {
    case CallState::Setup: call.state_deadline = now + timers.setup; break;
    case CallState::Ringing: break;  // the answer timer runs since the invitation
    case CallState::Connected:
    case CallState::Hold:
      call.state_deadline = kNever;
      if (!is_answered(before)) call.duration_deadline = now + timers.max_duration;
      break;
    case CallState::Disconnecting:
    case CallState::Error:
      call.stop_timers();
      call.state_deadline = now + timers.clear;
      break;
    case CallState::Idle:
    case CallState::Disconnected: call.stop_timers(); break;
  }
}

void Calls::act(Call& call, CallAction action, const Input& input, Instant now) {
  switch (action) {
    case CallAction::Ignore: return;
    case CallAction::Unexpected: ++statistics_.unexpected_events; return;
    case CallAction::AskGuard: return ask_guard(call, *input.offered, now);
    case CallAction::AllocateMedia: return allocate_media(call, now);
    case CallAction::Refuse: return refuse(call, now);
    case CallAction::OfferCallee: return offer_callee(call, now);
    case CallAction::Ring: return ring(call, input, now);
    case CallAction::Bridge: return bridge(call, input, now);
    case CallAction::AnswerCaller: return answer_caller(call, now);
    case CallAction::RefuseUpdate:
      return refuse_update(call, input.party,
                           Refusal{491, "negotiation", "call-not-answered-yet", "", "", "re-negotiate after the answer", 0}, now);
    case CallAction::Renegotiate: return renegotiate(call, input, now);
    case CallAction::TakeAnswer: return take_answer(call, input, now);
    case CallAction::OfferAgain: return offer_again(call, input.party, now);
    case CallAction::NoteHold: return note_hold(call, now);
    case CallAction::EndByCaller: return end_by_party(call, Party::Caller, input, now);
    case CallAction::EndByCallee: return end_by_party(call, Party::Callee, input, now);
    case CallAction::Fail: return fail(call, now);
    case CallAction::EndSilent:
      ++statistics_.ended_by_silence;
      return end_with(call,
                      Refusal{480, "media", "media-timeout", std::string{name(input.party)} + " sent no media",
                              "for " + std::to_string(call.settings->media.timeout / std::chrono::seconds{1}) + " s",
                              "check the path of that party's RTP (ifgw legs show)", 0},
                      now);
    case CallAction::EndTimedOut: return end_timed_out(call, now);
    case CallAction::EndDuration:
      ++statistics_.ended_by_timer;
      return end_with(
          call,
          Refusal{480, "timer", "max-duration", "", std::to_string(call.settings->timers.max_duration / std::chrono::seconds{1}) + " s",
                  "raise [call] max_duration", 0},
          now);
    case CallAction::End: ++statistics_.ended_by_operator; return end_with(call, *call.refusal, now);
    case CallAction::ForceClear: return force_clear(call, now);
    case CallAction::Finish: return finish(call, now);
  }
}

// ---- registry ----------------------------------------------------------------------------------------------------

Call* Calls::by_id(std::uint64_t id) noexcept {
  const auto it = calls_.find(id);
  return it == calls_.end() ? nullptr : it->second.get();
}

Call* Calls::by_leg(LegKey leg, Party& party) noexcept {
  const auto it = legs_.find(leg.value);
  if (it == legs_.end()) return nullptr;
  party = it->second.party;
  return by_id(it->second.call);
}

void Calls::open_leg(Call& call, Party party, LegKey leg) {
  call.side(party).leg = leg;
  call.side(party).signalling = true;
  legs_[leg.value] = LegRef{call.id, party};
}

void Calls::reschedule(Call& call) {
  const Instant wanted = call.deadline();
  if (wanted == call.scheduled) return;
  if (call.scheduled != kNever) deadlines_.erase({call.scheduled, call.id});
  if (wanted != kNever) deadlines_.emplace(wanted, call.id);
  call.scheduled = wanted;
}

void Calls::erase(Call& call) {
  call.stop_timers();
  reschedule(call);
  for (const Party party : {Party::Caller, Party::Callee}) {
    legs_.erase(call.side(party).leg.value);
    media_.erase(call.side(party).media.value);
  }
  calls_.erase(call.id);
}

const Call* Calls::find(std::uint64_t id) const noexcept {
  const auto it = calls_.find(id);
  return it == calls_.end() ? nullptr : it->second.get();
}

std::vector<const Call*> Calls::list(std::size_t limit) const {
  std::vector<const Call*> calls;
  calls.reserve(calls_.size());
  for (const auto& [id, call] : calls_) calls.push_back(call.get());
  std::sort(calls.begin(), calls.end(), [](const Call* a, const Call* b) { return a->id < b->id; });
  if (calls.size() > limit) calls.resize(limit);
  return calls;
}

const Call* Calls::call_of(api::LegId media, Party* party) const noexcept {
  const auto it = media_.find(media.value);
  if (it == media_.end()) return nullptr;
  if (party != nullptr) *party = it->second.party;
  return find(it->second.call);
}

}  // namespace ifgw::core
