#include "controlplane/adapters/acceptor.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "controlplane/adapters/log.h"

namespace ifgw::adapters {
namespace {

constexpr int kAcceptsPerRound = 32;
constexpr Duration kPause = std::chrono::milliseconds(200);

}  // namespace

Acceptor::Acceptor(EventLoop& loop, UniqueFd listener, std::string name, OnAccepted on_accepted)
    : loop_(loop), listener_(std::move(listener)), name_(std::move(name)), on_accepted_(std::move(on_accepted)) {
  loop_.add_source(*this);
}

Acceptor::~Acceptor() {
  loop_.remove_source(*this);
  loop_.remove_fd(listener_.get());
}

Result<std::unique_ptr<Acceptor>> Acceptor::start(EventLoop& loop, UniqueFd listener, std::string name, OnAccepted on_accepted) {
  std::unique_ptr<Acceptor> self(new Acceptor(loop, std::move(listener), std::move(name), std::move(on_accepted)));
  Acceptor* raw = self.get();
  const Status added = loop.add_fd(raw->listener_.get(), EPOLLIN, [raw](std::uint32_t, Instant now) { raw->on_acceptable(now); });
  if (!added) return added.error();
  return self;
}

void Acceptor::on_acceptable(Instant now) {
  for (int i = 0; i < kAcceptsPerRound; ++i) {
    SocketAddress peer;
    UniqueFd fd(accept4(listener_.get(), peer.get(), &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) pause(errno, now);
      return;
    }
    failing_ = false;
    on_accepted_(std::move(fd), peer, now);
  }
}

void Acceptor::pause(int why, Instant now) {
  ++failures_;
  resume_at_ = now + kPause;
  (void)loop_.modify_fd(listener_.get(), 0);
  if (!failing_)
    log_line(LogSeverity::Error, name_ + ": cannot accept connections: " + std::strerror(why) + "; trying again 5 times a second");
  failing_ = true;
}

void Acceptor::on_deadline(Instant) {
  resume_at_ = kNever;
  (void)loop_.modify_fd(listener_.get(), EPOLLIN);
}

}  // namespace ifgw::adapters
