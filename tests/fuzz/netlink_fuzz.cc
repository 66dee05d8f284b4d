// Datagrams of the kernel's netlink socket: what is taken of one lies inside it, and every value that comes out can be
// used. The first byte says whether a route to an IPv4 or (odd) an IPv6 address was asked for; the rest is the datagram.
#include <cstdlib>
#include <vector>

#include "dataplane/runtime/netlink_messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ifgw;
  using namespace ifgw::runtime;
  if (size < 1) return 0;
  const IpAddress destination = data[0] % 2 == 0 ? IpAddress::v4(0xC0000201) : IpAddress::v6({0x20, 0x01, 0x0d, 0xb8});
  const std::vector<std::uint8_t> datagram(data + 1, data + size);  // of its own, so that a sanitizer knows its end
  Bytes rest(datagram);
  for (std::size_t before = rest.size(); const auto message = next_message(rest); before = rest.size()) {
    if (rest.size() >= before) std::abort();
    if (message->payload.data() + message->payload.size() > datagram.data() + datagram.size()) std::abort();
    if (parse_error(*message) < 0) std::abort();
    (void)parse_link(*message);
    if (const auto event = parse_neighbour(*message)) {
      if (!event->address.present() || !is_well_formed(event->address)) std::abort();
      if (event->ours && (event->by_hand || !event->managed)) std::abort();
    }
    if (const auto route = parse_route(*message, destination))
      if (!route->next_hop.present() || !is_well_formed(route->next_hop)) std::abort();
  }
  return 0;
}
