// SIP over TCP and TLS: listeners and connections on the control plane's event loop. Frames whole messages for the user
// agent and sends what it produces: over the connection it names, else over one that we made to the destination (over TLS:
// with a certificate that names it), else over a new one. What others connected carries only messages that name it.
//
// Thread: the loop's. Handlers are called from inside the loop; they may call send(). Everything is bounded: connections
// in all and per source (IPv6: per /64), bytes per message and per queue, time per handshake, message and idleness.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "codecs/base/result.h"
#include "controlplane/adapters/acceptor.h"
#include "controlplane/adapters/event_loop.h"
#include "controlplane/adapters/sip_connection.h"
#include "controlplane/adapters/tls_context.h"
#include "controlplane/sip/slot_table.h"
#include "controlplane/sip/transport.h"

namespace ifgw::adapters {

struct SipStreamsConfig {
  std::size_t connections = 4096;
  std::size_t connections_per_source = 64;
  ConnectionLimits connection;
  TlsConfig tls;                                 // of TLS listeners and of our own TLS connections
  std::map<Endpoint, std::string> server_names;  // what a TLS peer's certificate must name; absent: its IP address
};

// Monotonic.
struct SipStreamsStatistics {
  std::uint64_t accepted = 0;
  std::uint64_t connected = 0;         // connections we opened
  std::uint64_t refused_total = 0;     // beyond `connections`
  std::uint64_t refused_source = 0;    // beyond `connections_per_source`
  std::uint64_t refused_filter = 0;    // the accept filter said no
  std::uint64_t refused_messages = 0;  // the message filter said no
  std::uint64_t closed = 0;
  std::uint64_t connect_failures = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t messages_sent = 0;  // handed to a connection
};

class SipStreams final : public DeadlineSource {
 public:
  struct Handlers {
    std::function<void(const sip::InboundMessage&, Instant)> on_message;
    std::function<void(std::uint64_t ticket, Instant)> on_send_failed;
    // Does a call need this connection? Asked when it has been idle; then it stays for as long again. Empty: none does.
    std::function<bool(sip::ConnectionId)> in_use;
    // May this source connect? Empty: anyone. Called before anything is read or allocated.
    std::function<bool(const Endpoint& source, sip::Transport)> accept_filter;
    // May this message of a connection that was made to us go on? Empty: all. No: the connection ends, without a word.
    std::function<bool(const Endpoint& source, sip::Transport, Instant)> message_filter;
    // Why a connection ended or could not be had, for the log, and the messages that were to go over it: those with a ticket,
    // or the one it was wanted for. May be empty.
    std::function<void(const Endpoint& peer, sip::Transport, const std::string& reason, const std::vector<Undelivered>&)> on_end;
    // A line for the log about connections that were refused because of `connections` or `connections_per_source`; at most
    // one in ten seconds. May be empty.
    std::function<void(const std::string& line)> on_refused;
  };

  // `loop` outlives this.
  SipStreams(EventLoop& loop, SipStreamsConfig config, Handlers handlers);
  ~SipStreams() override;

  // Reads certificates, key and trust from their files: at start, not from the loop. A TLS listener does so for both
  // roles; one who only connects asks for the client's before the first message. Error: TlsContext::create's.
  Status load_tls(TlsContext::Role role);
  // Error: the address and what to do (taken port, missing privilege, unreadable certificate).
  Status listen(sip::Transport transport, const Endpoint& local);
  // Where listener number `index` (order of listen()) is bound; with port 0 the kernel chose.
  Endpoint bound(std::size_t index) const;

  // TCP or TLS messages of the user agent's. Failures come through on_send_failed, later, from the loop.
  void send(const sip::OutboundMessage& message, Instant now);

  std::size_t connections() const noexcept { return connections_.size(); }
  const SipStreamsStatistics& statistics() const noexcept { return statistics_; }

  std::uint64_t accept_failures() const noexcept;  // out of descriptors or memory: accepting paused

  Instant next_deadline() const override { return connections_.next_deadline(); }
  void on_deadline(Instant now) override;

 private:
  struct Listener {
    std::unique_ptr<Acceptor> acceptor;
    Endpoint local;
  };
  using Peer = std::pair<sip::Transport, Endpoint>;

  void on_accepted(UniqueFd fd, sip::Transport transport, const Endpoint& peer, Instant now);
  bool may_accept(const Endpoint& source, sip::Transport transport, Instant now);
  void report_refusal(const Endpoint& source, sip::Transport transport, const std::string& why, Instant now);
  Result<sip::ConnectionId> connect(const sip::OutboundMessage& message, Instant now);
  sip::ConnectionId add(std::unique_ptr<SipConnection> connection, Instant now);
  sip::ConnectionId choose(const sip::OutboundMessage& message);
  void on_ready(sip::ConnectionId id, std::uint32_t events, Instant now);
  // After any step: watch what it waits for, or bury it.
  void settle(sip::ConnectionId id, Instant now);
  void bury(sip::ConnectionId id);
  void fail_later(std::uint64_t ticket);
  SipConnection* find(sip::ConnectionId id);

  EventLoop& loop_;
  const SipStreamsConfig config_;
  Handlers handlers_;
  std::vector<Listener> listeners_;
  sip::SlotTable<std::unique_ptr<SipConnection>> connections_;
  std::map<Peer, sip::ConnectionId> opened_;  // the newest connection that we made to each peer
  std::map<IpAddress, std::size_t> per_source_;
  std::shared_ptr<const TlsContext> server_tls_;
  std::shared_ptr<const TlsContext> client_tls_;
  SipStreamsStatistics statistics_;
  Instant refusal_line_at_{};                                   // no line before
  std::uint64_t refusals_in_lines_ = 0;                         // told of so far
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // deferred calls look here first
};

}  // namespace ifgw::adapters
