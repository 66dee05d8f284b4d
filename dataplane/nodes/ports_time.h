// What a packet's way through the ports takes: the driver's time to hand it over from a queue, and to put it into one. On a card that is
// next to nothing; over a kernel interface (AF_PACKET) it is most of what a relayed packet costs. Measured in some iterations of the
// poll loop only, since the clock is read for it. Pure; one worker.
#pragma once

#include <cstdint>
#include <optional>

#include "codecs/base/time.h"

namespace ifgw::nodes {

class PortsTime {
 public:
  // At the beginning of each iteration: whether it is one of those, once kEvery others had packets.
  void begin(bool had_packets) noexcept {
    waited_ += had_packets ? 1 : 0;
    measuring_ = waited_ >= kEvery;
    in_ = out_ = {};
  }
  bool measuring() const noexcept { return measuring_; }

  // While measuring(): a burst out of a queue, one of RTP into a queue. `packets` is not 0.
  void received(Duration took, unsigned packets) noexcept { in_.add(took, packets); }
  void sent(Duration took, unsigned packets) noexcept { out_.add(took, packets); }

  // At the end of each iteration: of one packet, both ways together, if both were seen.
  std::optional<Duration> of_a_packet() noexcept {
    if (in_.packets == 0 || out_.packets == 0) return std::nullopt;
    waited_ = 0;
    return in_.time / in_.packets + out_.time / out_.packets;
  }

 private:
  static constexpr unsigned kEvery = 16;
  struct Sum {
    void add(Duration took, unsigned more) noexcept {
      time += took;
      packets += more;
    }
    Duration time{};
    unsigned packets = 0;
  };

  Sum in_;
  Sum out_;
  unsigned waited_ = 0;
  bool measuring_ = false;
};

}  // namespace ifgw::nodes
