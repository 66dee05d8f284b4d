// Calls that turn out to be heavy: their legs move to a worker that is set apart for these ([media] heavy_workers). Whether they
// are, the called party's answer tells, or a re-negotiation; by then the parties know their ports, which stay.
//
// A move begins when no other media request of the call is under way, and what is asked for meanwhile waits for its end.
#include "controlplane/core/calls.h"

namespace ifgw::core {

bool Calls::must_move(const Call& call) const {
  const api::Codec a = call.side(Party::Caller).agreed.codec;
  const api::Codec b = call.side(Party::Callee).agreed.codec;
  if (a == api::Codec::None || b == api::Codec::None) return false;
  return !ports_.media.carries(call.worker, ports_.media.weight(a, b));
}

// True: whatever was to be asked of the dataplane about the call's legs is asked for in the end, or the call has ended.
bool Calls::waits_for_move(Call& call, Instant now) {
  if (call.move != MovePhase::None) return true;
  if (!must_move(call)) return false;
  call.move = MovePhase::Wanted;
  begin_move(call, now);
  return true;
}

// As soon as nothing else is under way.
void Calls::begin_move(Call& call, Instant now) {
  if (call.move != MovePhase::Wanted || call.media_requests != 0 || is_ending(call.state)) return;
  const Side& caller = call.side(Party::Caller);
  const Side& callee = call.side(Party::Callee);
  if (!must_move(call)) return resume(call, now);  // it was negotiated anew meanwhile
  const std::uint8_t worker = ports_.media.choose_worker(CallWeight::Heavy);
  if (!ports_.media.has_headroom(worker, caller.agreed.codec, callee.agreed.codec))
    return fail_move(call, MediaStatus::NoHeadroom, worker, now);
  call.move = MovePhase::UnderWay;
  ++call.media_requests;
  ports_.media.move_legs(open_request({call.id, Party::Caller, RequestKind::Move, caller.media}), worker, caller.media, callee.media);
}

void Calls::done_move(Call* call, const MediaDone& e, Instant now) {
  const bool moved = e.leg.present() && e.other.present() && (e.status == MediaStatus::Ok || e.status == MediaStatus::NoTranscoder);
  if (call == nullptr) {
    if (!moved) return;
    for (const api::LegId leg : {e.leg, e.other}) {
      ++statistics_.orphans_removed;
      request_remove({0, Party::Caller, RequestKind::Remove, leg});
    }
    return;
  }
  if (moved) take_moved(*call, e, now);
  call->move = MovePhase::None;
  if (is_ending(call->state)) {
    if (moved)
      for (const Party party : {Party::Caller, Party::Callee}) remove_side(*call, party);
    return;
  }
  if (e.status == MediaStatus::Ok) return resume(*call, now);
  fail_move(*call, e.status, call->worker, now);
}

void Calls::take_moved(Call& call, const MediaDone& e, Instant now) {
  const std::uint8_t before = call.worker;
  call.worker = e.leg.worker();
  for (const auto& [party, leg] : {std::pair{Party::Caller, e.leg}, std::pair{Party::Callee, e.other}}) {
    forget_media(call, party);
    call.side(party).media = leg;
    media_[leg.value] = LegRef{call.id, party};
  }
  (void)record(call, "MEDIA_MOVED", Severity::Info, LegKey{}, {{"from", std::to_string(before)}, {"to", std::to_string(call.worker)}}, now);
}

void Calls::resume(Call& call, Instant now) {
  call.move = MovePhase::None;
  if (!is_answered(call.state)) {
    send_bridge_requests(call, now);
    if (call.answered && call.bridge_requests == 0 && call.move == MovePhase::None) post(call, CallEvent::Bridged);
    return;
  }
  for (const Party party : {Party::Caller, Party::Callee}) {
    const bool answers = call.side(party).update_pending;
    if (!request_update(call, party, answers ? RequestKind::Renegotiate : RequestKind::Refresh, now) && answers)
      finish_renegotiation(call, party, now);
  }
}

// The legs are where they were. A party that wanted to change an answered call is told that it cannot, and the call goes on.
void Calls::fail_move(Call& call, MediaStatus status, std::uint8_t worker, Instant now) {
  call.move = MovePhase::None;
  bool goes_on = false;
  for (const Party party : {Party::Caller, Party::Callee}) {
    if (!call.side(party).update_pending || !is_passing(status)) continue;
    refuse_negotiated(call, party, status, now);
    goes_on = true;
  }
  if (goes_on) return resume(call, now);
  if (status != MediaStatus::NoHeadroom) return media_failed(call, Party::Caller, "move", status);
  call.refusal = no_headroom(call, worker);
  post(call, CallEvent::MediaFailed);
}

}  // namespace ifgw::core
