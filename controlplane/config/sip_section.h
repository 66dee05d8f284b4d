// The [sip] section: listeners and what belongs to them.
#pragma once

#include <string_view>
#include <vector>

#include "controlplane/config/config.h"
#include "controlplane/config/reader.h"

namespace ifgw::config {

struct Listener {
  std::string_view key;  // "udp", "tcp", "tls"
  Endpoint at;
  bool stream;
};

// Reads the section and checks its settings against each other.
void read_sip(Reader& r, Sip& s);
// In the order udp, tcp, tls.
std::vector<Listener> listeners(const Sip& s);
// What this machine sends to `to`, over the listener's kind of transport, arrives at the listener.
bool takes(const Listener& listener, const Endpoint& to) noexcept;

}  // namespace ifgw::config
