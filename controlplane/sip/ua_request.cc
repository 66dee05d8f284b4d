// Requests that begin something: checks of RFC 3261 section 8.2 in its order, new calls, OPTIONS, CANCEL.
#include <algorithm>
#include <array>

#include "controlplane/sip/text.h"
#include "controlplane/sip/user_agent_impl.h"

namespace ifgw::sip {
namespace {

constexpr std::array<std::string_view, 5> kHandled{"INVITE", "BYE", "CANCEL", "OPTIONS", "UPDATE"};
// Methods of the IANA registry that we know and do not offer: 405. Anything else is 501 (section 21.5.2).
constexpr std::array<std::string_view, 8> kKnown{"REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "REFER", "MESSAGE"};

template <std::size_t N>
bool one_of(const std::array<std::string_view, N>& list, std::string_view method) {
  return std::find(list.begin(), list.end(), method) != list.end();
}

}  // namespace

void UserAgent::Impl::on_checked_request(const Request& request, Instant now) {
  const PreScan& scan = request.scan;
  if (!one_of(kHandled, scan.method)) {
    ++statistics_.unsupported_requests;
    return refuse(request, {one_of(kKnown, scan.method) ? 405 : 501, {}, {}, true}, now);
  }
  if (uri_scheme(scan.request_uri) == Scheme::Other) {
    ++statistics_.unsupported_requests;
    return refuse(request, {416, {}, {}, false}, now);
  }
  const auto parsed = Message::parse(request.bytes, {config_.limits.header_value_bytes});
  if (!parsed) {
    ++statistics_.malformed_requests;
    return refuse(request, {400, parsed.error().message, {}, false}, now);
  }
  if (!scan.to_tag.empty()) return on_dialog_request(request, *parsed, now);
  if (server_.is_merged(scan)) {
    ++statistics_.merged_requests;
    return refuse(request, {482, {}, {}, false}, now);
  }
  if (const auto refusal = content_refusal(scan, *parsed)) {
    ++statistics_.unsupported_requests;
    return refuse(request, *refusal, now);
  }
  if (scan.method == "INVITE") return on_new_invite(request, *parsed, now);
  if (scan.method == "OPTIONS") return on_options(request, now);
  ++statistics_.outside_dialog;  // BYE, UPDATE without a dialog
  refuse(request, {481, {}, {}, false}, now);
}

// Section 8.2.2.3 (420) and 8.2.3 (415); nothing: we can do what it asks.
std::optional<UserAgent::Impl::Refusal> UserAgent::Impl::content_refusal(const PreScan& scan, const Message& parsed) {
  const std::vector<std::string> required = parsed.required();
  if (!required.empty()) {  // we require nothing of others and offer no extension yet
    std::string tags;
    for (const std::string& tag : required) tags += (tags.empty() ? "" : ", ") + tag;
    return Refusal{420, {}, {{"Unsupported", tags}}, false};
  }
  if (!scan.content_encoding.empty() && !same(scan.content_encoding, "identity")) {
    return Refusal{415, {}, {{"Accept-Encoding", "identity"}}, false};
  }
  if (!scan.body.empty() && !has_sdp(scan) && scan.method != "BYE" && scan.method != "OPTIONS") {
    return Refusal{415, {}, {{"Accept", "application/sdp"}}, false};
  }
  return std::nullopt;
}

void UserAgent::Impl::on_new_invite(const Request& request, const Message& parsed, Instant now) {
  const PreScan& scan = request.scan;
  const unsigned hops = scan.max_forwards.value_or(70);
  if (hops == 0) {
    ++statistics_.too_many_hops;
    return refuse(request, {483, {}, {}, false}, now);
  }
  if (server_.full() || legs_.full()) {
    ++statistics_.table_full;
    shed_invites_.add(server_.hash_of(scan), now);
    return refuse(request, {503, {}, {{"Retry-After", std::to_string(config_.limits.retry_after_s)}}, false}, now);
  }
  Leg fresh;
  fresh.is_uas = true;
  if (!make_uas_dialog(parsed, new_token(), seen_hop(request.message), fresh.dialog)) {
    ++statistics_.malformed_requests;
    return refuse(request, {400, "Missing Contact header", {}, false}, now);
  }
  fresh.key = randomness_.next_leg();
  const auto given = given_trace_id(scan);
  fresh.owner = {fresh.key, std::make_shared<const std::string>(given ? *given : new_token(2))};
  fresh.had_offer = has_sdp(scan);
  fresh.secure = parsed.request_uri().scheme == Scheme::Sips;
  fresh.stem = make_stem(scan, request.message.source, fresh.dialog.local_tag);
  outbox_.received(request.message, scan, request.bytes, fresh.owner, false, now);
  fresh.invite = server_.start(scan, reply_hop(request.message, scan), fresh.owner, now);
  Leg& leg = add_leg(std::move(fresh));
  heard(leg, request.message);
  ++setups_in_flight_;
  ++statistics_.calls_offered;

  ResponseParts trying;
  trying.status = 100;
  trying.trace_id = *leg.owner.trace_id;
  leg.repeated.bytes = std::make_shared<const std::string>(make_response(trying, make_stem(scan, request.message.source, {})));
  leg.repeated.status = 100;
  leg.repeated.cseq = scan.cseq;
  leg.repeated.server = leg.invite;
  leg.repeated.resend_at = now + std::chrono::minutes(1);
  server_.answer(leg.invite, 100, leg.repeated.bytes, now);
  rearm(leg);

  core::LegOffered offered;
  offered.leg = leg.key;
  offered.trace_id = *leg.owner.trace_id;
  offered.request_uri = parsed.request_uri().text;
  offered.from = parsed.from().uri.text;
  const std::string& display = parsed.from().display;
  if (display.size() <= core::kMaxDisplayBytes && is_displayable(display)) offered.from_display = display;
  offered.to = parsed.to().uri.text;
  offered.call_id = leg.dialog.call_id;
  offered.headers = parsed.extensions();
  const InboundMessage& message = request.message;
  offered.security = {message.source, message.local, std::string(transport_name(message.transport)), std::string(message.tls_version),
                      std::string(message.cipher_suite)};
  if (leg.had_offer) offered.sdp = std::string(scan.body);
  offered.max_forwards = static_cast<std::uint8_t>(hops - 1);
  outbox_.event(std::move(offered));
}

void UserAgent::Impl::on_options(const Request& request, Instant now) {
  if (server_.full()) {
    ++statistics_.table_full;
    return refuse(request, {503, {}, {{"Retry-After", std::to_string(config_.limits.retry_after_s)}}, false}, now);
  }
  const Owner owner = owner_of(request.scan);
  outbox_.received(request.message, request.scan, request.bytes, owner, false, now);
  const core::Headers capabilities{{"Accept", "application/sdp"}, {"Accept-Encoding", "identity"}, {"Supported", ""}};
  const std::string contact = contact_value(address_or_first(request.message.transport, request.message.local), false);
  ResponseParts parts;
  parts.status = 200;
  parts.product = config_.product;
  parts.contact = contact;
  parts.allow = true;
  parts.trace_id = *owner.trace_id;
  parts.extra = &capabilities;
  const SlotId id = server_.start(request.scan, reply_hop(request.message, request.scan), owner, now);
  const std::string stem = make_stem(request.scan, request.message.source, stateless_tag(request.scan));
  server_.answer(id, 200, std::make_shared<const std::string>(make_response(parts, stem)), now);
}

void UserAgent::Impl::on_cancel(const Request& request, Instant now) {
  const SlotId invite = server_.find_cancelled(request.scan);
  if (invite == 0 || server_.full()) {
    ++statistics_.outside_dialog;
    return refuse(request, {481, {}, {}, false}, now);
  }
  const Owner owner = server_.owner(invite);
  Leg* leg = find_leg(owner.leg);
  outbox_.received(request.message, request.scan, request.bytes, owner, false, now);
  // Section 9.2: the 200 has the To tag of the INVITE's responses.
  const std::string tag = leg != nullptr ? leg->dialog.local_tag : stateless_tag(request.scan);
  ResponseParts parts;
  parts.status = 200;
  parts.product = config_.product;
  parts.trace_id = *owner.trace_id;
  const SlotId id = server_.start(request.scan, reply_hop(request.message, request.scan), owner, now);
  server_.answer(id, 200, std::make_shared<const std::string>(make_response(parts, make_stem(request.scan, request.message.source, tag))),
                 now);
  if (leg == nullptr) return;
  if (leg->theirs.pending() && leg->theirs.server == invite) return refuse_update(*leg, 487, {}, now);
  if (leg->state != LegState::Offered || leg->invite != invite) return;  // answered already: CANCEL has no effect
  server_.answer(invite, 487, std::make_shared<const std::string>(make_leg_response(*leg, leg->stem, 487, {}, {})), now);
  finish(*leg, core::EndCause::Cancelled, 487, "the caller gave up", now);
}

}  // namespace ifgw::sip
