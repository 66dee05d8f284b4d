// The four transaction state machines of RFC 3261 section 17 as corrected by RFC 6026: client and server, INVITE and
// non-INVITE. A machine is a small value: what happened goes in, what to do comes out; the tables that hold the
// message and the address do it.
//
//   timer  machine          value                            meaning
//   A      INVITE client    T1, doubling                     send the INVITE again (unreliable transports)
//   B      INVITE client    64*T1                            no response: give up
//   D      INVITE client    max(32 s, 64*T1), 0 if reliable  absorb repeated non-2xx responses
//   M      INVITE client    64*T1                            pass repeated and forked 2xx up (RFC 6026)
//   E      other client     T1, doubling up to T2            send the request again (unreliable)
//   F      other client     64*T1                            no final response: give up
//   K      other client     T4, 0 if reliable                absorb repeated responses
//   G      INVITE server    T1, doubling up to T2            send the non-2xx again (unreliable)
//   H      INVITE server    64*T1                            no ACK: give up
//   I      INVITE server    T4, 0 if reliable                absorb repeated ACKs
//   L      INVITE server    64*T1                            absorb repeated INVITEs after a 2xx (RFC 6026)
//   J      other server     64*T1, 0 if reliable             answer repeated requests
// Timer C belongs to the leg (UserAgent), not to the transaction.
#pragma once

#include <cstdint>

#include "codecs/base/time.h"
#include "controlplane/sip/config.h"

namespace ifgw::sip {

enum class MachineKind : std::uint8_t { InviteClient, NonInviteClient, InviteServer, NonInviteServer };

// Calling is the INVITE client's first state, Trying that of both non-INVITE machines, Proceeding the INVITE server's.
enum class MachineState : std::uint8_t { Calling, Trying, Proceeding, Accepted, Completed, Confirmed, Terminated };

struct Actions {
  bool send_again = false;   // the stored message: request (client), last response (server)
  bool pass_up = false;      // the response, request or ACK is news to the user of the transaction
  bool acknowledge = false;  // INVITE client: send the ACK for this non-2xx
  bool timed_out = false;    // B, F: no response; H: no ACK. The state is Terminated
};

class Machine {
 public:
  // Client: the request has just been sent. Server: the request has just been received.
  Machine(MachineKind kind, bool reliable, const TimerConfig& timers, Instant now) noexcept;

  MachineKind kind() const noexcept { return kind_; }
  MachineState state() const noexcept { return state_; }
  bool terminated() const noexcept { return state_ == MachineState::Terminated; }
  bool is_client() const noexcept { return kind_ <= MachineKind::NonInviteClient; }
  // Server: a final response was sent. Client: one was received.
  bool completed() const noexcept { return state_ >= MachineState::Accepted; }
  // The earlier of the two running timers; kNever when none runs.
  Instant deadline() const noexcept { return resend_at_ < expire_at_ ? resend_at_ : expire_at_; }

  // Client. `status` 100..699.
  Actions on_response(int status, const TimerConfig& timers, Instant now) noexcept;
  // Server: the request came again.
  Actions on_request(Instant now) noexcept;
  // INVITE server: ACK with the INVITE's branch. Passed up never after a non-2xx.
  Actions on_ack(const TimerConfig& timers, Instant now) noexcept;
  // Server: the user answers, and the message is on its way. False: not now (already answered); do not send.
  bool on_answer(int status, const TimerConfig& timers, Instant now) noexcept;
  // Runs what is due at `now`.
  Actions on_timer(const TimerConfig& timers, Instant now) noexcept;
  // The transport failed for good (section 17.1.4, 17.2.4): ends the transaction.
  void on_transport_error() noexcept { finish(); }

 private:
  Actions invite_client_response(int status, const TimerConfig& timers, Instant now) noexcept;
  Actions other_client_response(int status, const TimerConfig& timers, Instant now) noexcept;
  void resend_later(const TimerConfig& timers, Instant now) noexcept;
  // Absorbing states: the wait is zero on reliable transports, where nothing comes twice.
  void linger(MachineState state, Duration wait, Instant now) noexcept;
  void finish() noexcept;

  MachineKind kind_;
  MachineState state_;
  bool reliable_;
  bool answered_ = false;  // server: there is a response to send again
  Duration interval_{};    // of the resend timer
  Instant resend_at_ = kNever;
  Instant expire_at_ = kNever;
};

}  // namespace ifgw::sip
