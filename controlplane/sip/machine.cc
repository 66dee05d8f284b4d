#include "controlplane/sip/machine.h"

#include <algorithm>

namespace ifgw::sip {
namespace {

constexpr Duration kTimerD = std::chrono::seconds(32);

MachineState first_state(MachineKind kind) noexcept {
  switch (kind) {
    case MachineKind::InviteClient: return MachineState::Calling;
    case MachineKind::InviteServer: return MachineState::Proceeding;
    default: return MachineState::Trying;
  }
}

}  // namespace

Machine::Machine(MachineKind kind, bool reliable, const TimerConfig& timers, Instant now) noexcept
    : kind_(kind), state_(first_state(kind)), reliable_(reliable) {
  if (!is_client()) return;
  expire_at_ = now + 64 * timers.t1;  // B, F
  interval_ = timers.t1;
  if (!reliable_) resend_at_ = now + interval_;  // A, E
}

void Machine::finish() noexcept {
  state_ = MachineState::Terminated;
  resend_at_ = expire_at_ = kNever;
}

void Machine::linger(MachineState state, Duration wait, Instant now) noexcept {
  state_ = state;
  resend_at_ = kNever;
  expire_at_ = now + wait;
  if (wait == Duration::zero()) finish();
}

Actions Machine::on_response(int status, const TimerConfig& timers, Instant now) noexcept {
  return kind_ == MachineKind::InviteClient ? invite_client_response(status, timers, now) : other_client_response(status, timers, now);
}

Actions Machine::invite_client_response(int status, const TimerConfig& timers, Instant now) noexcept {
  switch (state_) {
    case MachineState::Calling:
    case MachineState::Proceeding:
      if (status < 200) {
        state_ = MachineState::Proceeding;
        resend_at_ = expire_at_ = kNever;
        return {.pass_up = true};
      }
      if (status < 300) {
        linger(MachineState::Accepted, 64 * timers.t1, now);  // M
        return {.pass_up = true};
      }
      linger(MachineState::Completed, reliable_ ? Duration::zero() : std::max(kTimerD, 64 * timers.t1), now);  // D
      return {.pass_up = true, .acknowledge = true};
    case MachineState::Accepted: return {.pass_up = status >= 200 && status < 300};
    case MachineState::Completed: return {.acknowledge = status >= 300};
    default: return {};
  }
}

Actions Machine::other_client_response(int status, const TimerConfig& timers, Instant now) noexcept {
  if (state_ != MachineState::Trying && state_ != MachineState::Proceeding) return {};
  if (status >= 200) {
    linger(MachineState::Completed, reliable_ ? Duration::zero() : timers.t4, now);  // K
    return {.pass_up = true};
  }
  // Timer E goes on, at T2 from its next turn (figure 6).
  state_ = MachineState::Proceeding;
  return {.pass_up = true};
}

Actions Machine::on_request(Instant) noexcept {
  switch (state_) {
    case MachineState::Trying:
    case MachineState::Proceeding:
    case MachineState::Completed: return {.send_again = answered_};
    default: return {};  // Accepted: the user sends the 2xx again; Confirmed, Terminated: too late
  }
}

Actions Machine::on_ack(const TimerConfig& timers, Instant now) noexcept {
  if (kind_ != MachineKind::InviteServer) return {};
  if (state_ == MachineState::Accepted) return {.pass_up = true};
  if (state_ == MachineState::Completed) linger(MachineState::Confirmed, reliable_ ? Duration::zero() : timers.t4, now);  // I
  return {};
}

bool Machine::on_answer(int status, const TimerConfig& timers, Instant now) noexcept {
  const bool open = state_ == MachineState::Trying || state_ == MachineState::Proceeding;
  if (is_client()) return false;
  if (!open) return state_ == MachineState::Accepted && status >= 200 && status < 300;  // RFC 6026: the 2xx again
  answered_ = true;
  if (status < 200) {
    state_ = MachineState::Proceeding;
    return true;
  }
  if (kind_ == MachineKind::NonInviteServer) {
    linger(MachineState::Completed, reliable_ ? Duration::zero() : 64 * timers.t1, now);  // J
  } else if (status < 300) {
    linger(MachineState::Accepted, 64 * timers.t1, now);  // L
  } else {
    linger(MachineState::Completed, 64 * timers.t1, now);  // H
    interval_ = timers.t1;
    if (!reliable_) resend_at_ = now + interval_;  // G
  }
  return true;
}

void Machine::resend_later(const TimerConfig& timers, Instant now) noexcept {
  const bool capped = kind_ != MachineKind::InviteClient;
  interval_ = capped ? std::min(2 * interval_, timers.t2) : 2 * interval_;
  if (kind_ == MachineKind::NonInviteClient && state_ == MachineState::Proceeding) interval_ = timers.t2;
  resend_at_ = now + interval_;
}

Actions Machine::on_timer(const TimerConfig& timers, Instant now) noexcept {
  if (now >= expire_at_) {
    const bool waited_for_peer = state_ == MachineState::Calling || state_ == MachineState::Trying || state_ == MachineState::Proceeding ||
                                 (kind_ == MachineKind::InviteServer && state_ == MachineState::Completed);
    finish();
    return {.timed_out = waited_for_peer};
  }
  if (now < resend_at_) return {};
  resend_later(timers, now);
  return {.send_again = true};
}

}  // namespace ifgw::sip
