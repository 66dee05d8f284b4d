// Messages are those of a kernel (6.18), and the same with lengths that no kernel writes: what follows a value that is too
// short would make it whole, so that who reads on is found out.
#include "dataplane/runtime/netlink_messages.h"

#include <gtest/gtest.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <vector>

namespace ifgw::runtime {
namespace {

using Buffer = std::vector<std::uint8_t>;

template <typename T>
void append(Buffer& to, const T& value) {
  const std::size_t at = to.size();
  to.resize(at + sizeof value);
  std::memcpy(to.data() + at, &value, sizeof value);
}

void append(Buffer& to, const Buffer& bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

Buffer attribute(std::uint16_t type, const Buffer& value) {
  Buffer out;
  append(out, nlattr{static_cast<std::uint16_t>(sizeof(nlattr) + value.size()), type});
  append(out, value);
  out.resize(NLA_ALIGN(out.size()));
  return out;
}

template <typename T>
Buffer attribute_of(std::uint16_t type, T value) {
  Buffer bytes;
  append(bytes, value);
  return attribute(type, bytes);
}

Buffer message(std::uint16_t type, const Buffer& payload, std::uint32_t sequence = 7) {
  Buffer out;
  append(out, nlmsghdr{static_cast<std::uint32_t>(sizeof(nlmsghdr) + payload.size()), type, 0, sequence, 0});
  append(out, payload);
  out.resize(NLMSG_ALIGN(out.size()));
  return out;
}

template <typename Header>
Buffer payload(const Header& header, std::initializer_list<Buffer> attributes) {
  Buffer out;
  append(out, header);
  for (const Buffer& a : attributes) append(out, a);
  return out;
}

NetlinkMessage of(std::uint16_t type, const Buffer& payload) { return {type, 7, payload}; }

const IpAddress kDestination = *IpAddress::parse("203.0.113.9");
const IpAddress kGateway = *IpAddress::parse("192.0.2.1");
const Buffer kGatewayBytes{192, 0, 2, 1};
const Buffer kMac{2, 0, 0, 0, 0, 1};

rtmsg route_header(std::uint8_t family = AF_INET, std::uint8_t type = RTN_UNICAST) {
  rtmsg header{};
  header.rtm_family = family;
  header.rtm_type = type;
  return header;
}

ndmsg neighbour_header(std::uint16_t state = NUD_REACHABLE, std::uint8_t flags = 0) {
  ndmsg header{};
  header.ndm_family = AF_INET;
  header.ndm_ifindex = 3;
  header.ndm_state = state;
  header.ndm_flags = flags;
  return header;
}

Buffer neighbour_payload(const ndmsg& header, const Buffer& more = {}) {
  return payload(header, {attribute(NDA_DST, kGatewayBytes), attribute(NDA_LLADDR, kMac), more});
}

TEST(NetlinkDatagram, MessagesComeOneByOneUntilNothingIsLeft) {
  Buffer datagram = message(RTM_NEWLINK, Buffer(5), 1);  // with three bytes of padding
  append(datagram, message(NLMSG_ERROR, Buffer(20), 2));
  Bytes rest(datagram);
  const auto first = next_message(rest);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->type, RTM_NEWLINK);
  EXPECT_EQ(first->sequence, 1U);
  EXPECT_EQ(first->payload.size(), 5U);
  const auto second = next_message(rest);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->type, NLMSG_ERROR);
  EXPECT_EQ(second->sequence, 2U);
  EXPECT_FALSE(next_message(rest));
  EXPECT_TRUE(rest.empty());
}

TEST(NetlinkDatagram, TheLastMessageNeedsNoPadding) {
  Buffer datagram = message(RTM_NEWLINK, Buffer(5));
  datagram.resize(sizeof(nlmsghdr) + 5);
  Bytes rest(datagram);
  ASSERT_TRUE(next_message(rest));
  EXPECT_TRUE(rest.empty());
}

TEST(NetlinkDatagram, AWrongLengthIsNotTheEnd) {
  for (const std::uint32_t length : {0U, 1U, 15U, 37U, 0x7FFFFFFFU, 0xFFFFFFFEU, 0xFFFFFFFFU}) {
    Buffer datagram = message(RTM_NEWLINK, Buffer(20));
    std::memcpy(datagram.data(), &length, sizeof length);
    Bytes rest(datagram);
    EXPECT_FALSE(next_message(rest)) << length;
    EXPECT_FALSE(rest.empty()) << length;
  }
  const Buffer datagram = message(RTM_NEWLINK, {});
  for (std::size_t size = 1; size < datagram.size(); ++size) {
    Bytes rest = Bytes(datagram).first(size);
    EXPECT_FALSE(next_message(rest)) << size;
    EXPECT_EQ(rest.size(), size);
  }
}

TEST(NetlinkError, AcknowledgesOrSaysWhy) {
  Buffer payload;
  append(payload, nlmsgerr{0, {}});
  EXPECT_EQ(parse_error(of(NLMSG_ERROR, payload)), 0);
  payload.clear();
  append(payload, nlmsgerr{-EEXIST, {}});
  EXPECT_EQ(parse_error(of(NLMSG_ERROR, payload)), EEXIST);
}

TEST(NetlinkError, OneThatNoKernelWritesIsNoAcknowledgement) {
  Buffer whole;
  append(whole, nlmsgerr{0, {}});
  EXPECT_EQ(parse_error({NLMSG_ERROR, 7, Bytes(whole).first(whole.size() - 1)}), EBADMSG);
  EXPECT_EQ(parse_error({NLMSG_ERROR, 7, {}}), EBADMSG);
  EXPECT_EQ(parse_error(of(RTM_NEWLINK, whole)), EBADMSG);
  for (const int code : {1, EEXIST, INT_MAX, INT_MIN}) {
    Buffer payload;
    append(payload, nlmsgerr{code, {}});
    EXPECT_EQ(parse_error(of(NLMSG_ERROR, payload)), EBADMSG) << code;
  }
}

TEST(NetlinkRoute, GatewayOrOnLink) {
  const auto link = parse_route(of(RTM_NEWROUTE, payload(route_header(), {attribute_of(RTA_OIF, 3)})), kDestination);
  ASSERT_TRUE(link);
  EXPECT_EQ(link->interface, 3);
  EXPECT_EQ(link->next_hop, kDestination);
  EXPECT_FALSE(link->local);
  const auto gateway = parse_route(
      of(RTM_NEWROUTE, payload(route_header(), {attribute_of(RTA_OIF, 3), attribute(RTA_GATEWAY, kGatewayBytes)})), kDestination);
  ASSERT_TRUE(gateway);
  EXPECT_EQ(gateway->next_hop, kGateway);
  const auto local = parse_route(of(RTM_NEWROUTE, payload(route_header(AF_INET, RTN_LOCAL), {attribute_of(RTA_OIF, 1)})), kDestination);
  ASSERT_TRUE(local);
  EXPECT_TRUE(local->local);
}

// What `ip route add 203.0.113.0/24 via inet6 2001:db8::1` makes a kernel say.
TEST(NetlinkRoute, GatewayOfTheOtherFamily) {
  const Buffer via{AF_INET6, 0, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  const auto route =
      parse_route(of(RTM_NEWROUTE, payload(route_header(), {attribute_of(RTA_OIF, 3), attribute(RTA_VIA, via)})), kDestination);
  ASSERT_TRUE(route);
  EXPECT_EQ(route->next_hop, *IpAddress::parse("2001:db8::1"));
  for (std::size_t size = 0; size < via.size(); ++size) {
    const Buffer cut(via.begin(), via.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(parse_route(of(RTM_NEWROUTE, payload(route_header(), {attribute_of(RTA_OIF, 3), attribute(RTA_VIA, cut)})), kDestination))
        << size;
  }
}

TEST(NetlinkRoute, WithoutAnInterfaceThereIsNone) {
  EXPECT_FALSE(parse_route(of(RTM_NEWROUTE, payload(route_header(), {})), kDestination));
  for (const std::size_t size : {0U, 1U, 2U, 3U, 5U, 8U}) {
    const Buffer interface = payload(route_header(), {attribute(RTA_OIF, Buffer(size, 1)), attribute(RTA_PREFSRC, kGatewayBytes)});
    EXPECT_FALSE(parse_route(of(RTM_NEWROUTE, interface), kDestination)) << size;
  }
}

// Taking it for a route on link would send media to whoever answers for the destination there.
TEST(NetlinkRoute, AGatewayOfAWrongLengthIsNoRouteOnLink) {
  for (const std::size_t size : {0U, 3U, 5U, 16U}) {
    const Buffer route = payload(route_header(), {attribute_of(RTA_OIF, 3), attribute(RTA_GATEWAY, Buffer(size, 1))});
    EXPECT_FALSE(parse_route(of(RTM_NEWROUTE, route), kDestination)) << size;
  }
}

TEST(NetlinkRoute, OfAnotherFamilyOrTypeIsNoAnswer) {
  const Buffer attributes = attribute_of(RTA_OIF, 3);
  EXPECT_FALSE(parse_route(of(RTM_NEWROUTE, payload(route_header(AF_INET6), {attributes})), kDestination));
  EXPECT_FALSE(parse_route(of(RTM_NEWROUTE, payload(route_header(AF_UNSPEC), {attributes})), kDestination));
  EXPECT_FALSE(parse_route(of(RTM_NEWNEIGH, payload(route_header(), {attributes})), kDestination));
}

TEST(NetlinkNeighbour, KnownFailedAndDeleted) {
  const auto known = parse_neighbour(of(RTM_NEWNEIGH, neighbour_payload(neighbour_header())));
  ASSERT_TRUE(known);
  EXPECT_EQ(known->interface, 3);
  EXPECT_EQ(known->address, kGateway);
  EXPECT_EQ(known->mac, (Mac{2, 0, 0, 0, 0, 1}));
  EXPECT_FALSE(known->managed || known->ours || known->by_hand);
  const auto failed = parse_neighbour(of(RTM_NEWNEIGH, neighbour_payload(neighbour_header(NUD_FAILED))));
  ASSERT_TRUE(failed);
  EXPECT_FALSE(failed->mac);
  const auto deleted = parse_neighbour(of(RTM_DELNEIGH, neighbour_payload(neighbour_header())));
  ASSERT_TRUE(deleted);
  EXPECT_FALSE(deleted->mac);
}

TEST(NetlinkNeighbour, OursIsManagedMarkedAndNotByHand) {
  Buffer marks = attribute_of(NDA_FLAGS_EXT, std::uint32_t{NTF_EXT_MANAGED});
  const auto managed = parse_neighbour(of(RTM_NEWNEIGH, neighbour_payload(neighbour_header(), marks)));
  ASSERT_TRUE(managed);
  EXPECT_TRUE(managed->managed);
  EXPECT_FALSE(managed->ours);
  append(marks, attribute_of(NDA_PROTOCOL, kNeighbourMark));
  EXPECT_TRUE(parse_neighbour(of(RTM_NEWNEIGH, neighbour_payload(neighbour_header(), marks)))->ours);
  for (const ndmsg& header :
       {neighbour_header(NUD_PERMANENT), neighbour_header(NUD_NOARP), neighbour_header(NUD_REACHABLE, NTF_EXT_LEARNED)}) {
    const auto by_hand = parse_neighbour(of(RTM_NEWNEIGH, neighbour_payload(header, marks)));
    ASSERT_TRUE(by_hand);
    EXPECT_TRUE(by_hand->by_hand && by_hand->mac);
    EXPECT_FALSE(by_hand->ours);
  }
}

TEST(NetlinkNeighbour, MarksOfAWrongLengthAreNone) {
  Buffer marks = attribute(NDA_FLAGS_EXT, {NTF_EXT_MANAGED, 0});
  append(marks, attribute(NDA_PROTOCOL, {kNeighbourMark, 0}));
  const auto event = parse_neighbour(of(RTM_NEWNEIGH, neighbour_payload(neighbour_header(), marks)));
  ASSERT_TRUE(event);
  EXPECT_FALSE(event->managed || event->ours);
}

TEST(NetlinkNeighbour, AMacOfAnotherLengthIsNone) {
  for (const std::size_t size : {0U, 5U, 7U, 20U}) {
    const Buffer bytes = payload(neighbour_header(), {attribute(NDA_DST, kGatewayBytes), attribute(NDA_LLADDR, Buffer(size, 2))});
    const auto event = parse_neighbour(of(RTM_NEWNEIGH, bytes));
    ASSERT_TRUE(event) << size;
    EXPECT_FALSE(event->mac) << size;
  }
}

TEST(NetlinkNeighbour, WithoutAWholeAddressItIsNobodys) {
  EXPECT_FALSE(parse_neighbour(of(RTM_NEWNEIGH, payload(neighbour_header(), {attribute(NDA_LLADDR, kMac)}))));
  for (const std::size_t size : {0U, 3U, 5U, 16U})
    EXPECT_FALSE(parse_neighbour(of(RTM_NEWNEIGH, payload(neighbour_header(), {attribute(NDA_DST, Buffer(size, 1))})))) << size;
  ndmsg bridge = neighbour_header();
  bridge.ndm_family = AF_BRIDGE;
  EXPECT_FALSE(parse_neighbour(of(RTM_NEWNEIGH, neighbour_payload(bridge))));
}

// Every prefix of a message is read as far as it goes: nothing behind it belongs to it.
TEST(NetlinkNeighbour, NothingIsReadBehindTheMessage) {
  const Buffer whole = neighbour_payload(neighbour_header());
  const std::size_t address_end = sizeof(ndmsg) + sizeof(nlattr) + 4;
  const std::size_t mac_end = address_end + sizeof(nlattr) + 6;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const auto event = parse_neighbour({RTM_NEWNEIGH, 7, Bytes(whole).first(size)});
    ASSERT_EQ(event.has_value(), size >= address_end) << size;
    EXPECT_EQ(event && event->mac, size >= mac_end) << size;
  }
}

// An attribute of a wrong length ends them: where the next begins cannot be known.
TEST(NetlinkNeighbour, AttributesEndAtAWrongLength) {
  for (const int length : {0, 1, 3, 500, 0xFFFF}) {
    Buffer wrong;
    append(wrong, nlattr{static_cast<std::uint16_t>(length), NDA_PROBES});
    const Buffer bytes = payload(neighbour_header(), {attribute(NDA_DST, kGatewayBytes), wrong, attribute(NDA_LLADDR, kMac)});
    const auto event = parse_neighbour(of(RTM_NEWNEIGH, bytes));
    ASSERT_TRUE(event) << length;
    EXPECT_FALSE(event->mac) << length;
  }
}

TEST(NetlinkNeighbour, UnknownAttributesAreSkipped) {
  const Buffer bytes = payload(neighbour_header(), {attribute(0x3FFF, Buffer(3)), attribute(NDA_DST, kGatewayBytes)});
  EXPECT_TRUE(parse_neighbour(of(RTM_NEWNEIGH, bytes)));
}

TEST(NetlinkLink, IndexOfAWholeMessage) {
  ifinfomsg header{};
  header.ifi_index = 5;
  const Buffer whole = payload(header, {});
  EXPECT_EQ(parse_link(of(RTM_NEWLINK, whole)), 5);
  EXPECT_FALSE(parse_link({RTM_NEWLINK, 7, Bytes(whole).first(whole.size() - 1)}));
  EXPECT_FALSE(parse_link(of(RTM_DELLINK, whole)));
}

}  // namespace
}  // namespace ifgw::runtime
