// THE plane contract, part 4: how the two shared regions are laid out, and the handshake that hands them over.
//
// The dataplane listens on a Unix socket (SOCK_SEQPACKET). A client connects and sends one AttachRequest; the
// dataplane checks who it is (SO_PEERCRED), its contract version and every struct size, and answers with one
// AttachReply. With status Welcome the reply carries, as SCM_RIGHTS in this order:
//   [0] ring region      memfd made for this attach, sealed against resizing; map read-write, MADV_DONTDUMP
//   [1] counter region   memfd sealed against new writable mappings; map read-only. Huge pages where the dataplane has
//                        them: its size is a whole number of AttachReply::counter_page_bytes
//   [2] client doorbell  datagram socket: the dataplane sends one byte when the client said it sleeps; receive-only
//   [3..] worker doorbells, one eventfd per worker, for the other direction; write-only
// All but the counters are made for this attach (runtime/doorbell.h says why the doorbells differ).
// The connection stays open and silent; its end is the detach, however the client died. Nothing else crosses.
// Both sides compute the layout from the numbers in AttachReply with the functions below and check it against the
// size of the memfd before mapping it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/api/counters.h"
#include "dataplane/api/messages.h"
#include "dataplane/api/ring.h"

namespace ifgw::api {

inline constexpr std::uint64_t kAttachMagic = 0x3157'4746'4E41'4C50ULL;
inline constexpr std::size_t kMaxWorkers = 32;
inline constexpr std::size_t kMaxLocalAddresses = 8;
inline constexpr std::size_t kMaxSignallingPorts = 4;
inline constexpr std::size_t kMaxSignallingTcpPorts = 8;

// Only the bytes of a datagram that are there are copied. from_slot bounds the length it copies by; the receiver
// still has to refuse a header whose length is out of range.
template <>
struct SlotCopy<Datagram> {
  static void into_slot(Datagram& slot, const Datagram& value) noexcept { copy(slot, value); }
  static void from_slot(Datagram& value, const Datagram& slot) noexcept { copy(value, slot); }

 private:
  static void copy(Datagram& to, const Datagram& from) noexcept {
    DatagramHeader header;
    std::memcpy(static_cast<void*>(&header), &from.header, sizeof header);
    const std::size_t length = header.length < kMaxDatagramPayload ? header.length : kMaxDatagramPayload;
    std::memcpy(static_cast<void*>(&to.header), &header, sizeof header);
    std::memcpy(to.payload.data(), from.payload.data(), length);
  }
};

template <>
struct SlotCopy<Captured> {
  static void into_slot(Captured& slot, const Captured& value) noexcept { copy(slot, value); }
  static void from_slot(Captured& value, const Captured& slot) noexcept { copy(value, slot); }

 private:
  static void copy(Captured& to, const Captured& from) noexcept {
    CapturedHeader header;
    std::memcpy(static_cast<void*>(&header), &from.header, sizeof header);
    const std::size_t length = header.length < kMaxCapturedBytes ? header.length : kMaxCapturedBytes;
    std::memcpy(static_cast<void*>(&to.header), &header, sizeof header);
    std::memcpy(to.bytes.data(), from.bytes.data(), length);
  }
};

// Elements per ring, each a power of two.
struct RingSizes {
  std::uint32_t commands = 1024;
  std::uint32_t events = 4096;
  std::uint32_t datagrams_up = 1024;
  std::uint32_t datagrams_down = 1024;
  std::uint32_t captured = 1024;
};

// Set by a side before it sleeps, taken down by the other when it rings the doorbell. A peer that lies costs a needless
// wake-up or a late one (every sleep is bounded), nothing else.
struct SleepFlags {
  alignas(kCacheLine) std::atomic<std::uint32_t> worker_sleeps{0};
  alignas(kCacheLine) std::atomic<std::uint32_t> client_sleeps{0};
};

// After publishing something for the owner of `sleeps`: whether its doorbell is to be rung, once per sleep.
inline bool must_ring(std::atomic<std::uint32_t>& sleeps) noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);  // publish before looking whether it sleeps
  return sleeps.load(std::memory_order_relaxed) != 0 && sleeps.exchange(0, std::memory_order_relaxed) != 0;
}

// Byte offsets of one worker's part within the ring region.
struct RingLayout {
  std::size_t flags = 0;
  std::size_t commands = 0;
  std::size_t events = 0;
  std::size_t datagrams_up = 0;
  std::size_t datagrams_down = 0;
  std::size_t captured = 0;
  std::size_t stride = 0;  // of one worker's part, whole pages
};

inline constexpr std::size_t kPage = 4096;
inline constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t round_up(std::size_t bytes, std::size_t to) noexcept { return (bytes + to - 1) / to * to; }

constexpr RingLayout ring_layout(const RingSizes& sizes) noexcept {
  RingLayout at;
  at.flags = 0;
  at.commands = round_up(sizeof(SleepFlags), kCacheLine);
  at.events = round_up(at.commands + ring_bytes<Command>(sizes.commands), kCacheLine);
  at.datagrams_up = round_up(at.events + ring_bytes<Event>(sizes.events), kCacheLine);
  at.datagrams_down = round_up(at.datagrams_up + ring_bytes<Datagram>(sizes.datagrams_up), kCacheLine);
  at.captured = round_up(at.datagrams_down + ring_bytes<Datagram>(sizes.datagrams_down), kCacheLine);
  at.stride = round_up(at.captured + ring_bytes<Captured>(sizes.captured), kPage);
  return at;
}
constexpr bool valid_ring_sizes(const RingSizes& s) noexcept {
  return valid_ring_capacity(s.commands) && valid_ring_capacity(s.events) && valid_ring_capacity(s.datagrams_up) &&
         valid_ring_capacity(s.datagrams_down) && valid_ring_capacity(s.captured);
}
constexpr std::size_t ring_region_bytes(const RingSizes& sizes, std::uint32_t workers) noexcept {
  return ring_layout(sizes).stride * workers;
}

