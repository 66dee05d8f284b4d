#include "dataplane/runtime/idle.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>

#include "dataplane/runtime/doorbell.h"

namespace ifgw::runtime {
namespace {

using namespace std::chrono_literals;
constexpr Duration kLongestSleep = 10ms;
constexpr Duration kPollInterval = 50us;  // p50 of an idle stream grows by about this much where a device must be polled

}  // namespace

Idle::Idle(const std::vector<int>& wake_fds, int doorbell, bool pollable_only, bool busy_poll)
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), doorbell_(doorbell), pollable_only_(pollable_only), busy_poll_(busy_poll) {
  for (const int fd : wake_fds) watch(fd);
  watch(doorbell_);
}

void Idle::watch(int fd) noexcept {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

void Idle::hear(int worker_doorbell) noexcept {
  // Closing it would not do: the client has it, too.
  if (client_ >= 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, client_, nullptr);
  client_ = worker_doorbell;
  if (client_ >= 0) watch(client_);
}

void Idle::sleep(Duration limit) noexcept {
  const Duration longest = std::clamp(limit, Duration::zero(), pollable_only_ ? kPollInterval : kLongestSleep);
  const timespec timeout{0, static_cast<long>(longest.count())};
  std::array<epoll_event, 4> events;  // what does not fit is told the next time
  const int count = epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()), &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    const int fd = events[static_cast<std::size_t>(i)].data.fd;
    eventfd_t rung = 0;
    if (fd == doorbell_)
      eventfd_read(doorbell_, &rung);
    else if (fd == client_)
      silence(client_);
  }
  empty_ = pollable_only_ ? empty_ : 0;
}

}  // namespace ifgw::runtime
