// Devices with fewer queues than there are workers (a tap has four at most): worker `w` sends on queue `w % queues`, which is taken for
// as long as a burst lasts. Nobody waits for it: who finds it taken keeps what is to be sent for the next iteration.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "dataplane/nodes/vlans.h"

namespace ifgw::nodes {

class SharedQueues {
 public:
  // Before the workers start: the device has `queues` of each direction, fewer than workers.
  void add(std::uint16_t device, std::uint16_t queues) {
    queues_[device] = queues;
    taken_[device] = std::make_unique<std::atomic_flag[]>(queues);
  }
  std::uint16_t queue(std::uint16_t device, std::uint16_t worker) const noexcept {
    return queues_[device] == 0 ? worker : static_cast<std::uint16_t>(worker % queues_[device]);
  }
  // nullptr: the queue is that worker's alone.
  std::atomic_flag* taken(std::uint16_t device, std::uint16_t worker) const noexcept {
    return queues_[device] == 0 ? nullptr : &taken_[device][queue(device, worker)];
  }

 private:
  std::array<std::uint16_t, kMaxDevices> queues_{};
  std::array<std::unique_ptr<std::atomic_flag[]>, kMaxDevices> taken_;
};

}  // namespace ifgw::nodes