// Interface counters, filled by the dataplane's main thread once a second.
struct alignas(64) PortBlock {
  std::array<char, 32> name{};  // as configured; written once, before the first attach
  std::array<char, 48> driver{};
  std::array<std::uint8_t, 6> mac{};
  std::uint16_t mtu = 0;
  std::uint16_t vlan = 0;  // 0: none. What is counted is of the whole device, which ports of several VLANs share
  std::uint16_t is_exception = 0;
  Counter link_up;  // 0 or 1
  Counter rx_packets;
  Counter rx_bytes;
  Counter tx_packets;
  Counter tx_bytes;
  Counter rx_missed;
  Counter rx_errors;
  Counter tx_errors;
  Counter rx_no_buffer;
};

// Counter region: one block for the process, then ports, workers, legs.
struct alignas(64) ProcessBlock {
  std::array<char, 32> version{};  // of the dataplane program; written once, before the first attach
  Counter started_ns;
  Counter attaches;  // clients welcomed since start
  Counter attach_refusals;
  Counter detaches;
  Counter corrupt_rings;  // detached because a ring index was impossible
  Counter port_count;
  Counter pid;
  Counter hugepages;  // 0 or 1: EAL profile
  Counter mempool_size;
  Counter mempool_in_use;
};

struct CounterLayout {
  std::size_t process = 0;
  std::size_t ports = 0;
  std::size_t workers = 0;
  std::size_t legs = 0;   // worker w's rows start at legs + w * legs_per_worker * sizeof(LegRow)
  std::size_t bytes = 0;  // whole pages of the given size
};
constexpr CounterLayout counter_layout(std::uint32_t workers, std::uint32_t legs_per_worker, std::size_t page_bytes) noexcept {
  CounterLayout at;
  at.ports = round_up(sizeof(ProcessBlock), kCacheLine);
  at.workers = at.ports + sizeof(PortBlock) * kMaxPorts * 2;
  at.legs = at.workers + sizeof(WorkerBlock) * workers;
  at.bytes = round_up(at.legs + sizeof(LegRow) * std::size_t{workers} * legs_per_worker, page_bytes);
  return at;
}

// Sizes of everything that crosses; each side compares all of them with its own.
struct ContractSizes {
  std::uint32_t command = sizeof(Command);
  std::uint32_t event = sizeof(Event);
  std::uint32_t datagram = sizeof(Datagram);
  std::uint32_t captured = sizeof(Captured);
  std::uint32_t leg_row = sizeof(LegRow);
  std::uint32_t worker_block = sizeof(WorkerBlock);
  std::uint32_t port_block = sizeof(PortBlock);
  std::uint32_t process_block = sizeof(ProcessBlock);
  std::uint32_t drop_reasons = kDropReasonCount;
  friend constexpr bool operator==(const ContractSizes&, const ContractSizes&) = default;
};

struct AttachRequest {
  std::uint64_t magic = kAttachMagic;
  std::uint32_t version = kContractVersion;
  ContractSizes sizes;
};

enum class AttachStatus : std::uint8_t {
  Welcome = 0,
  NotIfgw = 1,          // wrong magic or message length
  VersionMismatch = 2,  // `version` tells the dataplane's
  SizeMismatch = 3,     // same version, other build: `sizes` tells the dataplane's
  PeerRefused = 4,      // the client's uid may not attach
  Busy = 5,             // another control plane is attached: `holder_pid`
  OutOfMemory = 6,
};

struct AttachReply {
  std::uint64_t magic = kAttachMagic;
  std::uint32_t version = kContractVersion;
  AttachStatus status{};
  ContractSizes sizes;
  std::uint32_t holder_pid = 0;
  // The rest is set with Welcome only.
  std::uint32_t workers = 0;                 // 1..kMaxWorkers
  std::uint32_t legs_per_worker = 0;         // 1..2^24-1
  std::uint32_t counter_page_bytes = kPage;  // kPage or kHugePage
  RingSizes rings;
  std::uint32_t local_address_count = 0;
  std::array<IpAddress, kMaxLocalAddresses> local_addresses{};
  std::uint32_t signalling_port_count = 0;
  std::array<std::uint16_t, kMaxSignallingPorts> signalling_ports{};  // UDP ports that use the datagram ring
  std::uint32_t signalling_tcp_port_count = 0;
  std::array<std::uint16_t, kMaxSignallingTcpPorts> signalling_tcp_ports{};  // TCP ports that the limiter watches
  std::uint16_t media_port_first = 0;
  std::uint16_t media_port_last = 0;
  std::uint32_t codec_mask = 0;  // bit n: Codec n can be decoded and encoded
  std::uint32_t limiter_requests_max = 0;
  std::uint32_t mtu = 0;  // of the ports: larger datagrams go through the kernel
};
static_assert(std::is_trivially_copyable_v<AttachRequest> && std::is_trivially_copyable_v<AttachReply>);

inline constexpr std::size_t kAttachFixedFds = 3;  // before the worker doorbells

}  // namespace ifgw::api
