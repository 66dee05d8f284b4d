// Settings of the SIP user agent. An immutable value; config/ fills it, validated.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "codecs/base/hash.h"
#include "codecs/base/time.h"
#include "controlplane/core/leg.h"
#include "controlplane/sip/transport.h"

namespace ifgw::sip {

// RFC 3261 section 17.1.1.1 and table 4.
struct TimerConfig {
  Duration t1 = std::chrono::milliseconds(500);  // round-trip estimate
  Duration t2 = std::chrono::seconds(4);         // longest retransmission interval
  Duration t4 = std::chrono::seconds(5);         // longest life of a message in the network
};

// How others reach us over one transport: goes into Via and Contact. Never a private address unless it is meant.
struct AdvertisedAddress {
  Transport transport = Transport::Udp;
  std::string host;  // IPv4, bracketed IPv6 or name
  std::uint16_t port = 5060;
  Endpoint local;  // what we send from; absent: the shell's choice
};

struct Limits {
  std::size_t transactions = 131072;            // client and server each; beyond: 503, or EndCause::Transport
  std::size_t legs = 32768;                     // beyond: 503
  std::size_t setups_in_flight = 2048;          // calls offered to us and not yet answered; beyond: 503 without a transaction
  std::uint32_t setups_per_second = 400;        // admitted new INVITEs, as a token bucket; 0: no limit
  std::uint32_t setup_burst = 200;              // depth of that bucket
  std::size_t shed_invites = 65536;             // refused without a transaction, remembered for 64*T1; beyond: the oldest is forgotten
  std::uint32_t retry_after_s = 5;              // in these 503
  std::size_t message_bytes = 32 * 1024;        // beyond: 513
  std::size_t body_bytes = core::kMaxSdpBytes;  // beyond: 413
  std::size_t request_uri_bytes = 1024;         // beyond: 414
  std::size_t header_value_bytes = 4096;        // one header field, unfolded; beyond: 400
  std::size_t outputs = 65536;                  // queued messages, events and wire records each, between two drains
};

struct UserAgentConfig {
  std::string product = "ifgw";  // Server and User-Agent
  // At least one. Several of one transport differ in `local`: a leg uses the one its first message came in on, or
  // OfferLeg::local names, else the transport's first.
  std::vector<AdvertisedAddress> addresses;
  TimerConfig timers;
  Limits limits;
};

// Everything the user agent may not make up by itself.
struct Randomness {
  HashKey hash_key;                        // of its tables
  std::function<std::uint64_t()> random;   // unpredictable: tags, branches, Call-IDs, trace ids, back-off
  std::function<core::LegKey()> next_leg;  // unique in the process, shared with core
};

}  // namespace ifgw::sip
