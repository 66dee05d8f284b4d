// RTCP compound packets (RFC 3550 section 6): validation, walking, sender and receiver reports, BYE and SDES CNAME.
// Reduced-size packets (RFC 5506) only where asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "codecs/base/bytes.h"

namespace ifgw {

enum class RtcpType : std::uint8_t {
  SenderReport = 200,
  ReceiverReport = 201,
  SourceDescription = 202,
  Bye = 203,
  Application = 204,
  TransportFeedback = 205,  // RFC 4585
  PayloadFeedback = 206,    // RFC 4585
  ExtendedReport = 207,     // RFC 3611
};

inline constexpr std::size_t kRtcpHeaderBytes = 4;
inline constexpr std::size_t kRtcpReportBlockBytes = 24;

enum class RtcpSize : std::uint8_t {
  Compound,  // must begin with a report (section 6.1)
  Reduced,   // RFC 5506: may begin with any RTCP packet
};

// RFC 3550 appendix A.2, and inside each packet of a known type that its counted parts fit: version 2 everywhere, the
// lengths add up to the whole, padding only in the last packet and within it, the first packet a report.
[[nodiscard]] bool valid_rtcp(Bytes compound, RtcpSize size = RtcpSize::Compound) noexcept;

// One packet of a compound. `body` begins after the 4-byte header and excludes padding.
struct RtcpPacket {
  std::uint8_t type = 0;
  std::uint8_t count = 0;  // report blocks, SDES chunks, BYE sources, or format
  Bytes body;
};

// Walks a compound that valid_rtcp() accepted; ends early, never overruns, on one it did not.
class RtcpReader {
 public:
  explicit RtcpReader(Bytes compound) noexcept : rest_(compound) {}
  bool next(RtcpPacket& packet) noexcept;

 private:
  Bytes rest_;
};

struct RtcpSenderInfo {
  std::uint32_t ssrc = 0;
  std::uint64_t ntp_time = 0;  // 32.32 bits since 1900
  std::uint32_t rtp_timestamp = 0;
  std::uint32_t packets = 0;
  std::uint32_t octets = 0;
};
struct RtcpReportBlock {
  std::uint32_t ssrc = 0;                 // the source reported on
  std::uint8_t fraction_lost = 0;         // of 256, since the previous report
  std::int32_t cumulative_lost = 0;       // 24 bits, signed
  std::uint32_t highest_sequence = 0;     // extended
  std::uint32_t jitter = 0;               // in time stamp units
  std::uint32_t last_sr = 0;              // middle 32 bits of its NTP time
  std::uint32_t delay_since_last_sr = 0;  // 1/65536 s
};

// Nothing when the packet is of another type or too short.
std::optional<RtcpSenderInfo> rtcp_sender_info(const RtcpPacket& packet) noexcept;
// Report block i of a sender or receiver report.
std::optional<RtcpReportBlock> rtcp_report_block(const RtcpPacket& packet, std::size_t i) noexcept;

// Building. Each writes one whole packet; a compound is one after the other, a report first.
void write_sender_report(ByteWriter& out, const RtcpSenderInfo& info, std::span<const RtcpReportBlock> blocks) noexcept;
void write_receiver_report(ByteWriter& out, std::uint32_t ssrc, std::span<const RtcpReportBlock> blocks) noexcept;
// SDES with one chunk that holds one CNAME of 1..255 bytes.
void write_sdes_cname(ByteWriter& out, std::uint32_t ssrc, std::string_view cname) noexcept;
void write_bye(ByteWriter& out, std::uint32_t ssrc) noexcept;

}  // namespace ifgw
