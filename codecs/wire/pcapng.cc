#include "codecs/wire/pcapng.h"

#include <algorithm>

namespace ifgw::wire::pcapng {
namespace {

constexpr std::uint32_t kSectionHeader = 0x0A0D0D0A;
constexpr std::uint32_t kInterfaceDescription = 1;
constexpr std::uint32_t kInterfaceStatistics = 5;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint32_t kByteOrderMagic = 0x1A2B3C4D;
constexpr std::uint16_t kEthernet = 1;  // LINKTYPE_ETHERNET
constexpr std::size_t kPacketFixed = 28;
constexpr std::size_t kFramed = 4;  // the block's length, repeated at its end

enum Option : std::uint16_t {
  kEndOfOptions = 0,
  kComment = 1,
  kHardware = 2,
  kOs = 3,
  kApplication = 4,
  kName = 2,
  kTimeResolution = 9,
  kFlags = 2,
  kDropCount = 4,
  kStartTime = 2,
  kEndTime = 3,
  kFilterAccept = 6,
  kOsDrop = 7,
  kDelivered = 8,
};

template <typename Number>
void put(std::string& out, Number value) {
  for (std::size_t i = 0; i < sizeof value; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
}

constexpr std::size_t padded(std::size_t bytes) noexcept { return (bytes + 3) / 4 * 4; }

// What is written of a text.
std::string_view cut(std::string_view text) noexcept {
  if (text.size() <= kMaxTextBytes) return text;
  std::size_t length = kMaxTextBytes;
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  return text.substr(0, length);
}

constexpr std::size_t option_bytes(std::size_t value) noexcept { return 4 + padded(value); }
std::size_t text_bytes(std::string_view text) noexcept { return text.empty() ? 0 : option_bytes(cut(text).size()); }

void put_padded(std::string& out, std::string_view bytes) {
  out.append(bytes);
  out.append(padded(bytes.size()) - bytes.size(), '\0');
}

void put_text(std::string& out, Option code, std::string_view text) {
  if (text.empty()) return;
  const std::string_view written = cut(text);
  put(out, static_cast<std::uint16_t>(code));
  put(out, static_cast<std::uint16_t>(written.size()));
  put_padded(out, written);
}

template <typename Number>
void put_number(std::string& out, Option code, Number value) {
  put(out, static_cast<std::uint16_t>(code));
  put(out, static_cast<std::uint16_t>(sizeof value));
  put(out, value);
  out.append(padded(sizeof value) - sizeof value, '\0');
}

// Time stamps are two words, the high one first, also as options.
void put_time(std::string& out, std::uint64_t ns) {
  put(out, static_cast<std::uint32_t>(ns >> 32));
  put(out, static_cast<std::uint32_t>(ns));
}
void put_time(std::string& out, Option code, std::uint64_t ns) {
  put(out, static_cast<std::uint16_t>(code));
  put(out, std::uint16_t{8});
  put_time(out, ns);
}

// Opens a block whose length is not known yet; end_block() says it at both ends.
std::size_t begin_block(std::string& out, std::uint32_t type) {
  const std::size_t at = out.size();
  put(out, type);
  put(out, std::uint32_t{0});
  return at;
}
void end_block(std::string& out, std::size_t at) {
  const auto length = static_cast<std::uint32_t>(out.size() - at + kFramed);
  put(out, length);
  out.replace(at + 4, kFramed, out, out.size() - kFramed, kFramed);
}

}  // namespace

void write_section(const Section& section, std::string& out) {
  const std::size_t block = begin_block(out, kSectionHeader);
  put(out, kByteOrderMagic);
  put(out, std::uint16_t{1});  // version 1.0
  put(out, std::uint16_t{0});
  put(out, ~std::uint64_t{0});  // the section's length: not told
  put_text(out, kComment, section.comment);
  put_text(out, kHardware, section.hardware);
  put_text(out, kOs, section.os);
  put_text(out, kApplication, section.application);
  put(out, std::uint32_t{kEndOfOptions});
  end_block(out, block);
}

void write_interface(const Interface& interface, std::string& out) {
  const std::size_t block = begin_block(out, kInterfaceDescription);
  put(out, kEthernet);
  put(out, std::uint16_t{0});
  put(out, interface.snap_length);
  put_text(out, kName, interface.name);
  put_number(out, kTimeResolution, std::uint8_t{9});
  put(out, std::uint32_t{kEndOfOptions});
  end_block(out, block);
}

std::size_t packet_bytes(const Packet& packet) noexcept {
  const std::size_t options = option_bytes(4) + (packet.lost_before != 0 ? option_bytes(8) : 0) + text_bytes(packet.comment) + 4;
  return kPacketFixed + padded(packet.data.size()) + options + kFramed;
}

void write_packet(const Packet& packet, std::string& out) {
  const std::size_t block = begin_block(out, kEnhancedPacket);
  put(out, packet.interface);
  put_time(out, packet.time_ns);
  put(out, static_cast<std::uint32_t>(packet.data.size()));
  put(out, packet.original_length);
  put_padded(out, as_text(packet.data));
  put_text(out, kComment, packet.comment);
  put_number(out, kFlags, static_cast<std::uint32_t>(packet.direction));
  if (packet.lost_before != 0) put_number(out, kDropCount, packet.lost_before);
  put(out, std::uint32_t{kEndOfOptions});
  end_block(out, block);
}

void write_statistics(const Statistics& statistics, std::string& out) {
  const std::size_t block = begin_block(out, kInterfaceStatistics);
  put(out, statistics.interface);
  put_time(out, statistics.end_ns);
  put_time(out, kStartTime, statistics.start_ns);
  put_time(out, kEndTime, statistics.end_ns);
  put_number(out, kFilterAccept, statistics.accepted);
  put_number(out, kOsDrop, statistics.lost);
  put_number(out, kDelivered, statistics.delivered);
  put(out, std::uint32_t{kEndOfOptions});
  end_block(out, block);
}

}  // namespace ifgw::wire::pcapng
