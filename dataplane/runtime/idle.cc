#include "dataplane/runtime/idle.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>

namespace ifgw::runtime {
namespace {

using namespace std::chrono_literals;
constexpr Duration kLongestSleep = 10ms;
constexpr Duration kPollInterval = 50us;  // p50 of an idle stream grows by about this much where a device must be polled

}  // namespace

Idle::Idle(const std::vector<int>& wake_fds, int doorbell, bool pollable_only, bool busy_poll)
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), doorbell_(doorbell), pollable_only_(pollable_only), busy_poll_(busy_poll) {
  epoll_event event{};
  event.events = EPOLLIN;
  for (const int fd : wake_fds) epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, doorbell_, &event);
}

void Idle::sleep(Duration limit) noexcept {
  const Duration longest = std::clamp(limit, Duration::zero(), pollable_only_ ? kPollInterval : kLongestSleep);
  const timespec timeout{0, static_cast<long>(longest.count())};
  epoll_event event;
  epoll_pwait2(epoll_.get(), &event, 1, &timeout, nullptr);
  eventfd_t rung = 0;
  eventfd_read(doorbell_, &rung);
  empty_ = pollable_only_ ? empty_ : 0;
}

}  // namespace ifgw::runtime
