#include "dataplane/runtime/ports.h"

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <regex>
#include <set>
#include <string_view>

namespace ifgw::runtime {
namespace {

bool is_tap(const PortConfig& config) { return config.device.rfind("net_tap", 0) == 0; }

// Descriptors a sleeping worker can wait on: packet sockets and taps. DPDK 22.11 tells those of taps only, by queue, so the others are
// found by what starting the port added to /proc/self/fd.
std::set<int> packet_fds() {
  std::set<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::atoi(entry.path().filename().c_str());
    int domain = 0;
    socklen_t size = sizeof domain;
    std::error_code ignored;
    const bool socket = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && (domain == AF_PACKET || domain == AF_XDP);
    if (socket || std::filesystem::read_symlink(entry.path(), ignored) == "/dev/net/tun") found.insert(fd);
  }
  return found;
}

Error port_error(const PortConfig& config, const std::string& what, int code) {
  return Error{"--port " + config.name + "=" + config.device + ": " + what + " (" + rte_strerror(code < 0 ? -code : code) + ")"};
}

// "net_af_packet0,iface=eth1" -> bus vdev, device net_af_packet0, arguments iface=eth1.
Status create_device(const PortConfig& config) {
  if (const auto address = pci_address(config.device)) {
    std::uint16_t id = 0;
    if (rte_eth_dev_get_port_by_name(address->c_str(), &id) == 0) return Success{};
    return Error{"--port " + config.name + "=" + config.device +
                 ": no DPDK driver took this PCI device. Unless DPDK told another reason above, bind it: dpdk-devbind.py -b vfio-pci " +
                 config.device + " (ifgw doctor shows drivers)"};
  }
  const auto comma = config.device.find(',');
  const std::string device = config.device.substr(0, comma);
  const std::string args = comma == std::string::npos ? "" : config.device.substr(comma + 1);
  const int made = rte_eal_hotplug_add("vdev", device.c_str(), args.c_str());
  if (made == 0) return Success{};
  return port_error(
      config, "the device cannot be created: check the driver's name, its interface and the privileges (CAP_NET_RAW, CAP_NET_ADMIN)", made);
}

// Checksums that the device is asked to verify on receipt, where it offers to. Not UDP's of virtio: asked for that, a host
// hands datagrams of its other guests over with the checksum left out, and we relay it.
std::uint64_t checked_by(const rte_eth_dev_info& info) {
  const bool virtio = std::string_view(info.driver_name).find("virtio") != std::string_view::npos;
  return RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | (virtio ? 0 : RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
}

Status configure(const PortConfig& config, std::uint16_t id, const rte_eth_dev_info& info, rte_mempool* pool) {
  if (config.queues > info.max_rx_queues || config.queues > info.max_tx_queues)
    return Error{"--port " + config.name + "=" + config.device + ": has " +
                 std::to_string(std::min(info.max_rx_queues, info.max_tx_queues)) + " queue pairs, but " + std::to_string(config.queues) +
                 " workers need one each: lower --workers" +
                 (config.device.rfind("net_af_packet", 0) == 0 ? " or add qpairs=" + std::to_string(config.queues) : "")};
  // DPDK 22.11 writes the descriptors of a tap's queues, two for each, into an array of eight, whatever their number.
  if (is_tap(config) && config.queues > kMaxTapQueues)
    return Error{"--port " + config.name + "=" + config.device + ": a tap has " + std::to_string(kMaxTapQueues) + " queue pairs, but " +
                 std::to_string(config.queues) + " workers need one each: lower --workers, or use net_af_packet"};
  rte_eth_conf conf{};
  conf.intr_conf.rxq = is_tap(config) ? 1 : 0;
  if (config.queues > 1 && info.flow_type_rss_offloads != 0) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP);
  }
  conf.rxmode.offloads = info.rx_offload_capa & checked_by(info);
  conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
  int code = rte_eth_dev_configure(id, config.queues, config.queues, &conf);
  if (code != 0) return port_error(config, "cannot be configured", code);
  code = rte_eth_dev_set_mtu(id, config.mtu);
  if (code != 0 && code != -ENOTSUP) return port_error(config, "does not take an MTU of " + std::to_string(config.mtu), code);
  std::uint16_t rx = config.rx_descriptors;
  std::uint16_t tx = config.tx_descriptors;
  code = rte_eth_dev_adjust_nb_rx_tx_desc(id, &rx, &tx);
  if (code != 0) return port_error(config, "does not take its descriptor counts", code);
  const int socket = rte_eth_dev_socket_id(id);
  for (std::uint16_t q = 0; q < config.queues; ++q) {
    code = rte_eth_rx_queue_setup(id, q, rx, static_cast<unsigned>(socket), nullptr, pool);
    if (code != 0) return port_error(config, "receive queue " + std::to_string(q), code);
    code = rte_eth_tx_queue_setup(id, q, tx, static_cast<unsigned>(socket), nullptr);
    if (code != 0) return port_error(config, "transmit queue " + std::to_string(q), code);
  }
  code = rte_eth_dev_start(id);
  if (code != 0) return port_error(config, "does not start: is the interface there, and up?", code);
  // A card drops multicast nobody asked for, and IPv6 neighbour discovery with it (RFC 4861 7.2.1): the kernel asks its
  // tap, not the card. Devices that cannot be asked (net_ring, net_null) hear all there is.
  code = rte_eth_allmulticast_enable(id);
  if (code != 0 && code != -ENOTSUP) return port_error(config, "does not receive multicast, which IPv6 needs", code);
  return Success{};
}

