#include "controlplane/adapters/sip_streams.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "codecs/base/bytes.h"

namespace ifgw::adapters {
namespace {

constexpr int kAcceptsPerRound = 32;
constexpr int kBacklog = 512;
constexpr Duration kAcceptPause = std::chrono::milliseconds(200);

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress to_socket(const Endpoint& endpoint) noexcept {
  SocketAddress out;
  if (endpoint.ip.is_v6()) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(endpoint.port);
    std::memcpy(&v6->sin6_addr, endpoint.ip.bytes.data(), 16);
    out.size = sizeof *v6;
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.port);
    std::memcpy(&v4->sin_addr, endpoint.ip.bytes.data(), 4);
    out.size = sizeof *v4;
  }
  return out;
}

Endpoint from_socket(const SocketAddress& address) noexcept {
  Endpoint out;
  if (address.storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    out.ip.family = IpFamily::V6;
    std::memcpy(out.ip.bytes.data(), &v6->sin6_addr, 16);
    out.port = ntohs(v6->sin6_port);
  } else {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    out.ip.family = IpFamily::V4;
    std::memcpy(out.ip.bytes.data(), &v4->sin_addr, 4);
    out.port = ntohs(v4->sin_port);
  }
  return out;
}

Endpoint local_of(int fd) noexcept {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (getsockname(fd, address.get(), &address.size) != 0) return {};
  return from_socket(address);
}

void set_option(int fd, int level, int name, int value) noexcept { (void)setsockopt(fd, level, name, &value, sizeof value); }

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
  for (const auto& listener : listeners_) loop_.remove_fd(listener->fd.get());
  connections_.for_each([this](sip::SlotId, std::unique_ptr<SipConnection>& connection) { loop_.remove_fd(connection->fd()); });
}

Result<std::shared_ptr<const TlsContext>> SipStreams::tls_context(TlsContext::Role role) {
  auto& kept = role == TlsContext::Role::Server ? server_tls_ : client_tls_;
  if (kept == nullptr) {
    auto made = TlsContext::create(role, config_.tls);
    if (!made) return made.error();
    kept = *std::move(made);
  }
  return kept;
}

Status SipStreams::listen(sip::Transport transport, const Endpoint& local) {
  const std::string name = std::string(sip::transport_name(transport)) + " " + local.text();
  if (transport == sip::Transport::Udp) return Error{name + ": streams carry tcp and tls only"};
  if (transport == sip::Transport::Tls) {
    const auto context = tls_context(TlsContext::Role::Server);
    if (!context) return Error{"listener " + name + ": " + context.error().message};
  }
  auto listener = std::make_unique<Listener>(Listener{open_socket(local), transport, local});
  const int fd = listener->fd.get();
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
  const SocketAddress address = to_socket(local);
  if (::bind(fd, address.get(), address.size) != 0) return failed("bind");
  if (::listen(fd, kBacklog) != 0) return failed("listen");
  listener->local = local_of(fd);
  const Listener& kept = *listeners_.emplace_back(std::move(listener));
  return loop_.add_fd(fd, EPOLLIN, [this, &kept](std::uint32_t, Instant now) { on_acceptable(kept, now); });
}

Endpoint SipStreams::bound(std::size_t index) const { return index < listeners_.size() ? listeners_[index]->local : Endpoint{}; }

bool SipStreams::may_accept(const Endpoint& source, sip::Transport transport) {
  if (handlers_.accept_filter && !handlers_.accept_filter(source, transport)) {
    ++statistics_.refused_filter;
    return false;
  }
  if (connections_.full()) {
    ++statistics_.refused_total;
    return false;
  }
  const auto count = per_source_.find(source_key(source.ip));
  if (count != per_source_.end() && count->second >= config_.connections_per_source) {
    ++statistics_.refused_source;
    return false;
  }
  return true;
}

void SipStreams::on_acceptable(const Listener& listener, Instant now) {
  for (int i = 0; i < kAcceptsPerRound; ++i) {
    SocketAddress address;
    address.size = sizeof address.storage;
    UniqueFd fd(::accept4(listener.fd.get(), address.get(), &address.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) pause_accepting(now);
      return;
    }
    const Endpoint peer = from_socket(address);
    if (!may_accept(peer, listener.transport)) continue;  // closed: the peer sees it at once
    ++statistics_.accepted;
    const Endpoint local = local_of(fd.get());
    adopt(std::move(fd), listener.transport, peer, local, now);
  }
}

// Level-triggered listeners would spin while there is no descriptor to accept with.
void SipStreams::pause_accepting(Instant now) {
  ++statistics_.accept_failures;
  resume_at_ = now + kAcceptPause;
  for (const auto& listener : listeners_) (void)loop_.modify_fd(listener->fd.get(), 0);
}

