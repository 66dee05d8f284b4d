// The control plane's one event loop: epoll, timers from next_deadline(), deferred calls, signals.
//
// One thread. A round is: wait for file descriptors or the earliest deadline; read the clock once; call the handlers
// of ready descriptors; call on_deadline of sources that are due; run the deferred calls that were there when the
// round began to run them; call the end-of-round hooks. Handlers must not block and must not throw.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "codecs/base/result.h"
#include "codecs/base/time.h"
#include "controlplane/adapters/unique_fd.h"

namespace ifgw::adapters {

// CLOCK_MONOTONIC. The only place of the control plane that reads it.
Instant read_clock() noexcept;

// Something with deadlines: a sans-IO machine behind a thin shell. Outlives its registration.
class DeadlineSource {
 public:
  virtual ~DeadlineSource() = default;
  virtual Instant next_deadline() const = 0;  // kNever: none
  virtual void on_deadline(Instant now) = 0;
};

class EventLoop {
 public:
  // Told the ready epoll events (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP) and the round's time.
  using FdHandler = std::function<void(std::uint32_t events, Instant now)>;
  using Call = std::function<void(Instant now)>;
  using SignalHandler = std::function<void(int signal, Instant now)>;

  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Level-triggered. The descriptor stays the caller's, who must call remove_fd before closing it.
  Status add_fd(int fd, std::uint32_t events, FdHandler handler);
  Status modify_fd(int fd, std::uint32_t events);
  // Safe from any handler, also the descriptor's own: no handler of it runs afterwards.
  void remove_fd(int fd) noexcept;

  // A source's deadline is asked for anew in each round.
  void add_source(DeadlineSource& source);
  void remove_source(DeadlineSource& source) noexcept;

  // Runs once, later in this round or in the next one, in order.
  void defer(Call call);
  // Runs at the end of every round, in order of registration (queues between machines are emptied here).
  void at_end_of_round(Call call);

  // Blocks the signals for the process (call before any thread starts) and delivers them in the loop.
  Status handle_signals(const std::vector<int>& signals, SignalHandler handler);

  // Time of the current round.
  Instant now() const noexcept { return now_; }
  // Runs rounds until stop(). A failing epoll_wait ends it with an error.
  Status run();
  void stop() noexcept { stopping_ = true; }
  // One round, waiting at most `max_wait`. For tests and for a bounded shutdown.
  Status run_once(Duration max_wait);

 private:
  struct Registration {
    std::uint32_t generation = 0;
    std::shared_ptr<FdHandler> handler;
  };
  explicit EventLoop(UniqueFd epoll) : epoll_(std::move(epoll)), now_(read_clock()) {}
  int wait_ms(Duration max_wait) const;
  void run_due_sources();
  void run_deferred();

  UniqueFd epoll_;
  UniqueFd signals_;
  std::unordered_map<int, Registration> registrations_;
  std::uint32_t next_generation_ = 1;
  std::vector<DeadlineSource*> sources_;
  std::vector<Call> deferred_;
  std::vector<Call> end_of_round_;
  Instant now_;
  bool stopping_ = false;
};

}  // namespace ifgw::adapters
