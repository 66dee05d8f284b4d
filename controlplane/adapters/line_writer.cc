#include "controlplane/adapters/line_writer.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <string>

#include "codecs/base/check.h"

namespace ifgw::adapters {

static_assert(LineWriter::kMaxLine <= PIPE_BUF);

LineWriter::LineWriter(int fd) : fd_(fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0 || S_ISREG(info.st_mode)) return;
  if (S_ISSOCK(info.st_mode)) {
    kind_ = Kind::Socket;
    return;
  }
  own_ = UniqueFd{open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_WRONLY | O_NONBLOCK | O_APPEND | O_CLOEXEC | O_NOCTTY)};
  kind_ = own_ ? Kind::Reopened : Kind::Asked;
  if (own_) fd_ = own_.get();
}

// A pipe says yes when a page is free, which is as much as a line may have.
bool LineWriter::ready() const noexcept {
  pollfd asked{fd_, POLLOUT, 0};
  return poll(&asked, 1, 0) == 1 && (asked.revents & POLLOUT) != 0;
}

bool LineWriter::write(std::string_view line) noexcept {
  IFGW_CHECK(line.size() <= kMaxLine);
  if (kind_ == Kind::Asked && !ready()) return false;
  char feed = '\n';
  const std::size_t skip = torn_ ? 0 : 1;
  // Neither call writes through the pointers.
  std::array<iovec, 2> parts{{{&feed, 1}, {const_cast<char*>(line.data()), line.size()}}};
  msghdr message{};
  message.msg_iov = parts.data() + skip;
  message.msg_iovlen = parts.size() - skip;
  ssize_t written = 0;
  do {
    written = kind_ == Kind::Socket ? sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
                                    : writev(fd_, message.msg_iov, static_cast<int>(message.msg_iovlen));
  } while (written < 0 && errno == EINTR);
  if (written <= 0) return false;
  const bool whole = static_cast<std::size_t>(written) == line.size() + 1 - skip;
  torn_ = !whole;
  return whole;
}

}  // namespace ifgw::adapters
