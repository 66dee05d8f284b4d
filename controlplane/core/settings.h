// What an operator decides about calls: an immutable snapshot, filled and validated by config/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "codecs/base/ip.h"
#include "codecs/base/time.h"
#include "dataplane/api/messages.h"

namespace ifgw::core {

inline constexpr std::size_t kMaxRoutes = 1024;

// "*": anything. "abc*": begins with abc. Else: equal. Users compare with, host names without case.
struct Pattern {
  std::string text = "*";
  bool matches(std::string_view value, bool ignore_case) const noexcept;
};

struct SideSettings {
  std::vector<api::Codec> codecs;          // accepted, our preference first
  std::optional<IpAddress> media_address;  // absent: the address signalling came in on, else the first that fits
};

// First match wins.
struct Route {
  std::string id;
  Pattern user;
  Pattern host;
  std::string target;  // URI; "{user}" becomes the user part of the request URI
  Endpoint next_hop;   // where the request goes
  Endpoint local;      // the listener it goes out from; absent: the transport's first
  std::string transport = "udp";
  SideSettings caller;
  SideSettings callee;
};

struct CallTimers {
  Duration setup = std::chrono::seconds{10};      // policy decision and media allocation
  Duration answer = std::chrono::seconds{60};     // from the invitation to the answer
  Duration max_duration = std::chrono::hours{4};  // of a connected call
  Duration bridge = std::chrono::seconds{5};      // media commands after the answer
  Duration clear = std::chrono::seconds{40};      // both legs ended and media removed; above 64*T1 of SIP
};

struct CallLimits {
  std::size_t calls = 10'000;            // 1..1000000; beyond: 503
  std::uint32_t calls_per_second = 300;  // 0: no limit; beyond: 503
  std::uint32_t retry_after_s = 5;       // in these 503
};

// Of encoders, and what parties are asked to send. What a party says it does not want, it is not sent.
struct OpusSettings {
  std::uint32_t bitrate_bps = 0;           // 6000..128000; 0: by the sampling rate, and none is asked for
  std::uint8_t complexity = 5;             // 0..10
  std::uint8_t expected_loss_percent = 5;  // 0..100; 0: no FEC is sent
  bool fec = true;
  bool dtx = false;
};

struct SpeexSettings {
  std::uint8_t quality = 8;  // 0..10, of libspeex; where the party prefers no mode
};

struct MediaSettings {
  Duration timeout = std::chrono::seconds{60};  // zero: never. Without media for so long, a call ends
  bool latching = false;
  Duration latch_window = std::chrono::seconds{10};
  std::uint8_t dscp = 46;
  OpusSettings opus;
  SpeexSettings speex;
  bool comfort_noise = true;                                // accepted and offered with codecs that need it (RFC 3389)
  bool g729_annex_b = false;                                // silence as SID frames, where the party agrees
  std::vector<std::pair<IpAddress, IpAddress>> advertised;  // local address -> the address others must use
};

struct CallSettings {
  std::vector<Route> routes;
  CallTimers timers;
  CallLimits limits;
  MediaSettings media;
};

}  // namespace ifgw::core
