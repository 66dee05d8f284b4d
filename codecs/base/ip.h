// IP addresses, endpoints and prefixes as plain 16- and 24-byte values that may cross a ring or shared memory.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ifgw {

enum class IpFamily : std::uint8_t { None = 0, V4 = 4, V6 = 6 };

// Longest text of an endpoint: "[xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:xxx.xxx.xxx.xxx]:65535".
inline constexpr std::size_t kMaxEndpointText = 54;

// IPv4 sits in the first four bytes, network order; the rest is zero. Family None is "no address".
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};
  IpFamily family = IpFamily::None;

  static IpAddress v4(std::uint32_t host_order) noexcept;
  static IpAddress v6(const std::array<std::uint8_t, 16>& network_order) noexcept { return {network_order, IpFamily::V6}; }
  // "192.0.2.1" or "2001:db8::1"; no brackets, no zone, no port.
  static std::optional<IpAddress> parse(std::string_view text);

  bool is_v4() const noexcept { return family == IpFamily::V4; }
  bool is_v6() const noexcept { return family == IpFamily::V6; }
  bool present() const noexcept { return family != IpFamily::None; }
  std::uint32_t v4_host_order() const noexcept;  // only for V4
  std::string text() const;                      // "-" when absent (house rule for unmeasured values)

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

// Address and UDP or TCP port (host order).
struct Endpoint {
  IpAddress ip;
  std::uint16_t port = 0;

  // "192.0.2.1:5060" or "[2001:db8::1]:5060".
  static std::optional<Endpoint> parse(std::string_view text);
  bool present() const noexcept { return ip.present(); }
  std::string text() const;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// Address block. Host bits are zero.
struct IpPrefix {
  IpAddress ip;
  std::uint8_t length = 0;  // 0..32 or 0..128

  // "192.0.2.0/24", "2001:db8::/32", or a bare address (a /32 or /128). Host bits must be zero.
  static std::optional<IpPrefix> parse(std::string_view text);
  bool contains(const IpAddress& address) const noexcept;
  std::string text() const;

  friend auto operator<=>(const IpPrefix&, const IpPrefix&) = default;
};

// 0.0.0.0 or ::, which as a listener's address means every one; also of an absent address.
bool is_unspecified(const IpAddress& address) noexcept;
// For values that crossed a ring or shared memory: its family is one of the three, and bytes that the family does not use are zero.
bool is_well_formed(const IpAddress& address) noexcept;
// No packet of a network comes from it, and no media goes there: unspecified, loopback, multicast, class E, broadcast; for
// IPv6 everything in 0000::/8 but the two translation prefixes (RFC 6052, RFC 8215).
bool is_martian(const IpAddress& address) noexcept;

// `address` with everything after the first `length` bits zero.
IpAddress mask(const IpAddress& address, std::uint8_t length) noexcept;

}  // namespace ifgw
