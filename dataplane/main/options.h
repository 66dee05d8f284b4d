// The dataplane's command line (or the same settings in a file, --config), parsed and checked before anything starts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codecs/base/result.h"
#include "dataplane/api/region.h"
#include "dataplane/engine/config.h"
#include "dataplane/runtime/eal_profile.h"
#include "dataplane/runtime/ports.h"

namespace ifgw::dataplane {

struct AddressOption {
  std::string port;  // name
  IpAddress address;
  std::uint8_t prefix_length = 0;
};

struct Options {
  std::vector<runtime::PortConfig> ports;
  std::vector<AddressOption> addresses;
  bool exception = true;        // taps named ifgw-<port>
  std::string exception_netns;  // network namespace file the taps are moved to; empty: ours
  runtime::MemoryChoice memory = runtime::MemoryChoice::Auto;
  std::uint32_t packet_buffers = 0;  // 0: as many as are needed
  std::uint16_t workers = 1;
  std::vector<int> cpus;  // one per worker; empty: not pinned
  bool busy_poll = false;
  bool syscall_filter = true;
  std::string socket = "/run/ifgw/dataplane.sock";
  std::string socket_mode = "0660";
  std::string allow_user = "root";
  std::string user = "nobody";
  std::uint32_t exception_pps = 20'000;
  bool measure_costs = true;    // of each pair of codecs, at start
  engine::EngineConfig engine;  // worker, worker_count, hash_key and first_generation are set by main
};

// Exit status to end with at once (--help, --version, or a usage error that was printed), or the options.
struct ParsedOptions {
  int exit_status = -1;  // -1: go on
  Options options;
};
ParsedOptions parse_options(int argc, const char* const* argv);

// Everything that can be checked without touching the machine. An error names the setting and what it may be.
Status check_options(const Options& options);
// Options::cpus against the CPUs that this process may run on. An error names both.
Status check_cpus(const std::vector<int>& cpus, const std::vector<int>& usable);

}  // namespace ifgw::dataplane
