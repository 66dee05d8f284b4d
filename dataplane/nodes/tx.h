// Stage tx: collects a poll iteration's packets per port and sends them together. What the queue does not take is
// dropped and counted: a poll loop never waits for a wire.
#pragma once

#include <array>
#include <cstdint>

#include "codecs/base/time.h"
#include "dataplane/nodes/capture.h"
#include "dataplane/nodes/packets.h"
#include "dataplane/nodes/ports_time.h"
#include "dataplane/nodes/vlans.h"

namespace ifgw::nodes {

class Tx {
 public:
  // `queue` of every device is this worker's alone.
  Tx(std::uint16_t queue, const Vlans& vlans, api::WorkerBlock& block, Clock clock, Capture& capture, PortsTime& time) noexcept
      : queue_(queue), vlans_(vlans), block_(block), clock_(clock), capture_(capture), time_(time) {}

  // Takes the buffer over; `port`: a port's number. For RTP, whose time inside is measured: when it was received, the row of the leg it
  // goes to, and its pair of WorkerBlock::inside.
  void add(rte_mbuf* buffer, std::uint16_t port, Instant received = kNever, api::LegRow* leg = nullptr,
           std::uint8_t codec_pair = 0) noexcept;
  // Sends everything collected. At the end of each iteration.
  void flush() noexcept;

 private:
  struct Queue {
    std::array<rte_mbuf*, kBurst> buffers;
    std::array<std::uint16_t, kBurst> ports;
    std::array<Instant, kBurst> received;  // kNever: no RTP
    std::array<api::LegRow*, kBurst> legs;
    std::array<std::uint8_t, kBurst> pairs;
    std::uint16_t size = 0;
    bool tagged = false;  // some are of VLANs
  };
  void send(std::uint16_t device) noexcept;
  void record(const Queue& queue, std::uint16_t sent) noexcept;

  std::uint16_t queue_;
  const Vlans& vlans_;
  api::WorkerBlock& block_;
  Clock clock_;
  Capture& capture_;
  PortsTime& time_;
  std::array<Queue, kMaxDevices> queues_{};
};

}  // namespace ifgw::nodes
