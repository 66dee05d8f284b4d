#include "dataplane/runtime/attach_server.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ifgw::runtime {
namespace {

constexpr Duration kRequestTimeout = std::chrono::seconds(1);
constexpr std::size_t kMaxPending = 8;
constexpr std::size_t kMaxRetired = 4;  // ring regions; a worker lets go within 10 ms
constexpr int kPassRights = 83;         // SO_PASSRIGHTS of Linux 6.16, which these headers do not name

std::string text(api::AttachStatus status, const api::AttachRequest& request) {
  switch (status) {
    case api::AttachStatus::Welcome: return "welcome";
    case api::AttachStatus::NotIfgw: return "not an ifgw client";
    case api::AttachStatus::VersionMismatch:
      return "it speaks contract version " + std::to_string(request.version) + ", this dataplane " + std::to_string(api::kContractVersion) +
             ": install both from the same release";
    case api::AttachStatus::SizeMismatch: return "same contract version, but other message sizes: a different build";
    case api::AttachStatus::PeerRefused: return "user may not attach";
    case api::AttachStatus::Busy: return "another control plane is attached";
    case api::AttachStatus::OutOfMemory: return "no memory for the rings";
  }
  return "?";
}

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return Error{"--socket: path \"" + path + "\" must have 1 to " + std::to_string(sizeof address.sun_path - 1) + " bytes"};
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// Binds, replacing a socket file that nobody listens on.
Status bind_listener(int fd, const std::string& path) {
  auto address = unix_address(path);
  if (!address) return address.error();
  const auto* generic = reinterpret_cast<const sockaddr*>(&*address);
  if (bind(fd, generic, sizeof *address) == 0) return Success{};
  if (errno != EADDRINUSE) return Error{"--socket " + path + ": " + std::strerror(errno)};
  const Fd probe(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (connect(probe.get(), generic, sizeof *address) == 0) return Error{"--socket " + path + ": another dataplane is running on it"};
  if (errno != ECONNREFUSED) return Error{"--socket " + path + ": exists and is not a socket of ours (" + std::strerror(errno) + ")"};
  unlink(path.c_str());
  if (bind(fd, generic, sizeof *address) != 0) return Error{"--socket " + path + ": " + std::strerror(errno)};
  return Success{};
}

bool watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

void WorkerLink::wake() noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);  // publish before looking whether it sleeps
  if (sleeps.load(std::memory_order_relaxed) != 0) eventfd_write(doorbell.get(), 1);
}

WorkerRings* WorkerLink::take() noexcept {
  // Said to be taken before it is used, and looked at once more: what was withdrawn in between may be freed already.
  WorkerRings* rings = offered.load(std::memory_order_acquire);
  while (true) {
    taken.store(rings, std::memory_order_seq_cst);
    WorkerRings* still = offered.load(std::memory_order_seq_cst);
    if (still == rings) return rings;
    rings = still;
  }
}

AttachServer::AttachServer(AttachServerConfig config, CounterRegion& counters, std::vector<std::unique_ptr<WorkerLink>>& links)
    : config_(std::move(config)), counters_(counters), links_(links) {}

Result<std::unique_ptr<AttachServer>> AttachServer::start(AttachServerConfig config, CounterRegion& counters,
                                                          std::vector<std::unique_ptr<WorkerLink>>& links) {
  std::unique_ptr<AttachServer> server(new AttachServer(std::move(config), counters, links));
  Fd listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return Error{std::string("socket(AF_UNIX): ") + std::strerror(errno)};
  const int no = 0;  // connections take after the listener; an older kernel refuses, which is all it can do
  (void)setsockopt(listener.get(), SOL_SOCKET, kPassRights, &no, sizeof no);
  const std::string& path = server->config_.socket_path;
  if (const Status bound = bind_listener(listener.get(), path); !bound) return bound.error();
  server->listener_ = std::move(listener);
  if (chown(path.c_str(), static_cast<uid_t>(-1), server->config_.socket_group) != 0 ||
      chmod(path.c_str(), server->config_.socket_mode) != 0)
    return Error{"--socket " + path + ": cannot set its group and mode: " + std::strerror(errno)};
  if (listen(server->listener_.get(), 16) != 0) return Error{"--socket " + path + ": " + std::strerror(errno)};
  server->epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  if (!server->epoll_ || !watch(server->epoll_.get(), server->listener_.get())) return Error{std::string("epoll: ") + std::strerror(errno)};
  return server;
}

AttachServer::~AttachServer() {
  if (client_) detach("dataplane stops");
  if (listener_) unlink(config_.socket_path.c_str());
}

void AttachServer::report(const std::string& line) const {
  if (on_report) on_report(line);
}

void AttachServer::on_ready(Instant now) {
  std::array<epoll_event, 4> events;  // the rest is told the next time
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    // An earlier event may have closed it, and its number may be another connection's now: that one has nothing to read.
    const int fd = events[static_cast<std::size_t>(i)].data.fd;
    if (fd == listener_.get())
      accept_one(now);
    else if (fd == client_.get())
      on_client_readable();
    else
      on_pending_readable(fd);
  }
}

// A client is judged by its user before it is listened to, so that strangers take no place.
void AttachServer::accept_one(Instant now) {
  Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) return;
  ucred peer{};
  socklen_t peer_size = sizeof peer;
  if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) != 0) return;
  if (peer.uid != 0 && peer.uid != geteuid() && peer.uid != config_.allowed_uid) {
    api::AttachRequest unread;  // what is left in the socket would reset the connection before the answer is read
    (void)recv(fd.get(), &unread, sizeof unread, MSG_DONTWAIT);
    return refuse(fd.get(), peer, api::AttachStatus::PeerRefused, text(api::AttachStatus::PeerRefused, {}));
  }
  if (pending_.size() == kMaxPending) {
    report("attach: a client connected and said nothing, others wait");
    pending_.erase(pending_.begin());
  }
  if (watch(epoll_.get(), fd.get())) pending_.push_back({std::move(fd), peer, now});
}

