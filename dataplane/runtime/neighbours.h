// Follows routes and neighbours for the workers: takes their requests, asks the kernel by netlink, and tells them the
// MAC addresses and every change. The kernel does ARP and neighbour discovery through the exception ports; media
// needs no control plane. Main thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/runtime/netlink.h"
#include "dataplane/runtime/next_hop_table.h"

namespace ifgw::runtime {

// The kernel's interface behind a port, through which that port's neighbours are resolved.
struct PortInterface {
  int interface = 0;       // index, in the exception namespace
  std::uint16_t port = 0;  // DPDK id to transmit on
  Mac mac{};
};

class Neighbours {
 public:
  Neighbours(std::unique_ptr<Netlink> netlink, std::vector<PortInterface> ports, std::vector<NextHopTable*> tables);

  int fd() const noexcept { return netlink_->event_fd(); }
  // Returns true when some worker was told something, so that sleeping ones are woken.
  bool on_readable();
  bool on_requests();
  // Once a second: tries routes again that were not there.
  bool on_second();
  // While behind(), every kCatchUpMs: goes on telling what there was no room for.
  bool catch_up();
  bool behind() const noexcept;
  static constexpr int kCatchUpMs = 1;

  std::size_t destinations() const noexcept { return destinations_.size(); }

 private:
  struct Listener {
    std::size_t table;
    engine::NextHopIndex index;
    std::uint32_t generation;
  };
  struct Destination {
    std::pair<int, IpAddress> via{0, {}};  // interface and next hop; interface 0: no route through a port of ours
    engine::NextHop hop;
    std::vector<Listener> listeners;
  };
  void resolve(const IpAddress& address, Destination& destination);
  void resolve_all();
  void unlink(const IpAddress& address, Destination& destination);
  void stop_listening(const IpAddress& address, std::size_t table, engine::NextHopIndex index);
  void set_mac(const NeighbourEvent& event);
  void learn(Destination& destination, const std::optional<Mac>& mac);
  void tell(Destination& destination);
  void tell(const Destination& destination, const Listener& listener);

  std::unique_ptr<Netlink> netlink_;
  std::vector<PortInterface> ports_;
  std::vector<NextHopTable*> tables_;          // two per worker
  std::vector<std::vector<IpAddress>> asked_;  // of each table and index: the destination, as last heard
  std::map<IpAddress, Destination> destinations_;
  std::map<std::pair<int, IpAddress>, std::set<IpAddress>> users_of_;  // next hop -> destinations
  bool told_ = false;
  bool routes_changed_ = false;
};

}  // namespace ifgw::runtime
