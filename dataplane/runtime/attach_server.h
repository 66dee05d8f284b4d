// Hands the plane contract to a control plane: listens on a Unix socket, checks the peer, makes its rings, and takes
// them away from the workers when the peer is gone. Main thread only; the workers see it through WorkerLink.
//
// Before Linux 6.16 a connection can bring descriptors along, and closing them can take long: whoever may open the
// socket can hold up the main thread (neighbours, counters, attaches), never a worker.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "codecs/base/time.h"
#include "dataplane/runtime/regions.h"

namespace ifgw::runtime {

// How one worker learns of an attach. The main thread offers rings (or nullptr), the worker takes them at the start of
// an iteration. Neither waits for the other: rings are freed once they are neither offered nor taken.
struct WorkerLink {
  alignas(api::kCacheLine) std::atomic<WorkerRings*> offered{nullptr};
  alignas(api::kCacheLine) std::atomic<WorkerRings*> taken{nullptr};
  alignas(api::kCacheLine) std::atomic<bool> corrupt{false};      // set by the worker: a ring index was impossible
  alignas(api::kCacheLine) std::atomic<std::uint32_t> sleeps{0};  // set by the worker before it sleeps
  Fd doorbell;                                                    // eventfd that wakes the worker; never leaves this process

  // From any thread of this process, after publishing something for the worker.
  void wake() noexcept;
  // The worker's: what is offered, its own to use until it takes again. What it took before it must not touch any more.
  WorkerRings* take() noexcept;
};

struct AttachServerConfig {
  std::string socket_path;
  mode_t socket_mode = 0660;
  uid_t allowed_uid = 0;     // besides root and our own uid
  gid_t socket_group = 0;    // group of the socket file
  api::AttachReply welcome;  // filled but for magic, version, status, sizes, counter_page_bytes
};

class AttachServer {
 public:
  // `links` outlive the server. Fails when the path is taken by a live dataplane or cannot be bound; a socket that a
  // dead dataplane left behind is replaced.
  static Result<std::unique_ptr<AttachServer>> start(AttachServerConfig config, CounterRegion& counters,
                                                     std::vector<std::unique_ptr<WorkerLink>>& links);
  // The workers have stopped.
  ~AttachServer();

  // Readable when a client connects, asks, or goes: then call on_ready(). Nothing here waits for a client.
  int fd() const noexcept { return epoll_.get(); }
  void on_ready(Instant now);
  // Call now and then: forgets clients that connected and said nothing.
  void on_second(Instant now);
  // Call when a worker rang: detaches a client whose ring it found corrupt.
  void check_corruption();

  // One line for the log, about every attach, refusal and detach.
  std::function<void(const std::string&)> on_report;

 private:
  // Connected, may attach, has not asked yet.
  struct Pending {
    Fd connection;
    ucred peer;
    Instant since;
  };

  AttachServer(AttachServerConfig config, CounterRegion& counters, std::vector<std::unique_ptr<WorkerLink>>& links);
  void accept_one(Instant now);
  void on_pending_readable(int fd);
  void on_client_readable();
  api::AttachStatus judge(const api::AttachRequest& request, ssize_t length) const;
  void welcome(Fd connection, const ucred& peer);
  void refuse(int fd, const ucred& peer, api::AttachStatus status, const std::string& why);
  bool send_reply(int fd, const api::AttachReply& reply, const std::vector<int>& fds);
  void detach(const std::string& why);
  void offer(RingRegion* region);
  void free_retired();
  void report(const std::string& line) const;

  AttachServerConfig config_;
  CounterRegion& counters_;
  std::vector<std::unique_ptr<WorkerLink>>& links_;
  Fd epoll_;  // listener, pending connections, client
  Fd listener_;
  std::vector<Pending> pending_;  // oldest first
  Fd client_;
  pid_t client_pid_ = 0;
  std::unique_ptr<RingRegion> rings_;
  std::vector<std::unique_ptr<RingRegion>> retired_;  // of clients that are gone, still in some worker's hands
};

}  // namespace ifgw::runtime
