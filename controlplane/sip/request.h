// Writing requests as text. Values given here are written as they are, control characters replaced by spaces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/core/leg.h"
#include "controlplane/sip/config.h"
#include "controlplane/sip/dialog.h"

namespace ifgw::sip {

inline constexpr std::string_view kTraceHeader = "X-IF-Trace-ID";
inline constexpr std::string_view kAllow = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE";

struct RequestParts {
  std::string_view method;
  std::string_view request_uri;
  const AdvertisedAddress* from_here = nullptr;  // Via; Contact when `contact`
  std::string_view branch;
  const std::vector<std::string>* routes = nullptr;
  std::string_view from;
  std::string_view to;
  std::string_view call_id;
  std::uint32_t cseq = 0;
  unsigned max_forwards = 70;
  bool contact = false;         // INVITE: Contact and Allow
  bool secure_contact = false;  // sips: request
  std::string_view trace_id;
  std::string_view product;
  const core::Headers* extra = nullptr;
  std::string_view reason;  // whole Reason value, empty: none
  std::string_view sdp;     // empty: no body
};

std::string make_request(const RequestParts& parts);

// ACK for a non-2xx answer, from the INVITE as sent and the To of the response (RFC 3261 section 17.1.1.3).
std::string make_failure_ack(std::string_view invite, std::string_view response_to);
// CANCEL for a pending INVITE as sent (section 9.1).
std::string make_cancel(std::string_view invite, std::string_view reason, std::string_view product);

// "<sip:host:port;transport=tcp>"; for UDP without the parameter.
std::string contact_value(const AdvertisedAddress& address, bool secure);

}  // namespace ifgw::sip
