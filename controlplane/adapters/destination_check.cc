#include "controlplane/adapters/destination_check.h"

#include <algorithm>

namespace ifgw::adapters {

std::string_view destination_fault(const Endpoint& local, const Endpoint& remote, std::span<const IpAddress> ours) noexcept {
  if (!remote.present() || remote.port == 0) return "it names no address and port";
  if (remote.ip.family != local.ip.family) return "its IP version is not that of the listener the call uses";
  if (is_martian(remote.ip)) return "no packet of a network goes there (unspecified, loopback, multicast or reserved address)";
  if (std::find(ours.begin(), ours.end(), remote.ip) != ours.end()) return "it is an address of this gateway";
  return {};
}

}  // namespace ifgw::adapters
