// Writing responses as text, from what the pre-scan saw of the request: Via, From, To, Call-ID, CSeq and Record-Route
// are copied as they were received (RFC 3261 section 8.2.6.2), so a response needs no parsed message.
#pragma once

#include <string>
#include <string_view>

#include "controlplane/core/leg.h"
#include "controlplane/sip/outbox.h"
#include "controlplane/sip/prescan.h"
#include "controlplane/sip/transport.h"

namespace ifgw::sip {

// The lines every response to one request has, Via completed with received and rport (section 18.2.1, RFC 3581).
// `local_tag` goes into To unless the request had a tag there; empty: none (100 Trying).
std::string make_stem(const PreScan& request, const Endpoint& source, std::string_view local_tag);

struct ResponseParts {
  int status = 0;
  std::string_view reason;   // empty: the RFC's phrase
  std::string_view product;  // Server
  std::string_view contact;  // whole value; empty: none
  bool allow = false;
  std::string_view trace_id;
  const core::Headers* extra = nullptr;
  std::string_view sdp;
};
std::string make_response(const ResponseParts& parts, std::string_view stem);

// RFC 3261 section 21; "Response" for codes it does not name.
std::string_view reason_phrase(int status) noexcept;

// Where responses to `request` go (section 18.2.2, RFC 3581 section 4). Never to maddr: a response must not be
// aimable at third parties.
Hop reply_hop(const InboundMessage& request, const PreScan& scan);

}  // namespace ifgw::sip
