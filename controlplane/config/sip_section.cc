#include "controlplane/config/sip_section.h"

#include <algorithm>
#include <array>

#include "controlplane/config/advertised.h"

namespace ifgw::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::array<std::uint8_t, 16> kLoopbackV6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

bool is_loopback(const IpAddress& ip) noexcept { return ip.is_v4() ? ip.bytes[0] == 127 : ip.bytes == kLoopbackV6; }

void check_pair(Reader& r, const Listener& later, const Listener& earlier) {
  if (later.stream != earlier.stream || later.at.port != earlier.at.port) return;
  if (later.at.ip != earlier.at.ip && !is_unspecified(later.at.ip) && !is_unspecified(earlier.at.ip)) return;
  r.problem(later.key, std::string{"uses the "} + (later.stream ? "TCP" : "UDP") + " port " + later.at.text() + " that " +
                           r.name_of(earlier.key) + " uses already (" + earlier.at.text() + "): give them different ports");
}

void check_listeners(Reader& r, const Sip& s) {
  const std::vector<Listener> all = listeners(s);
  if (all.empty()) r.problem("", "needs at least one of udp, tcp, tls");
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (is_unspecified(all[i].at.ip) && !s.advertised.empty() && !stands_for(s.advertised, all[i].at.ip.family)) {
      r.problem(all[i].key, "listens on every address of a family that sip.advertised (" + s.advertised + ") is not of: name the address");
    }
    if (s.advertised.empty() && is_unspecified(all[i].at.ip)) {
      r.problem(all[i].key, "listens on every address: set sip.advertised to the one others shall use");
    }
    if (!s.advertised.empty() && !is_unspecified(all[0].at.ip) && !is_unspecified(all[i].at.ip) && all[i].at.ip != all[0].at.ip &&
        all[i].at.ip.family == all[0].at.ip.family) {
      r.problem("advertised", "stands for one address, but the listeners use " + all[0].at.ip.text() + " and " + all[i].at.ip.text());
    }
    for (std::size_t j = 0; j < i; ++j) check_pair(r, all[i], all[j]);
  }
  const auto stood_for = [&](const Listener& l) { return stands_for(s.advertised, l.at.ip.family); };
  if (!s.advertised.empty() && std::none_of(all.begin(), all.end(), stood_for)) {
    r.problem("advertised",
              "value " + s.advertised + " is of another family of addresses than every listener: give one of theirs, or a host name");
  }
  if (!s.tls.empty() && (s.tls_certificate.empty() || s.tls_key.empty())) {
    r.problem("tls", "needs sip.tls_certificate and sip.tls_key (PEM files)");
  }
  if (s.t2 < s.t1) r.problem("t2", "value " + duration_text(s.t2) + " is below sip.t1 (" + duration_text(s.t1) + ")");
}

void read_advertised(Reader& r, Sip& s) {
  std::string text;
  r.text("advertised", 255, text);
  if (text.empty()) return;
  const auto host = advertised_host(text);
  s.advertised = host.value_or("?");  // a wrong one counts as set: one mistake is one line
  if (!host) {
    r.problem("advertised",
              "value \"" + printable(text) +
                  "\" is no address that others could use, like \"192.0.2.1\" or \"2001:db8::1\" (no brackets, no port), and no "
                  "host name: labels of letters, digits and '-', the last with two characters or more and a letter first");
  }
}

}  // namespace

void read_sip(Reader& r, Sip& s) {
  r.endpoints("udp", kMaxListeners, s.udp);
  r.endpoints("tcp", kMaxListeners, s.tcp);
  r.endpoints("tls", kMaxListeners, s.tls);
  read_advertised(r, s);
  r.duration("t1", milliseconds{10}, seconds{5}, s.t1);
  r.duration("t2", milliseconds{100}, seconds{30}, s.t2);
  r.duration("t4", milliseconds{100}, seconds{30}, s.t4);
  r.text("tls_certificate", 4096, s.tls_certificate);
  r.text("tls_key", 4096, s.tls_key);
  r.text("tls_ca", 4096, s.tls_ca);
  r.flag("tls_client_certificate", s.tls_client_certificate);
  r.flag("tls_verify", s.tls_verify);
  r.number("max_connections", 1, 100'000, "connections", s.max_connections);
  r.number("max_connections_per_source", 1, 100'000, "connections", s.max_connections_per_source);
  r.duration("connection_idle", seconds{10}, hours{24}, s.connection_idle);
  check_listeners(r, s);
}

std::vector<Listener> listeners(const Sip& s) {
  std::vector<Listener> all;
  for (const Endpoint& e : s.udp) all.push_back({"udp", e, false});
  for (const Endpoint& e : s.tcp) all.push_back({"tcp", e, true});
  for (const Endpoint& e : s.tls) all.push_back({"tls", e, true});
  return all;
}

bool takes(const Listener& listener, const Endpoint& to) noexcept {
  if (listener.at.port != to.port) return false;
  return listener.at.ip == to.ip || (is_unspecified(listener.at.ip) && listener.at.ip.family == to.ip.family && is_loopback(to.ip));
}

}  // namespace ifgw::config
