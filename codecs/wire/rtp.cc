#include "codecs/wire/rtp.h"

namespace ifgw {

bool parse_rtp_options(Bytes packet, RtpHeader& header) noexcept {
  std::size_t offset = kRtpFixedBytes + std::size_t{4} * header.csrc_count;
  if (offset > packet.size()) return false;
  if (header.has_extension) {
    if (packet.size() - offset < 4) return false;
    header.extension_profile = load_be16(&packet[offset]);
    const std::size_t length = std::size_t{4} * load_be16(&packet[offset + 2]);
    offset += 4;
    if (packet.size() - offset < length) return false;
    header.extension_offset = static_cast<std::uint16_t>(offset);
    header.extension_length = static_cast<std::uint16_t>(length);
    offset += length;
  }
  std::size_t length = packet.size() - offset;
  if ((packet[0] & 0x20) != 0) {
    // The count includes itself, so 0 is invalid (section 5.1).
    header.padding = packet.back();
    if (header.padding == 0 || header.padding > length) return false;
    length -= header.padding;
  }
  header.payload_offset = static_cast<std::uint16_t>(offset);
  header.payload_length = static_cast<std::uint16_t>(length);
  return true;
}

void write_rtp(ByteWriter& out, const RtpHeader& header) noexcept {
  out.u8(0x80);
  out.u8(static_cast<std::uint8_t>((header.marker ? 0x80 : 0) | (header.payload_type & 0x7F)));
  out.u16(header.sequence);
  out.u32(header.timestamp);
  out.u32(header.ssrc);
}

}  // namespace ifgw
