#include "dataplane/runtime/netlink.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "dataplane/runtime/regions.h"

namespace ifgw::runtime {
namespace {

constexpr std::size_t kBuffer = 8192;

Error system_error(const std::string& what, int code = errno) { return Error{what + ": " + std::strerror(code)}; }

std::uint8_t family_of(const IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }
std::uint16_t bytes_of(const IpAddress& address) { return address.is_v4() ? 4 : 16; }

void put_address(nlmsghdr* message, std::uint16_t type, const IpAddress& address) {
  mnl_attr_put(message, type, bytes_of(address), address.bytes.data());
}

mnl_socket* open_socket(unsigned groups) {
  mnl_socket* socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
  if (socket == nullptr) return nullptr;
  if (mnl_socket_bind(socket, groups, MNL_SOCKET_AUTOPID) < 0) {
    mnl_socket_close(socket);
    return nullptr;
  }
  return socket;
}

}  // namespace

Result<std::unique_ptr<Netlink>> Netlink::open(const std::string& netns) {
  const Fd home(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!netns.empty()) {
    const Fd there(::open(netns.c_str(), O_RDONLY | O_CLOEXEC));
    if (!there || setns(there.get(), CLONE_NEWNET) != 0) return system_error("--exception-netns " + netns);
  }
  std::unique_ptr<Netlink> netlink(new Netlink);
  netlink->requests_ = open_socket(0);
  netlink->events_ = open_socket(RTMGRP_NEIGH | RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
  const int why = errno;
  if (!netns.empty() && setns(home.get(), CLONE_NEWNET) != 0) return system_error("cannot return to the own network namespace");
  if (netlink->requests_ == nullptr || netlink->events_ == nullptr) return system_error("netlink socket", why);
  const int fd = mnl_socket_get_fd(netlink->events_);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  const int buffer = 1 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  return netlink;
}

Netlink::~Netlink() {
  if (requests_ != nullptr) mnl_socket_close(requests_);
  if (events_ != nullptr) mnl_socket_close(events_);
}

int Netlink::event_fd() const noexcept { return mnl_socket_get_fd(events_); }

void Netlink::read_events(const NetlinkEvents& events) {
  std::uint8_t buffer[kBuffer];
  while (true) {
    const ssize_t got = mnl_socket_recvfrom(events_, buffer, sizeof buffer);
    if (got < 0 && (errno == ENOBUFS || errno == ENOSPC)) {  // too many for the socket, or too long for the buffer
      events.on_overrun();
      continue;
    }
    if (got <= 0) return;
    Bytes rest(buffer, static_cast<std::size_t>(got));
    while (const auto message = next_message(rest)) {
      if (message->type == RTM_NEWNEIGH || message->type == RTM_DELNEIGH) {
        if (const auto event = parse_neighbour(*message)) events.on_neighbour(*event);
      } else if (message->type >= RTM_NEWLINK && message->type < RTM_NEWNEIGH) {
        events.on_route_change();  // links, addresses and routes
      }
    }
    if (!rest.empty()) events.on_overrun();
  }
}

// Sends and reads until the acknowledgement. 0, or an errno.
int Netlink::transact(nlmsghdr* request, const std::function<void(const NetlinkMessage&)>& on_reply) {
  request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  request->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(requests_, request, request->nlmsg_len) < 0) return errno;
  std::uint8_t buffer[kBuffer];
  while (true) {
    const ssize_t got = mnl_socket_recvfrom(requests_, buffer, sizeof buffer);
    if (got < 0) return errno;
    Bytes rest(buffer, static_cast<std::size_t>(got));
    while (const auto message = next_message(rest)) {
      if (message->sequence != sequence_) continue;
      if (message->type == NLMSG_ERROR) return parse_error(*message);
      if (on_reply) on_reply(*message);
    }
    if (!rest.empty()) return EBADMSG;  // the acknowledgement may be in what cannot be read
  }
}

std::optional<RouteAnswer> Netlink::route_to(const IpAddress& destination) {
  alignas(nlmsghdr) char buffer[kBuffer];
  nlmsghdr* request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_GETROUTE;
  auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
  route->rtm_family = family_of(destination);
  route->rtm_dst_len = static_cast<unsigned char>(bytes_of(destination) * 8);
  put_address(request, RTA_DST, destination);
  std::optional<RouteAnswer> answer;
  const int code = transact(request, [&](const NetlinkMessage& reply) { answer = parse_route(reply, destination); });
  return code == 0 ? answer : std::nullopt;
}

// Of an entry that somebody keeps by hand nothing may be asked: the kernel would take its NUD_PERMANENT away.
std::optional<NeighbourEvent> Netlink::manage_neighbour(int interface, const IpAddress& address) {
  for (const bool again : {false, true}) {
    const auto known = neighbour(interface, address);
    if (known && (known->by_hand || (known->managed && (known->mac || !known->ours)))) return known;
    const int code = ask_for_neighbour(interface, address, !known);
    if (again || (code != EEXIST && code != ENOENT)) break;  // these two: it came or went since we looked
  }
  return neighbour(interface, address);
}

// 0, or an errno: EEXIST when it `is_new` and there is one, ENOENT when not and there is none.
int Netlink::ask_for_neighbour(int interface, const IpAddress& address, bool is_new) {
  alignas(nlmsghdr) char buffer[kBuffer];
  nlmsghdr* request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_NEWNEIGH;
  if (is_new) request->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
  auto* header = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ndmsg)));
  header->ndm_family = family_of(address);
  header->ndm_ifindex = interface;
  header->ndm_flags = NTF_USE;  // what a kernel does that does not know the attribute
  put_address(request, NDA_DST, address);
  mnl_attr_put_u8(request, NDA_PROTOCOL, kNeighbourMark);
  mnl_attr_put_u32(request, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
  return transact(request, nullptr);
}

