#include "dataplane/engine/classifier.h"

#include <algorithm>

#include "dataplane/engine/icmp_error.h"
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
    IFGW_CHECK(addresses_.push_back(address));
  }
  for (const std::uint16_t port : config.sip_udp_ports) IFGW_CHECK(udp_ports_.push_back(port));
  for (const std::uint16_t port : config.signalling_tcp_ports) IFGW_CHECK(tcp_ports_.push_back(port));
  place_v4();
}

// Tries odd multipliers until one gives every address a place of its own: with eight addresses, about one in three does.
void Classifier::place_v4() {
  for (bool shared = true; shared;) {
    multiplier_ += 0x9E3779B8;  // even
    v4_.fill({});
    shared = false;
    for (std::size_t i = 0; i < addresses_.size(); ++i) {
      if (!addresses_[i].is_v4()) continue;
      const std::uint32_t address = load_be32(addresses_[i].bytes.data());
      LocalV4& place = v4_[address * multiplier_ >> (32 - kV4Bits)];
      shared = shared || place.address != 0;
      place = {address, static_cast<std::uint8_t>(i)};
    }
  }
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
inline bool Classifier::classify_plain_media(Packet& packet) const noexcept {
  const PlainUdp plain = parse_plain_ipv4_udp(packet);
  if (!plain.ok || !ports_.is_media(packet.destination_port)) return false;
  const std::uint32_t octet = plain.source >> 24;
  if (octet - 1 >= 223 || octet == 127 || plain.destination == 0) return false;  // as is_martian()
  const LocalV4& local = local_v4(plain.destination);
  if (local.address != plain.destination) return false;
  packet.kind = PacketKind::Media;
  packet.local_address = local.index;
  packet.owner = ports_.owner(packet.destination_port);
  packet.leg_index = ports_.index(packet.local_address, packet.destination_port);
  return true;
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
  if (headers.l4 == L4::Other) return classify_icmp(packet);
  if (headers.l4 == L4::Udp && contains(udp_ports_, packet.destination_port)) {
    return signalling(packet, headers, PacketKind::SipUdp);
  }
  if (headers.l4 == L4::Tcp && contains(tcp_ports_, packet.destination_port)) {
    return signalling(packet, headers, headers.tcp_syn ? PacketKind::SignallingTcpSyn : PacketKind::SignallingTcp);
  }
}

// An error about media of ours goes to who sent it, everything else to the kernel.
void Classifier::classify_icmp(Packet& packet) const noexcept {
  const auto error = parse_icmp_error(packet);
  if (!error || !ports_.is_media(error->local.port)) return;
  const int local = local_address(error->local.ip);
  if (local < 0) return;
  packet.kind = PacketKind::Media;
  packet.owner = ports_.owner(error->local.port);
  packet.leg_index = ports_.index(static_cast<std::uint8_t>(local), error->local.port);
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
