// One TCP or TLS connection that carries SIP: socket, TLS session, framing and the queue of what waits to be sent.
// Never blocks. Its owner (SipStreams) watches the descriptor and the clock and calls in.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "codecs/base/ip.h"
#include "codecs/base/time.h"
#include "controlplane/adapters/tls_session.h"
#include "controlplane/adapters/unique_fd.h"
#include "controlplane/sip/stream_framer.h"
#include "controlplane/sip/transport.h"

namespace ifgw::adapters {

// Bounds of one connection; see SipStreamsConfig for those of all.
struct ConnectionLimits {
  std::size_t message_bytes = 32 * 1024;
  std::size_t send_queue_bytes = 256 * 1024;     // beyond: the peer does not read, and is closed
  std::size_t read_pause_bytes = 64 * 1024;      // while more than this waits to be sent, nothing is read from the peer
  Duration setup = std::chrono::seconds(5);      // connect and TLS handshake together; of an accepted one, until its first whole message
  Duration message = std::chrono::seconds(10);   // from the first byte of a message to its last
  Duration progress = std::chrono::seconds(10);  // something waits to be sent and the peer takes nothing
  Duration idle = std::chrono::minutes(10);      // no byte from the peer and no message to it, while no call uses the connection
  Duration linger = std::chrono::seconds(1);     // to send what is left before closing
};

// A message that did not leave.
struct Undelivered {
  std::uint64_t ticket = 0;  // OutboundMessage::ticket
  sip::Wire trace_id;        // of the leg or request it belongs to; null: of none
};

class SipConnection {
 public:
  enum class State { Connecting, Handshaking, Open, Closing, Dead };
  using OnMessage = std::function<void(Bytes message)>;

  // `tls` null: plain TCP. `connecting`: connect() is under way.
  SipConnection(UniqueFd fd, sip::Transport transport, Endpoint peer, Endpoint local, std::unique_ptr<TlsSession> tls, bool connecting,
                const ConnectionLimits& limits, Instant now);

  int fd() const noexcept { return fd_.get(); }
  State state() const noexcept { return state_; }
  sip::Transport transport() const noexcept { return transport_; }
  const Endpoint& peer() const noexcept { return peer_; }
  const Endpoint& local() const noexcept { return local_; }
  bool accepted() const noexcept { return accepted_; }  // the peer made it
  const std::string& tls_version() const noexcept { return tls_version_; }
  const std::string& cipher_suite() const noexcept { return cipher_suite_; }
  // Why it is Dead; for the log.
  const std::string& reason() const noexcept { return reason_; }
  bool wants_write() const noexcept { return state_ == State::Connecting || unsent() > 0; }
  // Not while much waits for the peer: who does not take our answers gets no further questions in.
  bool wants_read() const noexcept {
    return (state_ == State::Handshaking || state_ == State::Open) && unsent() <= limits_.read_pause_bytes;
  }
  Instant deadline() const noexcept;

  // The descriptor is ready (epoll events). Whole messages go to `on_message`, during the call.
  void on_ready(std::uint32_t events, Instant now, const OnMessage& on_message);
  // `in_use`: a call needs it, so that silence does not end it.
  void on_deadline(Instant now, bool in_use);
  // Queues a message; one with a ticket is handed back by take_unsent() should it not leave. False: it is Dead now.
  bool send(const sip::OutboundMessage& message, Instant now);
  // Messages with a ticket that have not been handed to the kernel whole. For when it is Dead.
  std::vector<Undelivered> take_unsent();
  void close(Instant now);
  // Ends it now, and throws away what waits to be sent. Also from inside on_message.
  void abandon(std::string reason) { die(std::move(reason)); }

 private:
  struct Queued {
    Undelivered message;
    std::uint64_t end;  // offset in everything ever queued
  };
  void finish_connect(Instant now);
  void read(Instant now, const OnMessage& on_message);
  bool decrypt(Bytes bytes, Instant now);
  void frame(Instant now, const OnMessage& on_message);
  void opened(Instant now);
  void queue(const sip::OutboundMessage& message);
  void write(std::string_view bytes);  // into output_; what finds no room there ends the connection
  void take_tls_output();
  std::size_t unsent() const noexcept { return output_.size() - sent_; }
  bool check_room(std::size_t bytes);
  void flush(Instant now);
  void give_back_sent();
  void die(std::string reason);

  UniqueFd fd_;
  sip::Transport transport_;
  Endpoint peer_;
  Endpoint local_;
  std::unique_ptr<TlsSession> tls_;
  const ConnectionLimits& limits_;
  const bool accepted_;
  State state_;
  sip::StreamFramer framer_;
  std::string plaintext_;  // decrypted, not yet framed
  std::string output_;     // for the socket; [0, sent_) has left
  std::size_t sent_ = 0;
  std::uint64_t flushed_total_ = 0;         // bytes that left before output_[0]
  std::deque<Queued> queued_;               // those with a ticket
  std::deque<sip::OutboundMessage> early_;  // sent before the handshake ended
  std::size_t early_bytes_ = 0;
  Instant setup_by_ = kNever;
  Instant message_by_ = kNever;
  Instant progress_by_ = kNever;
  Instant idle_at_ = kNever;
  Instant close_by_ = kNever;
  std::string tls_version_;
  std::string cipher_suite_;
  std::string reason_;
};

}  // namespace ifgw::adapters