void AttachServer::on_second(Instant now) {
  free_retired();
  while (!pending_.empty() && now - pending_.front().since >= kRequestTimeout) {
    report("attach: a client connected and said nothing");
    pending_.erase(pending_.begin());
  }
}

void AttachServer::on_pending_readable(int fd) {
  const auto at = std::find_if(pending_.begin(), pending_.end(), [fd](const Pending& p) { return p.connection.get() == fd; });
  if (at == pending_.end()) return;
  api::AttachRequest request;
  const ssize_t length = recv(fd, &request, sizeof request, MSG_DONTWAIT | MSG_TRUNC);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  Pending asking = std::move(*at);
  pending_.erase(at);
  // The dead holder's end may still be unread: see to it before a new client is told "busy".
  if (client_) on_client_readable();
  const api::AttachStatus status = judge(request, length);
  if (status != api::AttachStatus::Welcome) return refuse(asking.connection.get(), asking.peer, status, text(status, request));
  welcome(std::move(asking.connection), asking.peer);
}

api::AttachStatus AttachServer::judge(const api::AttachRequest& request, ssize_t length) const {
  // Magic and version come first in every version; only then is a length or size of another one a mismatch.
  constexpr auto kPrefix = static_cast<ssize_t>(offsetof(api::AttachRequest, sizes));
  if (length < kPrefix || request.magic != api::kAttachMagic) return api::AttachStatus::NotIfgw;
  if (request.version != api::kContractVersion) return api::AttachStatus::VersionMismatch;
  if (length != static_cast<ssize_t>(sizeof request) || !(request.sizes == api::ContractSizes{})) return api::AttachStatus::SizeMismatch;
  if (client_) return api::AttachStatus::Busy;
  return api::AttachStatus::Welcome;
}

void AttachServer::welcome(Fd connection, const ucred& peer) {
  free_retired();
  if (retired_.size() == kMaxRetired)
    return refuse(connection.get(), peer, api::AttachStatus::OutOfMemory, "a worker stands still and keeps the rings of earlier clients");
  api::AttachReply reply = config_.welcome;
  reply.counter_page_bytes = static_cast<std::uint32_t>(counters_.page_bytes());
  auto rings = RingRegion::create(reply.rings, reply.workers);
  if (!rings) return refuse(connection.get(), peer, api::AttachStatus::OutOfMemory, rings.error().message);
  rings_ = std::move(rings).value();
  client_ = std::move(connection);
  client_pid_ = peer.pid;
  counters_.process().attaches.add(1);
  offer(rings_.get());
  std::vector<int> fds{rings_->fd(), counters_.fd(), rings_->client_end()};
  for (std::size_t w = 0; w < links_.size(); ++w) fds.push_back(rings_->worker(w).doorbell);
  const bool sent = send_reply(client_.get(), reply, fds);
  rings_->close_client_end();
  if (!sent) return detach("gone before it was answered");
  report("control plane attached: pid " + std::to_string(peer.pid) + " uid " + std::to_string(peer.uid));
}

// Says nothing about us but what the client needs to be told.
void AttachServer::refuse(int fd, const ucred& peer, api::AttachStatus status, const std::string& why) {
  api::AttachReply refusal;
  refusal.status = status;
  refusal.holder_pid = static_cast<std::uint32_t>(client_pid_);
  counters_.process().attach_refusals.add(1);
  send_reply(fd, refusal, {});
  report("attach refused for pid " + std::to_string(peer.pid) + " uid " + std::to_string(peer.uid) + ": " + why);
}

bool AttachServer::send_reply(int fd, const api::AttachReply& reply, const std::vector<int>& fds) {
  iovec data{const_cast<api::AttachReply*>(&reply), sizeof reply};
  std::vector<char> control(CMSG_SPACE(sizeof(int) * (fds.empty() ? 1 : fds.size())));
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(sizeof reply);
}

void AttachServer::on_client_readable() {
  char byte = 0;
  const ssize_t got = recv(client_.get(), &byte, 1, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  detach(got > 0 ? "it wrote to the attach socket, which is not in the contract" : "it closed, or died");
}

void AttachServer::check_corruption() {
  for (const auto& link : links_) {
    if (!link->corrupt.exchange(false) || !client_) continue;
    counters_.process().corrupt_rings.add(1);
    return detach("it wrote an impossible ring index");
  }
}

void AttachServer::detach(const std::string& why) {
  offer(nullptr);
  retired_.push_back(std::move(rings_));
  client_ = Fd();
  counters_.process().detaches.add(1);
  report("control plane pid " + std::to_string(client_pid_) + " detached: " + why + "; calls go on");
  client_pid_ = 0;
}

void AttachServer::offer(RingRegion* region) {
  for (std::size_t w = 0; w < links_.size(); ++w) {
    links_[w]->offered.store(region == nullptr ? nullptr : &region->worker(w), std::memory_order_seq_cst);
    eventfd_write(links_[w]->doorbell.get(), 1);
  }
}

// See WorkerLink::take(): a worker that has not said that it took them, after they were withdrawn, never will use them.
void AttachServer::free_retired() {
  std::erase_if(retired_, [this](const auto& region) {
    for (std::size_t w = 0; w < links_.size(); ++w)
      if (links_[w]->taken.load(std::memory_order_seq_cst) == &region->worker(w)) return false;
    return true;
  });
}

}  // namespace ifgw::runtime
