// What the call (core/) and a protocol stack (sip/, later h323/, webrtc/) say to each other. core/ knows the three
// protocols only as legs. Values only; both sides are sans-IO and exchange these through queues, so that each can be
// tested against a list of them.
//
// A leg is one party's signalling. Its key is unique in the process and never reused. Session descriptions cross as
// text (RFC 8866), bounded by kMaxSdpBytes; empty means "none in this message".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "codecs/base/ip.h"
#include "codecs/base/time.h"

namespace ifgw::core {

inline constexpr std::size_t kMaxSdpBytes = 16 * 1024;
inline constexpr std::size_t kMaxDisplayBytes = 128;

enum class Protocol : std::uint8_t { Sip, H323, WebRtc };

struct LegKey {
  std::uint64_t value = 0;
  friend auto operator<=>(LegKey, LegKey) = default;
};

// What the transport knows about who is talking (requirement F10). Carried to every layer and into every record.
struct SecurityContext {
  Endpoint source;
  Endpoint local;
  std::string transport;     // "udp", "tcp", "tls"
  std::string tls_version;   // "TLSv1.3"; empty without TLS
  std::string cipher_suite;  // IANA name; empty without TLS
};

// Header fields that core/ and guard/ read or set; everything else stays inside the protocol stack.
// Names as on the wire, values unfolded.
using Headers = std::vector<std::pair<std::string, std::string>>;

// ---- events: protocol stack -> core ----------------------------------------------------------------------------

// A party opens a call. The stack has sent 100 Trying; core must answer with RingLeg, AnswerLeg or EndLeg.
struct LegOffered {
  LegKey leg;
  Protocol protocol = Protocol::Sip;
  std::string trace_id;      // X-IF-Trace-ID as received if valid, else newly made
  std::string request_uri;   // "sip:user@host:port;params"
  std::string from;          // address-of-record URI, without tag
  std::string to;            // address-of-record URI
  std::string from_display;  // what the caller calls itself, unquoted: UTF-8 without control characters, up to kMaxDisplayBytes; else empty
  std::string call_id;       // as on the wire
  Headers headers;           // X-IF-* as received
  SecurityContext security;
  std::string sdp;                 // the offer; empty: late offer
  std::uint8_t max_forwards = 69;  // hops left for the onward leg: hand it to OfferLeg
};
// The called party progressed (1xx above 100).
struct LegProgressed {
  LegKey leg;
  int status = 180;
  std::string reason;
  std::string sdp;  // early media, when present
};
// The called party answered (2xx). The stack has sent the ACK, or holds it when `sdp` answers nothing yet.
struct LegAnswered {
  LegKey leg;
  std::string sdp;
};
// The party re-negotiates inside the call, or confirms (`is_offer` false: the answer to our UpdateLeg, empty when the
// party refused it; also the answer to a late offer of ours). An empty offer asks for ours.
struct LegUpdated {
  LegKey leg;
  std::string sdp;
  bool is_offer = true;
  int status = 0;                            // of the refusal of our UpdateLeg; else 0
  std::optional<Duration> retry_after = {};  // with the refusal: how long to wait before the next offer, where that was said
};
enum class EndCause : std::uint8_t {
  Bye,        // the party hung up
  Cancelled,  // the calling party gave up before the answer
  Rejected,   // the called party refused: `status`
  TimedOut,   // no answer to a request (408), or no ACK to our answer
  Transport,  // no way to reach the party (503)
};
// The leg is gone; its key will not be heard of again. Exactly one per leg, also after EndLeg.
struct LegEnded {
  LegKey leg;
  EndCause cause{};
  int status = 0;      // SIP status where one applies, else 0
  std::string reason;  // for people
};
using LegEvent = std::variant<LegOffered, LegProgressed, LegAnswered, LegUpdated, LegEnded>;

// ---- commands: core -> protocol stack --------------------------------------------------------------------------

// Open a leg towards a party. `leg` was drawn by core.
struct OfferLeg {
  LegKey leg;
  std::string trace_id;
  std::string request_uri;  // also the next hop, unless `next_hop` is present
  std::string from;
  std::string to;
  std::string from_display;  // as in LegOffered
  Endpoint next_hop;
  Endpoint local;         // the listener it goes out from; absent: the transport's first
  std::string transport;  // "udp", "tcp", "tls"
  Headers headers;
  std::string sdp;            // the offer
  Duration answer_timeout{};  // no final answer by then: CANCEL, LegEnded{TimedOut}; zero: only the protocol's own timers
  std::uint8_t max_forwards = 70;
};
// To the calling party: 1xx.
struct RingLeg {
  LegKey leg;
  int status = 180;
  std::string sdp;
};
// To the calling party: 200, or the 200 to its re-INVITE or UPDATE.
struct AnswerLeg {
  LegKey leg;
  std::string sdp;
};
// Re-negotiate with the party: re-INVITE with this offer.
struct UpdateLeg {
  LegKey leg;
  std::string sdp;
};
// Refuse the party's re-negotiation with `status`; the leg goes on as it was.
struct RefuseUpdate {
  LegKey leg;
  int status = 488;
  std::string reason;
};
// End the leg whatever its state: final response, CANCEL or BYE, as its state asks for.
struct EndLeg {
  LegKey leg;
  int status = 0;                   // response to an unanswered calling party (400..699); ignored otherwise
  std::string reason;               // reason phrase; also Reason: SIP ;cause ;text
  std::uint32_t retry_after_s = 0;  // > 0: Retry-After
};
using LegCommand = std::variant<OfferLeg, RingLeg, AnswerLeg, UpdateLeg, RefuseUpdate, EndLeg>;

}  // namespace ifgw::core
