#include "controlplane/guard/allow_all.h"

#include "codecs/base/check.h"

namespace ifgw::guard {

void AllowAll::decide(const core::CallRequest& request, Instant now) {
  IFGW_CHECK(on_decision_ != nullptr);
  core::Decision decision;
  decision.allow = true;
  decision.layer = "policy";
  decision.rule = std::string{kRule};
  decision.observed = request.offered.security.source.text();
  decision.limit = "any source";
  on_decision_(request.call, decision, now);
}

}  // namespace ifgw::guard
