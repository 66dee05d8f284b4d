// Stage tx: collects a poll iteration's packets per port and sends them together. What the queue does not take is
// dropped and counted: a poll loop never waits for a wire.
#pragma once

#include <array>
#include <cstdint>

#include "codecs/base/time.h"
#include "dataplane/nodes/capture.h"
#include "dataplane/nodes/packets.h"
#include "dataplane/nodes/ports_time.h"
#include "dataplane/nodes/shared_queues.h"
#include "dataplane/nodes/vlans.h"

namespace ifgw::nodes {

class Tx {
 public:
  // Queue `worker` of every device is this worker's alone, but for those in `shared`.
  Tx(std::uint16_t worker, const SharedQueues& shared, const Vlans& vlans, api::WorkerBlock& block, Clock clock, Capture& capture,
     PortsTime& time) noexcept;

  // Takes the buffer over; `port`: a port's number. For RTP, whose time inside is measured: when it was received, the row of the leg it
  // goes to, and its pair of WorkerBlock::inside.
  void add(rte_mbuf* buffer, std::uint16_t port, Instant received = kNever, api::LegRow* leg = nullptr,
           std::uint8_t codec_pair = 0) noexcept;
  // Sends everything collected, but what another worker is in the way of. At the end of each iteration.
  void flush() noexcept;
  // Something is left for the next flush().
  bool waiting() const noexcept { return waiting_; }

 private:
  struct Queue {
    std::array<rte_mbuf*, kBurst> buffers;
    std::array<std::uint16_t, kBurst> ports;
    std::array<Instant, kBurst> received;  // kNever: no RTP
    std::array<api::LegRow*, kBurst> legs;
    std::array<std::uint8_t, kBurst> pairs;
    std::uint16_t size = 0;
    bool tagged = false;                // some are of VLANs
    std::uint16_t number = 0;           // of the device's queues
    std::atomic_flag* taken = nullptr;  // nullptr: it is ours alone
  };
  void send(std::uint16_t device) noexcept;
  bool take(Queue& queue) noexcept;
  void drop_from(Queue& queue, std::uint16_t first) noexcept;
  void record(const Queue& queue, std::uint16_t sent) noexcept;

  const Vlans& vlans_;
  api::WorkerBlock& block_;
  Clock clock_;
  Capture& capture_;
  PortsTime& time_;
  std::array<Queue, kMaxDevices> queues_{};
  bool waiting_ = false;
};

}  // namespace ifgw::nodes
