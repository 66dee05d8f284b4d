#include "controlplane/adapters/socket_address.h"

#include <cerrno>
#include <cstring>

#include "controlplane/adapters/unique_fd.h"

namespace ifgw::adapters {

SocketAddress SocketAddress::from(const Endpoint& endpoint) noexcept {
  SocketAddress result;
  if (endpoint.ip.is_v6()) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(endpoint.port);
    std::memcpy(&address.sin6_addr, endpoint.ip.bytes.data(), sizeof address.sin6_addr);
    std::memcpy(&result.storage, &address, sizeof address);
    result.length = sizeof address;
  } else {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    std::memcpy(&address.sin_addr, endpoint.ip.bytes.data(), sizeof address.sin_addr);
    std::memcpy(&result.storage, &address, sizeof address);
    result.length = sizeof address;
  }
  return result;
}

Endpoint SocketAddress::endpoint() const noexcept {
  if (storage.ss_family == AF_INET) {
    sockaddr_in address;
    std::memcpy(&address, &storage, sizeof address);
    return {IpAddress::v4(ntohl(address.sin_addr.s_addr)), ntohs(address.sin_port)};
  }
  if (storage.ss_family != AF_INET6) return {};
  sockaddr_in6 address;
  std::memcpy(&address, &storage, sizeof address);
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &address.sin6_addr, bytes.size());
  const std::uint16_t port = ntohs(address.sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr)) {
    return {IpAddress::v4(std::uint32_t{bytes[12]} << 24 | std::uint32_t{bytes[13]} << 16 | std::uint32_t{bytes[14]} << 8 | bytes[15]),
            port};
  }
  return {IpAddress::v6(bytes), port};
}

bool is_here(const IpAddress& address) noexcept {
  const SocketAddress any_port = SocketAddress::from({address, 0});
  const UniqueFd probe(socket(address.is_v6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return !probe || bind(probe.get(), any_port.get(), any_port.length) == 0 || errno != EADDRNOTAVAIL;
}

}  // namespace ifgw::adapters
