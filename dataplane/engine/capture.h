// What a capture takes of a worker's packets, and how much of each (StartCapture). Looks at frames as they are on the wire,
// whole or damaged, received or sent, and asks nobody else what they are.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "codecs/base/bytes.h"
#include "codecs/base/ip.h"
#include "codecs/base/time.h"
#include "dataplane/api/messages.h"
#include "dataplane/engine/config.h"
#include "dataplane/engine/headers.h"

namespace ifgw::engine {

// The headers of a frame, as far as they are there. No length, checksum or field is judged.
struct FrameParts {
  IpAddress source;  // absent: not IP, or cut before its end
  IpAddress destination;
  L4 l4 = L4::None;  // Udp, Tcp: with the first fragment of a datagram, too
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;  // 0: no ports are there
  std::uint16_t payload_offset = 0;    // where these headers end; at most the frame's length
};
// Ethernet, up to two VLAN tags, IPv4 or IPv6 with extension headers, UDP or TCP. `frame`: at most 65535 bytes.
FrameParts dissect(Bytes frame) noexcept;

class Capture {
 public:
  explicit Capture(const EngineConfig& config);

  bool on() const noexcept { return command_.capture != 0; }
  std::uint32_t number() const noexcept { return command_.capture; }
  api::LegId leg() const noexcept { return command_.leg; }
  Instant until() const noexcept { return until_; }

  // Validated by the caller. `leg`: the address and RTP port of the leg, absent with a prefix.
  void start(const api::StartCapture& command, const Endpoint& leg, Instant now) noexcept;
  void end() noexcept { command_ = api::StartCapture{}; }

  struct Taken {
    std::uint16_t length = 0;  // that may be kept of the frame
    bool media = false;        // it came to or leaves from a media port of ours:
    std::uint8_t owner = 0;    // the worker that has the port, and its leg's index there
    std::uint32_t leg_index = 0;
  };
  // Nothing: not of this capture.
  std::optional<Taken> take(Bytes frame, api::CaptureDirection direction) const noexcept;

 private:
  std::size_t headers(Bytes frame, const FrameParts& parts, bool media_port) const noexcept;

  std::vector<IpAddress> addresses_;
  PortMap ports_;
  api::StartCapture command_;
  Endpoint leg_;
  Instant until_{};
};

}  // namespace ifgw::engine
