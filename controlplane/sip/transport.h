// What the SIP user agent and the shell around it hand each other: whole messages with their addresses.
// Values only. The shell owns sockets, connections and name resolution; the user agent owns everything that is SIP.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "codecs/base/bytes.h"
#include "codecs/base/ip.h"
#include "codecs/base/time.h"
#include "controlplane/core/leg.h"

namespace ifgw::sip {

enum class Transport : std::uint8_t { Udp, Tcp, Tls };

constexpr bool reliable(Transport transport) noexcept { return transport != Transport::Udp; }
// "udp", "tcp", "tls": as in core::SecurityContext and in URI parameters.
std::string_view transport_name(Transport transport) noexcept;
// "UDP", "TCP", "TLS": as in Via.
std::string_view transport_token(Transport transport) noexcept;
// From either spelling; false when it is none of the three (ws, sctp).
bool parse_transport(std::string_view text, Transport& transport) noexcept;

// Message text that a transaction may have to send again. Shared, never changed after it was made.
using Wire = std::shared_ptr<const std::string>;

// A connection of the shell's, unique in the process, never reused: one that is gone may still be named, and means "any".
// 0: none (UDP, or "any").
using ConnectionId = std::uint64_t;

// One datagram, or one message that StreamFramer cut from a connection. `bytes` are borrowed for the call only.
struct InboundMessage {
  Transport transport = Transport::Udp;
  Endpoint source;  // the peer as the network shows it
  Endpoint local;   // where it arrived
  ConnectionId connection = 0;
  std::string_view tls_version;   // "TLSv1.3"; empty without TLS
  std::string_view cipher_suite;  // IANA name; empty without TLS
  Bytes bytes;
};

struct OutboundMessage {
  Transport transport = Transport::Udp;
  Endpoint destination;
  Endpoint local;               // send from here; absent: the shell's choice for `transport`
  ConnectionId connection = 0;  // use this connection while it is open, else one to `destination`
  std::uint64_t ticket = 0;     // != 0: tell UserAgent::on_send_failed(ticket) when it cannot be sent
  bool is_request = false;
  Wire bytes;
  Wire trace_id;  // of the leg or request it belongs to; null: of none
};

// What was on the wire, for the witness. One per message sent or received, retransmissions marked. Messages shed by
// admission and garbage that is not SIP are counted in Statistics only, so that a flood cannot fill the audit trail.
struct WireMessage {
  bool sent = false;
  bool retransmission = false;
  Instant at{};
  Transport transport = Transport::Udp;
  Endpoint local;
  Endpoint peer;
  core::LegKey leg;      // value 0: belongs to no leg
  std::string trace_id;  // of the leg, or of a request that begins none and of its answer
  std::string method;    // of the request, or of the request a response answers (CSeq)
  int status = 0;        // 0: a request
  std::string call_id;
  Wire bytes;
};

}  // namespace ifgw::sip
