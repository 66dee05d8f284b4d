// Counters of the SIP user agent. Monotonic since construction; copied by metrics/ and the CLI.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ifgw::sip {

// One list makes the fields, the CLI text and the metric labels. X(name, description).
#define IFGW_SIP_STATISTICS(X)                                                                                   \
  X(requests_received, "requests received, retransmissions included")                                            \
  X(responses_received, "responses received, retransmissions included")                                          \
  X(requests_sent, "requests sent, retransmissions included")                                                    \
  X(responses_sent, "responses sent, retransmissions included")                                                  \
  X(request_retransmissions_received, "requests received again and answered as before")                          \
  X(response_retransmissions_received, "final responses received again")                                         \
  X(request_retransmissions_sent, "requests sent again by timers A, E")                                          \
  X(response_retransmissions_sent, "responses sent again by timer G, the 2xx timer or a request received again") \
  X(not_sip, "datagrams without a SIP start line or without what an answer needs")                               \
  X(keepalives, "CRLF keep-alives and empty datagrams")                                                          \
  X(malformed_requests, "requests answered with 400, 413, 414, 505 or 513")                                      \
  X(malformed_responses, "responses dropped because a header was missing or wrong")                              \
  X(misrouted_responses, "responses dropped because a second Via makes them a proxy's")                          \
  X(stray_responses, "responses that match neither a client transaction nor a dialog")                           \
  X(late_answers, "2xx to INVITEs of ours that nobody waited for any more, acknowledged")                        \
  X(stray_acks, "ACKs that match neither a transaction nor a dialog")                                            \
  X(unsupported_requests, "requests answered with 405, 415, 416, 420 or 501")                                    \
  X(outside_dialog, "requests answered with 481")                                                                \
  X(merged_requests, "requests answered with 482")                                                               \
  X(too_many_hops, "requests answered with 483")                                                                 \
  X(calls_offered, "INVITEs handed to the call")                                                                 \
  X(calls_shed, "INVITEs that admission answered with a stateless 503, copies not counted")                      \
  X(table_full, "requests refused because a table was full")                                                     \
  X(early_dialogs_full, "1xx of a further branch that found its leg's list of early dialogs full")               \
  X(timeouts, "client transactions without a final response (timers B, F, or after a CANCEL)")                   \
  X(ack_timeouts, "answers that were never acknowledged (timer H, or 64*T1 after a 2xx)")                        \
  X(send_failures, "messages that the transport could not send")                                                 \
  X(forked_answers, "2xx of a second branch, acknowledged and hung up")                                          \
  X(late_commands, "commands for a leg that was gone or in another state")                                       \
  X(outputs_dropped, "wire records or messages dropped because nobody drained them")

struct Statistics {
#define IFGW_SIP_FIELD(name, description) std::uint64_t name = 0;
  IFGW_SIP_STATISTICS(IFGW_SIP_FIELD)
#undef IFGW_SIP_FIELD
};

struct Occupancy {
  std::size_t client_transactions = 0;
  std::size_t server_transactions = 0;
  std::size_t legs = 0;
  std::size_t setups_in_flight = 0;
};

}  // namespace ifgw::sip
