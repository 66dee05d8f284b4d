// Why a call did not happen, or ended other than by a party hanging up: what every refusal must be able to say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/core/party.h"

namespace ifgw::core {

struct Refusal {
  int status = 500;      // SIP status to the calling party while it is unanswered
  std::string layer;     // "admission", "route", "policy", "negotiation", "media", "witness", "callee", "timer", "operator"
  std::string rule;      // id of the rule that decided, from a closed set (tools/docs/protocol/audit.md)
  std::string observed;  // the value it looked at
  std::string limit;     // what that was held against
  std::string remedy;    // what would have passed
  std::uint32_t retry_after_s = 0;

  // Where phrase() tells of what lies behind the gateway (addresses, names, a party's own words): what a party is told in its
  // place, but `author`, the one whose message it is about. Empty: both are told phrase().
  std::string told{};
  std::optional<Party> author{};

  // One line for the reason phrase and the Reason header: "no common codec: offered GSM/8000; accepted PCMA, PCMU".
  std::string phrase() const {
    std::string text = rule;
    for (char& c : text) c = c == '-' ? ' ' : c;
    if (!observed.empty()) text += ": " + observed;
    if (!limit.empty()) text += "; " + limit;
    return text;
  }
  std::string phrase_for(Party party) const { return told.empty() || author == party ? phrase() : told; }
};

}  // namespace ifgw::core
