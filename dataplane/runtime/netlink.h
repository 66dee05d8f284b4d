// A thin layer over libmnl: the few route, neighbour, link and address messages the dataplane needs. Main thread.
// Requests wait for the kernel's answer (tens of microseconds); events are read when fd() is readable.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "codecs/base/ip.h"
#include "codecs/base/result.h"
#include "dataplane/runtime/netlink_messages.h"

struct mnl_socket;
struct nlmsghdr;

namespace ifgw::runtime {

struct NetlinkEvents {
  std::function<void(const NeighbourEvent&)> on_neighbour;
  std::function<void()> on_route_change;  // some route or link changed
  std::function<void()> on_overrun;       // events were lost or cannot be read: look at everything again
};

class Netlink {
 public:
  // Opens in the network namespace file `netns`, or the current one when empty. The calling thread is back in its own
  // namespace afterwards.
  static Result<std::unique_ptr<Netlink>> open(const std::string& netns);
  ~Netlink();

  int event_fd() const noexcept;
  void read_events(const NetlinkEvents& events);

  std::optional<RouteAnswer> route_to(const IpAddress& destination);
  // Asks the kernel to resolve the neighbour and to keep it fresh (a managed neighbour, Linux 5.16; else resolved once),
  // unless that is done or somebody else does it. Returns what the kernel knows now.
  std::optional<NeighbourEvent> manage_neighbour(int interface, const IpAddress& address);
  // Undoes it: an entry that is managed for us is deleted, any other stays.
  void forget_neighbour(int interface, const IpAddress& address);
  std::optional<NeighbourEvent> neighbour(int interface, const IpAddress& address);

  Result<int> interface_index(const std::string& name);
  Status set_up(int interface);
  Status add_address(int interface, const IpAddress& address, std::uint8_t prefix_length);
  // Moves an interface of the calling thread's namespace into namespace file `netns`.
  static Status move_interface(const std::string& name, const std::string& netns);

 private:
  Netlink() = default;
  int ask_for_neighbour(int interface, const IpAddress& address, bool is_new);
  int transact(nlmsghdr* request, const std::function<void(const NetlinkMessage&)>& on_reply);

  mnl_socket* requests_ = nullptr;
  mnl_socket* events_ = nullptr;
  std::uint32_t sequence_ = 0;
};

}  // namespace ifgw::runtime
