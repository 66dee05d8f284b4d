// Ethernet ports: network interfaces and, for each, the exception port through which the kernel sees the rest.
// Main thread, at start; afterwards a port is only its DPDK id, which workers use.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "codecs/base/result.h"

struct rte_mempool;

namespace ifgw::runtime {

struct PortConfig {
  std::string name;        // the operator's, e.g. "outside"
  std::string device;      // "0000:17:00.0", "17:00.0" or "net_af_packet0,iface=eth1"
  std::uint16_t vlan = 0;  // 1..4094: the port is this VLAN of the device; 0: its frames without a tag
  std::uint16_t queues = 1;
  std::uint16_t rx_descriptors = 1024;
  std::uint16_t tx_descriptors = 1024;
  std::uint16_t mtu = 1500;
};

struct Port {
  std::string name;
  std::uint16_t id = 0;      // DPDK port id of its device
  std::uint16_t number = 0;  // what packets and next hops call the port: see nodes/vlans.h
  std::uint16_t vlan = 0;    // 0: none
  std::string driver;
  bool pci = false;
  std::array<std::uint8_t, 6> mac{};
  std::uint16_t mtu = 1500;
  bool checks_ip = false;     // the device verifies IPv4 header checksums on receipt
  bool checks_udp = false;    // and UDP's
  std::vector<int> wake_fds;  // readable when packets wait, by queue where there is one for each; empty: the device can only be polled
  std::uint16_t queues = 1;   // of each direction
};

// The PCI address in full, as DPDK names it ("17:00.0" and "0000:17:00.0" are the same device); none: not a PCI address.
std::optional<std::string> pci_address(const std::string& device);

// A device's name in DPDK: that, or a virtual device without its arguments.
std::string device_name(const std::string& device);

// Creates (unless PCI), configures and starts the port. An error names the port, the device and the remedy.
Result<Port> open_port(const PortConfig& config, rte_mempool* pool);

// Queues of each direction that a tap can have.
inline constexpr std::uint16_t kMaxTapQueues = 4;

// The kernel's side of a port: a tap named `interface` with the port's MAC address. `queues`: 1..kMaxTapQueues.
Result<Port> open_exception_port(const Port& port, const std::string& interface, std::uint16_t queues, rte_mempool* pool);

// Stops and closes: af_packet, tap and the like free their kernel objects. A card is only stopped; vfio resets it when
// the process ends. Closing it would open vfio's files again, which a process without privileges cannot.
void close_port(const Port& port) noexcept;

}  // namespace ifgw::runtime
