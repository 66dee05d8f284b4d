// Where everything the user agent produces is collected until the shell drains it. Bounded: what does not fit is
// dropped and counted; events never are (there are at most a few per leg, and legs are bounded).
#pragma once

#include <string>
#include <vector>

#include "controlplane/sip/config.h"
#include "controlplane/sip/prescan.h"
#include "controlplane/sip/statistics.h"
#include "controlplane/sip/transport.h"
#include "controlplane/sip/user_agent.h"

namespace ifgw::sip {

// Where a message goes. Value of a transaction or dialog.
struct Hop {
  Transport transport = Transport::Udp;
  Endpoint destination;
  Endpoint local;
  ConnectionId connection = 0;
};

// Whose message it is, for the wire record. `trace_id` is shared by everything of one leg; without a leg it is that of a request
// and its answer.
struct Owner {
  core::LegKey leg;
  Wire trace_id;
};

class Outbox {
 public:
  Outbox(std::size_t capacity, Statistics& statistics) : capacity_(capacity), statistics_(statistics) {}

  void send(const Hop& hop, const Wire& bytes, const Owner& owner, bool retransmission, std::uint64_t ticket, Instant now);
  // A message that belongs to nothing and leaves no wire record: the stateless 503 of admission.
  void send_unrecorded(const Hop& hop, Wire bytes);
  void received(const InboundMessage& message, const PreScan& scan, Wire bytes, const Owner& owner, bool retransmission, Instant now);
  void event(core::LegEvent event) { pending_.events.push_back(std::move(event)); }

  void drain(Outputs& outputs);

 private:
  void record(WireMessage record);

  std::size_t capacity_;
  Statistics& statistics_;
  Outputs pending_;
};

}  // namespace ifgw::sip
