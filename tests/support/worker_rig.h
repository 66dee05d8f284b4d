// One worker of the dataplane with rings where the wires are, and a control plane that attached to it by the real handshake.
// The caller drives the worker: everything happens on its thread. One per process (EAL), never taken down.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/adapters/dataplane_link.h"
#include "dataplane/runtime/eal_profile.h"
#include "dataplane/runtime/worker.h"

struct rte_ring;

namespace ifgw::test {

// Starts EAL with 256 MB of ordinary or huge pages, as asked; says on stderr which. False: it did, too, why not.
bool start_eal(runtime::MemoryChoice memory, bool& hugepages);
// "--memory=auto|hugepages|none"; nothing happens with another argument.
bool read_memory_option(std::string_view argument, runtime::MemoryChoice& memory);

class WorkerRig {
 public:
  // The engine of `config` as worker 0 of 1.
  WorkerRig(const engine::EngineConfig& config, bool hugepages);

  // Sent down the command ring; the worker runs until it has answered Ok. Next hops that it asks for are all the port itself.
  api::CommandDone command(api::Command value);
  // Two legs of these parameters, joined: their answers.
  std::pair<api::CommandDone, api::CommandDone> call(const api::MediaParams& near, const api::MediaParams& far);
  // Sent down the command ring; nobody waits for the answer.
  void send(api::Command value);

  // Frames as if they came off the wire, at most nodes::kBurst at once; buffers are of pool().
  void receive(std::span<rte_mbuf*> frames);
  // Once; how many packets, messages and frames were worked on.
  std::size_t iterate();
  // What was sent since, in its order; the buffers are the caller's.
  std::size_t sent(std::span<rte_mbuf*> frames);
  // Makes room for more of what is captured.
  void forget_captured();

  rte_mempool* pool() noexcept { return pool_; }
  api::LegRow& row(api::LegId leg) noexcept;
  runtime::Worker& worker() noexcept { return *worker_; }
  const engine::EngineConfig& config() const noexcept { return config_; }

 private:
  void make_port();
  void make_worker(bool hugepages);
  void attach();
  void answer_next_hops();

  engine::EngineConfig config_;
  rte_mempool* pool_ = nullptr;
  rte_ring* in_ = nullptr;
  rte_ring* out_ = nullptr;
  std::uint16_t port_ = 0;
  runtime::Fd doorbell_;
  nodes::SharedQueues shared_;
  std::unique_ptr<runtime::CounterRegion> counters_;
  std::vector<std::unique_ptr<runtime::WorkerLink>> links_;
  std::unique_ptr<nodes::HandoverRings> handover_;
  std::unique_ptr<runtime::Worker> worker_;
  std::unique_ptr<runtime::AttachServer> server_;
  std::string path_;
  std::unique_ptr<adapters::DataplaneLink> link_;
  std::uint32_t request_ = 0;
};

}  // namespace ifgw::test
