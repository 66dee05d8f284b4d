// What a worker does when there is nothing to do: spin, or sleep until a packet, a ring message or a deadline.
#pragma once

#include <vector>

#include "codecs/base/time.h"
#include "dataplane/runtime/regions.h"

namespace ifgw::runtime {

class Idle {
 public:
  // `wake_fds`: descriptors that become readable when packets wait. `pollable_only`: some device has none, so no sleep
  // may be longer than 50 us. `busy_poll`: never sleep.
  Idle(const std::vector<int>& wake_fds, int doorbell, bool pollable_only, bool busy_poll);

  bool busy_poll() const noexcept { return busy_poll_; }
  // One empty iteration more; true when it is time to sleep (after 200 in a row).
  bool tired() noexcept { return !busy_poll_ && ++empty_ >= 200; }
  void busy() noexcept { empty_ = 0; }
  // Sleeps until woken or `limit`, at most 10 ms. The caller has announced that it sleeps and looked again.
  void sleep(Duration limit) noexcept;

 private:
  Fd epoll_;
  int doorbell_;
  bool pollable_only_;
  bool busy_poll_;
  unsigned empty_ = 0;
};

}  // namespace ifgw::runtime
