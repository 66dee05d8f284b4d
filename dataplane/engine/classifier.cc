#include "dataplane/engine/classifier.h"

#include <algorithm>
#include <cstring>

#include "dataplane/engine/source_limiter.h"

namespace ifgw::engine {
namespace {

void malformed(Packet& packet, api::DropReason reason) noexcept {
  packet.kind = PacketKind::Malformed;
  packet.verdict = PacketVerdict::Drop;
  packet.drop = reason;
}

template <typename Ports>
bool contains(const Ports& ports, std::uint16_t port) noexcept {
  return std::find(ports.begin(), ports.end(), port) != ports.end();
}

}  // namespace

Classifier::Classifier(const EngineConfig& config, const SourceLimiter& limiter) : ports_(config), limiter_(limiter) {
  for (const IpAddress& address : config.local_addresses) {
    if (address.is_v4()) std::memcpy(&v4_[addresses_.size()], address.bytes.data(), sizeof v4_[0]);
    IFGW_CHECK(addresses_.push_back(address));
  }
  for (const std::uint16_t port : config.sip_udp_ports) IFGW_CHECK(udp_ports_.push_back(port));
  for (const std::uint16_t port : config.signalling_tcp_ports) IFGW_CHECK(tcp_ports_.push_back(port));
}

int Classifier::local_address(const IpAddress& address) const noexcept {
  const auto found = std::find(addresses_.begin(), addresses_.end(), address);
  return found == addresses_.end() ? -1 : static_cast<int>(found - addresses_.begin());
}

bool Classifier::is_sip_udp_port(std::uint16_t port) const noexcept { return contains(udp_ports_, port); }

void Classifier::classify(Packet& packet) const noexcept {
  packet.kind = PacketKind::Exception;
  packet.verdict = PacketVerdict::Pending;
  packet.tx_leg = kNoLegRow;
  packet.owner = 0;
  if (__builtin_expect(classify_plain_media(packet), 1)) return;
  const ParseOutcome parsed = parse_headers(packet);
  if (!parsed.ok) return malformed(packet, parsed.reason);
  const Headers& headers = parsed.headers;
  if (headers.l4 == L4::None) return;
  const int local = local_address(headers.destination);
  if (local < 0) return;
  packet.local_address = static_cast<std::uint8_t>(local);
  classify_l4(packet, headers);
}

// What nearly every packet is. False: nothing was decided.
bool Classifier::classify_plain_media(Packet& packet) const noexcept {
  if (!parse_plain_ipv4_udp(packet) || !ports_.is_media(packet.destination_port)) return false;
  const std::uint8_t* ip = packet.data + kEthernetBytes;
  if (ip[12] == 0 || ip[12] == 127 || ip[12] >= 224) return false;
  std::uint32_t destination;
  std::memcpy(&destination, ip + 16, sizeof destination);
  for (std::size_t i = 0; i < addresses_.size(); ++i) {
    if (v4_[i] != destination || destination == 0) continue;
    packet.kind = PacketKind::Media;
    packet.local_address = static_cast<std::uint8_t>(i);
    packet.owner = ports_.owner(packet.destination_port);
    packet.leg_index = ports_.index(packet.local_address, packet.destination_port);
    return true;
  }
  return false;
}

void Classifier::classify_l4(Packet& packet, const Headers& headers) const noexcept {
  if (headers.l4 == L4::Udp && ports_.is_media(packet.destination_port)) {
    if (is_martian(headers.source)) return malformed(packet, api::DropReason::MalformedIp);
    packet.kind = PacketKind::Media;
    packet.owner = ports_.owner(packet.destination_port);
    packet.leg_index = ports_.index(packet.local_address, packet.destination_port);
    return;
  }
  if (headers.fragment) return signalling(packet, headers, PacketKind::Fragment);
  if (headers.l4 == L4::Udp && contains(udp_ports_, packet.destination_port)) {
    return signalling(packet, headers, PacketKind::SipUdp);
  }
  if (headers.l4 == L4::Tcp && contains(tcp_ports_, packet.destination_port)) {
    return signalling(packet, headers, headers.tcp_syn ? PacketKind::SignallingTcpSyn : PacketKind::SignallingTcp);
  }
}

void Classifier::signalling(Packet& packet, const Headers& headers, PacketKind kind) const noexcept {
  // An address of ours as source is spoofed (RFC 1122 section 3.2.1.3).
  if (is_martian(headers.source) || local_address(headers.source) >= 0) {
    return malformed(packet, api::DropReason::MalformedIp);
  }
  packet.kind = kind;
  packet.owner = limiter_.owner(headers.source);
}

}  // namespace ifgw::engine
