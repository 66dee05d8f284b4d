// Accepts connections on one listening stream socket, a bounded number per round of the event loop. When descriptors or
// memory run out it pauses, for a level-triggered listener would spin: counted, and logged once until it works again.
//
// Thread: the loop's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "codecs/base/result.h"
#include "controlplane/adapters/event_loop.h"
#include "controlplane/adapters/socket_address.h"
#include "controlplane/adapters/unique_fd.h"

namespace ifgw::adapters {

class Acceptor final : private DeadlineSource {
 public:
  // `fd` is non-blocking and closed on exec. Must not destroy the Acceptor.
  using OnAccepted = std::function<void(UniqueFd fd, const SocketAddress& peer, Instant now)>;

  // `listener` listens and does not block; `name` is for the log. `loop` outlives the Acceptor.
  static Result<std::unique_ptr<Acceptor>> start(EventLoop& loop, UniqueFd listener, std::string name, OnAccepted on_accepted);
  ~Acceptor() override;
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  std::uint64_t failures() const noexcept { return failures_; }  // pauses

 private:
  Acceptor(EventLoop& loop, UniqueFd listener, std::string name, OnAccepted on_accepted);
  Instant next_deadline() const override { return resume_at_; }
  void on_deadline(Instant now) override;
  void on_acceptable(Instant now);
  void pause(int why, Instant now);

  EventLoop& loop_;
  UniqueFd listener_;
  std::string name_;
  OnAccepted on_accepted_;
  std::uint64_t failures_ = 0;
  bool failing_ = false;
  Instant resume_at_ = kNever;
};

}  // namespace ifgw::adapters
