// SIP URIs and name-addr values as plain values. The grammar is belle-sip's (RFC 3261 section 25.1) but for users and hosts
// (shape.h); what it lets through is checked here on top: white space, ports beyond 65535, unbalanced brackets, repeated tags.
// Time: linear in the length (sip_bench: ParseAddress).
// Thread: any, each call on its own; nothing of belle-sip outlives a call.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "codecs/base/ip.h"
#include "codecs/base/result.h"
#include "controlplane/sip/transport.h"

namespace ifgw::sip {

enum class Scheme : std::uint8_t { Sip, Sips, Other };

struct Uri {
  std::string text;  // as on the wire
  Scheme scheme = Scheme::Other;
  std::string user;        // unescaped
  std::string host;        // IPv6 without brackets; empty for other schemes
  std::uint16_t port = 0;  // 0: none given
  std::string transport;   // parameter, as written
  std::string maddr;
  bool loose_route = false;  // ;lr

  // Where a request for this URI goes when the host is an IP address (RFC 3263 section 4 without DNS): maddr before
  // host, the port or the transport's default. nullopt when a name would have to be resolved.
  std::optional<Endpoint> endpoint() const;
  // The transport the URI asks for, `otherwise` when it asks for none. sips asks for TLS (5630). nullopt: one we lack.
  std::optional<Transport> wanted_transport(Transport otherwise) const;
};

// From, To, Contact, Route, Record-Route: one element of the header's list.
struct NameAddr {
  std::string display;  // unquoted
  Uri uri;
  std::string tag;  // empty: none
};

// Scheme of anything that looks like a URI; cheap, no grammar.
Scheme uri_scheme(std::string_view text) noexcept;

// sip: and sips: only. Position in errors: always 0.
Result<Uri> parse_uri(std::string_view text);
// `value` is one list element. Schemes other than sip and sips are kept in uri.text with an empty host.
Result<NameAddr> parse_name_addr(std::string_view value);

}  // namespace ifgw::sip
