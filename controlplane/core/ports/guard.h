// Port: may this call happen? Implemented by guard/ (IF.guard: the seven layers and the policy gate).
#pragma once

#include <cstdint>
#include <string>

#include "codecs/base/time.h"
#include "controlplane/core/leg.h"

namespace ifgw::core {

struct CallRequest {
  std::uint64_t call = 0;  // core's call number; comes back in the decision
  const LegOffered& offered;
  std::string route;   // id of the route that would carry it
  std::string target;  // URI that would be called
};

struct Decision {
  bool allow = false;
  std::string layer;     // "policy", "allowlist", ...
  std::string rule;      // id of the rule that decided
  std::string observed;  // the value it looked at
  std::string limit;     // what it was held against
  std::string remedy;    // what would have passed; empty when allowed
  int status = 403;      // to the wire, when refused
  std::uint32_t retry_after_s = 0;
};

// Called from the control plane's event loop. An implementation that needs to wait answers later through the
// callback given at construction; core holds the transaction meanwhile and bounds the wait.
class Guard {
 public:
  virtual ~Guard() = default;
  // Ask. The answer may come before this returns, or later, exactly once, through on_decision.
  virtual void decide(const CallRequest& request, Instant now) = 0;
};

}  // namespace ifgw::core
