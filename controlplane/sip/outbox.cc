#include "controlplane/sip/outbox.h"

#include <utility>

namespace ifgw::sip {
namespace {

WireMessage make_record(const PreScan& scan, const Wire& bytes, const Owner& owner) {
  WireMessage record;
  record.leg = owner.leg;
  if (owner.trace_id) record.trace_id = *owner.trace_id;
  record.method = std::string(scan.method);
  record.status = scan.status;
  record.call_id = std::string(scan.call_id);
  record.bytes = bytes;
  return record;
}

}  // namespace

void Outbox::record(WireMessage record) {
  if (pending_.wire.size() >= capacity_) {
    ++statistics_.outputs_dropped;
    return;
  }
  pending_.wire.push_back(std::move(record));
}

void Outbox::send(const Hop& hop, const Wire& bytes, const Owner& owner, bool retransmission, std::uint64_t ticket, Instant now) {
  const PreScan scan = prescan(as_bytes(*bytes));
  const bool is_request = scan.start == StartLine::Request;
  ++(is_request ? statistics_.requests_sent : statistics_.responses_sent);
  if (retransmission) ++(is_request ? statistics_.request_retransmissions_sent : statistics_.response_retransmissions_sent);
  WireMessage record = make_record(scan, bytes, owner);
  record.sent = true;
  record.retransmission = retransmission;
  record.at = now;
  record.transport = hop.transport;
  record.local = hop.local;
  record.peer = hop.destination;
  this->record(std::move(record));
  if (pending_.messages.size() >= capacity_) {
    ++statistics_.outputs_dropped;
    return;
  }
  pending_.messages.push_back({hop.transport, hop.destination, hop.local, hop.connection, ticket, is_request, bytes, owner.trace_id});
}

void Outbox::send_unrecorded(const Hop& hop, Wire bytes) {
  ++statistics_.responses_sent;
  if (pending_.messages.size() >= capacity_) {
    ++statistics_.outputs_dropped;
    return;
  }
  pending_.messages.push_back({hop.transport, hop.destination, hop.local, hop.connection, 0, false, std::move(bytes), {}});
}

void Outbox::received(const InboundMessage& message, const PreScan& scan, Wire bytes, const Owner& owner, bool retransmission,
                      Instant now) {
  WireMessage record = make_record(scan, bytes, owner);
  record.retransmission = retransmission;
  record.at = now;
  record.transport = message.transport;
  record.local = message.local;
  record.peer = message.source;
  this->record(std::move(record));
}

void Outbox::drain(Outputs& outputs) {
  outputs.messages.clear();
  outputs.events.clear();
  outputs.wire.clear();
  std::swap(outputs, pending_);
}

}  // namespace ifgw::sip
