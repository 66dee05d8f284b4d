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
constexpr std::uint8_t kOurMark = 173;  // as "protocol" of the neighbours we ask for (ip neigh shows it); nobody's in rt_protos

Error system_error(const std::string& what, int code = errno) { return Error{what + ": " + std::strerror(code)}; }

std::uint8_t family_of(const IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }
std::uint16_t bytes_of(const IpAddress& address) { return address.is_v4() ? 4 : 16; }

void put_address(nlmsghdr* message, std::uint16_t type, const IpAddress& address) {
  mnl_attr_put(message, type, bytes_of(address), address.bytes.data());
}

std::optional<IpAddress> get_address(const nlattr* attribute, int family) {
  IpAddress address;
  address.family = family == AF_INET ? IpFamily::V4 : IpFamily::V6;
  if (attribute == nullptr || mnl_attr_get_payload_len(attribute) != bytes_of(address)) return std::nullopt;
  std::memcpy(address.bytes.data(), mnl_attr_get_payload(attribute), bytes_of(address));
  return address;
}

template <std::size_t N>
using Attributes = std::array<const nlattr*, N>;

template <std::size_t N>
Attributes<N> attributes_of(const nlmsghdr* message, std::size_t header_bytes) {
  Attributes<N> found{};
  const char* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
  for (const auto* at = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, header_bytes));
       mnl_attr_ok(at, static_cast<int>(end - reinterpret_cast<const char*>(at))); at = mnl_attr_next(at))
    if (mnl_attr_get_type(at) < N) found[mnl_attr_get_type(at)] = at;
  return found;
}

std::optional<NeighbourEvent> parse_neighbour(const nlmsghdr* message) {
  const auto* header = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
  if (header->ndm_family != AF_INET && header->ndm_family != AF_INET6) return std::nullopt;
  const auto attributes = attributes_of<NDA_MAX + 1>(message, sizeof *header);
  const auto address = get_address(attributes[NDA_DST], header->ndm_family);
  if (!address) return std::nullopt;
  NeighbourEvent event;
  event.interface = header->ndm_ifindex;
  event.address = *address;
  constexpr unsigned kFixed = NUD_PERMANENT | NUD_NOARP;
  event.by_hand = (header->ndm_state & kFixed) != 0 || (header->ndm_flags & NTF_EXT_LEARNED) != 0;
  const nlattr* flags = attributes[NDA_FLAGS_EXT];
  event.managed = flags != nullptr && mnl_attr_get_payload_len(flags) == 4 && (mnl_attr_get_u32(flags) & NTF_EXT_MANAGED) != 0;
  const nlattr* mark = attributes[NDA_PROTOCOL];
  event.ours =
      event.managed && !event.by_hand && mark != nullptr && mnl_attr_get_payload_len(mark) == 1 && mnl_attr_get_u8(mark) == kOurMark;
  const bool valid =
      message->nlmsg_type == RTM_NEWNEIGH && (header->ndm_state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | kFixed)) != 0;
  const nlattr* mac = attributes[NDA_LLADDR];
  if (valid && mac != nullptr && mnl_attr_get_payload_len(mac) == 6) {
    event.mac.emplace();
    std::memcpy(event.mac->data(), mnl_attr_get_payload(mac), 6);
  }
  return event;
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
  alignas(nlmsghdr) char buffer[kBuffer];
  while (true) {
    ssize_t got = mnl_socket_recvfrom(events_, buffer, sizeof buffer);
    if (got < 0 && errno == ENOBUFS) {
      events.on_overrun();
      continue;
    }
    if (got <= 0) return;
    auto left = static_cast<int>(got);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer); mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_type == RTM_NEWNEIGH || message->nlmsg_type == RTM_DELNEIGH) {
        if (const auto event = parse_neighbour(message)) events.on_neighbour(*event);
      } else if (message->nlmsg_type >= RTM_NEWLINK && message->nlmsg_type < RTM_NEWNEIGH) {
        events.on_route_change();  // links, addresses and routes
      }
    }
  }
}

// Sends and reads until the acknowledgement. 0, or an errno.
int Netlink::transact(nlmsghdr* request, const std::function<void(const nlmsghdr*)>& on_reply) {
  request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  request->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(requests_, request, request->nlmsg_len) < 0) return errno;
  alignas(nlmsghdr) char buffer[kBuffer];
  while (true) {
    const ssize_t got = mnl_socket_recvfrom(requests_, buffer, sizeof buffer);
    if (got < 0) return errno;
    auto left = static_cast<int>(got);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer); mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_seq != sequence_) continue;
      if (message->nlmsg_type == NLMSG_ERROR) return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message))->error;
      if (on_reply) on_reply(message);
    }
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
  const int code = transact(request, [&](const nlmsghdr* reply) {
    if (reply->nlmsg_type != RTM_NEWROUTE) return;
    const auto* header = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(reply));
    const auto attributes = attributes_of<RTA_MAX + 1>(reply, sizeof *header);
    if (attributes[RTA_OIF] == nullptr) return;
    answer.emplace();
    answer->interface = static_cast<int>(mnl_attr_get_u32(attributes[RTA_OIF]));
    answer->next_hop = get_address(attributes[RTA_GATEWAY], header->rtm_family).value_or(destination);
    answer->local = header->rtm_type != RTN_UNICAST;
  });
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
  mnl_attr_put_u8(request, NDA_PROTOCOL, kOurMark);
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
  transact(request, [&](const nlmsghdr* reply) {
    if (reply->nlmsg_type == RTM_NEWNEIGH) found = parse_neighbour(reply);
  });
  return found;
}

Result<int> Netlink::interface_index(const std::string& name) {
  alignas(nlmsghdr) char buffer[kBuffer];
  nlmsghdr* request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_GETLINK;
  mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg));
  mnl_attr_put_strz(request, IFLA_IFNAME, name.c_str());
  int index = 0;
  const int code = transact(request, [&](const nlmsghdr* reply) {
    if (reply->nlmsg_type == RTM_NEWLINK) index = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(reply))->ifi_index;
  });
  if (code != 0 || index == 0) return system_error("interface " + name, code);
  return index;
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
