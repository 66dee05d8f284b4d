#include "controlplane/adapters/listener_check.h"

#include <algorithm>
#include <span>
#include <string_view>

namespace ifgw::adapters {
namespace {

using Ports = std::span<const std::uint16_t>;

bool contains(Ports ports, std::uint16_t port) { return std::find(ports.begin(), ports.end(), port) != ports.end(); }

std::string list(Ports ports, std::string_view gap) {
  std::string text;
  for (const std::uint16_t port : ports) text += (text.empty() ? "" : std::string{gap}) + std::to_string(port);
  return text;
}

class Check {
 public:
  Check(const api::AttachReply& plane, const std::function<bool(const IpAddress&)>& here)
      : plane_(plane),
        here_(here),
        addresses_(plane.local_addresses.data(), plane.local_address_count),
        udp_ports_(plane.signalling_ports.data(), plane.signalling_port_count),
        tcp_ports_(plane.signalling_tcp_ports.data(), plane.signalling_tcp_port_count) {}

  void udp(const Endpoint& local) {
    if (!by_dataplane(local.ip)) {
      if (!here_(local.ip)) strange("udp", local, " nor of the dataplane: nothing will ever come in on it");
      return;
    }
    if (local.port >= plane_.media_port_first && local.port <= plane_.media_port_last) {
      return complain("udp", local,
                      " lies among the media ports of the dataplane (" + std::to_string(plane_.media_port_first) + "-" +
                          std::to_string(plane_.media_port_last) +
                          "): what the dataplane receives there is taken for media. Change it, or --media-ports of the dataplane");
    }
    unwatched("udp", local, udp_ports_, api::kMaxSignallingPorts, "--sip-udp-port",
              "its limiter counts no datagrams there and blocks nobody; the control plane, which takes them by the kernel, counts");
  }

  void stream(const char* setting, const Endpoint& local) {
    if (!here_(local.ip)) return strange(setting, local, ": nobody can connect to it");
    if (by_dataplane(local.ip))
      unwatched(setting, local, tcp_ports_, api::kMaxSignallingTcpPorts, "--signalling-tcp-port",
                "its limiter counts no connections there and blocks nobody");
  }

  std::vector<std::string> take() { return std::move(lines_); }

 private:
  // Whether packets for it may come by the dataplane.
  bool by_dataplane(const IpAddress& ip) const {
    return std::any_of(addresses_.begin(), addresses_.end(),
                       [&](const IpAddress& theirs) { return theirs == ip || (is_unspecified(ip) && theirs.family == ip.family); });
  }
  void complain(const char* setting, const Endpoint& local, const std::string& what) {
    lines_.push_back(std::string{"[sip] "} + setting + ": " + local.text() + what);
  }
  void strange(const char* setting, const Endpoint& local, const char* what) {
    std::string known;
    for (const IpAddress& ip : addresses_) known += (known.empty() ? "" : ", ") + ip.text();
    complain(setting, local,
             std::string{" is not an address of this machine"} + what +
                 ". Correct it, or give it to the dataplane (--address, --exception-netns); it has " + known);
  }
  void unwatched(const char* setting, const Endpoint& local, Ports watched, std::size_t most, const char* option, const char* means) {
    if (contains(watched, local.port)) return;
    const std::string theirs = watched.empty() ? "none" : list(watched, ", ");
    const std::string wanted = (watched.empty() ? "" : list(watched, ",") + ",") + std::to_string(local.port);
    const std::string remedy =
        watched.size() < most ? std::string{"Start the dataplane with "} + option + " " + wanted + ", or change the port"
                              : "Change the port, or the dataplane's " + std::string{option} + " (at most " + std::to_string(most) + ")";
    complain(setting, local, " is on no signalling port of the dataplane (" + theirs + "): " + means + ". " + remedy);
  }

  const api::AttachReply& plane_;
  const std::function<bool(const IpAddress&)>& here_;
  std::span<const IpAddress> addresses_;
  Ports udp_ports_;
  Ports tcp_ports_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> listener_complaints(const config::Sip& sip, const api::AttachReply& plane,
                                             const std::function<bool(const IpAddress&)>& here) {
  Check check{plane, here};
  for (const Endpoint& local : sip.udp) check.udp(local);
  for (const Endpoint& local : sip.tcp) check.stream("tcp", local);
  for (const Endpoint& local : sip.tls) check.stream("tls", local);
  return check.take();
}

}  // namespace ifgw::adapters
