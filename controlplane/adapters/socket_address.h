// Endpoint <-> sockaddr.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "codecs/base/ip.h"

namespace ifgw::adapters {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);

  static SocketAddress from(const Endpoint& endpoint) noexcept;
  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  // Absent when it is neither IPv4 nor IPv6. IPv4-mapped IPv6 addresses become IPv4.
  Endpoint endpoint() const noexcept;
};

// False only when the kernel says that nothing here has this address (in this network namespace, now). A wildcard is here.
bool is_here(const IpAddress& address) noexcept;

}  // namespace ifgw::adapters
