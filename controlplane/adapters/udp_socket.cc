#include "controlplane/adapters/udp_socket.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "controlplane/adapters/socket_address.h"

namespace ifgw::adapters {
namespace {

constexpr std::size_t kMaxDatagram = 65536;
constexpr int kReceiveBuffer = 4 * 1024 * 1024;
constexpr int kDatagramsPerRound = 64;  // then the loop's other work gets its turn
constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(in6_pktinfo));

bool set(int fd, int level, int option, int value) { return setsockopt(fd, level, option, &value, sizeof value) == 0; }

Error bind_error(const Endpoint& local) {
  const int code = errno;
  std::string text = "udp " + local.text() + ": " + std::strerror(code);
  if (code == EADDRINUSE) text += " (who: ss -ulnp sport = :" + std::to_string(local.port) + "; or change [sip] udp)";
  if (code == EACCES) text += " (ports below 1024 need CAP_NET_BIND_SERVICE)";
  return Error{text};
}

// The address a datagram was sent to, from the control data; absent when the kernel did not say.
IpAddress destination_of(msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      return IpAddress::v4(ntohl(info.ipi_addr.s_addr));
    }
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      std::array<std::uint8_t, 16> bytes;
      std::memcpy(bytes.data(), &info.ipi6_addr, bytes.size());
      return IpAddress::v6(bytes);
    }
  }
  return {};
}

void set_source(msghdr& message, void* control, const IpAddress& source) {
  message.msg_control = control;
  message.msg_controllen = source.is_v6() ? CMSG_SPACE(sizeof(in6_pktinfo)) : CMSG_SPACE(sizeof(in_pktinfo));
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  if (source.is_v6()) {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, source.bytes.data(), sizeof info.ipi6_addr);
    c->cmsg_level = IPPROTO_IPV6;
    c->cmsg_type = IPV6_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(c), &info, sizeof info);
  } else {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, source.bytes.data(), sizeof info.ipi_spec_dst);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(c), &info, sizeof info);
  }
}

}  // namespace

UdpSocket::UdpSocket(EventLoop& loop, UniqueFd fd, const Endpoint& local, Handler handler)
    : loop_(loop), fd_(std::move(fd)), local_(local), handler_(std::move(handler)), buffer_(kMaxDatagram) {}

UdpSocket::~UdpSocket() { loop_.remove_fd(fd_.get()); }

Result<std::unique_ptr<UdpSocket>> UdpSocket::open(EventLoop& loop, const Endpoint& local, Handler handler) {
  const bool v6 = local.ip.is_v6();
  UniqueFd fd{socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd) return bind_error(local);
  // Fragmenting is what this socket is for; an ICMP "too big" must not stop it.
  const bool options = v6 ? set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1) && set(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
                                set(fd.get(), IPPROTO_IPV6, IPV6_FREEBIND, 1)
                          : set(fd.get(), IPPROTO_IP, IP_PKTINFO, 1) && set(fd.get(), IPPROTO_IP, IP_FREEBIND, 1) &&
                                set(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  if (!options) return bind_error(local);
  (void)set(fd.get(), SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);  // what the system allows
  SocketAddress address = SocketAddress::from(local);
  if (bind(fd.get(), address.get(), address.length) != 0) return bind_error(local);
  address.length = sizeof address.storage;
  if (getsockname(fd.get(), address.get(), &address.length) != 0) return bind_error(local);
  std::unique_ptr<UdpSocket> self{new UdpSocket(loop, std::move(fd), address.endpoint(), std::move(handler))};
  UdpSocket* raw = self.get();
  if (Status status = loop.add_fd(raw->fd_.get(), EPOLLIN, [raw](std::uint32_t, Instant now) { raw->on_readable(now); }); !status.ok()) {
    return status.error();
  }
  return self;
}

void UdpSocket::on_readable(Instant now) {
  for (int i = 0; i < kDatagramsPerRound; ++i) {
    SocketAddress source;
    alignas(cmsghdr) std::array<char, kControlBytes> control;
    iovec part{buffer_.data(), buffer_.size()};
    msghdr message{};
    message.msg_name = source.get();
    message.msg_namelen = source.length;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t length = recvmsg(fd_.get(), &message, 0);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return;  // nothing left; an ICMP error of an earlier send is of no use here
    ++received_;
    Endpoint local{destination_of(message), local_.port};
    if (!local.present()) local = local_;
    handler_(source.endpoint(), local, Bytes{buffer_}.first(static_cast<std::size_t>(length)), now);
  }
}

bool UdpSocket::send(const Endpoint& destination, const Endpoint& local, Bytes payload) {
  SocketAddress address = SocketAddress::from(destination);
  alignas(cmsghdr) std::array<char, kControlBytes> control{};
  iovec part{const_cast<std::uint8_t*>(payload.data()), payload.size()};
  msghdr message{};
  message.msg_name = address.get();
  message.msg_namelen = address.length;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (local.present()) set_source(message, control.data(), local.ip);
  ssize_t result = 0;
  do {
    result = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  } while (result < 0 && errno == EINTR);
  const bool ok = result == static_cast<ssize_t>(payload.size());
  ++(ok ? sent_ : send_failures_);
  return ok;
}

}  // namespace ifgw::adapters
