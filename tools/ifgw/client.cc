#include "tools/ifgw/client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "controlplane/admin/protocol.h"

namespace ifgw::cli {
namespace {

constexpr std::size_t kMaxResponseBytes = 256 * 1024 * 1024;
constexpr std::size_t kFailedExit = 1;
constexpr std::size_t kUsageExit = 2;

struct Descriptor {
  explicit Descriptor(int n) : fd(n) {}
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd;
};

Error connect_error(const std::string& path, int code) {
  const std::string text = "no control plane at " + path + ": " + std::strerror(code);
  if (code == ENOENT || code == ECONNREFUSED)
    return Error{text + "\nIs ifgw-controlplane running? With another [admin] socket use: ifgw -s PATH", kFailedExit};
  if (code == EACCES)
    return Error{text + "\nRun ifgw as root, as the gateway's user, or as one of its group ([admin] mode, uids)", kFailedExit};
  return Error{text, kFailedExit};
}

Result<std::string> read_line(int fd) {
  std::string line;
  std::array<char, 65536> bytes;
  while (line.size() < kMaxResponseBytes) {
    const ssize_t got = recv(fd, bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN)
      return Error{"the control plane did not answer within " + std::to_string(kTimeoutSeconds) + " s", kFailedExit};
    if (got <= 0) return Error{"the control plane closed the connection without an answer", kFailedExit};
    line.append(bytes.data(), static_cast<std::size_t>(got));
    if (line.back() == '\n') return line;
  }
  return Error{"the answer is too long", kFailedExit};
}

}  // namespace

Result<Json> ask(const std::string& socket_path, const std::string& command, const Json& args) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path) return Error{"-s: the path is longer than a Unix socket's may be", kUsageExit};
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  const Descriptor socket_fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const timeval timeout{kTimeoutSeconds, 0};
  (void)setsockopt(socket_fd.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  (void)setsockopt(socket_fd.fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  if (connect(socket_fd.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return connect_error(socket_path, errno);
  const std::string request =
      Json{{"id", 1}, {"command", command}, {"args", args}}.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  // A refusal may come, and the connection end, before the request is taken: the answer is what counts.
  (void)send(socket_fd.fd, request.data(), request.size(), MSG_NOSIGNAL);
  auto line = read_line(socket_fd.fd);
  if (!line.ok()) return line.error();
  Json response = Json::parse(*line, nullptr, false);
  if (!response.is_object() || !response.contains("ok")) return Error{"the answer is no response of the admin protocol", kFailedExit};
  if (response["ok"] == true) return response["result"];
  const std::string error = response.value("error", "refused without a reason");
  return Error{error, response.value("code", "") == admin::kUsage ? kUsageExit : kFailedExit};
}

}  // namespace ifgw::cli
