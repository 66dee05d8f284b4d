// The host that `sip.advertised` puts into Via and Contact.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ifgw::config {

// As it is written there: an IPv4 address, an IPv6 address in brackets, or a host name (RFC 3261 section 25.1 "hostname", of
// which belle-sip's grammar knows no top label of one character; RFC 1035 section 2.3.4 for the lengths). `text` has no
// brackets and no port. nullopt: neither, or an address that means no host (unspecified).
std::optional<std::string> advertised_host(std::string_view text);

}  // namespace ifgw::config
