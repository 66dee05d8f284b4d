// What a capture makes of any frame: nothing outside it is read, headers end inside it, and what is kept without payload is no
// more than with it. The first byte says which way it goes; the rest is the frame.
#include <cstdlib>
#include <vector>

#include "dataplane/engine/capture.h"
#include "dataplane/engine/headers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ifgw;
  if (size < 1 || size > 2048) return 0;
  std::vector<std::uint8_t> frame(data + 1, data + size);
  const engine::FrameParts parts = engine::dissect(frame);
  if (parts.payload_offset > frame.size() || parts.source.present() != parts.destination.present()) std::abort();
  engine::Packet packet;
  packet.data = frame.data();
  packet.length = static_cast<std::uint16_t>(frame.size());
  // The relay's own short way knows fewer frames, and what it knows of them is the same.
  if (engine::parse_plain_ipv4_udp(packet).ok) {
    if (engine::packet_source(packet) != parts.source || packet.payload_offset != parts.payload_offset) std::abort();
    if (packet.source_port != parts.source_port || packet.destination_port != parts.destination_port) std::abort();
  }
  engine::EngineConfig config;
  config.local_addresses = {IpAddress::v4(0xC0000201)};
  engine::Capture capture(config);
  const auto direction = (data[0] & 1) != 0 ? api::CaptureDirection::Inbound : api::CaptureDirection::Outbound;
  for (const bool leg : {false, true}) {
    api::StartCapture command;
    command.capture = 1;
    if (!leg) command.source = {IpAddress::v4(0), 0};
    std::size_t kept[2] = {};
    for (const bool headers_only : {false, true}) {
      command.headers_only = headers_only ? 1 : 0;
      capture.start(command, leg ? Endpoint{IpAddress::v4(0xC0000201), 20000} : Endpoint{}, from_ns(1));
      const auto taken = capture.take(frame, direction);
      if (taken) kept[headers_only ? 1 : 0] = taken->length;
    }
    if (kept[0] > frame.size() || kept[1] > kept[0]) std::abort();
  }
  return 0;
}
