// What kind of packet this is, and which worker must handle it. Stateless but for the prefix table (a prefix with a
// budget of its own belongs to one worker, else the budget would be multiplied by the number of workers).
#pragma once

#include <array>
#include <cstdint>

#include "codecs/base/fixed.h"
#include "dataplane/engine/config.h"
#include "dataplane/engine/headers.h"
#include "dataplane/engine/packet.h"

namespace ifgw::engine {

class SourceLimiter;

class Classifier {
 public:
  // `limiter` is asked for the owner of a source; kept as long as this object.
  Classifier(const EngineConfig& config, const SourceLimiter& limiter);

  // Fills the parsed fields, `kind`, `owner`, `local_address`, `leg_index`. For Malformed also verdict and reason (not
  // counted here).
  void classify(Packet& packet) const noexcept;

  // Index of a local address, or -1.
  int local_address(const IpAddress& address) const noexcept;
  bool is_sip_udp_port(std::uint16_t port) const noexcept;

 private:
  bool classify_plain_media(Packet& packet) const noexcept;
  void classify_l4(Packet& packet, const Headers& headers) const noexcept;
  void signalling(Packet& packet, const Headers& headers, PacketKind kind) const noexcept;

  PortMap ports_;
  const SourceLimiter& limiter_;
  FixedVector<IpAddress, kMaxLocalAddresses> addresses_;
  std::array<std::uint32_t, kMaxLocalAddresses> v4_{};  // the IPv4 ones as in memory, at the same index; else 0
  FixedVector<std::uint16_t, kMaxSignallingPorts> udp_ports_;
  FixedVector<std::uint16_t, 2 * kMaxSignallingPorts> tcp_ports_;
};

}  // namespace ifgw::engine
