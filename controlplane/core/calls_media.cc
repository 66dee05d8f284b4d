// Media legs of calls: requests, their answers, events.
#include <unordered_set>
#include <vector>

#include "controlplane/core/calls.h"

namespace ifgw::core {
namespace {

constexpr Duration kRetryDelay = std::chrono::milliseconds{100};

}  // namespace

// 8 bytes of this process (two control planes never share one), 1 of the party, 7 of the call.
api::CallTag Calls::tag(std::uint64_t call, Party party) const noexcept {
  api::CallTag result{};
  const std::uint64_t instance = keyed_hash(0x7461'67, key_);
  std::memcpy(result.data(), &instance, sizeof instance);
  const std::uint64_t rest = call << 8 | static_cast<std::uint64_t>(party);
  std::memcpy(result.data() + sizeof instance, &rest, sizeof rest);
  return result;
}

MediaRequestId Calls::open_request(const Request& request) {
  const MediaRequestId id = next_request_++;
  requests_.emplace(id, request);
  return id;
}

void Calls::request_add(Call& call, Party party, std::uint8_t local_address) {
  api::AddLeg leg;
  leg.tag = tag(call.id, party);
  leg.local_address = local_address;
  leg.media = media_params(call, party);
  call.side(party).params = leg.media;
  ++call.media_requests;
  ports_.media.add_leg(open_request({call.id, party, RequestKind::Add, {}}), call.worker, leg);
}

// False when the dataplane has these parameters already, so that no answer will come.
bool Calls::request_update(Call& call, Party party, RequestKind kind, Instant now) {
  Side& side = call.side(party);
  const api::MediaParams params = media_params(call, party);
  if (!side.media.present() || params == side.params) return false;
  if (waits_for_move(call, now)) return true;
  side.params = params;
  ++call.media_requests;
  ports_.media.update_leg(open_request({call.id, party, kind, side.media}), side.media, params);
  return true;
}

void Calls::request_remove(const Request& request) { ports_.media.remove_leg(open_request(request), request.leg); }

void Calls::remove_side(Call& call, Party party) {
  if (!call.side(party).media.present()) return;
  ++call.media_requests;
  request_remove({call.id, party, RequestKind::Remove, call.side(party).media});
}

void Calls::forget_media(Call& call, Party party) {
  media_.erase(call.side(party).media.value);
  call.side(party).media = api::LegId{};
}

void Calls::media_failed(Call& call, Party party, std::string_view what, MediaStatus status) {
  const int sip_status = status == MediaStatus::InvalidArgument ? 500 : 503;
  if (status == MediaStatus::NoHeadroom) {
    call.refusal = no_headroom(call, call.worker);
    return post(call, CallEvent::MediaFailed);
  }
  call.refusal = Refusal{sip_status,
                         "media",
                         std::string{what} + "-failed",
                         std::string{name(status)},
                         std::string{name(party)} + " leg",
                         status == MediaStatus::TableFull || status == MediaStatus::PortsExhausted
                             ? "wait for calls to end, or raise the dataplane's number of legs"
                             : "see ifgw status",
                         sip_status == 503 ? call.settings->limits.retry_after_s : 0};
  post(call, CallEvent::MediaFailed);
}

void Calls::check_clear(Call& call) {
  const bool clearing = call.state == CallState::Disconnecting || call.state == CallState::Error;
  if (clearing && call.clear()) post(call, CallEvent::Cleared);
}

// ---- answers -----------------------------------------------------------------------------------------------------

void Calls::on(const MediaDone& e, Instant now) {
  const auto it = requests_.find(e.request);
  if (it == requests_.end()) return;
  const Request request = it->second;
  requests_.erase(it);
  Call* call = by_id(request.call);
  if (request.kind == RequestKind::Remove) return done_remove(call, request, e, now);
  if (request.kind == RequestKind::Adopt) {
    if (e.status == MediaStatus::Overloaded || e.status == MediaStatus::Lost) retry_later(request, now);
    return;
  }
  if (call != nullptr) --call->media_requests;
  if (request.kind == RequestKind::Add) {
    done_add(call, request, e);
  } else if (request.kind == RequestKind::Move) {
    done_move(call, e, now);
  } else if (call != nullptr) {
    done_update(*call, request, e, now);
  }
  if (call == nullptr) return;
  begin_move(*call, now);
  check_clear(*call);
}

void Calls::done_add(Call* call, const Request& request, const MediaDone& e) {
  const bool wanted = call != nullptr && !is_ending(call->state);
  if (e.status != MediaStatus::Ok) {
    if (wanted) media_failed(*call, request.party, "allocation", e.status);
    return;
  }
  if (call == nullptr) {
    ++statistics_.orphans_removed;
    return request_remove({0, request.party, RequestKind::Remove, e.leg});
  }
  Side& side = call->side(request.party);
  side.media = e.leg;
  side.local = e.local;
  side.advertised = e.local;
  for (const auto& [local, advertised] : call->settings->media.advertised) {
    if (local == e.local.ip) side.advertised.ip = advertised;
  }
  media_[e.leg.value] = LegRef{call->id, request.party};
  if (!wanted) return remove_side(*call, request.party);
  if (call->side(other(request.party)).media.present()) post(*call, CallEvent::MediaReady);
}

void Calls::done_update(Call& call, const Request& request, const MediaDone& e, Instant now) {
  if (request.kind == RequestKind::Bridge) --call.bridge_requests;
  if (is_ending(call.state)) return;
  if (e.status == MediaStatus::Ok) {
    if (request.kind == RequestKind::Bridge && call.bridge_requests == 0 && call.answered && !is_answered(call.state) &&
        call.move == MovePhase::None)
      post(call, CallEvent::Bridged);
    if (request.kind == RequestKind::Renegotiate) finish_renegotiation(call, request.party, now);
    return;
  }
  if (e.status == MediaStatus::Overloaded && request.kind == RequestKind::Refresh) return retry_later(request, now);
  Side& side = call.side(request.party);
  if (request.kind == RequestKind::Renegotiate && (e.status == MediaStatus::NoTranscoder || is_passing(e.status))) {
    refuse_negotiated(call, request.party, e.status, now);
    side.params = media_params(call, request.party);  // the dataplane kept what it had
    return;
  }
  media_failed(call, request.party, "update", e.status);
}

// What another moment may allow. What was asked for did not happen.
bool Calls::is_passing(MediaStatus status) noexcept {
  return status == MediaStatus::NoHeadroom || status == MediaStatus::Overloaded || status == MediaStatus::TableFull ||
         status == MediaStatus::PortsExhausted;
}

// What the party offered is not to be had: what was agreed before holds.
void Calls::refuse_negotiated(Call& call, Party party, MediaStatus status, Instant now) {
  Side& side = call.side(party);
  side.agreed = side.agreed_before;
  settle_asked(call, party);
  side.wish = side.wish_before;
  side.update_pending = false;
  const int sip_status = status == MediaStatus::NoTranscoder ? 488 : 503;
  refuse_update(call, party,
                Refusal{sip_status, "media", "update-failed", std::string{name(status)}, "", "try again, or offer another codec", 0}, now);
}

void Calls::retry_later(const Request& request, Instant now) {
  retries_.push_back(request);
  if (retry_at_ == kNever) retry_at_ = now + kRetryDelay;
}

void Calls::done_remove(Call* call, const Request& request, const MediaDone& e, Instant now) {
  if (e.status == MediaStatus::Overloaded || e.status == MediaStatus::Lost) {  // a second removal of the same leg is harmless
    return retry_later(request, now);
  }
  media_.erase(request.leg.value);
  if (call == nullptr) return;
  --call->media_requests;
  if (call->side(request.party).media == request.leg) forget_media(*call, request.party);
  check_clear(*call);
}

// ---- events ------------------------------------------------------------------------------------------------------

void Calls::on(const MediaFirstPacket& e, Instant now) {
  Party party{};
  const Call* call = call_of(e.leg, &party);
  if (call == nullptr) return;
  (void)record(*call, "MEDIA_STARTED", Severity::Info, call->side(party).leg,
               {{"party", std::string{name(party)}}, {"source", e.source.text()}}, now);
}

void Calls::on(const MediaTimedOut& e, Instant now) {
  const auto ref = media_.find(e.leg.value);
  if (ref != media_.end()) {
    if (Call* call = by_id(ref->second.call)) post(*call, CallEvent::MediaSilent, Input{.party = ref->second.party});
    return;
  }
  note_silence(e.leg, now);
}

void Calls::on(const MediaAddressChanged& e, Instant now) {
  Party party{};
  const Call* call = call_of(e.leg, &party);
  if (call == nullptr) return;
  (void)record(*call, "MEDIA_ADDRESS_CHANGED", Severity::Warn, call->side(party).leg,
               {{"party", std::string{name(party)}}, {"before", e.before.text()}, {"after", e.after.text()}}, now);
}

void Calls::on(const MediaUnreachable& e, Instant now) {
  Party party{};
  const Call* call = call_of(e.leg, &party);
  if (call == nullptr) return;
  Details details{{"party", std::string{name(party)}},
                  {"remote", e.remote.text()},
                  {"reporter", e.reporter.text()},
                  {"cause", std::string{name(e.cause)}}};
  if (e.mtu != 0) details.emplace_back("mtu", std::to_string(e.mtu));
  (void)record(*call, "MEDIA_UNREACHABLE", Severity::Warn, call->side(party).leg, details, now);
}

void Calls::on(const MediaAttached& e, Instant now) {
  for (const api::LegInfo& leg : e.legs) {
    if (media_.contains(leg.id.value)) continue;
    if (is_own(leg)) {  // ours, of a call that ended when we lost the dataplane
      ++statistics_.orphans_removed;
      request_remove({0, Party::Caller, RequestKind::Remove, leg.id});
    } else {
      adopt(leg, now);
    }
  }
  // No timeout is reported for a leg that receives nothing by agreement; where both do not, nobody can take them off hold.
  for (const api::LegInfo& leg : e.legs) {
    if (leg.media.receive == 0) remove_silent_pair(leg.id, now);
  }
}

void Calls::on(const MediaDetached&, Instant now) {
  while (!adopted_.empty()) forget_adopted(adopted_.begin()->second.info.id, "dataplane-lost", now);
  retries_.clear();
  retry_at_ = kNever;
  media_.clear();
  for (auto& [id, call] : calls_) {
    for (Side& side : call->sides) side.media = api::LegId{};
    // Removals that waited for a retry were dropped with the retries; no other request is under way.
    call->media_requests = 0;
    if (!is_ending(call->state)) {
      call->refusal =
          Refusal{503, "media", "dataplane-lost", "the dataplane went away", "", "see ifgw status", call->settings->limits.retry_after_s};
      post(*call, CallEvent::MediaLost);
    }
    check_clear(*call);
  }
}

// Events were lost. Whatever the table no longer shows is gone; what it shows and nobody owns is removed.
void Calls::on(const MediaResync& e, Instant now) {
  std::unordered_set<std::uint64_t> present;
  for (const api::LegInfo& leg : e.legs) present.insert(leg.id.value);
  for (auto& [id, call] : calls_) {
    for (const Party party : {Party::Caller, Party::Callee}) {
      const api::LegId leg = call->side(party).media;
      if (!leg.present() || present.contains(leg.value) || call->move == MovePhase::UnderWay) continue;
      forget_media(*call, party);
      if (is_ending(call->state)) continue;
      call->refusal = Refusal{
          503, "media", "leg-lost", std::string{name(party)} + " leg", "", "see ifgw drops show", call->settings->limits.retry_after_s};
      post(*call, CallEvent::MediaLost);
    }
    check_clear(*call);
  }
  std::vector<api::LegId> gone;
  for (const auto& [id, adopted] : adopted_) {
    if (!present.contains(id)) gone.push_back(adopted.info.id);
  }
  for (const api::LegId leg : gone) forget_adopted(leg, "leg-lost", now);
  for (const api::LegInfo& leg : e.legs) {
    if (!is_own(leg) || media_.contains(leg.id.value)) continue;
    std::uint64_t rest = 0;
    std::memcpy(&rest, leg.tag.data() + 8, sizeof rest);
    const Call* call = find(rest >> 8);
    if (call != nullptr && call->media_requests != 0) continue;  // its answer may be on the way
    ++statistics_.orphans_removed;
    request_remove({0, Party::Caller, RequestKind::Remove, leg.id});
  }
}

}  // namespace ifgw::core
