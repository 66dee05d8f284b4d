// Capture files in the pcapng format (IETF draft-ietf-opsawg-pcapng), as far as a capture on Ethernet ports needs it: values
// to bytes. Little-endian; time in nanoseconds since 1970, UTC. Blocks are appended to `out`, which is all that allocates.
//
// A file is one write_section(), a write_interface() for each interface (numbered from 0 in that order), any number of
// write_packet(), and a write_statistics() for each interface at the end. It is a valid file after every block.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codecs/base/bytes.h"

namespace ifgw::wire::pcapng {

// Texts are UTF-8; of more than this, bytes are cut, at the end of a character. Empty ones are left out.
inline constexpr std::size_t kMaxTextBytes = 1024;

// Section 4.1.
struct Section {
  std::string_view hardware;
  std::string_view os;
  std::string_view application;
  std::string_view comment;
};
void write_section(const Section& section, std::string& out);

// Section 4.2; link type Ethernet.
struct Interface {
  std::string_view name;
  std::uint32_t snap_length = 0;  // bytes that packets were cut to; 0: they were not
};
void write_interface(const Interface& interface, std::string& out);

enum class Direction : std::uint8_t { Unknown = 0, Inbound = 1, Outbound = 2 };

// Section 4.3: Enhanced Packet Block.
struct Packet {
  std::uint32_t interface = 0;
  std::uint64_t time_ns = 0;
  std::uint32_t original_length = 0;
  Bytes data;  // at most original_length
  Direction direction = Direction::Unknown;
  std::uint64_t lost_before = 0;  // on that interface, since the packet before; 0 is left out
  std::string_view comment;
};
void write_packet(const Packet& packet, std::string& out);
// What write_packet() would append.
std::size_t packet_bytes(const Packet& packet) noexcept;

// Section 4.6: Interface Statistics Block.
struct Statistics {
  std::uint32_t interface = 0;
  std::uint64_t start_ns = 0;
  std::uint64_t end_ns = 0;
  std::uint64_t accepted = 0;   // packets that were to be captured
  std::uint64_t lost = 0;       // of these, not captured for want of room
  std::uint64_t delivered = 0;  // in the file
};
void write_statistics(const Statistics& statistics, std::string& out);
inline constexpr std::size_t kStatisticsBytes = 24 + 5 * 12 + 4;

}  // namespace ifgw::wire::pcapng
