// One worker: its engine, its stages, and the loop that drives them. A worker's thread is the only one that touches
// what is in here after run() began, but for the links, rings and counters made for crossing threads.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "dataplane/engine/turns.h"
#include "dataplane/nodes/capture.h"
#include "dataplane/nodes/exception.h"
#include "dataplane/nodes/handover.h"
#include "dataplane/nodes/media.h"
#include "dataplane/nodes/packets.h"
#include "dataplane/nodes/signalling.h"
#include "dataplane/nodes/tx.h"
#include "dataplane/runtime/attach_server.h"
#include "dataplane/runtime/idle.h"
#include "dataplane/runtime/next_hop_table.h"

namespace ifgw::runtime {

struct WorkerSetup {
  engine::EngineConfig engine;
  std::vector<std::uint16_t> ports;       // DPDK ids to receive from: this worker's queue of each
  std::vector<std::uint16_t> numbers;     // of the ports as configured (nodes/vlans.h)
  std::vector<std::uint16_t> exceptions;  // exception devices of which queue `worker` is there, and this worker's
  const nodes::SharedQueues* shared = nullptr;
  nodes::ExceptionConfig exception;
  std::vector<int> wake_fds;
  bool pollable_only = false;
  bool busy_poll = false;
  int cpu = -1;            // to be pinned to; -1: wherever the scheduler likes
  int main_doorbell = -1;  // eventfd: requests for next hops wait
  rte_mempool* pool = nullptr;
  nodes::Vlans vlans;
};

// CLOCK_MONOTONIC, which both planes share.
Instant monotonic_now() noexcept;

class Worker final : private engine::EventSink {
 public:
  // `memory` for the engine (Engine::required_bytes), `links` of all workers (its own to attach, the others to wake).
  Worker(const WorkerSetup& setup, std::span<std::byte> memory, CounterRegion& counters, std::vector<std::unique_ptr<WorkerLink>>& links,
         const nodes::HandoverRings& handover);

  // The thread's body; returns after stop() was asked for and everything collected was sent.
  void run() noexcept;
  void stop() noexcept { stop_.store(true, std::memory_order_relaxed); }
  // The thread has done what needs system calls that the filter takes away.
  bool settled() const noexcept { return settled_.load(std::memory_order_acquire); }
  // errno of pinning it to WorkerSetup::cpu, 0: done or not asked for. Once settled().
  int pin_error() const noexcept { return pin_error_; }

  // Media's and signalling's are apart: a flood of addresses to be answered fills its own table only.
  NextHopTable& media_next_hops() noexcept { return media_hops_; }
  NextHopTable& signalling_next_hops() noexcept { return signalling_hops_; }

  // One iteration; returns how many packets, messages and frames it handled. For run(), benches and tests.
  std::size_t iterate(Instant now) noexcept;

 private:
  bool on_event(const api::Event& event) noexcept override;
  std::size_t receive_ports() noexcept;
  std::size_t view_burst(std::span<rte_mbuf* const> buffers, std::uint16_t device) noexcept;
  std::size_t receive_handover(Instant now) noexcept;
  std::size_t receive_exceptions() noexcept;
  std::size_t receive_plane(Instant now) noexcept;
  void dispatch(std::span<engine::Packet> packets, Instant now, bool owned) noexcept;
  void handle(std::span<engine::Packet> packets, Instant now, bool owned) noexcept;
  std::size_t transcode() noexcept;
  void transcode_hurried() noexcept;
  void settle_capture() noexcept;
  void hand_over() noexcept;
  void relink() noexcept;
  void ring_client() noexcept;
  void sleep(Instant now) noexcept;
  bool something_waits() noexcept;

  WorkerSetup setup_;
  api::WorkerBlock& block_;
  std::vector<std::unique_ptr<WorkerLink>>& links_;
  WorkerLink& link_;
  NextHopTable media_hops_;
  NextHopTable signalling_hops_;
  nodes::Handover handover_;
  engine::Engine engine_;
  nodes::Capture capture_;
  nodes::PortsTime ports_time_;
  nodes::Tx tx_;
  nodes::Exception exception_;
  nodes::Signalling signalling_;
  Idle idle_;
  WorkerRings* linked_ = nullptr;  // as offered by the main thread
  WorkerRings* rings_ = nullptr;   // the same, or nullptr once found corrupt
  bool published_ = false;         // something for the client since its doorbell was last looked at
  Instant now_{};                  // of the iteration
  Instant last_busy_ = kNever;
  engine::Turns turns_;
  bool full_ = false;        // of this iteration: a queue gave a full burst
  std::size_t relayed_ = 0;  // of this iteration; media for other workers too, which may be relays
  nodes::PacketList media_;
  nodes::SparePackets spare_;  // empty between stages
  nodes::PacketList limited_;
  std::array<engine::Packet, nodes::kBurst> packets_;
  std::unique_ptr<engine::WorkerMessage> message_ = std::make_unique<engine::WorkerMessage>();
  std::unique_ptr<api::Datagram> datagram_ = std::make_unique<api::Datagram>();
  int pin_error_ = 0;  // written before settled_
  std::atomic<bool> settled_{false};
  std::atomic<bool> stop_{false};
};

}  // namespace ifgw::runtime
