#include "controlplane/main/open_files.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "controlplane/adapters/admin_server.h"
#include "dataplane/api/region.h"

namespace ifgw::control {
namespace {

// Standard streams, event loop, signals, log, witness file (twice while it is reopened), listeners of the operator and of
// systemd, the files OpenSSL and the C library open for a moment; rounded up.
constexpr std::size_t kOwnFiles = 32;

std::size_t reserve(const config::Config& config) {
  const std::size_t listeners = config.sip.udp.size() + config.sip.tcp.size() + config.sip.tls.size();
  // While it attaches anew, the dataplane's descriptors arrive before the rings are mapped.
  return kOwnFiles + listeners + adapters::kMaxAdminClients + api::kAttachFixedFds + api::kMaxWorkers;
}

}  // namespace

Status raise_open_files(const config::Config& config) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return Error{std::string{"getrlimit(RLIMIT_NOFILE): "} + std::strerror(errno)};
  const std::size_t beside = reserve(config);
  const std::size_t needed = config.sip.max_connections + beside;
  if (limit.rlim_max < needed) {
    const std::string have = std::to_string(limit.rlim_max);
    std::string text = "[sip] max_connections = " + std::to_string(config.sip.max_connections) + " needs " + std::to_string(needed) +
                       " open files (" + std::to_string(beside) + " are for other things), the hard limit is " + have +
                       ": raise it (LimitNOFILE=" + std::to_string(needed) + " in the service, or ulimit -Hn)";
    if (limit.rlim_max > beside) text += ", or set max_connections to at most " + std::to_string(limit.rlim_max - beside);
    return Error{text};
  }
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return Error{std::string{"setrlimit(RLIMIT_NOFILE): "} + std::strerror(errno)};
  return Success{};
}

}  // namespace ifgw::control
