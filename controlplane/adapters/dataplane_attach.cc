#include "controlplane/adapters/dataplane_attach.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace ifgw::adapters {
namespace {

Error refusal(const std::string& path, const api::AttachReply& reply) {
  const std::string who = "dataplane at " + path;
  switch (reply.status) {
    case api::AttachStatus::VersionMismatch:
      return Error{who + " speaks contract version " + std::to_string(reply.version) + ", this control plane " +
                   std::to_string(api::kContractVersion) + ": install both from the same release"};
    case api::AttachStatus::SizeMismatch:
      return Error{who + " was built from other sources (message sizes differ): install both from the same build"};
    case api::AttachStatus::PeerRefused:
      return Error{who + " does not accept user id " + std::to_string(geteuid()) + ": start it with --allow-user naming this user"};
    case api::AttachStatus::Busy: return Error{who + " is held by another control plane, pid " + std::to_string(reply.holder_pid)};
    case api::AttachStatus::OutOfMemory: return Error{who + " has no memory left for the rings"};
    default: return Error{who + " did not recognise the request: is it an ifgw dataplane?"};
  }
}

Error connect_error(const std::string& path, int why) {
  if (why == ENOENT || why == ECONNREFUSED)
    return Error{"no dataplane at " + path + ": start ifgw-dataplane, or correct [dataplane] socket"};
  if (why == EAGAIN) return Error{"dataplane at " + path + " takes no connections: it hangs or is stopped, see its log or restart it"};
  return Error{"dataplane at " + path + ": " + std::strerror(why)};
}

// One reply and the descriptors that came with it; its length, or -1 and errno.
ssize_t read_reply(int fd, api::AttachReply& reply, std::vector<UniqueFd>& fds) {
  iovec data{&reply, sizeof reply};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * (api::kAttachFixedFds + api::kMaxWorkers))];
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  if (got < 0) return got;
  for (cmsghdr* h = CMSG_FIRSTHDR(&message); h != nullptr; h = CMSG_NXTHDR(&message, h)) {
    if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int one = -1;
      std::memcpy(&one, CMSG_DATA(h) + i * sizeof one, sizeof one);
      fds.emplace_back(one);
    }
  }
  return got;
}

}  // namespace

Result<DataplaneAttach> DataplaneAttach::begin(const std::string& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.empty() || socket_path.size() >= sizeof address.sun_path)
    return Error{"dataplane socket path \"" + socket_path + "\" is empty or too long"};
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  UniqueFd fd{socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) return Error{std::string("socket(AF_UNIX): ") + std::strerror(errno)};
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return connect_error(socket_path, errno);
  const api::AttachRequest request;
  // One whose user may not attach is told so unasked, and finds the door closed.
  if (::send(fd.get(), &request, sizeof request, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof request) && errno != EPIPE)
    return Error{"dataplane at " + socket_path + " hung up before it was asked: " + std::strerror(errno)};
  return DataplaneAttach{socket_path, std::move(fd)};
}

Result<std::unique_ptr<DataplaneLink>> DataplaneAttach::finish() {
  api::AttachReply reply;
  std::vector<UniqueFd> fds;
  const ssize_t got = read_reply(connection_.get(), reply, fds);
  if (got < 0) return Error{"dataplane at " + path_ + " did not answer: " + std::strerror(errno)};
  if (got == 0) return Error{"dataplane at " + path_ + " hung up without an answer: see its log"};
  // A refusal of another version may have another length; magic, version and status are at the start of all of them.
  if (got < static_cast<ssize_t>(offsetof(api::AttachReply, sizes)) || reply.magic != api::kAttachMagic ||
      (got != static_cast<ssize_t>(sizeof reply) && reply.status == api::AttachStatus::Welcome))
    return Error{"the dataplane's answer is not of this contract: install both from the same release"};
  if (reply.status != api::AttachStatus::Welcome) return refusal(path_, reply);
  if (fds.empty()) return Error{"the descriptors of the dataplane at " + path_ + " did not arrive: no more open files (RLIMIT_NOFILE)?"};
  return DataplaneLink::map(std::move(connection_), reply, std::move(fds));
}

}  // namespace ifgw::adapters
