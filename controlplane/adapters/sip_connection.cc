#include "controlplane/adapters/sip_connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ifgw::adapters {
namespace {

// One connection may keep the loop this long per round: 4 reads of 16 KiB.
constexpr int kReadsPerRound = 4;
constexpr std::size_t kReadBytes = 16 * 1024;
// An empty queue keeps this much memory.
constexpr std::size_t kKeptBytes = 16 * 1024;

bool would_block(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

SipConnection::SipConnection(UniqueFd fd, sip::Transport transport, Endpoint peer, Endpoint local, std::unique_ptr<TlsSession> tls,
                             bool connecting, const ConnectionLimits& limits, Instant now)
    : fd_(std::move(fd)),
      transport_(transport),
      peer_(peer),
      local_(local),
      tls_(std::move(tls)),
      limits_(limits),
      accepted_(!connecting),
      state_(connecting ? State::Connecting : State::Handshaking),
      framer_(limits.message_bytes),
      setup_by_(now + limits.setup) {
  if (!connecting && tls_ == nullptr) opened(now);
}

Instant SipConnection::deadline() const noexcept { return std::min({setup_by_, message_by_, progress_by_, idle_at_, close_by_}); }

void SipConnection::die(std::string reason) {
  if (state_ == State::Dead) return;
  state_ = State::Dead;
  reason_ = std::move(reason);
  setup_by_ = message_by_ = progress_by_ = idle_at_ = close_by_ = kNever;
}

void SipConnection::opened(Instant now) {
  state_ = State::Open;
  if (!accepted_) setup_by_ = kNever;
  idle_at_ = now + limits_.idle;
  if (tls_ != nullptr) {
    tls_version_ = tls_->version();
    cipher_suite_ = tls_->cipher();
  }
  early_bytes_ = 0;
  for (const sip::OutboundMessage& message : std::exchange(early_, {})) queue(message);
}

void SipConnection::finish_connect(Instant now) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return die(std::string("connect: ") + std::strerror(error));
  if (tls_ == nullptr) return opened(now);
  state_ = State::Handshaking;
  (void)decrypt({}, now);  // the hello
}

void SipConnection::on_ready(std::uint32_t events, Instant now, const OnMessage& on_message) {
  if (state_ == State::Connecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) finish_connect(now);
  if (wants_read() && (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) read(now, on_message);
  if (state_ != State::Dead && state_ != State::Connecting) flush(now);
}

void SipConnection::read(Instant now, const OnMessage& on_message) {
  std::uint8_t buffer[kReadBytes];
  for (int turn = 0; turn < kReadsPerRound && wants_read(); ++turn) {
    const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (got < 0 && would_block(errno)) return;
    if (got <= 0) return die(got == 0 ? "closed by the peer" : std::strerror(errno));
    if (state_ == State::Open) idle_at_ = now + limits_.idle;
    if (!decrypt(Bytes(buffer, static_cast<std::size_t>(got)), now)) return;
    frame(now, on_message);
    if (static_cast<std::size_t>(got) < sizeof buffer) return;
  }
}

// Into plaintext_. False: the connection is over.
bool SipConnection::decrypt(Bytes bytes, Instant now) {
  if (tls_ == nullptr) {
    plaintext_.append(as_text(bytes));
    return true;
  }
  const bool was_open = state_ != State::Handshaking;
  const TlsSession::State tls_state = tls_->feed(bytes, plaintext_);
  take_tls_output();
  if (state_ == State::Dead) return false;
  if (!was_open && tls_state == TlsSession::State::Open) opened(now);
  if (tls_state == TlsSession::State::Handshaking || tls_state == TlsSession::State::Open) return true;
  flush(now);  // the alert
  die(tls_state == TlsSession::State::Closed ? "closed by the peer" : "TLS: " + tls_->error());
  return false;
}

void SipConnection::frame(Instant now, const OnMessage& on_message) {
  using sip::FrameEvent;
  framer_.feed(as_bytes(plaintext_));
  plaintext_.clear();
  bool pinged = false;  // one pong for all pings of a read: a peer has one outstanding (RFC 5626 section 4.4.1)
  while (state_ == State::Open) {
    switch (framer_.next()) {
      case FrameEvent::NeedMore:
        if (!framer_.mid_message())
          message_by_ = kNever;
        else if (message_by_ == kNever)
          message_by_ = now + limits_.message;
        if (pinged) write("\r\n");
        return;
      case FrameEvent::Message:
        message_by_ = setup_by_ = kNever;
        on_message(framer_.message());
        break;
      case FrameEvent::Pong: pinged = true; break;
      case FrameEvent::KeepAlive: break;
      case FrameEvent::TooLarge:
      case FrameEvent::Bad:
        // The user agent may still say what was wrong; then the connection goes, for its frame is lost.
        if (framer_.message().size() > 0) on_message(framer_.message());
        reason_ = "message without a usable Content-Length, or larger than " + std::to_string(limits_.message_bytes) + " bytes";
        return close(now);
    }
  }
}

void SipConnection::queue(const sip::OutboundMessage& message) {
  write(*message.bytes);
  if (message.ticket != 0) queued_.push_back({{message.ticket, message.trace_id}, flushed_total_ + output_.size()});
}

void SipConnection::write(std::string_view bytes) {
  if (state_ == State::Dead || !check_room(bytes.size())) return;
  if (tls_ == nullptr) {
    output_.append(bytes);
    return;
  }
  if (!tls_->write(as_bytes(bytes))) return die("TLS: " + tls_->error());
  take_tls_output();
}

// Also what TLS says by itself: alerts, and answers to key updates.
void SipConnection::take_tls_output() {
  tls_->take_output(output_);
  (void)check_room(0);
}

// False: there is none for `bytes` more, and it is Dead now.
bool SipConnection::check_room(std::size_t bytes) {
  if (unsent() + early_bytes_ + bytes <= limits_.send_queue_bytes) return true;
  die("the peer does not read: " + std::to_string(limits_.send_queue_bytes) + " bytes wait for it");
  return false;
}

bool SipConnection::send(const sip::OutboundMessage& message, Instant now) {
  if (state_ == State::Dead) return false;
  if (state_ == State::Connecting || state_ == State::Handshaking) {
    early_.push_back(message);
    early_bytes_ += message.bytes->size();
    return check_room(0);
  }
  if (state_ == State::Open) idle_at_ = now + limits_.idle;
  queue(message);
  flush(now);
  return state_ != State::Dead;
}

void SipConnection::flush(Instant now) {
  while (state_ != State::Dead && unsent() > 0) {
    const ssize_t put = ::send(fd_.get(), output_.data() + sent_, unsent(), MSG_NOSIGNAL);
    if (put < 0 && would_block(errno)) {
      if (progress_by_ == kNever) progress_by_ = now + limits_.progress;
      break;
    }
    if (put <= 0) return die(std::string("send: ") + std::strerror(errno));
    sent_ += static_cast<std::size_t>(put);
    progress_by_ = kNever;
    while (!queued_.empty() && queued_.front().end <= flushed_total_ + sent_) queued_.pop_front();
  }
  give_back_sent();
}

// Once it is the larger part of output_, so that moving the rest costs no more than sending it did.
void SipConnection::give_back_sent() {
  if (sent_ < unsent()) return;
  flushed_total_ += sent_;
  output_.erase(0, sent_);
  sent_ = 0;
  if (output_.empty() && output_.capacity() > kKeptBytes) output_.shrink_to_fit();
}

std::vector<Undelivered> SipConnection::take_unsent() {
  std::vector<Undelivered> out;
  for (Queued& queued : queued_) out.push_back(std::move(queued.message));
  for (const sip::OutboundMessage& message : early_) {
    if (message.ticket != 0) out.push_back({message.ticket, message.trace_id});
  }
  queued_.clear();
  early_.clear();
  return out;
}

void SipConnection::close(Instant now) {
  if (state_ != State::Open) return die(reason_.empty() ? "closed" : reason_);
  state_ = State::Closing;
  setup_by_ = message_by_ = idle_at_ = kNever;
  close_by_ = now + limits_.linger;
}

void SipConnection::on_deadline(Instant now, bool in_use) {
  if (now >= close_by_) {
    if (tls_ != nullptr) {
      tls_->close();
      tls_->take_output(output_);
      flush(now);
    }
    return die(reason_.empty() ? "closed" : reason_);
  }
  if (now >= setup_by_) {
    return die(state_ == State::Connecting    ? "no connection in time"
               : state_ == State::Handshaking ? "no TLS handshake in time"
                                              : "no message in time");
  }
  if (now >= message_by_) {
    if (wants_read()) return die("a message was begun and not finished in time");
    message_by_ = now + limits_.message;  // the rest may be there: we do not read
  }
  if (now >= progress_by_) return die("the peer does not read");
  if (now < idle_at_) return;
  if (!in_use) return die("idle");
  idle_at_ = now + limits_.idle;
}

}  // namespace ifgw::adapters
