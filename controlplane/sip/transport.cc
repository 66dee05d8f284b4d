#include "controlplane/sip/transport.h"

#include "controlplane/sip/text.h"

namespace ifgw::sip {

std::string_view transport_name(Transport transport) noexcept {
  switch (transport) {
    case Transport::Tcp: return "tcp";
    case Transport::Tls: return "tls";
    case Transport::Udp: break;
  }
  return "udp";
}

std::string_view transport_token(Transport transport) noexcept {
  switch (transport) {
    case Transport::Tcp: return "TCP";
    case Transport::Tls: return "TLS";
    case Transport::Udp: break;
  }
  return "UDP";
}

bool parse_transport(std::string_view text, Transport& transport) noexcept {
  for (const Transport candidate : {Transport::Udp, Transport::Tcp, Transport::Tls}) {
    if (same(text, transport_token(candidate))) {
      transport = candidate;
      return true;
    }
  }
  return false;
}

}  // namespace ifgw::sip
