// What the parts of the user agent share: finding, ending and writing for legs.
#include "controlplane/sip/text.h"
#include "controlplane/sip/user_agent_impl.h"

namespace ifgw::sip {
namespace {

constexpr std::size_t kMaxTraceId = 64;

}  // namespace

Leg* UserAgent::Impl::find_leg(core::LegKey key) {
  const auto found = leg_by_key_.find(key.value);
  return found == leg_by_key_.end() ? nullptr : legs_.find(found->second);
}

Leg* UserAgent::Impl::find_dialog(const PreScan& request) {
  if (request.to_tag.empty()) return nullptr;
  Leg* leg = legs_.find(leg_by_tag_.find(request.to_tag));
  if (leg == nullptr || leg->dialog.call_id != request.call_id || request.from_tag.empty()) return nullptr;
  const bool match =
      leg->dialog.remote_tag.empty() ? leg->early_dialog(request.from_tag) != nullptr : leg->dialog.remote_tag == request.from_tag;
  return match ? leg : nullptr;
}

Leg& UserAgent::Impl::add_leg(Leg leg) {
  const core::LegKey key = leg.key;
  std::string tag = leg.dialog.local_tag;
  const SlotId id = legs_.insert(std::move(leg));
  leg_by_key_.emplace(key.value, id);
  leg_by_tag_.insert(std::move(tag), id);
  return *legs_.find(id);
}

void UserAgent::Impl::rearm(const Leg& leg) {
  const auto found = leg_by_key_.find(leg.key.value);
  if (found != leg_by_key_.end()) legs_.set_deadline(found->second, leg.deadline());
}

void UserAgent::Impl::heard(Leg& leg, const InboundMessage& message) {
  if (!reliable(message.transport)) return;
  set_heard_on(leg, message.connection);
  // Only where its requests would go by that transport anyway: never from TLS to a connection without it.
  if (message.transport == leg.dialog.hop.transport) leg.dialog.hop.connection = message.connection;
}

void UserAgent::Impl::set_heard_on(Leg& leg, ConnectionId connection) {
  if (leg.heard_on == connection) return;
  if (const auto before = legs_heard_on_.find(leg.heard_on); before != legs_heard_on_.end() && --before->second == 0)
    legs_heard_on_.erase(before);
  leg.heard_on = connection;
  if (connection != 0) ++legs_heard_on_[connection];
}

const AdvertisedAddress* UserAgent::Impl::address_for(Transport transport, const Endpoint& local) const {
  const AdvertisedAddress* first = nullptr;
  const AdvertisedAddress* same_ip = nullptr;  // a connection of ours has a port of its own
  for (const AdvertisedAddress& address : config_.addresses) {
    if (address.transport != transport) continue;
    if (address.local == local) return &address;
    if (first == nullptr) first = &address;
    if (same_ip == nullptr && address.local.present() && address.local.ip == local.ip) same_ip = &address;
  }
  return same_ip != nullptr ? same_ip : first;
}

const AdvertisedAddress& UserAgent::Impl::address_or_first(Transport transport, const Endpoint& local) const {
  const AdvertisedAddress* address = address_for(transport, local);
  return address != nullptr ? *address : config_.addresses.front();
}

std::string UserAgent::Impl::new_token(std::size_t words) {
  std::string token;
  for (; words > 0; --words) {
    std::uint64_t value = randomness_.random();
    for (int i = 0; i < 16; ++i, value >>= 4) token.push_back("0123456789abcdef"[value & 15]);
  }
  return token;
}

std::optional<std::string> UserAgent::Impl::given_trace_id(const PreScan& scan) {
  std::optional<std::string> given;
  HeaderWalker walker(scan.headers);
  HeaderField field;
  while (walker.next(field)) {
    if (!same(field.name, kTraceHeader)) continue;
    if (given) return std::nullopt;  // which of them?
    given = unfold(field.value);
  }
  return given && given->size() <= kMaxTraceId && is_token(*given) ? given : std::nullopt;
}

Owner UserAgent::Impl::owner_of(const PreScan& scan) {
  if (const Leg* leg = find_dialog(scan)) return leg->owner;
  const auto given = given_trace_id(scan);
  return {{}, std::make_shared<const std::string>(given ? *given : stateless_tag(scan))};
}

std::string UserAgent::Impl::make_leg_response(const Leg& leg, std::string_view stem, int status, std::string_view reason,
                                               std::string_view sdp) const {
  // Contact makes the dialog (section 12.1.1): in 1xx and 2xx to INVITE and in 2xx to UPDATE; harmless in the 2xx to BYE.
  const std::string contact =
      status < 300 ? contact_value(address_or_first(leg.dialog.hop.transport, leg.dialog.hop.local), leg.secure) : std::string{};
  ResponseParts parts;
  parts.status = status;
  parts.reason = reason;
  parts.product = config_.product;
  parts.contact = contact;
  parts.allow = status < 300;
  parts.trace_id = *leg.owner.trace_id;
  parts.sdp = sdp;
  return make_response(parts, stem);
}

std::string UserAgent::Impl::send_in_dialog_text(Leg& leg, std::string_view method, std::string_view sdp, std::uint32_t cseq) {
  const std::string branch = new_branch();
  RequestParts parts;
  parts.method = method;
  parts.request_uri = leg.dialog.request_uri;
  parts.from_here = &address_or_first(leg.dialog.hop.transport, leg.dialog.hop.local);
  parts.branch = branch;
  parts.routes = &leg.dialog.routes;
  parts.from = leg.dialog.local;
  parts.to = leg.dialog.remote;
  parts.call_id = leg.dialog.call_id;
  parts.cseq = cseq;
  parts.contact = method == "INVITE";
  parts.secure_contact = leg.secure;
  if (leg.owner.trace_id) parts.trace_id = *leg.owner.trace_id;
  parts.product = config_.product;
  if (method == "BYE") parts.reason = leg.reason_header;
  parts.sdp = sdp;
  return make_request(parts);
}

// Section 13.2.2.4: the CSeq number is that of the INVITE, whatever the dialog sent since; a transaction of its own.
void UserAgent::Impl::send_ack(Leg& leg, SlotId client, std::string_view sdp, Instant now) {
  const Wire invite = client_.request(client);
  if (!invite) return;  // its 2xx cannot come again
  auto ack = std::make_shared<const std::string>(send_in_dialog_text(leg, "ACK", sdp, prescan(as_bytes(*invite)).cseq));
  client_.acknowledge(client, leg.dialog.remote_tag, std::move(ack), leg.dialog.hop, now);
}

void UserAgent::Impl::send_reinvite(Leg& leg, Instant now) {
  leg.retry_at = kNever;
  const std::string text = send_in_dialog_text(leg, "INVITE", leg.ours_sdp, ++leg.dialog.local_cseq);
  leg.ours = client_.start(std::make_shared<const std::string>(text), leg.dialog.hop, Purpose::ReInvite, leg.owner, now);
  rearm(leg);
  if (leg.ours != 0) return;
  ++statistics_.table_full;
  leg.ours_sdp.clear();
  outbox_.event(core::LegUpdated{leg.key, {}, false, 503, std::nullopt});
}

void UserAgent::Impl::send_bye(Leg& leg, Instant now) {
  leg.bye_wanted = false;
  leg.give_up_at = leg.retry_at = kNever;
  leg.repeated = {};
  rearm(leg);
  const std::string text = send_in_dialog_text(leg, "BYE", {}, ++leg.dialog.local_cseq);
  if (client_.start(std::make_shared<const std::string>(text), leg.dialog.hop, Purpose::Bye, leg.owner, now) != 0) return;
  ++statistics_.table_full;
  finish(leg, leg.cause, leg.status, leg.reason, now);
}

// Our re-INVITE is over, whichever way.
void UserAgent::Impl::end_ours(Leg& leg) {
  leg.ours = 0;
  leg.ours_sdp.clear();
  leg.cancel_sent = false;
  if (leg.state != LegState::Ending) leg.give_up_at = kNever;
  rearm(leg);
}

void UserAgent::Impl::send_cancel(Leg& leg, SlotId id, Instant now) {
  const Wire invite = client_.request(id);
  if (!invite) return;
  leg.cancel_sent = true;
  leg.give_up_at = now + 64 * config_.timers.t1;  // section 9.1: an INVITE that does not end by then is given up
  rearm(leg);
  const std::string text = make_cancel(*invite, leg.reason_header, config_.product);
  client_.start(std::make_shared<const std::string>(text), client_.hop(id), Purpose::Cancel, leg.owner, now);
}

void UserAgent::Impl::report_end(Leg& leg, core::EndCause cause, int status, std::string_view reason) {
  if (leg.reported) return;
  leg.reported = true;
  outbox_.event(core::LegEnded{leg.key, cause, status, std::string(reason)});
}

void UserAgent::Impl::hang_up(Leg& leg, core::EndCause cause, int status, std::string_view reason, Instant now) {
  const bool waits_for_ack = leg.state == LegState::Answered;
  leg.state = LegState::Ending;
  leg.cause = cause;
  leg.status = status;
  leg.reason = std::string(reason);
  leg.retry_at = leg.give_up_at = kNever;
  if (leg.theirs.pending()) refuse_update(leg, 487, {}, now);
  if (leg.ack_held) {
    leg.ack_held = false;
    send_ack(leg, leg.invite, {}, now);
  }
  // The callee may not hang up before the ACK, or before it stopped waiting for one (section 15).
  if (waits_for_ack && leg.repeated.unacknowledged()) {
    leg.bye_wanted = true;
    return rearm(leg);
  }
  send_bye(leg, now);
}

void UserAgent::Impl::finish(Leg& leg, core::EndCause cause, int status, std::string_view reason, Instant now) {
  report_end(leg, cause, status, reason);
  if (leg.state == LegState::Offered) --setups_in_flight_;
  if (leg.theirs.pending()) refuse_update(leg, 487, {}, now);
  if (!leg.is_uas) client_.drop_unanswered(leg.invite);
  if (!leg.over && client_.unanswered(leg.ours)) return await_answer_to_ours(leg, now);
  client_.drop_unanswered(leg.ours);
  const auto found = leg_by_key_.find(leg.key.value);
  const SlotId id = found->second;
  leg_by_tag_.erase(leg.dialog.local_tag, id);
  leg_by_key_.erase(found);
  set_heard_on(leg, 0);
  legs_.erase(id);
}

// A BYE does not end our open re-INVITE: its final response is acknowledged all the same (sections 13.2.2.4, 17.1.1.3).
// What is not there after 64*T1 will not come.
void UserAgent::Impl::await_answer_to_ours(Leg& leg, Instant now) {
  leg.over = true;
  leg.state = LegState::Ending;
  leg.bye_wanted = leg.cancel_wanted = false;
  leg.repeated = {};
  leg.retry_at = kNever;
  leg.give_up_at = now + 64 * config_.timers.t1;
  rearm(leg);
}

void UserAgent::Impl::repeat_until_ack(Leg& leg, SlotId server, std::uint32_t cseq, Wire bytes, bool carries_offer, Instant now) {
  // Section 13.3.1.4: at T1, doubling up to T2, on reliable transports too, until the ACK or 64*T1.
  const Duration t1 = config_.timers.t1;
  leg.repeated = {std::move(bytes), server, cseq, 200, t1, now + t1, now + 64 * t1, carries_offer};
  rearm(leg);
}

}  // namespace ifgw::sip
