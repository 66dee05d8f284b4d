#include "dataplane/runtime/attach_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace ifgw::runtime {
namespace {

constexpr int kRequestTimeoutMs = 100;

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

}  // namespace

void WorkerLink::wake() noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);  // publish before looking whether it sleeps
  if (sleeps.load(std::memory_order_relaxed) != 0) eventfd_write(doorbell.get(), 1);
}

AttachServer::AttachServer(AttachServerConfig config, CounterRegion& counters, std::vector<std::unique_ptr<WorkerLink>>& links)
    : config_(std::move(config)), counters_(counters), links_(links) {}

Result<std::unique_ptr<AttachServer>> AttachServer::start(AttachServerConfig config, CounterRegion& counters,
                                                          std::vector<std::unique_ptr<WorkerLink>>& links) {
  std::unique_ptr<AttachServer> server(new AttachServer(std::move(config), counters, links));
  server->listener_ = Fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!server->listener_) return Error{std::string("socket(AF_UNIX): ") + std::strerror(errno)};
  const std::string& path = server->config_.socket_path;
  if (const Status bound = bind_listener(server->listener_.get(), path); !bound) return bound.error();
  if (chown(path.c_str(), static_cast<uid_t>(-1), server->config_.socket_group) != 0 || chmod(path.c_str(), server->config_.socket_mode) != 0)
    return Error{"--socket " + path + ": cannot set its group and mode: " + std::strerror(errno)};
  if (listen(server->listener_.get(), 4) != 0) return Error{"--socket " + path + ": " + std::strerror(errno)};
  return server;
}

AttachServer::~AttachServer() {
  if (client_) detach("dataplane stops");
  if (listener_) unlink(config_.socket_path.c_str());
}

void AttachServer::report(const std::string& line) const {
  if (on_report) on_report(line);
}

api::AttachStatus AttachServer::judge(const api::AttachRequest& request, ssize_t length, uid_t peer) const {
  // Magic and version come first in every version; only then is a length or size of another one a mismatch.
  constexpr auto kPrefix = static_cast<ssize_t>(offsetof(api::AttachRequest, sizes));
  if (length < kPrefix || request.magic != api::kAttachMagic) return api::AttachStatus::NotIfgw;
  if (peer != 0 && peer != geteuid() && peer != config_.allowed_uid) return api::AttachStatus::PeerRefused;
  if (request.version != api::kContractVersion) return api::AttachStatus::VersionMismatch;
  if (length != static_cast<ssize_t>(sizeof request) || !(request.sizes == api::ContractSizes{})) return api::AttachStatus::SizeMismatch;
  if (client_) return api::AttachStatus::Busy;
  return api::AttachStatus::Welcome;
}

void AttachServer::on_listener_readable() {
  Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!fd) return;
  // The dead holder's end may still be unread: see to it before a new client is told "busy".
  if (client_) on_client_readable();
  ucred peer{};
  socklen_t peer_size = sizeof peer;
  if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) != 0) return;
  pollfd wait{fd.get(), POLLIN, 0};
  if (poll(&wait, 1, kRequestTimeoutMs) != 1) return report("attach: a client connected and said nothing");
  api::AttachRequest request;
  const ssize_t length = recv(fd.get(), &request, sizeof request, MSG_DONTWAIT | MSG_TRUNC);

  api::AttachReply reply = config_.welcome;
  reply.counter_page_bytes = static_cast<std::uint32_t>(counters_.page_bytes());
  reply.status = judge(request, length, peer.uid);
  reply.holder_pid = static_cast<std::uint32_t>(client_pid_);
  if (reply.status == api::AttachStatus::Welcome) {
    auto rings = RingRegion::create(reply.rings, reply.workers);
    if (rings) rings_ = std::move(rings).value();
    else reply.status = api::AttachStatus::OutOfMemory;
  }
  const std::string who = "pid " + std::to_string(peer.pid) + " uid " + std::to_string(peer.uid);
  if (reply.status != api::AttachStatus::Welcome) {
    api::AttachReply refusal;  // says nothing about us but what the client needs to be told
    refusal.status = reply.status;
    refusal.holder_pid = reply.holder_pid;
    counters_.process().attach_refusals.add(1);
    send_reply(fd.get(), refusal, {});
    return report("attach refused for " + who + ": " + text(reply.status, request));
  }
  std::vector<int> fds{rings_->fd(), counters_.fd(), rings_->client_end()};
  for (std::size_t w = 0; w < links_.size(); ++w) fds.push_back(rings_->worker(w).doorbell);
  offer(rings_.get());
  client_ = std::move(fd);
  client_pid_ = peer.pid;
  counters_.process().attaches.add(1);
  const bool sent = send_reply(client_.get(), reply, fds);
  rings_->close_client_end();
  if (!sent) return detach("gone before it was answered");
  report("control plane attached: " + who);
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
  rings_.reset();
  client_ = Fd();
  counters_.process().detaches.add(1);
  report("control plane pid " + std::to_string(client_pid_) + " detached: " + why + "; calls go on");
  client_pid_ = 0;
}

void AttachServer::offer(RingRegion* region) {
  for (std::size_t w = 0; w < links_.size(); ++w) {
    links_[w]->offered.store(region == nullptr ? nullptr : &region->worker(w), std::memory_order_release);
    eventfd_write(links_[w]->doorbell.get(), 1);
  }
  // Every worker looks at its link once an iteration and never blocks longer than its doorbell: this ends soon.
  for (const auto& link : links_)
    while (link->taken.load(std::memory_order_acquire) != link->offered.load(std::memory_order_relaxed)) usleep(20);
}

}  // namespace ifgw::runtime
