// What one worker's engine is told at start, and the arithmetic every worker must agree on.
#pragma once

#include <cstdint>
#include <vector>

#include "codecs/base/hash.h"
#include "codecs/base/ip.h"
#include "codecs/base/result.h"
#include "codecs/base/time.h"
#include "dataplane/api/messages.h"
#include "dataplane/engine/headroom.h"

namespace ifgw::engine {

inline constexpr std::size_t kMaxLocalAddresses = 8;
inline constexpr std::size_t kMaxSignallingPorts = 4;
inline constexpr std::uint32_t kMaxWorkers = 32;

struct EngineConfig {
  std::uint8_t worker = 0;        // this one
  std::uint8_t worker_count = 1;  // 1..kMaxWorkers

  // The same on every worker:
  std::vector<IpAddress> local_addresses;           // 1..kMaxLocalAddresses; media and signalling
  std::uint16_t first_media_port = 16384;           // even: RTP; the odd port after it is its RTCP port
  std::uint16_t last_media_port = 32767;            // odd
  std::vector<std::uint16_t> sip_udp_ports;         // ..kMaxSignallingPorts, outside the media ports
  std::vector<std::uint16_t> signalling_tcp_ports;  // ..2 * kMaxSignallingPorts
  HashKey hash_key;                                 // drawn once per process

  // Legs. Each worker has a slot for every port pair it owns; max_legs bounds how many may be in use (0: all).
  std::uint32_t max_legs = 0;
  std::uint32_t first_generation = 1;                  // of the leg ids; draw it at start, so that ids of an earlier run are unknown
  Duration port_quarantine = std::chrono::seconds(5);  // a port rests this long before a new leg may get it
  std::uint16_t mtu = 1500;                            // of the media network, 576..9000
  std::uint32_t transcoding_mb = 0;                    // per worker, 0..65536; both directions of a call with Opus at one end take 80 kB
  PairCostsNs pair_costs_ns = declared_costs();        // better: as measured on this machine
  std::uint32_t max_load_percent = 80;                 // of a worker's time that calls may be promised, 0..400; 0: any
  Duration late = std::chrono::milliseconds(60);       // that audio may wait to be transcoded, 100 us..1 s; Engine::shed()

  // Limiter, per worker.
  std::uint32_t limiter_sources = 65'536;         // at once
  std::uint32_t limiter_max_requests = 30;        // 1..255; bound of SetLimits::requests
  std::uint32_t max_prefixes = 256;               // prefix limits and exemptions together, 1..4096
  std::uint32_t prefix_stamps = 1'000'000;        // sum of the requests of all prefix limits; 8 bytes each
  std::uint32_t verdict_events_per_second = 100;  // more are counted as events_lost
  api::SetLimits limits;                          // until SetLimits says otherwise
};

// An error names the setting, its value and the allowed range.
Status check_config(const EngineConfig& config);

// Which worker owns a media port, and where its leg sits in that worker's table: no lookup, any worker can compute it.
struct PortMap {
  explicit PortMap(const EngineConfig& config) noexcept
      : first_port(config.first_media_port),
        pairs((static_cast<std::uint32_t>(config.last_media_port) - config.first_media_port + 1) / 2),
        workers(config.worker_count),
        reciprocal(((1U << kReciprocalBits) + workers - 1) / workers),
        pairs_per_worker((pairs + workers - 1) / workers),
        addresses(static_cast<std::uint32_t>(config.local_addresses.size())) {}

  bool is_media(std::uint16_t port) const noexcept { return static_cast<std::uint32_t>(port) - first_port < 2 * pairs; }
  std::uint32_t pair(std::uint16_t port) const noexcept { return (static_cast<std::uint32_t>(port) - first_port) / 2; }
  std::uint8_t owner(std::uint16_t port) const noexcept {
    const std::uint32_t p = pair(port);
    return static_cast<std::uint8_t>(p - by_workers(p) * workers);
  }
  std::uint32_t index(std::uint8_t address, std::uint16_t port) const noexcept {
    return address * pairs_per_worker + by_workers(pair(port));
  }
  // RTP port of slot `index` of `worker`; 0: the slot lies beyond the port range.
  std::uint16_t port(std::uint8_t worker, std::uint32_t index) const noexcept {
    const std::uint32_t p = (index % pairs_per_worker) * workers + worker;
    return p < pairs ? static_cast<std::uint16_t>(first_port + 2 * p) : std::uint16_t{0};
  }
  std::uint8_t address(std::uint32_t index) const noexcept { return static_cast<std::uint8_t>(index / pairs_per_worker); }
  std::uint32_t slots() const noexcept { return addresses * pairs_per_worker; }
  // pair / workers without a division: exact, because pair * workers < 2^kReciprocalBits.
  std::uint32_t by_workers(std::uint32_t pair) const noexcept {
    return static_cast<std::uint32_t>((std::uint64_t{pair} * reciprocal) >> kReciprocalBits);
  }

  static constexpr unsigned kReciprocalBits = 21;
  std::uint32_t first_port;
  std::uint32_t pairs;
  std::uint32_t workers;
  std::uint32_t reciprocal;
  std::uint32_t pairs_per_worker;
  std::uint32_t addresses;
};

}  // namespace ifgw::engine
