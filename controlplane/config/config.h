// The control plane's configuration: parsed, validated, immutable. A file is good as a whole or not at all.
//
// Every setting, its unit, range and default: tools/docs/protocol/configuration.md. Examples: tools/config/.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "codecs/base/ip.h"
#include "codecs/base/time.h"
#include "controlplane/core/settings.h"

namespace ifgw::config {

inline constexpr std::size_t kMaxPikePrefixes = 256;
inline constexpr std::uint32_t kMaxPrefixRequests = 100'000;  // of one; a dataplane has room for a million in all, if not told otherwise
inline constexpr std::size_t kMaxListeners = 8;               // per transport

struct Sip {
  std::vector<Endpoint> udp;
  std::vector<Endpoint> tcp;
  std::vector<Endpoint> tls;
  std::string advertised;  // host as Via and Contact have it, IPv6 in brackets; empty: each listener's own address
  Duration t1 = std::chrono::milliseconds{500};
  Duration t2 = std::chrono::seconds{4};
  Duration t4 = std::chrono::seconds{5};
  std::string tls_certificate;  // PEM files
  std::string tls_key;
  std::string tls_ca;                                       // PEM; empty: the system's store
  bool tls_client_certificate = false;                      // callers must show one
  bool tls_verify = true;                                   // of the parties we connect to
  std::vector<std::pair<Endpoint, std::string>> tls_names;  // what the certificate of a TLS route's next hop must name
  std::size_t max_connections = 1024;
  std::size_t max_connections_per_source = 64;
  Duration connection_idle = std::chrono::minutes{10};
};

struct SipLimits {
  std::size_t transactions = 131072;
  std::size_t legs = 32768;
  std::size_t setups_in_flight = 2048;
  std::uint32_t setups_per_second = 400;
  std::uint32_t setup_burst = 200;
  std::size_t message_bytes = 32 * 1024;
};

struct PrefixLimit {
  IpPrefix prefix;
  std::uint32_t requests = 0;
  Duration window = std::chrono::seconds{1};
  std::string route;  // the first route whose target counts against it; empty: none
};

// The dataplane's limiter (layer 1).
struct Pike {
  std::uint32_t requests = 30;  // a dataplane may be set up to count fewer
  Duration window = std::chrono::seconds{10};
  Duration block{};                     // zero: no blocked state, only the window
  std::uint32_t route_requests = 5000;  // budget of a route's target that nothing below covers
  Duration route_window = std::chrono::seconds{1};
  std::vector<PrefixLimit> prefixes;  // as configured, then those of route targets
  std::vector<IpPrefix> exempt;
};

// What operators may capture.
struct Capture {
  bool enabled = true;
  bool payload = false;  // else headers only
  std::uint32_t max_seconds = 3600;
  std::size_t max_bytes = std::size_t{100} << 20;
};

enum class LogLevel : std::uint8_t { Debug, Info, Warning, Error };

struct Config {
  std::string dataplane_socket = "/run/ifgw/dataplane.sock";
  Sip sip;
  SipLimits sip_limits;
  std::shared_ptr<const core::CallSettings> calls;
  Pike pike;
  std::uint32_t heavy_workers = 0;  // bit n: worker n of the dataplane is set apart for heavy calls
  std::string witness_file;
  bool witness_messages = false;  // also a record of every SIP message
  std::string admin_socket = "/run/ifgw/control.sock";
  unsigned admin_mode = 0660;
  std::vector<std::int64_t> admin_uids;  // who may connect beside root and the gateway's own user
  Capture capture;
  LogLevel log_level = LogLevel::Info;
};

// Either the configuration or every problem of the file, one line each: "file:line:column: key: what is wrong".
using Loaded = std::variant<Config, std::vector<std::string>>;
Loaded parse_config(std::string_view text, std::string_view file_name);

}  // namespace ifgw::config
