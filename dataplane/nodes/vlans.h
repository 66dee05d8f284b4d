// Ports that are a VLAN of a device (IEEE 802.1Q): their frames bear its tag on the wire and none inside, so that the
// engine and the kernel's side of the port see plain Ethernet. Filled at start, then read by every worker.
#pragma once

#include <rte_ether.h>
#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "codecs/base/bytes.h"

namespace ifgw::nodes {

inline constexpr std::uint16_t kMaxDevices = 16;  // DPDK ids of ports and exception ports are below this
inline constexpr std::uint16_t kNoDevice = 0xFFFF;
// A port's number: the DPDK id of its device, or one from kMaxDevices on, given out by Vlans::add().
inline constexpr std::uint16_t kMaxPortNumbers = kMaxDevices + 16;

class Vlans {
 public:
  // Makes VLAN `id` (1..4094) of `device` a port; its number, or kNoDevice when there are too many.
  std::uint16_t add(std::uint16_t device, std::uint16_t id) noexcept {
    if (count_ == vlans_.size()) return kNoDevice;
    vlans_[count_] = {device, id};
    tagged_[device] = true;
    return static_cast<std::uint16_t>(kMaxDevices + count_++);
  }
  // The device itself is a port as well: its frames without a tag.
  void add_untagged(std::uint16_t device) noexcept { untagged_[device] = true; }

  // Whether frames from `device` must go through receive().
  bool any(std::uint16_t device) const noexcept { return tagged_[device]; }
  // Number of the port that the frame came to, its tag taken off; kNoDevice: no port's. A tag of VLAN 0 is a priority and
  // no VLAN (6.9 of the standard): it stays, and is looked through later.
  std::uint16_t receive(rte_mbuf* buffer, std::uint16_t device) const noexcept {
    auto* frame = rte_pktmbuf_mtod(buffer, std::uint8_t*);
    const std::uint32_t length = rte_pktmbuf_data_len(buffer);
    std::uint16_t id = 0;
    if (length >= RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN && load_be16(frame + 12) == RTE_ETHER_TYPE_VLAN) id = load_be16(frame + 14) & 0x0FFF;
    if (id == 0) return untagged_[device] ? device : kNoDevice;
    for (std::uint16_t i = 0; i < count_; ++i) {
      if (vlans_[i].device != device || vlans_[i].id != id) continue;
      std::memmove(frame + RTE_VLAN_HLEN, frame, 2 * RTE_ETHER_ADDR_LEN);
      rte_pktmbuf_adj(buffer, RTE_VLAN_HLEN);
      return static_cast<std::uint16_t>(kMaxDevices + i);
    }
    return kNoDevice;
  }

  // The device behind a port's number.
  std::uint16_t device(std::uint16_t number) const noexcept {
    return __builtin_expect(number < kMaxDevices, 1) ? number : vlans_[number - kMaxDevices].device;
  }
  static bool is_vlan(std::uint16_t number) noexcept { return number >= kMaxDevices; }
  static bool has_room(const rte_mbuf* buffer) noexcept { return rte_pktmbuf_headroom(buffer) >= RTE_VLAN_HLEN; }
  // Puts the tag of a port that is_vlan() on a frame that has_room() for it.
  void tag(rte_mbuf* buffer, std::uint16_t number) const noexcept {
    buffer->data_off = static_cast<std::uint16_t>(buffer->data_off - RTE_VLAN_HLEN);
    buffer->data_len = static_cast<std::uint16_t>(buffer->data_len + RTE_VLAN_HLEN);
    buffer->pkt_len += RTE_VLAN_HLEN;
    auto* frame = rte_pktmbuf_mtod(buffer, std::uint8_t*);
    std::memmove(frame, frame + RTE_VLAN_HLEN, 2 * RTE_ETHER_ADDR_LEN);
    store_be16(frame + 12, RTE_ETHER_TYPE_VLAN);
    store_be16(frame + 14, vlans_[number - kMaxDevices].id);
  }

 private:
  struct Vlan {
    std::uint16_t device = 0;
    std::uint16_t id = 0;
  };
  std::array<Vlan, kMaxPortNumbers - kMaxDevices> vlans_{};
  std::array<bool, kMaxDevices> tagged_{};
  std::array<bool, kMaxDevices> untagged_{};
  std::uint16_t count_ = 0;
};

}  // namespace ifgw::nodes
