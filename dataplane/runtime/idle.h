// What a worker does when there is nothing to do: spin, or sleep until a packet, a ring message or a deadline.
#pragma once

#include <vector>

#include "codecs/base/time.h"
#include "dataplane/runtime/fd.h"

namespace ifgw::runtime {

class Idle {
 public:
  // `wake_fds`: descriptors that become readable when packets wait. `pollable_only`: some device has none, so no sleep
  // may be longer than 50 us. `busy_poll`: never sleep.
  // `doorbell`: eventfd of this process, read here. All descriptors outlive this.
  Idle(const std::vector<int>& wake_fds, int doorbell, bool pollable_only, bool busy_poll);

  // From now on a client's bell (make_worker_doorbell) wakes too, instead of the one before; -1: none. The one before
  // must still be open.
  void hear(int worker_doorbell) noexcept;

  bool busy_poll() const noexcept { return busy_poll_; }
  // One empty iteration more; true when it is time to sleep (after 200 in a row).
  bool tired() noexcept { return !busy_poll_ && ++empty_ >= 200; }
  void busy() noexcept { empty_ = 0; }
  // Sleeps until woken or `limit`, at most 10 ms. The caller has announced that it sleeps and looked again.
  void sleep(Duration limit) noexcept;

 private:
  void watch(int fd) noexcept;

  Fd epoll_;
  int doorbell_;
  int client_ = -1;
  bool pollable_only_;
  bool busy_poll_;
  unsigned empty_ = 0;
};

}  // namespace ifgw::runtime
