// The parts of a SIP URI that routing looks at (RFC 3261 section 19.1). Views into the given text; nothing is unescaped.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "codecs/base/ip.h"

namespace ifgw::core {

struct UriParts {
  std::string_view scheme;  // "sip", "sips"
  std::string_view user;    // without password; empty: none
  std::string_view host;    // IPv6 without brackets
  std::uint16_t port = 0;   // 0: not given
  std::string_view rest;    // ";params?headers", with the leading ';' or '?'

  // The host, when it is an IP address, with the port given or the scheme's default.
  std::optional<Endpoint> endpoint() const;
};

// nullopt: not sip: or sips:, no host, or a port out of range. At most 2048 bytes.
std::optional<UriParts> split_uri(std::string_view text) noexcept;

// Labels of letters, digits and '-', as long as DNS allows (RFC 3261 section 25.1 "hostname", RFC 1035 section 2.3.4); no dot at the end.
// Digits alone pass: what the last label must be is for the caller to say.
bool is_host_name(std::string_view name) noexcept;
// What is behind its last dot; all of it without one.
std::string_view last_label(std::string_view name) noexcept;

}  // namespace ifgw::core
