// The running dataplane: everything that was opened, in the order it was opened, and the main thread's loop.
// start() builds it, run() serves attaches, neighbours and counters until a signal, the destructor undoes it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/runtime/attach_server.h"
#include "dataplane/runtime/neighbours.h"
#include "dataplane/runtime/ports.h"
#include "dataplane/runtime/privileges.h"
#include "dataplane/runtime/worker.h"

struct rte_mempool;

namespace ifgw::runtime {

struct ExceptionAddress {
  std::string port;  // name
  IpAddress address;
  std::uint8_t prefix_length = 0;
};

struct DataplaneSetup {
  std::vector<PortConfig> ports;
  std::vector<ExceptionAddress> addresses;
  bool exception = true;
  std::string exception_netns;
  std::uint32_t packet_buffers = 0;  // 0: as many as ports and workers can hold at once
  std::vector<int> cpus;
  bool busy_poll = false;
  bool syscall_filter = true;
  std::string version;     // of the program, for the counters
  bool hugepages = false;  // the EAL profile in use, for the counters
  std::uint32_t exception_pps = 20'000;
  UserId user;
  AttachServerConfig attach;                    // `welcome` is filled in here
  engine::EngineConfig engine;                  // of every worker; worker is set here
  std::function<void(const std::string&)> log;  // one line; main thread
};

class Dataplane {
 public:
  // How many packet buffers are made for `setup`.
  static std::uint32_t packet_buffers(const DataplaneSetup& setup);
  // What the EAL must provide for `setup`, in megabytes.
  static std::uint32_t required_memory_mb(const DataplaneSetup& setup);

  // After start_eal(). On error everything opened is closed again.
  static Result<std::unique_ptr<Dataplane>> start(DataplaneSetup setup);
  ~Dataplane();

  // Serves until `stop_fd` (a signalfd) becomes readable.
  void run(int stop_fd);

 private:
  explicit Dataplane(DataplaneSetup setup);
  Status open_ports();
  Result<Port> open_device_of(const PortConfig& config);
  Result<std::vector<PortInterface>> bring_up_exceptions();
  Status make_workers();
  Status start_plane(std::vector<PortInterface> interfaces, std::unique_ptr<Netlink> netlink);
  Status give_up_privileges_and_go();
  WorkerSetup worker_setup(std::uint8_t worker) const;
  void fill_port_blocks();
  void refresh_port_blocks();
  void wake_workers();

  DataplaneSetup setup_;
  rte_mempool* pool_ = nullptr;
  std::vector<Port> devices_;  // each once, whatever ports are VLANs of it
  std::vector<Port> ports_;    // as configured: ports_[i] is setup_.ports[i]
  nodes::Vlans vlans_;
  nodes::SharedQueues shared_queues_;
  std::vector<Port> exceptions_;  // exceptions_[i] is the kernel's side of ports_[i]; empty without
  CounterRegion counters_;
  std::unique_ptr<nodes::HandoverRings> handover_;
  std::vector<std::unique_ptr<WorkerLink>> links_;
  std::vector<void*> engine_memory_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  std::unique_ptr<Neighbours> neighbours_;
  std::unique_ptr<AttachServer> server_;
  Fd doorbell_;  // workers ring it: requests for next hops, or a corrupt ring
  Fd timer_;     // readable once a second
};

}  // namespace ifgw::runtime
