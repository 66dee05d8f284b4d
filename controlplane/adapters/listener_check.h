// Whether the SIP listeners of the configuration fit the dataplane that was attached to.
//
// Pure; any thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "codecs/base/ip.h"
#include "controlplane/config/config.h"
#include "dataplane/api/region.h"

namespace ifgw::adapters {

// One line for each listener on an address that neither the machine nor the dataplane has, on a UDP port that the dataplane
// takes for media, or on a port of the dataplane's addresses that its limiter does not watch. Each names the setting, the
// listener and what to do. `plane`: its counts are in range. `here`: whether the machine has the address (is_here()).
std::vector<std::string> listener_complaints(const config::Sip& sip, const api::AttachReply& plane,
                                             const std::function<bool(const IpAddress&)>& here);

}  // namespace ifgw::adapters
