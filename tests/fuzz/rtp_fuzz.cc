// RTP headers: whatever parse_rtp() accepts lies inside the packet and adds up to it.
#include <cstdlib>

#include "codecs/wire/rtp.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ifgw::Bytes packet{data, size};
  (void)ifgw::looks_like_rtcp(packet);
  ifgw::RtpHeader header;
  if (!ifgw::parse_rtp(packet, header)) return 0;
  const std::size_t end = std::size_t{header.payload_offset} + header.payload_length + header.padding;
  if (end != size || header.payload_offset < ifgw::kRtpFixedBytes + 4U * header.csrc_count) std::abort();
  if (std::size_t{header.extension_offset} + header.extension_length > header.payload_offset) std::abort();
  for (std::size_t i = 0; i < header.csrc_count; ++i) (void)ifgw::rtp_csrc(packet, i);
  return 0;
}
