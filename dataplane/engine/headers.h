// Ethernet, IPv4, IPv6, UDP and TCP headers: parsing what came in, building what goes out. RFC 791, 8200, 768, 9293.
// Pure functions over bytes; nothing is read outside the frame.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "codecs/base/bytes.h"
#include "codecs/base/ip.h"
#include "dataplane/engine/packet.h"

namespace ifgw::engine {

inline constexpr std::size_t kEthernetBytes = 14;
inline constexpr std::size_t kIpv4Bytes = 20;
inline constexpr std::size_t kIpv6Bytes = 40;
inline constexpr std::size_t kUdpBytes = 8;
inline constexpr std::size_t kMaxHeaderBytes = kEthernetBytes + kIpv6Bytes + kUdpBytes;
inline constexpr std::uint8_t kHopLimit = 64;

enum class L4 : std::uint8_t { None, Udp, Tcp, Other };

struct Headers {
  IpAddress source;
  IpAddress destination;
  L4 l4 = L4::None;       // None: not IP, or a VLAN tag of another VLAN
  bool fragment = false;  // a piece of a datagram, also the first one
  bool tcp_syn = false;   // SYN without ACK
};

// Fills the parsed fields of `packet` (ip_*, l4_*, payload_*, ports; not kind, owner, leg) and returns the rest. A
// frame that is not IP is no error. Priority tags (VLAN id 0) are looked through, because the kernel would do so too
// and a limiter that did not could be walked around; frames of any other VLAN count as "not IP". IPv6 extension
// headers are walked for the same reason. Lengths follow the headers, not the frame: padding is not payload.
// An error is the reason to drop the frame if it was meant for us.
struct ParseOutcome {
  bool ok = false;
  api::DropReason reason{};
  Headers headers;
};
ParseOutcome parse_headers(Packet& packet) noexcept;

// 16 bits in the byte order of memory, which is the one checksums are computed in.
inline std::uint16_t load_raw16(const std::uint8_t* p) noexcept {
  std::uint16_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store_raw16(std::uint8_t* p, std::uint16_t v) noexcept { std::memcpy(p, &v, sizeof v); }

// One's complement sum of `bytes` (as if padded with a zero), folded to 16 bits, in the byte order of memory: add sums
// with add_sum(), store the complement as it is.
std::uint16_t sum_bytes(Bytes bytes, std::uint32_t initial = 0) noexcept;
inline std::uint16_t add_sum(std::uint32_t a, std::uint32_t b) noexcept {
  std::uint32_t s = a + b;
  s = (s & 0xFFFF) + (s >> 16);
  return static_cast<std::uint16_t>((s & 0xFFFF) + (s >> 16));
}

// RFC 1624 equation 3: what a checksum becomes when words that sum up to `before` give way to words that sum up to
// `after`. Both are plain sums of 16-bit or 32-bit words, below 2^40, not folded: 2^16 is 1 modulo 0xFFFF, and so is 2^32.
// Never 0, which in UDP means that there is none.
inline std::uint16_t update_checksum(std::uint16_t checksum, std::uint64_t before, std::uint64_t after) noexcept {
  constexpr std::uint64_t kNothing = std::uint64_t{0xFFFF} << 32;  // a multiple of 0xFFFF above any `before`
  std::uint64_t sum = kNothing + after - before + static_cast<std::uint16_t>(~checksum);
  sum = (sum & 0xFFFFFFFF) + (sum >> 32);
  sum = (sum & 0xFFFF) + (sum >> 16);
  sum = (sum & 0xFFFF) + (sum >> 16);
  const auto updated = static_cast<std::uint16_t>(~sum);
  return updated == 0 ? std::uint16_t{0xFFFF} : updated;
}

// The common case, without anything that parse_headers() would have to refuse or walk: untagged IPv4 without options or
// fragments, UDP, lengths and header checksum right. Not `ok`: nothing was decided, call parse_headers().
struct PlainUdp {
  bool ok = false;
  std::uint32_t source = 0;  // in the order of the host
  std::uint32_t destination = 0;
};
inline PlainUdp parse_plain_ipv4_udp(Packet& packet) noexcept {
  constexpr std::size_t kIp = kEthernetBytes;
  constexpr std::size_t kUdp = kIp + kIpv4Bytes;
  constexpr std::uint64_t kNoOptions = std::uint64_t{0x45} << 56;
  constexpr std::uint64_t kVersionAndFragment = std::uint64_t{0xFF} << 56 | 0x3FFF;
  const std::uint8_t* f = packet.data;
  const std::size_t length = packet.length;
  if (length < kUdp + kUdpBytes || load_be16(f + 12) != 0x0800) return {};
  const std::uint64_t front = load_be64(f + kIp);       // version, length, DSCP, total length, identification, fragment
  const std::uint64_t middle = load_be64(f + kIp + 8);  // hop limit, protocol, checksum, source
  const std::uint32_t back = load_be32(f + kIp + 16);   // destination
  const std::uint64_t udp = load_be64(f + kUdp);        // ports, length, checksum
  if ((front & kVersionAndFragment) != kNoOptions || (middle >> 48 & 0xFF) != 17) return {};
  const std::size_t total = front >> 32 & 0xFFFF;
  const std::size_t udp_length = udp >> 16 & 0xFFFF;
  if (total > length - kIp || udp_length < kUdpBytes || udp_length + kIpv4Bytes > total) return {};
  if (packet.ip_checksum != Checksum::Good) {
    std::uint64_t sum = (front & 0xFFFFFFFF) + (front >> 32) + (middle & 0xFFFFFFFF) + (middle >> 32) + back;
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);  // at most a few above 0xFFFF, of which only 0xFFFF itself is right
    if (packet.ip_checksum == Checksum::Bad || sum != 0xFFFF) return {};
    packet.ip_checksum = Checksum::Good;
  }
  packet.ip_version = 4;
  packet.ip_offset = kIp;
  packet.l4_offset = kUdp;
  packet.payload_offset = kUdp + kUdpBytes;
  packet.payload_length = static_cast<std::uint16_t>(udp_length - kUdpBytes);
  packet.source_port = static_cast<std::uint16_t>(udp >> 48);
  packet.destination_port = static_cast<std::uint16_t>(udp >> 32);
  return {true, static_cast<std::uint32_t>(middle), back};
}

// UDP checksum over the parsed packet. IPv4 may leave it out (0: accepted); IPv6 may not (RFC 8200 section 8.1).
bool udp_checksum_ok(const Packet& packet) noexcept;

// Source address of a parsed packet; absent when it is not IP.
IpAddress packet_source(const Packet& packet) noexcept;

inline bool from_address(const Packet& packet, const IpAddress& expected) noexcept {
  const std::uint8_t* ip = packet.data + packet.ip_offset;
  if (__builtin_expect(packet.ip_version == 4, 1)) return expected.is_v4() && std::memcmp(ip + 12, expected.bytes.data(), 4) == 0;
  return expected.is_v6() && std::memcmp(ip + 8, expected.bytes.data(), 16) == 0;
}

// Sum of both addresses and both ports as they are in a parsed UDP packet: what UdpTemplate::pseudo_sum is for a path.
std::uint16_t packet_pseudo_sum(const Packet& packet) noexcept;

// IP and UDP headers of one path, made once and copied before each payload: only lengths and checksums differ from
// packet to packet. 48 bytes hold IPv6 + UDP; IPv4 + UDP use the first 28. IPv4 goes out with "don't fragment" and
// identification 0 (RFC 6864 section 4.1).
struct UdpTemplate {
  std::array<std::uint8_t, kIpv6Bytes + kUdpBytes> bytes{};
  std::uint16_t ip_sum = 0;      // IPv4: sum of the header without length and checksum
  std::uint16_t pseudo_sum = 0;  // both addresses and both ports; without protocol and length