void SipStreams::adopt(UniqueFd fd, sip::Transport transport, const Endpoint& peer, const Endpoint& local, Instant now) {
  std::unique_ptr<TlsSession> tls;
  if (transport == sip::Transport::Tls) {
    tls = TlsSession::create(server_tls_, {});
    if (tls == nullptr) return;
  }
  add(std::make_unique<SipConnection>(std::move(fd), transport, peer, local, std::move(tls), false, config_.connection, now), now);
}

Result<sip::ConnectionId> SipStreams::connect(const sip::OutboundMessage& message, Instant now) {
  if (connections_.full()) return Error{"all " + std::to_string(config_.connections) + " connections are in use"};
  std::unique_ptr<TlsSession> tls;
  if (message.transport == sip::Transport::Tls) {
    const auto context = tls_context(TlsContext::Role::Client);
    if (!context) return context.error();
    const auto name = config_.server_names.find(message.destination);
    tls = TlsSession::create(*context, name == config_.server_names.end() ? message.destination.ip.text() : name->second);
    if (tls == nullptr) return Error{"OpenSSL gives no session"};
  }
  UniqueFd fd = open_socket(message.destination);
  if (!fd) return Error{std::string("socket: ") + std::strerror(errno)};
  if (message.local.present()) {
    const SocketAddress from = to_socket({message.local.ip, 0});
    if (::bind(fd.get(), from.get(), from.size) != 0) return Error{"bind to " + message.local.ip.text() + ": " + std::strerror(errno)};
  }
  const SocketAddress to = to_socket(message.destination);
  if (::connect(fd.get(), to.get(), to.size) != 0 && errno != EINPROGRESS) return Error{std::string("connect: ") + std::strerror(errno)};
  const Endpoint local = local_of(fd.get());
  ++statistics_.connected;
  return add(std::make_unique<SipConnection>(std::move(fd), message.transport, message.destination, local, std::move(tls), true,
                                             config_.connection, now),
             now);
}

sip::ConnectionId SipStreams::add(std::unique_ptr<SipConnection> connection, Instant now) {
  set_option(connection->fd(), IPPROTO_TCP, TCP_NODELAY, 1);
  const int fd = connection->fd();
  const Peer peer{connection->transport(), connection->peer()};
  const sip::ConnectionId id = connections_.insert(std::move(connection));
  by_peer_[peer] = id;
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
  if (const auto newest = by_peer_.find(peer); newest != by_peer_.end() && newest->second == id) by_peer_.erase(newest);
  if (const auto count = per_source_.find(source_key(peer.second.ip)); count != per_source_.end() && --count->second == 0) per_source_.erase(count);
  const std::vector<std::uint64_t> unsent = connection->take_unsent();
  const std::string reason = connection->reason();
  connections_.erase(id);
  if (handlers_.on_end) handlers_.on_end(peer.second, peer.first, reason, !unsent.empty());
  handlers_.on_closed(id, now);
  for (const std::uint64_t ticket : unsent) handlers_.on_send_failed(ticket, now);
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
    return connection != nullptr && connection->state() != SipConnection::State::Dead && connection->state() != SipConnection::State::Closing;
  };
  // A connection that is closing still takes the answer to what broke it.
  if (const SipConnection* named = find(message.connection); named != nullptr && named->state() != SipConnection::State::Dead) {
    if (!message.is_request || usable(message.connection)) return message.connection;
  }
  const auto other = by_peer_.find({message.transport, message.destination});
  return other != by_peer_.end() && usable(other->second) ? other->second : 0;
}

void SipStreams::send(const sip::OutboundMessage& message, Instant now) {
  sip::ConnectionId id = choose(message);
  if (id == 0) {
    const auto opened = connect(message, now);
    if (!opened) {
      ++statistics_.connect_failures;
      if (handlers_.on_end) handlers_.on_end(message.destination, message.transport, opened.error().message, true);
      return fail_later(message.ticket);
    }
    id = *opened;
  }
  SipConnection* connection = find(id);
  if (!connection->send(*message.bytes, message.ticket, now)) {
    fail_later(message.ticket);
  } else {
    ++statistics_.messages_sent;
  }
  settle(id, now);
}

void SipStreams::on_deadline(Instant now) {
  if (now >= resume_at_) {
    resume_at_ = kNever;
    for (const auto& listener : listeners_) (void)loop_.modify_fd(listener->fd.get(), EPOLLIN);
  }
  while (const sip::ConnectionId id = connections_.pop_due(now)) {
    if (SipConnection* connection = find(id)) connection->on_deadline(now);
    settle(id, now);
  }
}

}  // namespace ifgw::adapters
