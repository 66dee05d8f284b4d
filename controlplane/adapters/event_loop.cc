#include "controlplane/adapters/event_loop.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

namespace ifgw::adapters {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr Duration kLongestWait = std::chrono::hours{1};

Error system_error(const std::string& what) { return Error{what + ": " + std::strerror(errno)}; }

}  // namespace

Instant read_clock() noexcept {
  timespec t{};
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return from_ns(std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec);
}

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  UniqueFd epoll{epoll_create1(EPOLL_CLOEXEC)};
  if (!epoll) return system_error("epoll_create1");
  return std::unique_ptr<EventLoop>{new EventLoop(std::move(epoll))};
}

EventLoop::~EventLoop() = default;

Status EventLoop::add_fd(int fd, std::uint32_t events, FdHandler handler) {
  const std::uint32_t generation = next_generation_++;
  epoll_event event{};
  event.events = events;
  event.data.u64 = std::uint64_t{generation} << 32 | static_cast<std::uint32_t>(fd);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return system_error("epoll_ctl add");
  registrations_[fd] = Registration{generation, std::make_shared<FdHandler>(std::move(handler))};
  return Success{};
}

Status EventLoop::modify_fd(int fd, std::uint32_t events) {
  const auto it = registrations_.find(fd);
  if (it == registrations_.end()) return Error{"descriptor is not registered"};
  epoll_event event{};
  event.events = events;
  event.data.u64 = std::uint64_t{it->second.generation} << 32 | static_cast<std::uint32_t>(fd);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) return system_error("epoll_ctl modify");
  return Success{};
}

void EventLoop::remove_fd(int fd) noexcept {
  if (registrations_.erase(fd) != 0) (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::add_source(DeadlineSource& source) { sources_.push_back(&source); }

void EventLoop::remove_source(DeadlineSource& source) noexcept {
  // Only blanked here: the list may be being walked.
  std::replace(sources_.begin(), sources_.end(), &source, static_cast<DeadlineSource*>(nullptr));
}

void EventLoop::defer(Call call) { deferred_.push_back(std::move(call)); }

void EventLoop::at_end_of_round(Call call) { end_of_round_.push_back(std::move(call)); }

Status EventLoop::handle_signals(const std::vector<int>& signals, SignalHandler handler) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return system_error("sigprocmask");
  signals_ = UniqueFd{signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)};
  if (!signals_) return system_error("signalfd");
  return add_fd(signals_.get(), EPOLLIN, [this, handler = std::move(handler)](std::uint32_t, Instant now) {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) handler(static_cast<int>(info.ssi_signo), now);
  });
}

int EventLoop::wait_ms(Duration max_wait) const {
  if (!deferred_.empty()) return 0;
  Duration wait = std::min(max_wait, kLongestWait);
  const Instant now = read_clock();
  for (const DeadlineSource* source : sources_) {
    if (source == nullptr) continue;
    const Instant deadline = source->next_deadline();
    if (deadline <= now) return 0;
    wait = std::min(wait, deadline - now);
  }
  if (wait <= Duration::zero()) return 0;
  return static_cast<int>((wait.count() + kNsPerMs - 1) / kNsPerMs);  // up: never wake before the deadline
}

void EventLoop::run_due_sources() {
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    DeadlineSource* source = sources_[i];
    if (source != nullptr && source->next_deadline() <= now_) source->on_deadline(now_);
  }
  sources_.erase(std::remove(sources_.begin(), sources_.end(), nullptr), sources_.end());
}

void EventLoop::run_deferred() {
  std::vector<Call> calls;
  calls.swap(deferred_);
  for (Call& call : calls) call(now_);
}

Status EventLoop::run_once(Duration max_wait) {
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms(max_wait));
  if (count < 0 && errno != EINTR) return system_error("epoll_wait");
  now_ = read_clock();
  for (int i = 0; i < count; ++i) {
    const std::uint64_t data = events[static_cast<std::size_t>(i)].data.u64;
    const auto it = registrations_.find(static_cast<int>(data & 0xFFFFFFFF));
    // An event of a descriptor that an earlier handler of this round removed, or removed and reused.
    if (it == registrations_.end() || it->second.generation != static_cast<std::uint32_t>(data >> 32)) continue;
    const std::shared_ptr<FdHandler> handler = it->second.handler;
    (*handler)(events[static_cast<std::size_t>(i)].events, now_);
  }
  run_due_sources();
  run_deferred();
  for (std::size_t i = 0; i < end_of_round_.size(); ++i) end_of_round_[i](now_);
  return Success{};
}

Status EventLoop::run() {
  stopping_ = false;
  while (!stopping_) {
    if (Status status = run_once(kLongestWait); !status.ok()) return status;
  }
  return Success{};
}

}  // namespace ifgw::adapters