void Netlink::forget_neighbour(int interface, const IpAddress& address) {
  const auto known = neighbour(interface, address);
  if (!known || !known->ours) return;
  alignas(nlmsghdr) char buffer[kBuffer];
  nlmsghdr* request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_DELNEIGH;
  auto* header = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ndmsg)));
  header->ndm_family = family_of(address);
  header->ndm_ifindex = interface;
  put_address(request, NDA_DST, address);
  transact(request, nullptr);
}

std::optional<NeighbourEvent> Netlink::neighbour(int interface, const IpAddress& address) {
  alignas(nlmsghdr) char buffer[kBuffer];
  nlmsghdr* request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_GETNEIGH;
  auto* header = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ndmsg)));
  header->ndm_family = family_of(address);
  header->ndm_ifindex = interface;
  put_address(request, NDA_DST, address);
  std::optional<NeighbourEvent> found;
  transact(request, [&](const NetlinkMessage& reply) { found = parse_neighbour(reply); });
  return found;
}

Result<int> Netlink::interface_index(const std::string& name) {
  alignas(nlmsghdr) char buffer[kBuffer];
  nlmsghdr* request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_GETLINK;
  mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg));
  mnl_attr_put_strz(request, IFLA_IFNAME, name.c_str());
  std::optional<int> index;
  const int code = transact(request, [&](const NetlinkMessage& reply) { index = parse_link(reply); });
  if (code != 0 || !index) return system_error("interface " + name, code != 0 ? code : EBADMSG);
  return *index;
}

Status Netlink::set_up(int interface) {
  alignas(nlmsghdr) char buffer[kBuffer];
  nlmsghdr* request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_NEWLINK;
  auto* header = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg)));
  header->ifi_index = interface;
  header->ifi_flags = IFF_UP;
  header->ifi_change = IFF_UP;
  const int code = transact(request, nullptr);
  if (code != 0) return system_error("cannot set the exception interface up", code);
  return Success{};
}

Status Netlink::add_address(int interface, const IpAddress& address, std::uint8_t prefix_length) {
  alignas(nlmsghdr) char buffer[kBuffer];
  nlmsghdr* request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_NEWADDR;
  request->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
  auto* header = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifaddrmsg)));
  header->ifa_family = family_of(address);
  header->ifa_prefixlen = prefix_length;
  header->ifa_index = static_cast<unsigned>(interface);
  header->ifa_flags = address.is_v6() ? IFA_F_NODAD : 0;  // the dataplane answers for it from the first packet on
  put_address(request, IFA_LOCAL, address);
  put_address(request, IFA_ADDRESS, address);
  const int code = transact(request, nullptr);
  if (code != 0) return system_error("cannot set address " + address.text() + " on the exception interface", code);
  return Success{};
}

Status Netlink::move_interface(const std::string& name, const std::string& netns) {
  auto here = open("");
  if (!here) return here.error();
  const Fd there(::open(netns.c_str(), O_RDONLY | O_CLOEXEC));
  if (!there) return system_error("--exception-netns " + netns);
  alignas(nlmsghdr) char buffer[kBuffer];
  nlmsghdr* request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_NEWLINK;
  mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg));
  mnl_attr_put_strz(request, IFLA_IFNAME, name.c_str());
  mnl_attr_put_u32(request, IFLA_NET_NS_FD, static_cast<std::uint32_t>(there.get()));
  const int code = (*here)->transact(request, nullptr);
  if (code != 0) return system_error("cannot move " + name + " to " + netns, code);
  return Success{};
}

}  // namespace ifgw::runtime
