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

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

Result<Descriptor> connect_to(const std::string& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path) return Error{"-s: the path is longer than a Unix socket's may be", kUsageExit};
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  Descriptor connection{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const timeval timeout{kTimeoutSeconds, 0};
  (void)setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  (void)setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  if (connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return connect_error(socket_path, errno);
  return connection;
}

std::string request_line(int id, const std::string& command, const Json& args) {
  return Json{{"id", id}, {"command", command}, {"args", args}}.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Json> result_of(const Json& response) {
  if (!response.is_object() || !response.contains("ok")) return Error{"the answer is no response of the admin protocol", kFailedExit};
  if (response["ok"] == true) return response.value("result", Json::object());
  const std::string error = response.value("error", "refused without a reason");
  return Error{error, response.value("code", "") == admin::kUsage ? kUsageExit : kFailedExit};
}

Result<Json> ask(const std::string& socket_path, const std::string& command, const Json& args) {
  auto connection = connect_to(socket_path);
  if (!connection.ok()) return connection.error();
  const std::string request = request_line(1, command, args);
  // A refusal may come, and the connection end, before the request is taken: the answer is what counts.
  (void)send(connection->get(), request.data(), request.size(), MSG_NOSIGNAL);
  auto line = read_line(connection->get());
  if (!line.ok()) return line.error();
  return result_of(Json::parse(*line, nullptr, false));
}

}  // namespace ifgw::cli
