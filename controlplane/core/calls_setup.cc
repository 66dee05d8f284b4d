// From the offer to the answer: admission, policy, media allocation, invitation, bridge.
#include <algorithm>

#include "controlplane/core/calls.h"
#include "controlplane/core/routing.h"
#include "controlplane/core/uri.h"

namespace ifgw::core {
namespace {

constexpr std::size_t kMaxHeaderValue = 512;
constexpr std::string_view kTraceHeader = "X-IF-Trace-ID";
// Those of a caller that reach the callee. Every other X-IF-* is ours to say and is stripped.
constexpr std::string_view kPassedHeaders[] = {"X-IF-Hazard", "X-IF-Signature"};

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

Refusal Calls::witness_refusal() {
  return Refusal{503,
                 "witness",
                 "record-not-kept",
                 "the audit record could not be written",
                 "every step is recorded",
                 "free space for the witness file ([witness] file)",
                 30};
}

// An answer of `author`'s that is of no use. What is in it is not for the other party.
Refusal Calls::of_answer(Refusal refusal, Party author) {
  refusal.told = std::string{author == Party::Caller ? "the calling" : "the called"} + " party's answer cannot be used";
  refusal.author = author;
  return refusal;
}

Refusal Calls::no_headroom(const Call& call, std::uint8_t worker) {
  return Refusal{503,
                 "media",
                 "no-headroom",
                 "worker " + std::to_string(worker) + " has no time left for these codecs",
                 "the load that calls may be promised (--max-load)",
                 "wait for calls to end, use codecs that need no transcoding, or add workers (ifgw core show)",
                 call.settings->limits.retry_after_s};
}

std::optional<Refusal> Calls::admit(Instant now) {
  const CallLimits& limits = settings_->limits;
  if (stopping_)
    return Refusal{503, "admission", "gateway-is-stopping", "", "", "call again when the gateway is back", limits.retry_after_s};
  if (calls_.size() >= limits.calls) {
    return Refusal{503,
                   "admission",
                   "max-calls",
                   std::to_string(calls_.size()) + " calls",
                   "limit " + std::to_string(limits.calls),
                   "wait for a call to end, or raise [limits] calls",
                   limits.retry_after_s};
  }
  if (limits.calls_per_second == 0) return std::nullopt;
  // GCRA with a burst of one second's worth: admit while the virtual clock is at most a second ahead.
  const Duration interval = std::chrono::nanoseconds{1'000'000'000 / limits.calls_per_second};
  const Instant base = std::max(rate_clock_, now);
  if (base + interval > now + std::chrono::seconds{1}) {
    return Refusal{503,
                   "admission",
                   "call-rate",
                   "",
                   "limit " + std::to_string(limits.calls_per_second) + " calls/s",
                   "call slower, or raise [limits] calls_per_second",
                   limits.retry_after_s};
  }
  rate_clock_ = base + interval;
  return std::nullopt;
}

// A call that was never made: recorded and refused, but not kept.
void Calls::refuse_offer(const LegOffered& e, const Refusal& refusal, Instant now) {
  AuditRecord record;
  record.event = "REJECTED";
  record.severity = Severity::Warn;
  record.trace_id = e.trace_id;
  record.leg = e.leg.value;
  record.security = &e.security;
  record.details = {{"from", e.from}, {"request_uri", e.request_uri}, {"call_id", e.call_id}};
  add_refusal(record.details, refusal);
  if (!ports_.witness.record(record, now)) ++statistics_.records_lost;
  commands_.push_back(EndLeg{e.leg, refusal.status, refusal.phrase(), refusal.retry_after_s});
}

void Calls::refuse_later(Call& call, Refusal refusal) {
  call.refusal = std::move(refusal);
  post(call, CallEvent::Refused);
}

std::optional<Refusal> Calls::pass_headers(const LegOffered& e, Call& call) const {
  call.headers.emplace_back(kTraceHeader, e.trace_id);
  for (const std::string_view wanted : kPassedHeaders) {
    bool seen = false;
    for (const auto& [header, value] : e.headers) {
      if (!same_name(header, wanted)) continue;
      if (seen) return Refusal{400, "admission", "duplicate-header", std::string{wanted}, "once", "send the header once", 0};
      if (value.size() > kMaxHeaderValue) {
        return Refusal{400,
                       "admission",
                       "oversized-header",
                       std::string{wanted} + " of " + std::to_string(value.size()) + " bytes",
                       "at most " + std::to_string(kMaxHeaderValue),
                       "shorten the header",
                       0};
      }
      seen = true;
      call.headers.emplace_back(wanted, value);
    }
  }
  return std::nullopt;
}

namespace {

// RFC 3261 section 26.2.2, RFC 5630: who calls a sips: URI wants TLS on every hop. Not 416: it asks for the
// same again by sip:, in clear (RFC 3261 section 8.1.3.5).
std::optional<Refusal> insecure_sips(const LegOffered& e, const Route& route) {
  const auto uri = split_uri(e.request_uri);
  if (!uri || uri->scheme.size() != std::string_view{"sips"}.size()) return std::nullopt;
  Refusal refusal{403, "route", "sips-needs-tls", "", "TLS on every hop", "", 0};
  if (e.security.transport != "tls") {
    refusal.observed = "came over " + e.security.transport;
    refusal.remedy = "call over TLS, or call a sip: URI";
    return refusal;
  }
  if (route.transport == "tls") return std::nullopt;
  refusal.observed = "route " + route.id + " goes on over " + route.transport;
  refusal.remedy = "set transport = \"tls\" in the route, or call a sip: URI";
  refusal.told = "sips needs tls: the way on has none";
  return refusal;
}

}  // namespace

void Calls::ask_guard(Call& call, const LegOffered& e, Instant now) {
  call.route = find_route(call.settings->routes, call.request_uri);
  const std::string route = call.route == nullptr ? "" : call.route->id;
  if (!record(call, "INVITE", Severity::Info, e.leg,
              {{"direction", "in"},
               {"from", call.from},
               {"to", call.to},
               {"request_uri", call.request_uri},
               {"call_id", call.sip_call_id},
               {"route", route}},
              now)) {
    return refuse_later(call, witness_refusal());
  }
  if (auto refusal = pass_headers(e, call)) return refuse_later(call, std::move(*refusal));
  if (call.route == nullptr) {
    return refuse_later(call, Refusal{404, "route", "no-route", call.request_uri.substr(0, 120), "no [[route]] matches",
                                      "add a route for that user and host", 0});
  }
  if (auto refusal = insecure_sips(e, *call.route)) return refuse_later(call, std::move(*refusal));
  call.target = target_uri(*call.route, call.request_uri);
  ports_.guard.decide(CallRequest{call.id, e, call.route->id, call.target}, now);
}

std::optional<std::uint8_t> Calls::local_address(const Call& call, Party party) const {
  const std::vector<IpAddress>& addresses = ports_.media.local_addresses();
  const SideSettings& side = party == Party::Caller ? call.route->caller : call.route->callee;
  const IpAddress near = party == Party::Caller        ? call.security.local.ip
                         : call.route->local.present() ? call.route->local.ip
                                                       : call.route->next_hop.ip;
  const auto index_where = [&](auto&& fits) -> std::optional<std::uint8_t> {
    const auto it = std::find_if(addresses.begin(), addresses.end(), fits);
    if (it == addresses.end()) return std::nullopt;
    return static_cast<std::uint8_t>(it - addresses.begin());
  };
  if (side.media_address) return index_where([&](const IpAddress& a) { return a == *side.media_address; });
  if (auto same = index_where([&](const IpAddress& a) { return a == near; })) return same;
  return index_where([&](const IpAddress& a) { return a.family == near.family; });
}

void Calls::allocate_media(Call& call, Instant) {
  if (!ports_.media.attached()) {
    return refuse_later(call, Refusal{503, "media", "no-dataplane", "no dataplane is attached", "", "start ifgw-dataplane (ifgw status)",
                                      call.settings->limits.retry_after_s});
  }
  call.late_offer = call.offer.empty();
  const auto near = local_address(call, Party::Caller);
  const auto far = local_address(call, Party::Callee);
  Side& caller = call.side(Party::Caller);
  if (!call.late_offer) {
    const std::vector<IpAddress>& ours = ports_.media.local_addresses();
    const MediaPath path{near ? ours[*near].family : IpFamily::None, ours, call.settings->media.advertised};
    Negotiated outcome = read_offer(call.offer, codecs(call, Party::Caller), path);
    if (auto* refused = std::get_if<Refusal>(&outcome)) return refuse_later(call, std::move(*refused));
    auto& understood = std::get<Understood>(outcome);
    caller.agreed = understood.agreement;
    caller.wish = understood.agreement.direction;
    caller.layout = std::move(understood.layout);
    caller.numbers.note(understood.said);
    call.offer = std::string{};
  }
  if (codecs(call, Party::Callee).empty() || codecs(call, Party::Caller).empty()) {
    return refuse_later(call, Refusal{488, "media", "codec-unavailable", "route " + call.route->id, "the dataplane runs none of its codecs",
                                      "change the route's codecs (ifgw status)", 0, "the gateway runs none of the codecs for this call"});
  }
  if (!near || !far) {
    return refuse_later(call, Refusal{500, "media", "no-media-address", "route " + call.route->id, "no dataplane address fits",
                                      "set media_address of the route to one of the dataplane's (ifgw status)", 0,
                                      "the gateway has no media address for this call"});
  }
  // Which codec the callee takes is not known yet, nor the caller's after a late offer. Where it can only become a heavy call it
  // need not move later; when no codec fits, no phone need ring.
  const std::vector<api::Codec> far_codecs = codecs(call, Party::Callee);
  const std::vector<api::Codec> near_codecs = call.late_offer ? codecs(call, Party::Caller) : std::vector{caller.agreed.codec};
  const auto any = [&](const auto& fits) {
    return std::any_of(near_codecs.begin(), near_codecs.end(), [&](api::Codec near_codec) {
      return std::any_of(far_codecs.begin(), far_codecs.end(), [&](api::Codec far_codec) { return fits(near_codec, far_codec); });
    });
  };
  const bool may_be_light = any([&](api::Codec a, api::Codec b) { return ports_.media.weight(a, b) == CallWeight::Light; });
  call.worker = ports_.media.choose_worker(may_be_light ? CallWeight::Light : CallWeight::Heavy);
  const auto fits = [&](api::Codec a, api::Codec b) {
    const CallWeight weight = ports_.media.weight(a, b);
    const bool here = ports_.media.carries(call.worker, weight);
    return ports_.media.has_headroom(here ? call.worker : ports_.media.choose_worker(weight), a, b);
  };
  if (!any(fits)) return refuse_later(call, no_headroom(call, call.worker));
  request_add(call, Party::Caller, *near);
  request_add(call, Party::Callee, *far);
}

void Calls::offer_callee(Call& call, Instant now) {
  const bool telephone_event = call.late_offer || call.side(Party::Caller).agreed.sent.telephone_event != api::kNoPayloadType;
  Side& callee = call.side(Party::Callee);
  OfferLeg offer;
  offer.leg = ports_.next_leg();
  if (!record(
          call, "INVITE", Severity::Info, offer.leg,
          {{"direction", "out"}, {"target", call.target}, {"next_hop", call.route->next_hop.text()}, {"transport", call.route->transport}},
          now)) {
    return refuse_later(call, witness_refusal());
  }
  offer.trace_id = call.trace_id;
  offer.request_uri = call.target;
  offer.from = call.from;
  offer.from_display = call.from_display;
  offer.to = call.target;
  offer.next_hop = call.route->next_hop;
  offer.local = call.route->local;
  offer.max_forwards = call.max_forwards;
  offer.transport = call.route->transport;
  offer.headers = std::move(call.headers);
  call.headers = Headers{};
  callee.told = our_direction(call, Party::Callee);
  callee.version = 1;
  callee.asked = asked_of(call, Party::Callee);
  const Agreement& caller = call.side(Party::Caller).agreed;
  callee.noise_told = call.settings->media.comfort_noise && caller.sent.comfort_noise != api::kNoPayloadType;
  const Description d{callee.advertised, callee.session_id, callee.version, callee.told, caller.ptime_ms, callee.asked, callee.noise_told};
  offer.sdp = describe_offer(d, callee.layout, codecs(call, Party::Callee), telephone_event, callee.numbers);
  // A backstop: core's own timer, which also covers the bridge, ends the leg first.
  offer.answer_timeout = call.settings->timers.answer + std::chrono::seconds{5};
  open_leg(call, Party::Callee, offer.leg);
  call.state_deadline = now + call.settings->timers.answer;
  commands_.push_back(std::move(offer));
}

std::optional<Refusal> Calls::take_callee_answer(Call& call, const std::string& sdp) {
  Side& callee = call.side(Party::Callee);
  if (sdp.empty()) {
    if (callee.agreed.codec != api::Codec::None) return std::nullopt;  // it came with a provisional response
    return Refusal{488, "negotiation", "answer-without-sdp", "", "an answer to our offer (RFC 3264)", "answer the offer", 0};
  }
  Negotiated outcome =
      read_answer(sdp, codecs(call, Party::Callee), callee.layout, media_path(call, Party::Callee), nullptr, callee.numbers);
  if (auto* refused = std::get_if<Refusal>(&outcome)) return std::move(*refused);
  const auto& understood = std::get<Understood>(outcome);
  callee.agreed = understood.agreement;
  callee.numbers.note(understood.said);
  if (callee.told == Direction::SendRecv) callee.wish = callee.agreed.direction;
  return std::nullopt;
}

// Both legs as agreed now, and joined; in order on one worker, so nothing needs to wait in between.
void Calls::send_bridge_requests(Call& call, Instant now) {
  settle_asked(call, Party::Caller);
  if (waits_for_move(call, now)) return;
  for (const Party party : {Party::Callee, Party::Caller}) {
    if (request_update(call, party, RequestKind::Bridge, now)) ++call.bridge_requests;
  }
  if (call.joined) return;
  call.joined = true;
  ++call.bridge_requests;
  ++call.media_requests;
  const api::LegId caller = call.side(Party::Caller).media;
  ports_.media.join_legs(open_request({call.id, Party::Caller, RequestKind::Bridge, caller}), caller, call.side(Party::Callee).media);
}

void Calls::ring(Call& call, const Input& input, Instant now) {
  if (!record(call, "RINGING", Severity::Info, call.side(Party::Callee).leg, {{"status", std::to_string(input.status)}}, now)) {
    return refuse_later(call, witness_refusal());
  }
  RingLeg command{call.side(Party::Caller).leg, input.status, ""};
  // Early media. An SDP we cannot use here is not fatal: the final answer decides.
  if (!input.sdp->empty() && !take_callee_answer(call, *input.sdp) && !call.late_offer) {
    send_bridge_requests(call, now);
    command.status = 183;
    command.sdp = description(call, Party::Caller, false);
  }
  commands_.push_back(std::move(command));
}

void Calls::bridge(Call& call, const Input& input, Instant now) {
  if (call.answered) return;
  if (auto refusal = take_callee_answer(call, *input.sdp)) {
    refusal->status = 502;  // the caller did nothing wrong
    return refuse_later(call, of_answer(std::move(*refusal), Party::Callee));
  }
  call.answered = true;
  call.state_deadline = now + call.settings->timers.bridge;
  send_bridge_requests(call, now);
  if (call.bridge_requests == 0 && call.move == MovePhase::None) post(call, CallEvent::Bridged);
}

void Calls::answer_caller(Call& call, Instant now) {
  const Side& caller = call.side(Party::Caller);
  const Side& callee = call.side(Party::Callee);
  const auto codec = [](const Side& s) {
    return s.agreed.codec == api::Codec::None ? std::string{"-"} : std::string{api::facts(s.agreed.codec).name};
  };
  const bool kept = record(call, "BRIDGE_ESTABLISHED", Severity::Info, callee.leg,
                           {{"caller_codec", codec(caller)},
                            {"callee_codec", codec(callee)},
                            {"caller_media", caller.agreed.remote.text()},
                            {"callee_media", callee.agreed.remote.text()},
                            {"worker", std::to_string(call.worker)}},
                           now) &&
                    record(call, "CONNECTED", Severity::Info, caller.leg,
                           {{"setup_ms", std::to_string((now - call.offered_at) / std::chrono::milliseconds{1})}}, now);
  if (!kept) return refuse_later(call, witness_refusal());
  call.connected_at = now;
  ++statistics_.connected;
  setup_times_->record(static_cast<std::uint64_t>((now - call.offered_at).count()), 1);
  call.side(Party::Caller).offer_pending = call.late_offer;
  commands_.push_back(AnswerLeg{caller.leg, description(call, Party::Caller, call.late_offer)});
  if (call.held()) post(call, CallEvent::Held);
  keep_to_one_codec(call, Party::Callee);
}

}  // namespace ifgw::core
