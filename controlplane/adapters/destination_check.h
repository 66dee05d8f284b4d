// Whether the dataplane can send a datagram of ours: asked before it is handed over, because the ring has no answer.
//
// Pure; any thread. Nothing allocates.
#pragma once

#include <span>
#include <string_view>

#include "codecs/base/ip.h"

namespace ifgw::adapters {

// Why nothing can go from `local`, an address of the dataplane's, to `remote`; empty: it can. `ours`: the addresses of the
// dataplane. The same conditions as in the dataplane (Engine::build_datagram), which drops what breaks them.
std::string_view destination_fault(const Endpoint& local, const Endpoint& remote, std::span<const IpAddress> ours) noexcept;

}  // namespace ifgw::adapters
