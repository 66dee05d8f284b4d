#include "codecs/wire/rtcp.h"

#include "codecs/base/check.h"

namespace ifgw {
namespace {

constexpr std::size_t kSenderInfoBytes = 20;  // after the SSRC

// SDES chunks: SSRC, items (type, length, text) ended by a zero byte, padded to 32 bits; section 6.5.
bool valid_sdes(Bytes body, std::size_t chunks) noexcept {
  ByteReader in(body);
  for (std::size_t i = 0; i < chunks; ++i) {
    in.skip(4);
    for (;;) {
      const std::uint8_t type = in.u8();
      if (!in.ok()) return false;
      if (type == 0) break;
      in.skip(in.u8());
      if (!in.ok()) return false;
    }
    in.skip((4 - in.position() % 4) % 4);
    if (!in.ok()) return false;
  }
  return true;
}

// Sources, then perhaps a reason with a length; section 6.6.
bool valid_bye(Bytes body, std::size_t sources) noexcept {
  ByteReader in(body);
  in.skip(4 * sources);
  if (in.ok() && in.remaining() > 0) in.skip(in.u8());
  return in.ok();
}

bool valid_body(const RtcpPacket& packet) noexcept {
  switch (static_cast<RtcpType>(packet.type)) {
    case RtcpType::SenderReport: return packet.body.size() >= 4 + kSenderInfoBytes + packet.count * kRtcpReportBlockBytes;
    case RtcpType::ReceiverReport: return packet.body.size() >= 4 + packet.count * kRtcpReportBlockBytes;
    case RtcpType::SourceDescription: return valid_sdes(packet.body, packet.count);
    case RtcpType::Bye: return valid_bye(packet.body, packet.count);
    case RtcpType::Application: return packet.body.size() >= 8;
    case RtcpType::TransportFeedback:
    case RtcpType::PayloadFeedback: return packet.body.size() >= 8;
    case RtcpType::ExtendedReport: return packet.body.size() >= 4;
  }
  return true;  // of a type to come: to be ignored (section 6.1)
}

// Splits the first packet off. False: it does not fit.
bool split(Bytes& rest, RtcpPacket& packet) noexcept {
  if (rest.size() < kRtcpHeaderBytes || rest[0] >> 6 != 2) return false;
  const std::size_t bytes = 4 * (std::size_t{load_be16(&rest[2])} + 1);
  if (bytes > rest.size()) return false;
  std::size_t padding = 0;
  if ((rest[0] & 0x20) != 0) {
    // Only the last packet of a compound may be padded; the count includes itself.
    padding = rest[bytes - 1];
    if (bytes != rest.size() || padding == 0 || padding % 4 != 0 || padding > bytes - kRtcpHeaderBytes) return false;
  }
  packet.type = rest[1];
  packet.count = rest[0] & 0x1F;
  packet.body = rest.subspan(kRtcpHeaderBytes, bytes - kRtcpHeaderBytes - padding);
  rest = rest.subspan(bytes);
  return true;
}

void write_header(ByteWriter& out, RtcpType type, std::size_t count, std::size_t bytes) noexcept {
  out.u8(static_cast<std::uint8_t>(0x80 | count));
  out.u8(static_cast<std::uint8_t>(type));
  out.u16(static_cast<std::uint16_t>(bytes / 4 - 1));
}

void write_blocks(ByteWriter& out, std::span<const RtcpReportBlock> blocks) noexcept {
  for (const RtcpReportBlock& block : blocks) {
    out.u32(block.ssrc);
    out.u32(static_cast<std::uint32_t>(block.fraction_lost) << 24 | (static_cast<std::uint32_t>(block.cumulative_lost) & 0xFFFFFF));
    out.u32(block.highest_sequence);
    out.u32(block.jitter);
    out.u32(block.last_sr);
    out.u32(block.delay_since_last_sr);
  }
}

}  // namespace

bool valid_rtcp(Bytes compound, RtcpSize size) noexcept {
  if (compound.empty()) return false;
  bool first = true;
  while (!compound.empty()) {
    RtcpPacket packet;
    if (!split(compound, packet)) return false;
    const auto type = static_cast<RtcpType>(packet.type);
    if (packet.type < 192 || packet.type > 223) return false;  // RFC 5761: the range RTCP is told from RTP by
    if (first && size == RtcpSize::Compound && type != RtcpType::SenderReport && type != RtcpType::ReceiverReport) return false;
    if (!valid_body(packet)) return false;
    first = false;
  }
  return true;
}

bool RtcpReader::next(RtcpPacket& packet) noexcept {
  if (!rest_.empty() && split(rest_, packet)) return true;
  rest_ = {};
  return false;
}

std::optional<RtcpSenderInfo> rtcp_sender_info(const RtcpPacket& packet) noexcept {
  if (packet.type != static_cast<std::uint8_t>(RtcpType::SenderReport)) return std::nullopt;
  ByteReader in(packet.body);
  RtcpSenderInfo info;
  info.ssrc = in.u32();
  info.ntp_time = in.u64();
  info.rtp_timestamp = in.u32();
  info.packets = in.u32();
  info.octets = in.u32();
  return in.ok() ? std::optional(info) : std::nullopt;
}

std::optional<RtcpReportBlock> rtcp_report_block(const RtcpPacket& packet, std::size_t i) noexcept {
  std::size_t offset = 4 + i * kRtcpReportBlockBytes;
  if (packet.type == static_cast<std::uint8_t>(RtcpType::SenderReport)) {
    offset += kSenderInfoBytes;
  } else if (packet.type != static_cast<std::uint8_t>(RtcpType::ReceiverReport)) {
    return std::nullopt;
  }
  if (i >= packet.count) return std::nullopt;
  ByteReader in(packet.body);
  in.skip(offset);
  RtcpReportBlock block;
  block.ssrc = in.u32();
  const std::uint32_t lost = in.u32();
  block.fraction_lost = static_cast<std::uint8_t>(lost >> 24);
  block.cumulative_lost = static_cast<std::int32_t>(lost << 8) >> 8;
  block.highest_sequence = in.u32();
  block.jitter = in.u32();
  block.last_sr = in.u32();
  block.delay_since_last_sr = in.u32();
  return in.ok() ? std::optional(block) : std::nullopt;
}

void write_sender_report(ByteWriter& out, const RtcpSenderInfo& info, std::span<const RtcpReportBlock> blocks) noexcept {
  IFGW_CHECK(blocks.size() <= 31);
  write_header(out, RtcpType::SenderReport, blocks.size(), kRtcpHeaderBytes + 4 + kSenderInfoBytes + blocks.size() * kRtcpReportBlockBytes);
  out.u32(info.ssrc);
  out.u32(static_cast<std::uint32_t>(info.ntp_time >> 32));
  out.u32(static_cast<std::uint32_t>(info.ntp_time));
  out.u32(info.rtp_timestamp);
  out.u32(info.packets);
  out.u32(info.octets);
  write_blocks(out, blocks);
}

void write_receiver_report(ByteWriter& out, std::uint32_t ssrc, std::span<const RtcpReportBlock> blocks) noexcept {
  IFGW_CHECK(blocks.size() <= 31);
  write_header(out, RtcpType::ReceiverReport, blocks.size(), kRtcpHeaderBytes + 4 + blocks.size() * kRtcpReportBlockBytes);
  out.u32(ssrc);
  write_blocks(out, blocks);
}

void write_sdes_cname(ByteWriter& out, std::uint32_t ssrc, std::string_view cname) noexcept {
  IFGW_CHECK(!cname.empty() && cname.size() <= 255);
  const std::size_t items = 2 + cname.size() + 1;  // item and the zero that ends the chunk
  const std::size_t padded = (items + 3) / 4 * 4;
  write_header(out, RtcpType::SourceDescription, 1, kRtcpHeaderBytes + 4 + padded);
  out.u32(ssrc);
  out.u8(1);
  out.u8(static_cast<std::uint8_t>(cname.size()));
  out.bytes(as_bytes(cname));
  for (std::size_t i = items - 1; i < padded; ++i) out.u8(0);
}

void write_bye(ByteWriter& out, std::uint32_t ssrc) noexcept {
  write_header(out, RtcpType::Bye, 1, kRtcpHeaderBytes + 4);
  out.u32(ssrc);
}

}  // namespace ifgw
