#include "codecs/base/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "codecs/base/bytes.h"
#include "codecs/base/check.h"

namespace ifgw {
namespace {

template <typename Int>
std::optional<Int> parse_number(std::string_view text, Int max) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > max) return std::nullopt;
  return static_cast<Int>(value);
}

}  // namespace

IpAddress IpAddress::v4(std::uint32_t host_order) noexcept {
  IpAddress address;
  address.family = IpFamily::V4;
  store_be32(address.bytes.data(), host_order);
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN + 1];
  if (text.empty() || text.size() >= sizeof buffer) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  if (std::strlen(buffer) != text.size()) return std::nullopt;  // an embedded NUL would hide what follows it
  IpAddress address;
  if (inet_pton(AF_INET, buffer, address.bytes.data()) == 1) {
    address.family = IpFamily::V4;
    return address;
  }
  if (inet_pton(AF_INET6, buffer, address.bytes.data()) == 1) {
    address.family = IpFamily::V6;
    return address;
  }
  return std::nullopt;
}

std::uint32_t IpAddress::v4_host_order() const noexcept {
  IFGW_CHECK(is_v4());
  return load_be32(bytes.data());
}

std::string IpAddress::text() const {
  if (!present()) return "-";
  char buffer[INET6_ADDRSTRLEN];
  const char* text = inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes.data(), buffer, sizeof buffer);
  IFGW_CHECK(text != nullptr);
  return text;
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto ip = IpAddress::parse(host);
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1), 65535);
  if (!ip || !port || ip->is_v6() != bracketed) return std::nullopt;
  return Endpoint{*ip, *port};
}

std::string Endpoint::text() const {
  if (!present()) return "-";
  const std::string host = ip.text();
  return (ip.is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto ip = IpAddress::parse(text.substr(0, slash));
  if (!ip) return std::nullopt;
  const std::uint8_t bits = ip->is_v4() ? 32 : 128;
  std::uint8_t length = bits;
  if (slash != std::string_view::npos) {
    const auto parsed = parse_number<std::uint8_t>(text.substr(slash + 1), bits);
    if (!parsed) return std::nullopt;
    length = *parsed;
  }
  if (mask(*ip, length) != *ip) return std::nullopt;
  return IpPrefix{*ip, length};
}

bool IpPrefix::contains(const IpAddress& address) const noexcept { return address.family == ip.family && mask(address, length) == ip; }

std::string IpPrefix::text() const { return ip.text() + "/" + std::to_string(length); }

namespace {
bool zero_from(const IpAddress& address, std::size_t first) noexcept {
  return std::all_of(address.bytes.begin() + static_cast<std::ptrdiff_t>(first), address.bytes.end(),
                     [](std::uint8_t b) { return b == 0; });
}
}  // namespace

bool is_unspecified(const IpAddress& address) noexcept { return zero_from(address, 0); }

bool is_well_formed(const IpAddress& address) noexcept {
  switch (address.family) {
    case IpFamily::None: return zero_from(address, 0);
    case IpFamily::V4: return zero_from(address, 4);
    case IpFamily::V6: return true;
  }
  return false;
}

bool is_martian(const IpAddress& address) noexcept {
  const std::uint8_t first = address.bytes[0];
  if (address.is_v4()) return first == 0 || first == 127 || first >= 224;
  if (first == 0xFF) return true;
  if (first != 0) return false;
  return !(address.bytes[1] == 0x64 && address.bytes[2] == 0xFF && address.bytes[3] == 0x9B);
}

IpAddress mask(const IpAddress& address, std::uint8_t length) noexcept {
  IpAddress masked = address;
  for (std::size_t i = 0; i < masked.bytes.size(); ++i) {
    const int keep = static_cast<int>(length) - static_cast<int>(i * 8);
    if (keep >= 8) continue;
    masked.bytes[i] = keep <= 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(masked.bytes[i] & (0xFF << (8 - keep)));
  }
  return masked;
}

}  // namespace ifgw
