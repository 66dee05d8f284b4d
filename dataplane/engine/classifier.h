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
  inline bool classify_plain_media(Packet& packet) const noexcept;
  void classify_l4(Packet& packet, const Headers& headers) const noexcept;
  void classify_icmp(Packet& packet) const noexcept;
  void signalling(Packet& packet, const Headers& headers, PacketKind kind) const noexcept;

  PortMap ports_;
  const SourceLimiter& limiter_;
  FixedVector<IpAddress, kMaxLocalAddresses> addresses_;
  // The IPv4 ones, by a hash that no two of them share: one look tells.
  struct LocalV4 {
    std::uint32_t address = 0;  // 0: none
    std::uint8_t index = 0;
  };
  static constexpr unsigned kV4Bits = 5;
  const LocalV4& local_v4(std::uint32_t address) const noexcept { return v4_[address * multiplier_ >> (32 - kV4Bits)]; }
  void place_v4();
  std::array<LocalV4, 1 << kV4Bits> v4_{};
  std::uint32_t multiplier_ = 1;
  FixedVector<std::uint16_t, kMaxSignallingPorts> udp_ports_;
  FixedVector<std::uint16_t, 2 * kMaxSignallingPorts> tcp_ports_;
};

}  // namespace ifgw::engine