Result<Port> open_device(const PortConfig& config, rte_mempool* pool) {
  const std::set<int> before = packet_fds();
  if (const Status made = create_device(config); !made) return made.error();
  Port port;
  port.name = config.name;
  port.pci = pci_address(config.device).has_value();
  // A vdev's probe may fail although it was created; asking for the port by name is what tells.
  if (rte_eth_dev_get_port_by_name(device_name(config.device).c_str(), &port.id) != 0)
    return Error{"--port " + config.name + "=" + config.device + ": the driver made no port: check its arguments"};
  rte_eth_dev_info info{};
  if (const int code = rte_eth_dev_info_get(port.id, &info); code != 0) return port_error(config, "cannot be queried", code);
  if (const Status configured = configure(config, port.id, info, pool); !configured) return configured.error();
  port.number = port.id;
  port.driver = info.driver_name;
  port.checks_ip = (info.rx_offload_capa & checked_by(info) & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0;
  port.checks_udp = (info.rx_offload_capa & checked_by(info) & RTE_ETH_RX_OFFLOAD_UDP_CKSUM) != 0;
  rte_ether_addr mac{};
  rte_eth_macaddr_get(port.id, &mac);
  std::memcpy(port.mac.data(), mac.addr_bytes, port.mac.size());
  rte_eth_dev_get_mtu(port.id, &port.mtu);
  port.queues = config.queues;
  if (is_tap(config)) {
    for (std::uint16_t q = 0; q < config.queues; ++q) port.wake_fds.push_back(rte_eth_dev_rx_intr_ctl_q_get_fd(port.id, q));
    if (std::find(port.wake_fds.begin(), port.wake_fds.end(), -1) == port.wake_fds.end()) return port;
    port.wake_fds.clear();
  }
  const std::set<int> after = packet_fds();
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(port.wake_fds));
  return port;
}

}  // namespace

std::optional<std::string> pci_address(const std::string& device) {
  static const std::regex pattern("([0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]");
  std::string address = device;
  std::transform(address.begin(), address.end(), address.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::smatch parts;
  if (!std::regex_match(address, parts, pattern)) return std::nullopt;
  return parts[1].matched ? address : "0000:" + address;
}

std::string device_name(const std::string& device) { return pci_address(device).value_or(device.substr(0, device.find(','))); }

Result<Port> open_port(const PortConfig& config, rte_mempool* pool) { return open_device(config, pool); }

Result<Port> open_exception_port(const Port& port, const std::string& interface, std::uint16_t queues, rte_mempool* pool) {
  char mac[RTE_ETHER_ADDR_FMT_SIZE];
  rte_ether_addr address{};
  std::memcpy(address.addr_bytes, port.mac.data(), port.mac.size());
  rte_ether_format_addr(mac, sizeof mac, &address);
  PortConfig config;
  config.name = interface;
  config.device = "net_tap_" + interface + ",iface=" + interface + ",mac=" + mac;
  config.queues = queues;
  config.mtu = port.mtu;
  return open_device(config, pool);
}

void close_port(const Port& port) noexcept {
  rte_eth_dev_stop(port.id);
  if (!port.pci) rte_eth_dev_close(port.id);
}

}  // namespace ifgw::runtime
