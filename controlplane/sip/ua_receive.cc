// Dispatch of inbound messages from the pre-scan: what can be settled without the grammar is settled here.
#include "controlplane/sip/text.h"
#include "controlplane/sip/user_agent_impl.h"

namespace ifgw::sip {

bool has_sdp(const PreScan& scan) noexcept {
  return !scan.body.empty() && same(trim(scan.content_type.substr(0, scan.content_type.find(';'))), "application/sdp");
}

void UserAgent::Impl::on_message(const InboundMessage& message, Instant now) {
  // Keep-alives: CRLF CRLF, a lone CRLF, nothing, or the four zero bytes some phones send.
  if (message.bytes.size() <= 4) {
    ++statistics_.keepalives;
    return;
  }
  const PreScan scan = prescan(message.bytes, reliable(message.transport));
  switch (scan.start) {
    case StartLine::Request: ++statistics_.requests_received; return on_request(message, scan, now);
    case StartLine::Response: ++statistics_.responses_received; return on_response(message, scan, now);
    case StartLine::None: ++statistics_.not_sip;
  }
}

void UserAgent::Impl::on_request(const InboundMessage& message, const PreScan& scan, Instant now) {
  if (!scan.answerable()) {
    ++statistics_.not_sip;
    return;
  }
  if (scan.method == "ACK") return on_ack(message, scan, now);
  if (const SlotId known = server_.find(scan)) {
    ++statistics_.request_retransmissions_received;
    outbox_.received(message, scan, std::make_shared<const std::string>(as_text(message.bytes)), server_.owner(known), true, now);
    return server_.on_request(known, now);
  }
  const bool begins_call = scan.method == "INVITE" && scan.to_tag.empty();
  if (begins_call) {
    const std::uint64_t invite = server_.hash_of(scan);
    if (shed_invites_.contains(invite, now)) {
      ++statistics_.request_retransmissions_received;
      return shed(message, scan);
    }
    if (!admission_.admit(setups_in_flight_, now)) {
      ++statistics_.calls_shed;
      shed_invites_.add(invite, now);
      return shed(message, scan);
    }
  }

  // From here on the message is kept; its views have to point into the copy.
  const auto bytes = std::make_shared<const std::string>(as_text(message.bytes));
  const PreScan own = prescan(as_bytes(*bytes), reliable(message.transport));
  const Request request{message, own, bytes};
  if (!check_structure(request, now)) return;
  if (own.method == "CANCEL") return on_cancel(request, now);
  on_checked_request(request, now);
}

// What can be said without the grammar. False: refused.
bool UserAgent::Impl::check_structure(const Request& request, Instant now) {
  const PreScan& scan = request.scan;
  const Limits& limits = config_.limits;
  Refusal refusal;
  if (request.bytes->size() > limits.message_bytes) {
    refusal.status = 513;
  } else if (scan.defect == Defect::Version) {
    refusal.status = 505;
  } else if (scan.defect != Defect::None) {
    refusal = {400, describe_defect(scan), {}, false};
  } else if (scan.request_uri.size() > limits.request_uri_bytes) {
    refusal.status = 414;
  } else if (scan.body.size() > limits.body_bytes) {
    refusal.status = 413;
  } else {
    return true;
  }
  ++statistics_.malformed_requests;
  refuse(request, refusal, now);
  return false;
}

void UserAgent::Impl::on_ack(const InboundMessage& message, const PreScan& scan, Instant now) {
  const auto record = [&](const Owner& owner, bool again) {
    outbox_.received(message, scan, std::make_shared<const std::string>(as_text(message.bytes)), owner, again, now);
  };
  if (const SlotId invite = server_.find(scan)) {
    const Owner owner = server_.owner(invite);
    const ServerTransactions::Ack ack = server_.on_ack(invite, now);
    if (ack != ServerTransactions::Ack::OfAnswer) return record(owner, ack == ServerTransactions::Ack::Again);
  }
  Leg* leg = scan.defect == Defect::None ? find_dialog(scan) : nullptr;
  if (leg == nullptr && shed_invites_.contains(server_.hash_of(scan), now)) return;
  if (leg == nullptr || !leg->repeated.unacknowledged() || leg->repeated.cseq != scan.cseq) {
    ++statistics_.stray_acks;
    return;
  }
  record(leg->owner, false);
  heard(*leg, message);
  on_dialog_ack(*leg, scan, now);
}

void UserAgent::Impl::on_response(const InboundMessage& message, const PreScan& scan, Instant now) {
  if (scan.defect != Defect::None || message.bytes.size() > config_.limits.message_bytes) {
    ++statistics_.malformed_responses;
    return;
  }
  if (scan.more_vias) {  // section 8.1.3.3: a user agent's request has one
    ++statistics_.misrouted_responses;
    return;
  }
  const SlotId id = client_.find(scan);
  if (id == 0) {
    if (!acknowledge_late(message, scan, now)) ++statistics_.stray_responses;
    return;
  }
  const ClientTransactions::Received received = client_.on_response(id, scan, now);
  const bool again = !received.pass_up && scan.status >= 200;
  if (again) ++statistics_.response_retransmissions_received;
  outbox_.received(message, scan, std::make_shared<const std::string>(as_text(message.bytes)), received.owner, again, now);
  if (!received.pass_up) return;
  switch (received.purpose) {
    case Purpose::Invite: return on_invite_response(message, scan, id, received.owner, now);
    case Purpose::ReInvite: return on_reinvite_response(message, scan, id, received.owner, now);
    case Purpose::Bye:
      if (Leg* leg = find_leg(received.owner.leg); leg != nullptr && scan.status >= 200)
        finish(*leg, leg->cause, leg->status, leg->reason, now);
      return;
    case Purpose::Cancel: return;  // the INVITE's own answer decides (section 9.1)
  }
}

// The cheap refusal of a call under overload: no parsing, no transaction, no record. The same INVITE gets the same text.
void UserAgent::Impl::shed(const InboundMessage& message, const PreScan& scan) {
  const core::Headers extra{{"Retry-After", std::to_string(config_.limits.retry_after_s)}};
  ResponseParts parts;
  parts.status = 503;
  parts.extra = &extra;
  const std::string stem = make_stem(scan, message.source, stateless_tag(scan));
  outbox_.send_unrecorded(reply_hop(message, scan), std::make_shared<const std::string>(make_response(parts, stem)));
}

void UserAgent::Impl::refuse(const Request& request, const Refusal& refusal, Instant now) {
  const Owner owner = owner_of(request.scan);
  outbox_.received(request.message, request.scan, request.bytes, owner, false, now);
  outbox_.send(reply_hop(request.message, request.scan), std::make_shared<const std::string>(make_refusal(request, refusal, owner)), owner,
               false, 0, now);
}

std::string UserAgent::Impl::make_refusal(const Request& request, const Refusal& refusal, const Owner& owner) const {
  ResponseParts parts;
  parts.status = refusal.status;
  parts.reason = refusal.reason;
  parts.product = config_.product;
  parts.allow = refusal.allow;
  if (owner.trace_id) parts.trace_id = *owner.trace_id;
  parts.extra = &refusal.headers;
  return make_response(parts, make_stem(request.scan, request.message.source, stateless_tag(request.scan)));
}

// The same request gets the same tag, however often it comes (section 8.2.7).
std::string UserAgent::Impl::stateless_tag(const PreScan& scan) const {
  std::uint64_t hash = keyed_hash(scan.call_id, randomness_.hash_key) ^ keyed_hash(scan.via.branch, randomness_.hash_key);
  std::string tag = "s";
  for (int i = 0; i < 16; ++i, hash >>= 4) tag.push_back("0123456789abcdef"[hash & 15]);
  return tag;
}

}  // namespace ifgw::sip
