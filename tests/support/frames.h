// Frames on the wire, written the plain way and on purpose without the product's header code, so that a test does not
// check that code with itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codecs/base/ip.h"

namespace ifgw::test {

using Frame = std::vector<std::uint8_t>;

inline void put16(Frame& f, unsigned v) {
  f.push_back(static_cast<std::uint8_t>(v >> 8));
  f.push_back(static_cast<std::uint8_t>(v));
}
inline void put32(Frame& f, std::uint32_t v) {
  put16(f, v >> 16);
  put16(f, v & 0xFFFF);
}
inline unsigned get16(const std::uint8_t* p) { return static_cast<unsigned>(p[0] << 8 | p[1]); }

// RFC 1071, byte pairs at a time.
inline unsigned ones_sum(const std::uint8_t* p, std::size_t size, unsigned sum = 0) {
  for (std::size_t i = 0; i < size; i += 2) {
    sum += static_cast<unsigned>(p[i] << 8) + (i + 1 < size ? p[i + 1] : 0U);
    sum = (sum & 0xFFFF) + (sum >> 16);
  }
  return sum;
}

inline std::size_t address_bytes(const IpAddress& ip) { return ip.is_v4() ? 4 : 16; }

// Checksum of a UDP or TCP segment; 0 when the segment's own checksum field already makes it right.
inline unsigned l4_checksum(const IpAddress& a, const IpAddress& b, unsigned protocol, const std::uint8_t* l4, std::size_t size) {
  unsigned sum = ones_sum(a.bytes.data(), address_bytes(a));
  sum = ones_sum(b.bytes.data(), address_bytes(b), sum);
  const std::uint8_t rest[4] = {0, static_cast<std::uint8_t>(protocol), static_cast<std::uint8_t>(size >> 8),
                                static_cast<std::uint8_t>(size)};
  sum = ones_sum(rest, sizeof rest, sum);
  return ~ones_sum(l4, size, sum) & 0xFFFF;
}

// An IP packet in an Ethernet frame.
inline Frame ip_frame(const IpAddress& from, const IpAddress& to, unsigned protocol, const Frame& l4) {
  Frame f = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
  if (from.is_v4()) {
    put16(f, 0x0800);
    f.insert(f.end(), {0x45, 0});
    put16(f, static_cast<unsigned>(20 + l4.size()));
    f.insert(f.end(), {0x12, 0x34, 0, 0, 57, static_cast<std::uint8_t>(protocol), 0, 0});
    f.insert(f.end(), from.bytes.begin(), from.bytes.begin() + 4);
    f.insert(f.end(), to.bytes.begin(), to.bytes.begin() + 4);
    const unsigned sum = ~ones_sum(&f[14], 20) & 0xFFFF;
    f[24] = static_cast<std::uint8_t>(sum >> 8);
    f[25] = static_cast<std::uint8_t>(sum);
  } else {
    put16(f, 0x86DD);
    put32(f, 0x60000000);
    put16(f, static_cast<unsigned>(l4.size()));
    f.insert(f.end(), {static_cast<std::uint8_t>(protocol), 57});
    f.insert(f.end(), from.bytes.begin(), from.bytes.end());
    f.insert(f.end(), to.bytes.begin(), to.bytes.end());
  }
  f.insert(f.end(), l4.begin(), l4.end());
  return f;
}

// An ICMP or ICMPv6 message, by the family of `from`. `rest`: what follows type, code and checksum.
inline Frame icmp_frame(const IpAddress& from, const IpAddress& to, unsigned type, unsigned code, const Frame& rest) {
  Frame icmp = {static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(code), 0, 0};
  icmp.insert(icmp.end(), rest.begin(), rest.end());
  const unsigned protocol = from.is_v4() ? 1 : 58;
  const unsigned sum =
      from.is_v4() ? ~ones_sum(icmp.data(), icmp.size()) & 0xFFFF : l4_checksum(from, to, protocol, icmp.data(), icmp.size());
  icmp[2] = static_cast<std::uint8_t>(sum >> 8);
  icmp[3] = static_cast<std::uint8_t>(sum);
  return ip_frame(from, to, protocol, icmp);
}

inline Frame udp_frame(const Endpoint& from, const Endpoint& to, const Frame& payload) {
  Frame udp;
  put16(udp, from.port);
  put16(udp, to.port);
  put16(udp, static_cast<unsigned>(8 + payload.size()));
  put16(udp, 0);
  udp.insert(udp.end(), payload.begin(), payload.end());
  unsigned sum = l4_checksum(from.ip, to.ip, 17, udp.data(), udp.size());
  if (sum == 0) sum = 0xFFFF;
  udp[6] = static_cast<std::uint8_t>(sum >> 8);
  udp[7] = static_cast<std::uint8_t>(sum);
  return ip_frame(from.ip, to.ip, 17, udp);
}

inline Frame tcp_frame(const Endpoint& from, const Endpoint& to, unsigned flags) {
  Frame tcp;
  put16(tcp, from.port);
  put16(tcp, to.port);
  put32(tcp, 1);
  put32(tcp, 2);
  tcp.insert(tcp.end(), {0x50, static_cast<std::uint8_t>(flags), 0x10, 0, 0, 0, 0, 0});
  return ip_frame(from.ip, to.ip, 6, tcp);
}

inline Frame rtp_packet(unsigned payload_type, unsigned sequence, std::uint32_t timestamp, std::uint32_t ssrc, const Frame& media) {
  Frame f = {0x80, static_cast<std::uint8_t>(payload_type)};
  put16(f, sequence);
  put32(f, timestamp);
  put32(f, ssrc);
  f.insert(f.end(), media.begin(), media.end());
  return f;
}

// Receiver report without blocks, then an SDES chunk with an empty CNAME.
inline Frame rtcp_packet(std::uint32_t ssrc) {
  Frame f = {0x80, 201, 0, 1};
  put32(f, ssrc);
  f.insert(f.end(), {0x81, 202, 0, 2});
  put32(f, ssrc);
  f.insert(f.end(), {1, 0, 0, 0});
  return f;
}

// A UDP packet taken apart again; `ok` says that every length and checksum is right.
struct Datagram {
  bool ok = false;
  Endpoint from;
  Endpoint to;
  unsigned tos = 0;
  unsigned hops = 0;
  bool has_checksum = false;
  Frame payload;
};
inline Datagram read_udp(const std::uint8_t* f, std::size_t size) {
  Datagram d;
  if (size < 14) return d;
  const bool v4 = get16(f + 12) == 0x0800;
  const std::uint8_t* ip = f + 14;
  const std::size_t header = v4 ? 20 : 40;
  if (size < 14 + header + 8) return d;
  d.from.ip.family = d.to.ip.family = v4 ? IpFamily::V4 : IpFamily::V6;
  const std::size_t width = v4 ? 4 : 16;
  for (std::size_t i = 0; i < width; ++i) {
    d.from.ip.bytes[i] = ip[(v4 ? 12 : 8) + i];
    d.to.ip.bytes[i] = ip[(v4 ? 16 : 24) + i];
  }
  const std::uint8_t* udp = ip + header;
  const std::size_t udp_size = get16(udp + 4);
  d.from.port = static_cast<std::uint16_t>(get16(udp));
  d.to.port = static_cast<std::uint16_t>(get16(udp + 2));
  d.tos = v4 ? ip[1] : (get16(ip) >> 4 & 0xFF);
  d.hops = v4 ? ip[8] : ip[7];
  d.has_checksum = get16(udp + 6) != 0;
  if (14 + header + udp_size != size || udp_size < 8) return d;
  const bool ip_ok = v4 ? ones_sum(ip, 20) == 0xFFFF && get16(ip + 2) == 20 + udp_size : get16(ip + 4) == udp_size;
  const bool udp_ok = !d.has_checksum ? v4 : l4_checksum(d.from.ip, d.to.ip, 17, udp, udp_size) == 0;
  d.ok = ip_ok && udp_ok;
  d.payload.assign(udp + 8, udp + udp_size);
  return d;
}

}  // namespace ifgw::test
