#include "controlplane/adapters/admin_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace ifgw::adapters {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;

Error path_error(const std::string& path, const std::string& what) { return Error{"admin socket " + path + ": " + what}; }

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  return address;
}

// Somebody listens there.
bool is_live(const sockaddr_un& address) {
  const UniqueFd probe{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
}

}  // namespace

AdminServer::AdminServer(EventLoop& loop, AdminServerConfig config, admin::Admin& admin)
    : loop_(loop), config_(std::move(config)), admin_(admin) {}

AdminServer::~AdminServer() {
  *alive_ = false;
  for (auto& [id, client] : clients_) loop_.remove_fd(client.fd.get());
  (void)unlink(config_.path.c_str());
}

Result<std::unique_ptr<AdminServer>> AdminServer::open(EventLoop& loop, AdminServerConfig config, admin::Admin& admin) {
  const sockaddr_un address = address_of(config.path);
  if (config.path.size() >= sizeof address.sun_path) return path_error(config.path, "path is longer than a Unix socket's may be");
  struct stat info {};
  if (lstat(config.path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) return path_error(config.path, "exists and is no socket: remove it, or change [admin] socket");
    if (is_live(address)) return path_error(config.path, "another control plane listens there: stop it, or change [admin] socket");
    (void)unlink(config.path.c_str());
  }
  UniqueFd fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) return path_error(config.path, std::strerror(errno));
  // Made without any right, so that nobody gets in before its mode is set.
  const mode_t before = umask(0777);
  const int bound = bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int code = errno;
  umask(before);
  if (bound != 0) return path_error(config.path, std::string{std::strerror(code)} + ": make its folder, writable by the gateway's user");
  if (chmod(config.path.c_str(), config.mode) != 0 || listen(fd.get(), 16) != 0) return path_error(config.path, std::strerror(errno));
  std::unique_ptr<AdminServer> self{new AdminServer(loop, std::move(config), admin)};
  AdminServer* raw = self.get();
  auto acceptor = Acceptor::start(loop, std::move(fd), "admin socket " + raw->config_.path,
                                  [raw](UniqueFd client, const SocketAddress&, Instant) { raw->on_accepted(std::move(client)); });
  if (!acceptor.ok()) return acceptor.error();
  raw->acceptor_ = std::move(acceptor).value();
  return self;
}

bool AdminServer::allowed(std::uint32_t uid) const {
  return uid == 0 || uid == geteuid() || std::find(config_.uids.begin(), config_.uids.end(), std::int64_t{uid}) != config_.uids.end();
}

void AdminServer::on_accepted(UniqueFd fd) {
  ucred peer{};
  socklen_t length = sizeof peer;
  const bool known = getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0;
  if (!known || !allowed(peer.uid) || clients_.size() >= config_.max_clients) {
    ++refused_;
    const std::string_view why =
        clients_.size() >= config_.max_clients ? "too many clients" : "this user may not use the admin socket ([admin] uids)";
    const std::string line = "{\"id\":null,\"ok\":false,\"code\":\"failed\",\"error\":\"" + std::string{why} + "\"}\n";
    (void)send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL);
    return;
  }
  const std::uint64_t id = next_client_++;
  const int raw = fd.get();
  clients_.emplace(id, Client{std::move(fd), {peer.uid, peer.pid, id}, "", ""});
  Status added = loop_.add_fd(raw, EPOLLIN, [this, id](std::uint32_t events, Instant now) { on_ready(id, events, now); });
  if (!added.ok()) clients_.erase(id);
}

void AdminServer::on_ready(std::uint64_t id, std::uint32_t events, Instant now) {
  bool alive = true;
  if ((events & EPOLLOUT) != 0) alive = flush(id);
  if (alive && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) alive = read_some(id, now);
  if (!alive) close(id);
}

// False: the client is gone or broke a bound.
bool AdminServer::read_some(std::uint64_t id, Instant now) {
  std::array<char, kReadBytes> bytes;
  const auto it = clients_.find(id);
  if (it == clients_.end()) return false;
  const ssize_t got = recv(it->second.fd.get(), bytes.data(), bytes.size(), 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  if (it->second.closing) return true;
  it->second.in.append(bytes.data(), static_cast<std::size_t>(got));
  take_lines(id, now);
  const auto still = clients_.find(id);
  if (still == clients_.end()) return false;
  Client& client = still->second;
  if (client.in.size() > admin::kMaxRequestBytes) {
    client.closing = true;
    client.in.clear();
    reply(id, R"({"id":null,"ok":false,"code":"usage","error":"request line longer than 16384 bytes"})");
  }
  return flush(id);
}

void AdminServer::take_lines(std::uint64_t id, Instant now) {
  for (;;) {
    const auto it = clients_.find(id);
    if (it == clients_.end()) return;
    const std::size_t end = it->second.in.find('\n');
    if (end == std::string::npos || end > admin::kMaxRequestBytes) return;
    const std::string line = it->second.in.substr(0, end);
    it->second.in.erase(0, end + 1);
    admin_.handle(line, it->second.who, now, [this, id, alive = alive_](const std::string& response) {
      if (*alive) reply(id, response);
    });
  }
}

void AdminServer::reply(std::uint64_t id, const std::string& line) {
  const auto it = clients_.find(id);
  if (it == clients_.end()) return;
  it->second.out.append(line).append("\n");
  if (it->second.out.size() > config_.max_unsent_bytes || !flush(id)) {
    // Not here: a handler further up may still be using the client.
    loop_.defer([this, id, alive = alive_](Instant) {
      if (*alive) close(id);
    });
  }
}

// False: the client is done with.
bool AdminServer::flush(std::uint64_t id) {
  const auto it = clients_.find(id);
  if (it == clients_.end()) return false;
  Client& client = it->second;
  while (!client.out.empty()) {
    const ssize_t sent = send(client.fd.get(), client.out.data(), client.out.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return loop_.modify_fd(client.fd.get(), EPOLLIN | EPOLLOUT).ok();
    if (sent < 0) return false;
    client.out.erase(0, static_cast<std::size_t>(sent));
  }
  if (client.closing) return false;
  return loop_.modify_fd(client.fd.get(), EPOLLIN).ok();
}

void AdminServer::close(std::uint64_t id) {
  const auto it = clients_.find(id);
  if (it == clients_.end()) return;
  loop_.remove_fd(it->second.fd.get());
  clients_.erase(it);
  admin_.on_disconnected(id, loop_.now());
}

std::size_t AdminServer::unsent_bytes(std::uint64_t client) const {
  const auto it = clients_.find(client);
  return it == clients_.end() ? 0 : it->second.out.size();
}

}  // namespace ifgw::adapters