  bool made() const noexcept { return bytes[0] != 0; }
  bool is_v6() const noexcept { return (bytes[0] >> 4) == 6; }
  std::size_t size() const noexcept { return is_v6() ? kIpv6Bytes + kUdpBytes : kIpv4Bytes + kUdpBytes; }
};
// Both endpoints present and of one family. `dscp` 0..63.
UdpTemplate make_udp_template(const Endpoint& local, const Endpoint& remote, std::uint8_t dscp) noexcept;
// Writes the headers that go before `payload_length` bytes of payload to `ip` (the first byte of the IP header).
// `udp_checksum`: as it goes on the wire; fresh_udp_checksum() or an updated one.
inline void write_udp_headers(const UdpTemplate& path, std::uint8_t* ip, std::uint16_t payload_length,
                              std::uint16_t udp_checksum) noexcept {
  const auto udp_length = static_cast<std::uint16_t>(kUdpBytes + payload_length);
  std::uint8_t* udp = ip + kIpv4Bytes;
  if (path.is_v6()) {
    std::memcpy(ip, path.bytes.data(), kIpv6Bytes + kUdpBytes);
    store_be16(ip + 4, udp_length);
    udp = ip + kIpv6Bytes;
  } else {
    std::memcpy(ip, path.bytes.data(), kIpv4Bytes + kUdpBytes);
    const std::uint16_t total = __builtin_bswap16(static_cast<std::uint16_t>(kIpv4Bytes + udp_length));
    store_raw16(ip + 2, total);
    const std::uint32_t sum = std::uint32_t{path.ip_sum} + total;
    store_raw16(ip + 10, static_cast<std::uint16_t>(~(sum + (sum >> 16))));
  }
  store_be16(udp + 4, udp_length);
  store_raw16(udp + 6, udp_checksum);
}
std::uint16_t fresh_udp_checksum(const UdpTemplate& path, Bytes payload) noexcept;

}  // namespace ifgw::engine
