#include "controlplane/main/config_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "controlplane/adapters/unique_fd.h"

namespace ifgw::control {

Result<std::string> read_config_file(const std::string& path) {
  const auto unreadable = [&path](const std::string& why) { return Error{path + ": cannot be read: " + why}; };
  const adapters::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return unreadable(std::strerror(errno));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return unreadable(std::strerror(errno));
  if (S_ISDIR(status.st_mode)) return unreadable("is a directory: name the file in it");
  if (!S_ISREG(status.st_mode)) return unreadable("is no regular file: copy its content to one");
  std::string text;
  char part[16 * 1024];
  for (;;) {
    const ssize_t got = ::read(fd.get(), part, sizeof part);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unreadable(std::strerror(errno));
    if (got == 0) return text;
    text.append(part, static_cast<std::size_t>(got));
    if (text.size() > kMaxConfigBytes)
      return unreadable("has more than " + std::to_string(kMaxConfigBytes) + " bytes: no configuration needs that, check the name");
  }
}

}  // namespace ifgw::control
