#include "dataplane/engine/icmp_error.h"

#include <algorithm>

#include "dataplane/engine/headers.h"

namespace ifgw::engine {
namespace {

using Cause = api::UnreachableCause;

constexpr std::uint8_t kProtocolIcmp = 1;
constexpr std::uint8_t kProtocolUdp = 17;
constexpr std::uint8_t kProtocolIcmpV6 = 58;
constexpr std::size_t kIcmpBytes = 8;

std::optional<Cause> cause_v4(std::uint8_t type, std::uint8_t code) noexcept {
  if (type == 11) return Cause::TimeExceeded;
  if (type != 3 || code > 15) return std::nullopt;
  switch (code) {
    case 0:
    case 6:
    case 11: return Cause::Network;
    case 2: return Cause::Protocol;
    case 3: return Cause::Port;
    case 4: return Cause::TooBig;
    case 9:
    case 10:
    case 13: return Cause::Prohibited;
    default: return Cause::Host;
  }
}

std::optional<Cause> cause_v6(std::uint8_t type, std::uint8_t code) noexcept {
  if (type == 2) return Cause::TooBig;
  if (type == 3) return Cause::TimeExceeded;
  if (type == 4) return Cause::Protocol;
  if (type != 1) return std::nullopt;
  switch (code) {
    case 0: return Cause::Network;
    case 1:
    case 5:
    case 6: return Cause::Prohibited;
    case 4: return Cause::Port;
    default: return Cause::Host;
  }
}

// The quoted datagram's addresses and ports: its IP header and at least the first half of its UDP header must be there.
bool read_quoted(Bytes quoted, IcmpError& error) noexcept {
  if (quoted.empty()) return false;
  std::size_t at = 0;
  if (quoted[0] >> 4 == 4) {
    at = std::size_t{4} * (quoted[0] & 0x0F);
    // A later fragment has no ports.
    if (at < kIpv4Bytes || quoted.size() < at + 4 || quoted[9] != kProtocolUdp || (load_be16(&quoted[6]) & 0x1FFF) != 0) return false;
    error.local.ip = IpAddress::v4(load_be32(&quoted[12]));
    error.remote.ip = IpAddress::v4(load_be32(&quoted[16]));
  } else {
    at = kIpv6Bytes;
    if (quoted[0] >> 4 != 6 || quoted.size() < at + 4 || quoted[6] != kProtocolUdp) return false;
    error.local.ip.family = error.remote.ip.family = IpFamily::V6;
    std::copy_n(&quoted[8], 16, error.local.ip.bytes.begin());
    std::copy_n(&quoted[24], 16, error.remote.ip.bytes.begin());
  }
  error.local.port = load_be16(&quoted[at]);
  error.remote.port = load_be16(&quoted[at + 2]);
  return true;
}

}  // namespace

std::optional<IcmpError> parse_icmp_error(const Packet& packet) noexcept {
  const std::uint8_t* ip = packet.data + packet.ip_offset;
  const bool v4 = packet.ip_version == 4;
  if (!v4 && packet.ip_version != 6) return std::nullopt;
  // Behind extension headers nobody sends one.
  if (v4 ? ip[9] != kProtocolIcmp : ip[6] != kProtocolIcmpV6 || packet.l4_offset != packet.ip_offset + kIpv6Bytes) return std::nullopt;
  const std::size_t end = packet.ip_offset + (v4 ? std::size_t{load_be16(ip + 2)} : kIpv6Bytes + load_be16(ip + 4));
  if (end < packet.l4_offset + kIcmpBytes) return std::nullopt;
  const Bytes icmp{packet.data + packet.l4_offset, end - packet.l4_offset};
  const std::optional<Cause> cause = v4 ? cause_v4(icmp[0], icmp[1]) : cause_v6(icmp[0], icmp[1]);
  IcmpError error;
  if (!cause || !read_quoted(icmp.subspan(kIcmpBytes), error)) return std::nullopt;
  std::uint32_t pseudo = 0;  // RFC 4443 section 2.3; in the order of memory
  if (!v4) {
    const auto length = static_cast<std::uint16_t>(icmp.size());
    pseudo = add_sum(sum_bytes({ip + 8, 32}), std::uint32_t{__builtin_bswap16(length)} + __builtin_bswap16(kProtocolIcmpV6));
  }
  if (sum_bytes(icmp, pseudo) != 0xFFFF) return std::nullopt;
  error.reporter = packet_source(packet);
  error.cause = *cause;
  if (*cause == Cause::TooBig) error.mtu = v4 ? load_be16(&icmp[6]) : load_be32(&icmp[4]);
  return error;
}

}  // namespace ifgw::engine
