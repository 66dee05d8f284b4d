#include "controlplane/adapters/sip_streams.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "codecs/base/bytes.h"

namespace ifgw::adapters {
namespace {

constexpr int kBacklog = 512;
constexpr int kProbeAfterSeconds = 60;  // of silence
constexpr int kProbeIntervalSeconds = 15;
constexpr int kProbes = 4;
constexpr Duration kRefusalLineInterval = std::chrono::seconds(10);

Endpoint local_of(int fd) noexcept {
  SocketAddress address;
  if (getsockname(fd, address.get(), &address.length) != 0) return {};
  return address.endpoint();
}

void set_option(int fd, int level, int name, int value) noexcept { (void)setsockopt(fd, level, name, &value, sizeof value); }

// The kernel asks a silent peer whether it is there, which also keeps the bindings of NATs and firewalls on the way, and ends
// the connection when the peer acknowledges nothing for two minutes.
void watch_peer(int fd) noexcept {
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kProbeAfterSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, kProbeIntervalSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 1000 * (kProbeAfterSeconds + kProbes * kProbeIntervalSeconds));
}

IpAddress source_key(const IpAddress& ip) noexcept { return ip.is_v6() ? mask(ip, 64) : ip; }

UniqueFd open_socket(const Endpoint& endpoint) {
  return UniqueFd(::socket(endpoint.ip.is_v6() ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

}  // namespace

SipStreams::SipStreams(EventLoop& loop, SipStreamsConfig config, Handlers handlers)
    : loop_(loop), config_(std::move(config)), handlers_(std::move(handlers)), connections_(config_.connections) {
  loop_.add_source(*this);
}

SipStreams::~SipStreams() {
  *alive_ = false;
  loop_.remove_source(*this);
  connections_.for_each([this](sip::SlotId, std::unique_ptr<SipConnection>& connection) { loop_.remove_fd(connection->fd()); });
}

Status SipStreams::load_tls(TlsContext::Role role) {
  auto& kept = role == TlsContext::Role::Server ? server_tls_ : client_tls_;
  if (kept != nullptr) return Success{};
  auto made = TlsContext::create(role, config_.tls);
  if (!made) return made.error();
  kept = *std::move(made);
  return Success{};
}

Status SipStreams::listen(sip::Transport transport, const Endpoint& local) {
  const std::string name = std::string(sip::transport_name(transport)) + " " + local.text();
  if (transport == sip::Transport::Udp) return Error{name + ": streams carry tcp and tls only"};
  if (transport == sip::Transport::Tls) {
    for (const auto role : {TlsContext::Role::Server, TlsContext::Role::Client}) {
      const Status loaded = load_tls(role);
      if (!loaded) return Error{"listener " + name + ": " + loaded.error().message};
    }
  }
  UniqueFd listener = open_socket(local);
  const int fd = listener.get();
  const auto failed = [&name](const char* step) {
    const std::string hint = errno == EADDRINUSE      ? " (another program or listener has this port: `ss -ltnp`)"
                             : errno == EADDRNOTAVAIL ? " (no interface of this machine has this address)"
                             : errno == EACCES        ? " (ports below 1024 need CAP_NET_BIND_SERVICE)"
                                                      : "";
    return Error{"listener " + name + ": " + step + ": " + std::strerror(errno) + hint};
  };
  if (fd < 0) return failed("socket");
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (local.ip.is_v6()) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  // The address may not be there yet: the dataplane brings it up.
  set_option(fd, local.ip.is_v6() ? IPPROTO_IPV6 : IPPROTO_IP, local.ip.is_v6() ? IPV6_FREEBIND : IP_FREEBIND, 1);
  const SocketAddress address = SocketAddress::from(local);
  if (::bind(fd, address.get(), address.length) != 0) return failed("bind");
  if (::listen(fd, kBacklog) != 0) return failed("listen");
  const Endpoint bound = local_of(fd);
  auto acceptor = Acceptor::start(loop_, std::move(listener), "listener " + name,
                                  [this, transport](UniqueFd accepted, const SocketAddress& peer, Instant now) {
                                    on_accepted(std::move(accepted), transport, peer.endpoint(), now);
                                  });
  if (!acceptor) return acceptor.error();
  listeners_.push_back({std::move(acceptor).value(), bound});
  return Success{};
}

Endpoint SipStreams::bound(std::size_t index) const { return index < listeners_.size() ? listeners_[index].local : Endpoint{}; }

std::uint64_t SipStreams::accept_failures() const noexcept {
  std::uint64_t sum = 0;
  for (const Listener& listener : listeners_) sum += listener.acceptor->failures();
  return sum;
}

bool SipStreams::may_accept(const Endpoint& source, sip::Transport transport, Instant now) {
  if (handlers_.accept_filter && !handlers_.accept_filter(source, transport)) {
    ++statistics_.refused_filter;
    return false;
  }
  if (connections_.full()) {
    ++statistics_.refused_total;
    report_refusal(source, transport, "all " + std::to_string(config_.connections) + " connections are in use ([sip] max_connections)",
                   now);
    return false;
  }
  const auto count = per_source_.find(source_key(source.ip));
  if (count != per_source_.end() && count->second >= config_.connections_per_source) {
    ++statistics_.refused_source;
    report_refusal(
        source, transport,
        "its source has all " + std::to_string(config_.connections_per_source) + " that it may have ([sip] max_connections_per_source)",
        now);
    return false;
  }
  return true;
}

void SipStreams::report_refusal(const Endpoint& source, sip::Transport transport, const std::string& why, Instant now) {
  if (now < refusal_line_at_ || !handlers_.on_refused) return;
  refusal_line_at_ = now + kRefusalLineInterval;
  const std::uint64_t refused = statistics_.refused_total + statistics_.refused_source;
  const std::uint64_t before = refused - std::exchange(refusals_in_lines_, refused) - 1;
  handlers_.on_refused(std::string(sip::transport_name(transport)) + " " + source.text() + ": connection refused: " + why +
                       (before == 0 ? std::string() : "; " + std::to_string(before) + " refused before it since the last such line"));
}

void SipStreams::on_accepted(UniqueFd fd, sip::Transport transport, const Endpoint& peer, Instant now) {
  if (!may_accept(peer, transport, now)) return;  // closed: the peer sees it at once
  ++statistics_.accepted;
  std::unique_ptr<TlsSession> tls;
  if (transport == sip::Transport::Tls) {
    tls = TlsSession::create(server_tls_, {});
    if (tls == nullptr) return;
  }
  const Endpoint local = local_of(fd.get());
  add(std::make_unique<SipConnection>(std::move(fd), transport, peer, local, std::move(tls), false, config_.connection, now), now);
}

Result<sip::ConnectionId> SipStreams::connect(const sip::OutboundMessage& message, Instant now) {
  if (connections_.full()) return Error{"all " + std::to_string(config_.connections) + " connections are in use"};
  std::unique_ptr<TlsSession> tls;
  if (message.transport == sip::Transport::Tls) {
    if (client_tls_ == nullptr) return Error{"TLS is not set up: give [sip] tls a listener"};
    const auto name = config_.server_names.find(message.destination);
    tls = TlsSession::create(client_tls_, name == config_.server_names.end() ? message.destination.ip.text() : name->second);
    if (tls == nullptr) return Error{"OpenSSL gives no session"};
  }
  UniqueFd fd = open_socket(message.destination);
  if (!fd) return Error{std::string("socket: ") + std::strerror(errno)};
  if (message.local.present()) {
    const SocketAddress from = SocketAddress::from({message.local.ip, 0});
    if (::bind(fd.get(), from.get(), from.length) != 0) return Error{"bind to " + message.local.ip.text() + ": " + std::strerror(errno)};
  }
  const SocketAddress to = SocketAddress::from(message.destination);
  if (::connect(fd.get(), to.get(), to.length) != 0 && errno != EINPROGRESS) return Error{std::string("connect: ") + std::strerror(errno)};
  const Endpoint local = local_of(fd.get());
  ++statistics_.connected;
  const sip::ConnectionId id = add(std::make_unique<SipConnection>(std::move(fd), message.transport, message.destination, local,
                                                                   std::move(tls), true, config_.connection, now),
                                   now);
  opened_[{message.transport, message.destination}] = id;
  return id;
}

sip::ConnectionId SipStreams::add(std::unique_ptr<SipConnection> connection, Instant now) {
  set_option(connection->fd(), IPPROTO_TCP, TCP_NODELAY, 1);
  watch_peer(connection->fd());
  const int fd = connection->fd();
  const Peer peer{connection->transport(), connection->peer()};
  const sip::ConnectionId id = connections_.insert(std::move(connection));
  ++per_source_[source_key(peer.second.ip)];
  (void)loop_.add_fd(fd, EPOLLIN, [this, id](std::uint32_t events, Instant at) { on_ready(id, events, at); });
  settle(id, now);
  return id;
}

SipConnection* SipStreams::find(sip::ConnectionId id) {
  const std::unique_ptr<SipConnection>* slot = connections_.find(id);
  return slot == nullptr ? nullptr : slot->get();
}

void SipStreams::on_ready(sip::ConnectionId id, std::uint32_t events, Instant now) {
  SipConnection* connection = find(id);
  if (connection == nullptr) return;
  connection->on_ready(events, now, [&](Bytes bytes) {
    ++statistics_.messages_received;
    if (connection->accepted() && handlers_.message_filter && !handlers_.message_filter(connection->peer(), connection->transport(), now)) {
      ++statistics_.refused_messages;
      return connection->abandon("more messages than its budget (ifgw pike show)");
    }
    sip::InboundMessage message;
    message.transport = connection->transport();
    message.source = connection->peer();
    message.local = connection->local();
    message.connection = id;
    message.tls_version = connection->tls_version();
    message.cipher_suite = connection->cipher_suite();
    message.bytes = bytes;
    handlers_.on_message(message, now);
  });
  settle(id, now);
}

void SipStreams::settle(sip::ConnectionId id, Instant now) {
  SipConnection* connection = find(id);
  if (connection == nullptr) return;
  if (connection->state() == SipConnection::State::Dead) {
    // Later: the connection may be on the stack above us.
    connections_.set_deadline(id, kNever);
    loop_.remove_fd(connection->fd());
    loop_.defer([this, alive = alive_, id](Instant) {
      if (*alive) bury(id);
    });
    return;
  }
  (void)now;
  const std::uint32_t read = connection->wants_read() ? EPOLLIN : 0u;
  const std::uint32_t write = connection->wants_write() ? EPOLLOUT : 0u;
  (void)loop_.modify_fd(connection->fd(), read | write);
  connections_.set_deadline(id, connection->deadline());
}

void SipStreams::bury(sip::ConnectionId id) {
  SipConnection* connection = find(id);
  if (connection == nullptr) return;
  ++statistics_.closed;
  const Instant now = loop_.now();
  const Peer peer{connection->transport(), connection->peer()};
  if (const auto newest = opened_.find(peer); newest != opened_.end() && newest->second == id) opened_.erase(newest);
  if (const auto count = per_source_.find(source_key(peer.second.ip)); count != per_source_.end() && --count->second == 0)
    per_source_.erase(count);
  const std::vector<Undelivered> unsent = connection->take_unsent();
  const std::string reason = connection->reason();
  connections_.erase(id);
  if (handlers_.on_end) handlers_.on_end(peer.second, peer.first, reason, unsent);
  for (const Undelivered& message : unsent) handlers_.on_send_failed(message.ticket, now);
}

void SipStreams::fail_later(std::uint64_t ticket) {
  if (ticket == 0) return;
  loop_.defer([this, alive = alive_, ticket](Instant now) {
    if (*alive) handlers_.on_send_failed(ticket, now);
  });
}

// The connection a message goes over, 0 when one has to be opened.
sip::ConnectionId SipStreams::choose(const sip::OutboundMessage& message) {
  const auto usable = [this](sip::ConnectionId id) {
    const SipConnection* connection = find(id);
    return connection != nullptr && connection->state() != SipConnection::State::Dead &&
           connection->state() != SipConnection::State::Closing;
  };
  // A connection that is closing still takes the answer to what broke it.
  if (const SipConnection* named = find(message.connection); named != nullptr && named->state() != SipConnection::State::Dead) {
    if (!message.is_request || usable(message.connection)) return message.connection;
  }
  // Never one that was made to us: over TLS its certificate was not held against the destination's name, so it proves
  // nothing about who is there (RFC 5923 section 5). TCP follows the same rule: peers connect from ports of their own, so
  // no call needs more.
  const auto other = opened_.find({message.transport, message.destination});
  return other != opened_.end() && usable(other->second) ? other->second : 0;
}

void SipStreams::send(const sip::OutboundMessage& message, Instant now) {
  sip::ConnectionId id = choose(message);
  if (id == 0) {
    const auto opened = connect(message, now);
    if (!opened) {
      ++statistics_.connect_failures;
      if (handlers_.on_end)
        handlers_.on_end(message.destination, message.transport, opened.error().message, {{message.ticket, message.trace_id}});
      return fail_later(message.ticket);
    }
    id = *opened;
  }
  SipConnection* connection = find(id);
  if (!connection->send(message, now)) {
    fail_later(message.ticket);
  } else {
    ++statistics_.messages_sent;
  }
  settle(id, now);
}

void SipStreams::on_deadline(Instant now) {
  while (const sip::ConnectionId id = connections_.pop_due(now)) {
    if (SipConnection* connection = find(id)) connection->on_deadline(now, handlers_.in_use && handlers_.in_use(id));
    settle(id, now);
  }
}

}  // namespace ifgw::adapters
