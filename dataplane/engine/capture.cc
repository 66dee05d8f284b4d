#include "dataplane/engine/capture.h"

#include <algorithm>

#include "codecs/wire/rtcp.h"
#include "codecs/wire/rtp.h"

namespace ifgw::engine {
namespace {

constexpr std::uint16_t kVlan = 0x8100;
constexpr std::uint16_t kServiceVlan = 0x88A8;
constexpr int kMaxTags = 2;
constexpr int kMaxExtensions = 8;
constexpr std::size_t kRtcpKept = kRtcpHeaderBytes + 4;  // and who sends it

// IPv6 extension headers (RFC 8200 section 4) that lead on to another one.
enum : std::uint8_t { kHopByHop = 0, kTcp = 6, kUdp = 17, kRouting = 43, kFragment = 44, kAuthentication = 51, kDestination = 60 };

IpAddress address_of(Bytes bytes) noexcept {
  if (bytes.size() == 4) return IpAddress::v4(load_be32(bytes.data()));
  if (bytes.size() != 16) return {};
  std::array<std::uint8_t, 16> copy;
  std::copy(bytes.begin(), bytes.end(), copy.begin());
  return IpAddress::v6(copy);
}

// What follows the IP header. `first`: it begins with the transport's header.
void transport(ByteReader in, std::uint8_t protocol, bool first, FrameParts& parts) noexcept {
  parts.payload_offset = static_cast<std::uint16_t>(in.position());
  parts.l4 = protocol == kUdp ? L4::Udp : protocol == kTcp ? L4::Tcp : L4::Other;
  if (!first || parts.l4 == L4::Other) return;
  const std::uint16_t source_port = in.u16(), destination_port = in.u16();
  if (!in.ok()) return;
  parts.source_port = source_port;
  parts.destination_port = destination_port;
  if (parts.l4 == L4::Udp) {
    in.skip(4);
  } else {
    in.skip(8);
    const std::size_t words = in.u8() >> 4;
    in.skip(std::max<std::size_t>(words, 5) * 4 - 13);
  }
  parts.payload_offset = static_cast<std::uint16_t>(in.ok() ? in.position() : in.position() + in.remaining());
}

void dissect_v4(ByteReader in, FrameParts& parts) noexcept {
  const std::size_t length = std::max<std::size_t>(in.u8() & 0xF, 5) * 4;
  in.skip(5);
  const bool first = (in.u16() & 0x1FFF) == 0;
  in.skip(1);
  const std::uint8_t protocol = in.u8();
  in.skip(2);
  const IpAddress source = address_of(in.bytes(4)), destination = address_of(in.bytes(4));
  if (!in.ok()) return;
  parts.source = source;
  parts.destination = destination;
  in.skip(std::min(length - kIpv4Bytes, in.remaining()));
  transport(in, protocol, first, parts);
}

void dissect_v6(ByteReader in, FrameParts& parts) noexcept {
  in.skip(6);
  std::uint8_t next = in.u8();
  in.skip(1);
  const IpAddress source = address_of(in.bytes(16)), destination = address_of(in.bytes(16));
  if (!in.ok()) return;
  parts.source = source;
  parts.destination = destination;
  bool first = true;
  for (int i = 0; i < kMaxExtensions; ++i) {
    const std::uint8_t kind = next;
    if (kind != kHopByHop && kind != kRouting && kind != kFragment && kind != kAuthentication && kind != kDestination) break;
    ByteReader header = in;
    next = header.u8();
    const std::size_t units = header.u8();
    if (kind == kFragment) {
      first = first && (header.u16() >> 3) == 0;
      header.skip(4);
    } else {
      header.skip(kind == kAuthentication ? (units + 2) * 4 - 2 : units * 8 + 6);
    }
    if (!header.ok()) {
      first = false;
      break;
    }
    in = header;
  }
  transport(in, next, first, parts);
}

}  // namespace

FrameParts dissect(Bytes frame) noexcept {
  FrameParts parts;
  ByteReader in(frame);
  in.skip(12);
  std::uint16_t type = in.u16();
  for (int tags = 0; (type == kVlan || type == kServiceVlan) && tags < kMaxTags; ++tags) {
    in.skip(2);
    type = in.u16();
  }
  parts.payload_offset = static_cast<std::uint16_t>(in.ok() ? in.position() : frame.size());
  if (!in.ok()) return parts;
  if (type == 0x0800) dissect_v4(in, parts);
  if (type == 0x86DD) dissect_v6(in, parts);
  return parts;
}

Capture::Capture(const EngineConfig& config) : addresses_(config.local_addresses), ports_(config) {}

void Capture::start(const api::StartCapture& command, const Endpoint& leg, Instant now) noexcept {
  command_ = command;
  leg_ = leg;
  until_ = now + std::chrono::milliseconds(command.duration_ms);
}

std::optional<Capture::Taken> Capture::take(Bytes frame, api::CaptureDirection direction) const noexcept {
  const FrameParts parts = dissect(frame);
  const bool inbound = direction == api::CaptureDirection::Inbound;
  const IpAddress& ours = inbound ? parts.destination : parts.source;
  const IpAddress& theirs = inbound ? parts.source : parts.destination;
  const std::uint16_t port = inbound ? parts.destination_port : parts.source_port;
  if (!theirs.present()) return std::nullopt;
  if (leg_.present()) {
    // RTP on the even port, RTCP on the odd one after it.
    if (parts.l4 != L4::Udp || ours != leg_.ip || (port & ~1) != leg_.port) return std::nullopt;
  } else if (!command_.source.contains(theirs)) {
    return std::nullopt;
  }
  Taken taken;
  const auto local = std::find(addresses_.begin(), addresses_.end(), ours);
  if (parts.l4 == L4::Udp && local != addresses_.end() && ports_.is_media(port)) {
    taken.media = true;
    taken.owner = ports_.owner(port);
    taken.leg_index = ports_.index(static_cast<std::uint8_t>(local - addresses_.begin()), port);
  }
  const std::size_t wanted = command_.headers_only != 0 ? headers(frame, parts, taken.media) : frame.size();
  taken.length = static_cast<std::uint16_t>(std::min(wanted, api::kMaxCapturedBytes));
  return taken;
}

// Bytes of a frame without what its parties say to each other. A header extension of RTP may say anything, too.
std::size_t Capture::headers(Bytes frame, const FrameParts& parts, bool media_port) const noexcept {
  if (!media_port) return parts.payload_offset;
  const Bytes payload = frame.subspan(parts.payload_offset);
  if (payload.size() < 2 || payload[0] >> 6 != 2) return parts.payload_offset;
  const std::size_t kept = looks_like_rtcp(payload) ? kRtcpKept : kRtpFixedBytes + 4 * std::size_t{payload[0] & 0xFU};
  return parts.payload_offset + std::min(kept, payload.size());
}

}  // namespace ifgw::engine
