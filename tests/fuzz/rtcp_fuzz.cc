// RTCP: a compound that valid_rtcp() accepts can be walked to its end, and all its counted parts can be read.
#include <cstdlib>

#include "codecs/wire/rtcp.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ifgw::Bytes bytes{data, size};
  const bool compound = ifgw::valid_rtcp(bytes);
  const bool reduced = ifgw::valid_rtcp(bytes, ifgw::RtcpSize::Reduced);
  if (compound && !reduced) std::abort();
  ifgw::RtcpReader reader(bytes);
  ifgw::RtcpPacket packet;
  std::size_t walked = 0;
  bool first = true;
  while (reader.next(packet)) {
    walked += ifgw::kRtcpHeaderBytes + packet.body.size();
    const bool report = packet.type == 200 || packet.type == 201;
    if (first && compound && !report) std::abort();
    first = false;
    if (packet.type == 200 && reduced && !ifgw::rtcp_sender_info(packet).has_value()) std::abort();
    for (std::size_t i = 0; i < packet.count; ++i) {
      if (ifgw::rtcp_report_block(packet, i).has_value() != report && reduced) std::abort();
    }
  }
  // Padding of the last packet is not part of its body.
  if (reduced && (walked > size || size - walked > 255)) std::abort();
  return 0;
}
