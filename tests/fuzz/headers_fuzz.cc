// Ethernet, IP, UDP, TCP: what was parsed lies inside the frame, and the short way agrees with the long one.
// The first byte says what the port knows about the checksums; the rest is the frame.
#include <cstdlib>
#include <vector>

#include "dataplane/engine/headers.h"
#include "dataplane/engine/icmp_error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ifgw;
  using namespace ifgw::engine;
  if (size < 1 || size > 2048) return 0;
  std::vector<std::uint8_t> frame(data + 1, data + size);
  Packet packet;
  packet.data = frame.data();
  packet.length = static_cast<std::uint16_t>(frame.size());
  packet.ip_checksum = static_cast<Checksum>(data[0] % 3);
  Packet plain = packet;
  const ParseOutcome outcome = parse_headers(packet);
  if (const PlainUdp addresses = parse_plain_ipv4_udp(plain); addresses.ok) {
    if (IpAddress::v4(addresses.source) != outcome.headers.source || IpAddress::v4(addresses.destination) != outcome.headers.destination)
      std::abort();
    if (!outcome.ok || outcome.headers.l4 != L4::Udp || outcome.headers.fragment) std::abort();
    if (plain.payload_offset != packet.payload_offset || plain.payload_length != packet.payload_length) std::abort();
    if (plain.source_port != packet.source_port || plain.destination_port != packet.destination_port) std::abort();
    if (plain.ip_offset != packet.ip_offset || plain.l4_offset != packet.l4_offset || plain.ip_version != 4) std::abort();
  }
  if (!outcome.ok) return 0;
  if (std::size_t{packet.payload_offset} + packet.payload_length > packet.length || packet.l4_offset > packet.length) std::abort();
  if (packet.ip_version != 0 && packet_source(packet) != outcome.headers.source) std::abort();
  (void)parse_icmp_error(packet);
  if (outcome.headers.l4 == L4::Udp) {
    (void)udp_checksum_ok(packet);
    (void)packet_pseudo_sum(packet);
  }
  return 0;
}
