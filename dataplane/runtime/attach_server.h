// Hands the plane contract to a control plane: listens on a Unix socket, checks the peer, makes its rings, and takes
// them away from the workers when the peer is gone. Main thread only; the workers see it through WorkerLink.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/runtime/regions.h"

namespace ifgw::runtime {

// How one worker learns of an attach. The main thread offers rings (or nullptr), the worker takes them at the start of
// an iteration; the old ones may be freed once `taken` equals `offered`.
struct WorkerLink {
  alignas(api::kCacheLine) std::atomic<WorkerRings*> offered{nullptr};
  alignas(api::kCacheLine) std::atomic<WorkerRings*> taken{nullptr};
  alignas(api::kCacheLine) std::atomic<bool> corrupt{false};  // set by the worker: a ring index was impossible
  alignas(api::kCacheLine) std::atomic<std::uint32_t> sleeps{0};  // set by the worker before it sleeps
  Fd doorbell;                                                // eventfd that wakes the worker; never leaves this process

  // From any thread of this process, after publishing something for the worker.
  void wake() noexcept;
};

struct AttachServerConfig {
  std::string socket_path;
  mode_t socket_mode = 0660;
  uid_t allowed_uid = 0;    // besides root and our own uid
  gid_t socket_group = 0;   // group of the socket file
  api::AttachReply welcome;  // filled but for magic, version, status, sizes, counter_page_bytes
};

class AttachServer {
 public:
  // `links` outlive the server. Fails when the path is taken by a live dataplane or cannot be bound; a socket that a
  // dead dataplane left behind is replaced.
  static Result<std::unique_ptr<AttachServer>> start(AttachServerConfig config, CounterRegion& counters, std::vector<std::unique_ptr<WorkerLink>>& links);
  ~AttachServer();

  int listen_fd() const noexcept { return listener_.get(); }
  int client_fd() const noexcept { return client_.get(); }  // -1: nobody attached
  pid_t client_pid() const noexcept { return client_pid_; }

  // A client is at the door: answers it, one request per call. Never blocks for longer than 100 ms.
  void on_listener_readable();
  // The client's connection became readable: data is a protocol error, its end is the detach.
  void on_client_readable();
  // Call now and then: detaches a client whose ring a worker found corrupt.
  void check_corruption();

  // One line for the log, about every attach, refusal and detach.
  std::function<void(const std::string&)> on_report;

 private:
  AttachServer(AttachServerConfig config, CounterRegion& counters, std::vector<std::unique_ptr<WorkerLink>>& links);
  api::AttachStatus judge(const api::AttachRequest& request, ssize_t length, uid_t peer) const;
  bool send_reply(int fd, const api::AttachReply& reply, const std::vector<int>& fds);
  void detach(const std::string& why);
  void offer(RingRegion* region);
  void report(const std::string& line) const;

  AttachServerConfig config_;
  CounterRegion& counters_;
  std::vector<std::unique_ptr<WorkerLink>>& links_;
  Fd listener_;
  Fd client_;
  pid_t client_pid_ = 0;
  std::unique_ptr<RingRegion> rings_;
};

}  // namespace ifgw::runtime
