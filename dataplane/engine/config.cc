#include "dataplane/engine/config.h"

#include <algorithm>
#include <string>

#include "codecs/base/window_limiter.h"

namespace ifgw::engine {
namespace {

Error out_of_range(const char* setting, std::uint64_t value, std::uint64_t least, std::uint64_t most) {
  return Error{std::string(setting) + " is " + std::to_string(value) + "; allowed are " + std::to_string(least) + " to " +
               std::to_string(most)};
}

bool within(std::uint64_t value, std::uint64_t least, std::uint64_t most) { return value >= least && value <= most; }

Status check_ports(const EngineConfig& config) {
  if (config.first_media_port % 2 != 0 || config.first_media_port < 1024) {
    return Error{"first_media_port is " + std::to_string(config.first_media_port) + "; it must be even and at least 1024"};
  }
  if (config.last_media_port % 2 != 1 || config.last_media_port < config.first_media_port) {
    return Error{"last_media_port is " + std::to_string(config.last_media_port) + "; it must be odd and above first_media_port (" +
                 std::to_string(config.first_media_port) + ")"};
  }
  const std::uint32_t pairs = PortMap(config).pairs;
  if (pairs < config.worker_count) {
    return Error{"the media ports make " + std::to_string(pairs) + " pairs; each of the " + std::to_string(config.worker_count) +
                 " workers needs at least one"};
  }
  for (const std::uint16_t port : config.sip_udp_ports) {
    if (port == 0 || PortMap(config).is_media(port)) {
      return Error{"signalling port " + std::to_string(port) + " lies among the media ports (" + std::to_string(config.first_media_port) +
                   " to " + std::to_string(config.last_media_port) + ") or is 0"};
    }
  }
  return Success{};
}

Status check_limiter(const EngineConfig& config) {
  if (!within(config.limiter_sources, 8, 64'000'000)) return out_of_range("limiter_sources", config.limiter_sources, 8, 64'000'000);
  if (!within(config.limiter_max_requests, 1, WindowLimiter::kMaxRequests)) {
    return out_of_range("limiter_max_requests", config.limiter_max_requests, 1, WindowLimiter::kMaxRequests);
  }
  if (!within(config.max_prefixes, 1, 4096)) return out_of_range("max_prefixes", config.max_prefixes, 1, 4096);
  if (!within(config.prefix_stamps, 1, 64'000'000)) return out_of_range("prefix_stamps", config.prefix_stamps, 1, 64'000'000);
  const api::SetLimits& limits = config.limits;
  if (!within(limits.requests, 1, config.limiter_max_requests)) {
    return out_of_range("limits.requests", limits.requests, 1, config.limiter_max_requests);
  }
  if (!within(limits.window_ms, 100, 600'000)) return out_of_range("limits.window_ms", limits.window_ms, 100, 600'000);
  if (limits.block_ms > 86'400'000) return out_of_range("limits.block_ms", limits.block_ms, 0, 86'400'000);
  return Success{};
}

}  // namespace

Status check_config(const EngineConfig& config) {
  if (!within(config.worker_count, 1, kMaxWorkers)) return out_of_range("worker_count", config.worker_count, 1, kMaxWorkers);
  if (config.worker >= config.worker_count) return out_of_range("worker", config.worker, 0, config.worker_count - 1U);
  if (!within(config.local_addresses.size(), 1, kMaxLocalAddresses)) {
    return out_of_range("number of local addresses", config.local_addresses.size(), 1, kMaxLocalAddresses);
  }
  for (auto it = config.local_addresses.begin(); it != config.local_addresses.end(); ++it) {
    if (!it->present()) return Error{"a local address is empty"};
    if (std::find(config.local_addresses.begin(), it, *it) != it) return Error{"local address " + it->text() + " is given twice"};
  }
  if (config.sip_udp_ports.size() > kMaxSignallingPorts) {
    return out_of_range("number of SIP UDP ports", config.sip_udp_ports.size(), 0, kMaxSignallingPorts);
  }
  if (config.signalling_tcp_ports.size() > 2 * kMaxSignallingPorts) {
    return out_of_range("number of signalling TCP ports", config.signalling_tcp_ports.size(), 0, 2 * kMaxSignallingPorts);
  }
  if (Status status = check_ports(config); !status) return status;
  if (!within(config.mtu, 576, 9000)) return out_of_range("mtu", config.mtu, 576, 9000);
  if (config.transcoding_mb > 65'536) return out_of_range("transcoding_mb", config.transcoding_mb, 0, 65'536);
  if (!within(config.max_load_percent, 0, 400)) return out_of_range("max_load_percent", config.max_load_percent, 0, 400);
  if (config.late < std::chrono::microseconds(100) || config.late > std::chrono::seconds(1)) {
    return Error{"late is out of range; allowed are 100 to 1000000 us"};
  }
  if (PortMap(config).slots() >= (1U << 24)) return Error{"more than 2^24 media port pairs per worker"};
  if (config.first_generation == 0) return Error{"first_generation is 0; it must not be"};
  if (config.port_quarantine < Duration::zero() || config.port_quarantine > std::chrono::hours(1)) {
    return Error{"port_quarantine is out of range; allowed are 0 to 3600 s"};
  }
  return check_limiter(config);
}

}  // namespace ifgw::engine
