// A packet as the engine sees it: bytes with room around them, what the port said about them, and what the engine
// decided. The shell (dataplane/nodes) owns the buffer and fills the "in" fields; classify() fills the "parsed" ones;
// the last call that handled the packet fills the "out" ones. A Packet is a value of one poll iteration, together with its buffer; as
// a value it may be handed to another worker, or wait in the engine to be transcoded.
#pragma once

#include <cstdint>

#include "codecs/base/bytes.h"
#include "dataplane/api/counters.h"

namespace ifgw::engine {

enum class Checksum : std::uint8_t {
  Unknown,  // not looked at
  Good,     // verified, by the port or by us
  Bad,
};

// Where a packet belongs. The order is the order of the branches in the shell, not of importance.
enum class PacketKind : std::uint8_t {
  Exception,         // for the kernel: ARP, ND, ICMP, other addresses, other ports
  Media,             // UDP to a media port of ours, or an ICMP error about one (no payload_offset): Engine::media(), on worker `owner`
  SipUdp,            // UDP to a signalling port of ours: Engine::limit(), on worker `owner`, then up
  SignallingTcpSyn,  // a connection attempt: Engine::limit(), on worker `owner`, then to the kernel
  SignallingTcp,     // the rest of TCP to a signalling port: likewise, at a bounded rate (only blocked sources are refused)
  Fragment,          // IP fragment to an address of ours: Engine::limit(), on worker `owner`, then to the kernel
  Malformed,         // `verdict` is Drop already
};

enum class PacketVerdict : std::uint8_t {
  Pending,   // not decided yet
  Transmit,  // send `data`, `length` on port `tx_port`
  Up,        // hand the UDP payload to the control plane
  Kernel,    // give the whole frame to the exception port
  Drop,      // free it; the reason has been counted
  Kept,      // free it: it was taken in (audio that waits for the rest of a frame, a report)
  HandOver,  // its leg has moved: give it to worker `owner`, which finds it at `leg_index`
  Waits,     // the engine has taken it over, buffer and all, until Engine::next_frame() or shed() hands it back as another Packet
};

inline constexpr std::uint32_t kNoLegRow = 0xFFFFFFFF;

struct Packet {
  // in, and with Transmit out: the frame from its Ethernet header on. The engine may write `headroom` bytes before and
  // `tailroom` bytes after it (an IPv4 packet that leaves as IPv6 grows by 20 at the front); both are of what came in.
  std::uint8_t* data = nullptr;
  void* handle = nullptr;  // the shell's own (its buffer); never read here
  std::uint16_t length = 0;
  std::uint16_t headroom = 0;
  std::uint16_t tailroom = 0;
  std::uint16_t rx_port = 0;
  Checksum ip_checksum = Checksum::Unknown;
  Checksum l4_checksum = Checksum::Unknown;  // of UDP; Bad is not said

  // parsed; of what came in, not of what leaves
  PacketKind kind = PacketKind::Exception;
  std::uint8_t owner = 0;            // worker that must handle it
  std::uint8_t local_address = 0;    // index of the destination among our addresses
  std::uint8_t ip_version = 0;       // 4 or 6; 0: not IP
  std::uint16_t ip_offset = 0;       // from data
  std::uint16_t l4_offset = 0;       // from data; 0: none
  std::uint16_t payload_offset = 0;  // UDP payload, from data
  std::uint16_t payload_length = 0;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t codec_pair = 0;  // out, with tx_leg: of WorkerBlock::inside; here it fits between others
  std::uint32_t leg_index = 0;  // Media: index of the leg that owns the port, in the owner's table

  // out
  PacketVerdict verdict = PacketVerdict::Pending;
  api::DropReason drop{};            // with Drop
  std::uint16_t tx_port = 0;         // with Transmit
  std::uint32_t tx_leg = kNoLegRow;  // with Transmit of RTP: row of the leg it goes to, for LegRow::inside
};
static_assert(sizeof(Packet) <= 56);

// Bytes that a payload may have, and giving it another length; what follows it is gone.
inline std::size_t payload_room(const Packet& packet) noexcept {
  return std::size_t{packet.tailroom} + packet.length - packet.payload_offset;
}
inline void set_payload_length(Packet& packet, std::size_t length) noexcept {
  packet.tailroom = static_cast<std::uint16_t>(payload_room(packet) - length);
  packet.payload_length = static_cast<std::uint16_t>(length);
  packet.length = static_cast<std::uint16_t>(packet.payload_offset + length);
}

inline Bytes udp_payload(const Packet& packet) noexcept { return {packet.data + packet.payload_offset, packet.payload_length}; }

}  // namespace ifgw::engine
