#include "dataplane/engine/headers.h"

#include <cstring>

#include "codecs/base/check.h"

namespace ifgw::engine {
namespace {

constexpr std::uint16_t kEtherIpv4 = 0x0800;
constexpr std::uint16_t kEtherIpv6 = 0x86DD;
constexpr std::uint16_t kEtherVlan = 0x8100;
constexpr std::uint8_t kProtocolTcp = 6;
constexpr std::uint8_t kProtocolUdp = 17;
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kDestinationOptions = 60;
constexpr std::uint8_t kNoNextHeader = 59;
constexpr int kMaxExtensionHeaders = 8;
constexpr std::size_t kTcpBytes = 20;
constexpr std::uint16_t kDontFragment = 0x4000;

constexpr std::uint16_t to_raw(std::uint16_t host_order) noexcept { return __builtin_bswap16(host_order); }

ParseOutcome fail(api::DropReason reason, const Headers& headers) noexcept { return {false, reason, headers}; }

// UDP or TCP behind the IP header(s). `length`: bytes of IP payload from l4_offset on.
ParseOutcome parse_l4(Packet& packet, Headers& headers, std::uint8_t protocol, std::size_t length) noexcept {
  const std::uint8_t* l4 = packet.data + packet.l4_offset;
  if (protocol == kProtocolUdp) {
    if (length < kUdpBytes) return fail(api::DropReason::MalformedUdp, headers);
    const std::size_t udp_length = load_be16(l4 + 4);
    if (udp_length < kUdpBytes || udp_length > length) return fail(api::DropReason::MalformedUdp, headers);
    packet.payload_offset = static_cast<std::uint16_t>(packet.l4_offset + kUdpBytes);
    packet.payload_length = static_cast<std::uint16_t>(udp_length - kUdpBytes);
    headers.l4 = L4::Udp;
  } else if (protocol == kProtocolTcp) {
    if (length < kTcpBytes) return fail(api::DropReason::MalformedIp, headers);
    headers.l4 = L4::Tcp;
    headers.tcp_syn = (l4[13] & 0x12) == 0x02;
  } else {
    headers.l4 = L4::Other;
    return {true, {}, headers};
  }
  packet.source_port = load_be16(l4);
  packet.destination_port = load_be16(l4 + 2);
  return {true, {}, headers};
}

ParseOutcome parse_ipv4(Packet& packet, Headers& headers) noexcept {
  const std::size_t room = packet.length - packet.ip_offset;
  const std::uint8_t* ip = packet.data + packet.ip_offset;
  if (room < kIpv4Bytes || ip[0] >> 4 != 4) return fail(api::DropReason::MalformedIp, headers);
  packet.ip_version = 4;
  headers.source = IpAddress{{ip[12], ip[13], ip[14], ip[15]}, IpFamily::V4};
  headers.destination = IpAddress{{ip[16], ip[17], ip[18], ip[19]}, IpFamily::V4};
  const std::size_t header_bytes = std::size_t{4} * (ip[0] & 0x0F);
  const std::size_t total = load_be16(ip + 2);
  if (header_bytes < kIpv4Bytes || total < header_bytes || total > room) return fail(api::DropReason::MalformedIp, headers);
  if (packet.ip_checksum == Checksum::Unknown) {
    packet.ip_checksum = sum_bytes({ip, header_bytes}) == 0xFFFF ? Checksum::Good : Checksum::Bad;
  }
  if (packet.ip_checksum == Checksum::Bad) return fail(api::DropReason::BadChecksum, headers);
  packet.l4_offset = static_cast<std::uint16_t>(packet.ip_offset + header_bytes);
  if ((load_be16(ip + 6) & 0x3FFF) != 0) {  // more fragments, or an offset
    headers.fragment = true;
    headers.l4 = L4::Other;
    return {true, {}, headers};
  }
  return parse_l4(packet, headers, ip[9], total - header_bytes);
}

ParseOutcome parse_ipv6(Packet& packet, Headers& headers) noexcept {
  const std::size_t room = packet.length - packet.ip_offset;
  const std::uint8_t* ip = packet.data + packet.ip_offset;
  if (room < kIpv6Bytes || ip[0] >> 4 != 6) return fail(api::DropReason::MalformedIp, headers);
  packet.ip_version = 6;
  headers.source.family = headers.destination.family = IpFamily::V6;
  std::memcpy(headers.source.bytes.data(), ip + 8, 16);
  std::memcpy(headers.destination.bytes.data(), ip + 24, 16);
  const std::size_t total = kIpv6Bytes + load_be16(ip + 4);
  if (total > room) return fail(api::DropReason::MalformedIp, headers);
  std::uint8_t next = ip[6];
  std::size_t at = kIpv6Bytes;
  for (int i = 0; next == kHopByHop || next == kRouting || next == kDestinationOptions || next == kFragment; ++i) {
    if (i == kMaxExtensionHeaders || total - at < 8) return fail(api::DropReason::MalformedIp, headers);
    if (next == kFragment) {
      headers.fragment = true;
      headers.l4 = L4::Other;
      packet.l4_offset = static_cast<std::uint16_t>(packet.ip_offset + at);
      return {true, {}, headers};
    }
    const std::size_t length = std::size_t{8} * (ip[at + 1] + std::size_t{1});
    if (length > total - at) return fail(api::DropReason::MalformedIp, headers);
    next = ip[at];
    at += length;
  }
  packet.l4_offset = static_cast<std::uint16_t>(packet.ip_offset + at);
  if (next == kNoNextHeader) {
    headers.l4 = L4::Other;
    return {true, {}, headers};
  }
  return parse_l4(packet, headers, next, total - at);
}

std::uint16_t address_sum(const Packet& packet) noexcept {
  const std::uint8_t* ip = packet.data + packet.ip_offset;
  return packet.ip_version == 4 ? sum_bytes({ip + 12, 8}) : sum_bytes({ip + 8, 32});
}

}  // namespace

ParseOutcome parse_headers(Packet& packet) noexcept {
  Headers headers;
  packet.ip_version = 0;
  packet.ip_offset = packet.l4_offset = packet.payload_offset = packet.payload_length = 0;
  packet.source_port = packet.destination_port = 0;
  if (packet.length < kEthernetBytes) return fail(api::DropReason::MalformedEthernet, headers);
  std::uint16_t type = load_be16(packet.data + 12);
  std::size_t offset = kEthernetBytes;
  if (type == kEtherVlan) {
    if (packet.length < kEthernetBytes + 4) return fail(api::DropReason::MalformedEthernet, headers);
    const bool priority_tag = (load_be16(packet.data + 14) & 0x0FFF) == 0;
    if (!priority_tag) return {true, {}, headers};
    type = load_be16(packet.data + 16);
    offset += 4;
  }
  packet.ip_offset = static_cast<std::uint16_t>(offset);
  if (type == kEtherIpv4) return parse_ipv4(packet, headers);
  if (type == kEtherIpv6) return parse_ipv6(packet, headers);
  return {true, {}, headers};
}

bool udp_checksum_ok(const Packet& packet) noexcept {
  if (packet.l4_checksum == Checksum::Good) return true;
  const std::uint8_t* udp = packet.data + packet.l4_offset;
  if (load_raw16(udp + 6) == 0) return packet.ip_version == 4;
  const std::size_t length = kUdpBytes + packet.payload_length;
  const std::uint16_t pseudo = add_sum(address_sum(packet), to_raw(kProtocolUdp) + to_raw(static_cast<std::uint16_t>(length)));
  return sum_bytes({udp, length}, pseudo) == 0xFFFF;
}

std::uint16_t packet_pseudo_sum(const Packet& packet) noexcept {
  const std::uint8_t* udp = packet.data + packet.l4_offset;
  return add_sum(address_sum(packet), std::uint32_t{load_raw16(udp)} + load_raw16(udp + 2));
}

IpAddress packet_source(const Packet& packet) noexcept {
  const std::uint8_t* ip = packet.data + packet.ip_offset;
  IpAddress address;
  if (packet.ip_version == 4) {
    address.family = IpFamily::V4;
    std::memcpy(address.bytes.data(), ip + 12, 4);
  } else if (packet.ip_version == 6) {
    address.family = IpFamily::V6;
    std::memcpy(address.bytes.data(), ip + 8, 16);
  }
  return address;
}

std::uint16_t sum_bytes(Bytes bytes, std::uint32_t initial) noexcept {
  // Carries gather in the upper half and are folded in once, at the end.
  std::uint64_t sum = initial;
  const std::uint8_t* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 4; left -= 4, p += 4) {
    std::uint32_t word;
    std::memcpy(&word, p, sizeof word);
    sum += word;
  }
  if (left != 0) {
    std::uint32_t word = 0;
    std::memcpy(&word, p, left);
    sum += word;
  }
  sum = (sum & 0xFFFFFFFF) + (sum >> 32);
  sum = (sum & 0xFFFF) + (sum >> 16 & 0xFFFF) + (sum >> 32);
  sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>((sum & 0xFFFF) + (sum >> 16));
}

