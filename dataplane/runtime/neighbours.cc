#include "dataplane/runtime/neighbours.h"

#include <algorithm>

namespace ifgw::runtime {

Neighbours::Neighbours(std::unique_ptr<Netlink> netlink, std::vector<PortInterface> ports, std::vector<NextHopTable*> tables)
    : netlink_(std::move(netlink)), ports_(std::move(ports)), tables_(std::move(tables)) {
  for (const NextHopTable* table : tables_) asked_.emplace_back(table->capacity());
}

bool Neighbours::on_readable() {
  netlink_->read_events({.on_neighbour = [this](const NeighbourEvent& event) { set_mac(event); },
                         .on_route_change = [this] { routes_changed_ = true; },
                         .on_overrun = [this] { routes_changed_ = true; }});
  // A burst of route messages is one look at all destinations, not one each.
  if (routes_changed_) {
    routes_changed_ = false;
    resolve_all();
  }
  return std::exchange(told_, false);
}

bool Neighbours::on_requests() {
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    NextHopRequest request;
    while (tables_[t]->requests().pop(request)) {
      IpAddress& asked = asked_[t][request.index];
      if (asked != request.destination) {
        stop_listening(asked, t, request.index);
        asked = request.destination;
      }
      auto [at, is_new] = destinations_.try_emplace(request.destination);
      Destination& destination = at->second;
      const Listener listener{t, request.index, request.generation};
      std::erase_if(destination.listeners, [&](const Listener& l) { return l.table == t; });
      destination.listeners.push_back(listener);
      if (is_new || destination.hop.usable == 0) resolve(request.destination, destination);
      tell(destination, listener);
    }
  }
  return std::exchange(told_, false);
}

bool Neighbours::on_second() {
  for (auto& [address, destination] : destinations_)
    if (destination.via.first == 0) resolve(address, destination);
  return std::exchange(told_, false);
}

bool Neighbours::catch_up() {
  bool told = false;
  for (NextHopTable* table : tables_) told |= table->catch_up();
  return told;
}

bool Neighbours::behind() const noexcept {
  return std::any_of(tables_.begin(), tables_.end(), [](const NextHopTable* table) { return table->behind(); });
}

void Neighbours::resolve(const IpAddress& address, Destination& destination) {
  const auto route = netlink_->route_to(address);
  const auto port = std::find_if(ports_.begin(), ports_.end(),
                                 [&](const PortInterface& p) { return route && !route->local && p.interface == route->interface; });
  const std::pair<int, IpAddress> via =
      port == ports_.end() ? std::pair<int, IpAddress>{0, {}} : std::pair{port->interface, route->next_hop};
  if (via != destination.via) {
    unlink(address, destination);
    destination.via = via;
    destination.hop = {};
    if (via.first != 0)
      users_of_[via].insert(address);
    else
      tell(destination);
  }
  if (via.first == 0) return;
  destination.hop.port = port->port;
  destination.hop.source = port->mac;
  if (const auto known = netlink_->manage_neighbour(via.first, via.second)) learn(destination, known->mac);
}

// Nobody asks for `address` through its next hop any more; a next hop without users is the kernel's own business again.
void Neighbours::unlink(const IpAddress& address, Destination& destination) {
  if (destination.via.first == 0) return;
  const auto users = users_of_.find(destination.via);
  if (users == users_of_.end()) return;
  users->second.erase(address);
  if (!users->second.empty()) return;
  users_of_.erase(users);
  netlink_->forget_neighbour(destination.via.first, destination.via.second);
}

// The table uses the index for another destination now.
void Neighbours::stop_listening(const IpAddress& address, std::size_t table, engine::NextHopIndex index) {
  const auto at = destinations_.find(address);
  if (at == destinations_.end()) return;
  std::erase_if(at->second.listeners, [&](const Listener& l) { return l.table == table && l.index == index; });
  if (!at->second.listeners.empty()) return;
  unlink(at->first, at->second);
  destinations_.erase(at);
}

void Neighbours::resolve_all() {
  for (auto& [address, destination] : destinations_) resolve(address, destination);
}

void Neighbours::set_mac(const NeighbourEvent& event) {
  const auto users = users_of_.find({event.interface, event.address});
  if (users == users_of_.end()) return;
  for (const IpAddress& user : users->second) learn(destinations_.at(user), event.mac);
}

void Neighbours::learn(Destination& destination, const std::optional<Mac>& mac) {
  const engine::NextHop before = destination.hop;
  destination.hop.usable = mac ? 1 : 0;
  if (mac) destination.hop.destination = *mac;
  if (before.usable != destination.hop.usable || before.destination != destination.hop.destination) tell(destination);
}

void Neighbours::tell(Destination& destination) {
  for (const Listener& listener : destination.listeners) tell(destination, listener);
}

void Neighbours::tell(const Destination& destination, const Listener& listener) {
  tables_[listener.table]->tell({destination.hop, listener.index, listener.generation});
  told_ = true;
}

}  // namespace ifgw::runtime
