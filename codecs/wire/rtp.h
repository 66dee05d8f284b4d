// RTP headers (RFC 3550 sections 5.1 and 5.3.1) and telling RTP from RTCP on one port (RFC 5761 section 4).
#pragma once

#include <cstddef>
#include <cstdint>

#include "codecs/base/bytes.h"

namespace ifgw {

inline constexpr std::size_t kRtpFixedBytes = 12;
inline constexpr std::size_t kMaxRtpCsrcs = 15;

struct RtpHeader {
  std::uint8_t payload_type = 0;  // 0..127
  bool marker = false;
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;
  std::uint32_t ssrc = 0;
  std::uint8_t csrc_count = 0;  // 0..15; they begin at offset 12
  std::uint8_t padding = 0;     // bytes of padding at the end, 0: none
  bool has_extension = false;
  std::uint16_t extension_profile = 0;  // "defined by profile" (RFC 8285: 0xBEDE, 0x100X)
  std::uint16_t extension_offset = 0;   // of the extension's data
  std::uint16_t extension_length = 0;   // in bytes, a multiple of 4
  std::uint16_t payload_offset = 0;
  std::uint16_t payload_length = 0;  // without padding; 0 is valid
};

// CSRC list, extension and padding; parse_rtp() is what one calls.
[[nodiscard]] bool parse_rtp_options(Bytes packet, RtpHeader& header) noexcept;

// False when it is not RTP version 2, or CSRC list, extension or padding run past the end. At most 65535 bytes.
[[nodiscard]] inline bool parse_rtp(Bytes packet, RtpHeader& header) noexcept {
  if (packet.size() < kRtpFixedBytes || packet.size() > 0xFFFF || packet[0] >> 6 != 2) return false;
  header.marker = (packet[1] & 0x80) != 0;
  header.payload_type = packet[1] & 0x7F;
  header.sequence = load_be16(&packet[2]);
  header.timestamp = load_be32(&packet[4]);
  header.ssrc = load_be32(&packet[8]);
  header.padding = 0;
  header.extension_profile = header.extension_offset = header.extension_length = 0;
  header.csrc_count = packet[0] & 0x0F;
  header.has_extension = (packet[0] & 0x10) != 0;
  header.payload_offset = kRtpFixedBytes;
  header.payload_length = static_cast<std::uint16_t>(packet.size() - kRtpFixedBytes);
  return packet[0] == 0x80 || parse_rtp_options(packet, header);
}

inline std::uint32_t rtp_csrc(Bytes packet, std::size_t i) noexcept { return load_be32(&packet[kRtpFixedBytes + 4 * i]); }

// Writes a header without CSRCs, extension and padding; the payload follows at offset 12.
void write_rtp(ByteWriter& out, const RtpHeader& header) noexcept;

// Payload types 64..95 collide with RTCP packet types 192..223 and are RTCP. Needs two bytes, else false.
inline bool looks_like_rtcp(Bytes packet) noexcept { return packet.size() >= 2 && packet[1] >= 192 && packet[1] <= 223; }

}  // namespace ifgw
