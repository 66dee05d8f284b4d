#include "dataplane/runtime/netlink_messages.h"

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

namespace ifgw::runtime {
namespace {

// The structure at the front of `bytes`, when there is all of it.
template <typename T>
std::optional<T> front(Bytes bytes) noexcept {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// Takes `bytes` and their padding off; the padding of the last may be missing.
void take(Bytes& from, std::size_t bytes) noexcept { from = from.subspan(std::min<std::size_t>(NLMSG_ALIGN(bytes), from.size())); }

// A message's fixed header, and behind it attributes: of each type below N the last.
template <typename Header, std::size_t N>
struct Parsed {
  Header header;
  std::array<std::optional<Bytes>, N> attributes;

  // Its payload, when it is there and so long.
  template <typename T>
  std::optional<T> value(std::size_t type) const noexcept {
    if (!attributes[type] || attributes[type]->size() != sizeof(T)) return std::nullopt;
    return front<T>(*attributes[type]);
  }
};

template <typename Header, std::size_t N>
std::optional<Parsed<Header, N>> parse(const NetlinkMessage& message) noexcept {
  const auto header = front<Header>(message.payload);
  if (!header) return std::nullopt;
  Parsed<Header, N> parsed{*header, {}};
  Bytes rest = message.payload;
  take(rest, sizeof(Header));
  while (const auto attribute = front<nlattr>(rest)) {
    if (attribute->nla_len < sizeof(nlattr) || attribute->nla_len > rest.size()) break;
    const auto type = static_cast<std::size_t>(attribute->nla_type & NLA_TYPE_MASK);
    if (type < N) parsed.attributes[type] = rest.subspan(sizeof(nlattr), attribute->nla_len - sizeof(nlattr));
    take(rest, attribute->nla_len);
  }
  return parsed;
}

std::optional<IpAddress> parse_address(std::optional<Bytes> bytes, int family) noexcept {
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  IpAddress address;
  address.family = family == AF_INET ? IpFamily::V4 : IpFamily::V6;
  if (!bytes || bytes->size() != (address.is_v4() ? 4U : 16U)) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), address.bytes.begin());
  return address;
}

// A next hop of any family: rtvia is the family, then the address.
std::optional<IpAddress> parse_via(Bytes bytes) noexcept {
  const auto family = front<decltype(rtvia::rtvia_family)>(bytes);
  if (!family) return std::nullopt;
  return parse_address(bytes.subspan(sizeof *family), *family);
}

}  // namespace

std::optional<NetlinkMessage> next_message(Bytes& datagram) noexcept {
  const auto header = front<nlmsghdr>(datagram);
  if (!header || header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > datagram.size()) return std::nullopt;
  const NetlinkMessage message{header->nlmsg_type, header->nlmsg_seq, datagram.first(header->nlmsg_len).subspan(sizeof(nlmsghdr))};
  take(datagram, header->nlmsg_len);
  return message;
}

int parse_error(const NetlinkMessage& message) noexcept {
  const auto error = front<nlmsgerr>(message.payload);
  if (message.type != NLMSG_ERROR || !error || error->error > 0 || error->error == INT_MIN) return EBADMSG;
  return -error->error;
}

std::optional<NeighbourEvent> parse_neighbour(const NetlinkMessage& message) noexcept {
  if (message.type != RTM_NEWNEIGH && message.type != RTM_DELNEIGH) return std::nullopt;
  const auto parsed = parse<ndmsg, NDA_MAX + 1>(message);
  if (!parsed) return std::nullopt;
  const ndmsg& header = parsed->header;
  const auto address = parse_address(parsed->attributes[NDA_DST], header.ndm_family);
  if (!address) return std::nullopt;
  NeighbourEvent event;
  event.interface = header.ndm_ifindex;
  event.address = *address;
  constexpr unsigned kFixed = NUD_PERMANENT | NUD_NOARP;
  event.by_hand = (header.ndm_state & kFixed) != 0 || (header.ndm_flags & NTF_EXT_LEARNED) != 0;
  event.managed = (parsed->value<std::uint32_t>(NDA_FLAGS_EXT).value_or(0) & NTF_EXT_MANAGED) != 0;
  event.ours = event.managed && !event.by_hand && parsed->value<std::uint8_t>(NDA_PROTOCOL) == kNeighbourMark;
  constexpr unsigned kKnown = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | kFixed;
  if (message.type == RTM_NEWNEIGH && (header.ndm_state & kKnown) != 0) event.mac = parsed->value<Mac>(NDA_LLADDR);
  return event;
}

std::optional<RouteAnswer> parse_route(const NetlinkMessage& message, const IpAddress& destination) noexcept {
  if (message.type != RTM_NEWROUTE) return std::nullopt;
  const auto parsed = parse<rtmsg, RTA_MAX + 1>(message);
  if (!parsed || parsed->header.rtm_family != (destination.is_v4() ? AF_INET : AF_INET6)) return std::nullopt;
  const auto interface = parsed->value<std::int32_t>(RTA_OIF);
  if (!interface) return std::nullopt;
  std::optional<IpAddress> next_hop = destination;
  if (const auto& gateway = parsed->attributes[RTA_GATEWAY])
    next_hop = parse_address(gateway, parsed->header.rtm_family);
  else if (const auto& via = parsed->attributes[RTA_VIA])
    next_hop = parse_via(*via);
  if (!next_hop) return std::nullopt;
  return RouteAnswer{*interface, *next_hop, parsed->header.rtm_type != RTN_UNICAST};
}

std::optional<int> parse_link(const NetlinkMessage& message) noexcept {
  const auto header = front<ifinfomsg>(message.payload);
  if (message.type != RTM_NEWLINK || !header) return std::nullopt;
  return header->ifi_index;
}

}  // namespace ifgw::runtime
