// The guard that allows every call, and says so in each decision: for gateways whose callers are let in by other means
// (a private network, the allowlist of a firewall). Decides at once.
#pragma once

#include <functional>
#include <string_view>

#include "controlplane/core/ports/guard.h"

namespace ifgw::guard {

class AllowAll : public core::Guard {
 public:
  using OnDecision = std::function<void(std::uint64_t call, const core::Decision& decision, Instant now)>;

  static constexpr std::string_view kRule = "allow-all";
  // For the log, once at start.
  static constexpr std::string_view kWarning =
      "guard: rule allow-all is active: every call that a route matches is allowed, nobody is authenticated";

  // Set before the first decide(); the call machine and the guard know each other.
  void set_on_decision(OnDecision on_decision) { on_decision_ = std::move(on_decision); }

  void decide(const core::CallRequest& request, Instant now) override;

 private:
  OnDecision on_decision_;
};

}  // namespace ifgw::guard