UdpTemplate make_udp_template(const Endpoint& local, const Endpoint& remote, std::uint8_t dscp) noexcept {
  IFGW_CHECK(local.present() && local.ip.family == remote.ip.family);
  UdpTemplate path;
  std::uint8_t* ip = path.bytes.data();
  std::size_t udp_at = kIpv4Bytes;
  if (local.ip.is_v4()) {
    ip[0] = 0x45;
    ip[1] = static_cast<std::uint8_t>(dscp << 2);
    store_be16(ip + 6, kDontFragment);
    ip[8] = kHopLimit;
    ip[9] = kProtocolUdp;
    std::memcpy(ip + 12, local.ip.bytes.data(), 4);
    std::memcpy(ip + 16, remote.ip.bytes.data(), 4);
    path.ip_sum = sum_bytes({ip, kIpv4Bytes});
    path.pseudo_sum = sum_bytes({ip + 12, 8});
  } else {
    store_be32(ip, 0x60000000U | static_cast<std::uint32_t>(dscp) << 22);
    ip[6] = kProtocolUdp;
    ip[7] = kHopLimit;
    std::memcpy(ip + 8, local.ip.bytes.data(), 16);
    std::memcpy(ip + 24, remote.ip.bytes.data(), 16);
    path.pseudo_sum = sum_bytes({ip + 8, 32});
    udp_at = kIpv6Bytes;
  }
  store_be16(ip + udp_at, local.port);
  store_be16(ip + udp_at + 2, remote.port);
  path.pseudo_sum = add_sum(path.pseudo_sum, std::uint32_t{to_raw(local.port)} + to_raw(remote.port));
  return path;
}

std::uint16_t fresh_udp_checksum(const UdpTemplate& path, Bytes payload) noexcept {
  const auto length = static_cast<std::uint16_t>(kUdpBytes + payload.size());
  // The length is summed twice: in the pseudo header and in the UDP header.
  const std::uint32_t fixed = std::uint32_t{path.pseudo_sum} + to_raw(kProtocolUdp) + 2U * to_raw(length);
  const auto checksum = static_cast<std::uint16_t>(~sum_bytes(payload, fixed));
  return checksum == 0 ? std::uint16_t{0xFFFF} : checksum;
}

}  // namespace ifgw::engine
