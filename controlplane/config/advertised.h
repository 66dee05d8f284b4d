// The host that `sip.advertised` puts into Via and Contact.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "codecs/base/ip.h"

namespace ifgw::config {

// As it is written there: an IPv4 address, an IPv6 address in brackets, or a host name (RFC 3261 section 25.1 "hostname", of
// which belle-sip's grammar knows no top label of one character; RFC 1035 section 2.3.4 for the lengths). `text` has no
// brackets and no port. nullopt: neither, or an address that means no host (unspecified).
std::optional<std::string> advertised_host(std::string_view text);

// Whether that host may stand for a listener of this family: a name for any, an address for those of its own.
bool stands_for(std::string_view advertised, IpFamily family);

}  // namespace ifgw::config
