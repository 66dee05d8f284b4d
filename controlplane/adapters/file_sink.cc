#include "controlplane/adapters/file_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace ifgw::adapters {
namespace {

constexpr mode_t kMode = 0640;

std::string error_text(const std::string& path, const char* what) { return path + ": " + what + ": " + std::strerror(errno); }

// Opens for appending and says how long the file is.
Result<std::pair<UniqueFd, std::int64_t>> open_file(const std::string& path) {
  UniqueFd fd{::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, kMode)};
  if (!fd) return Error{error_text(path, "cannot open for appending")};
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return Error{error_text(path, "cannot stat")};
  if (!S_ISREG(info.st_mode)) return std::pair{std::move(fd), std::int64_t{0}};  // a pipe or device: nothing to repair
  char last = '\n';
  if (info.st_size > 0 && pread(fd.get(), &last, 1, info.st_size - 1) != 1) return Error{error_text(path, "cannot read its last byte")};
  if (last != '\n' && write(fd.get(), "\n", 1) != 1) return Error{error_text(path, "cannot end its torn last line")};
  return std::pair{std::move(fd), std::int64_t{info.st_size} + (last == '\n' ? 0 : 1)};
}

}  // namespace

Result<FileSink> FileSink::open(const std::string& path) {
  auto file = open_file(path);
  if (!file.ok()) return file.error();
  return FileSink{path, std::move(file->first), file->second};
}

bool FileSink::failed(const char* what) {
  ++failures_;
  last_error_ = error_text(path_, what);
  return false;
}

bool FileSink::append(std::string_view line) {
  char feed = '\n';
  // writev does not write through its pointers.
  std::array<iovec, 3> parts{{{&feed, torn_ ? 1u : 0u}, {const_cast<char*>(line.data()), line.size()}, {&feed, 1}}};
  const auto wanted = static_cast<ssize_t>(parts[0].iov_len + line.size() + 1);
  ssize_t written = 0;
  do {
    written = writev(fd_.get(), parts.data(), static_cast<int>(parts.size()));
  } while (written < 0 && errno == EINTR);
  if (written == wanted) {
    size_ += wanted;
    torn_ = false;
    if (!last_error_.empty()) last_error_.clear();
    return true;
  }
  if (written >= 0) {
    errno = ENOSPC;
    (void)failed("cannot append");
    if (ftruncate(fd_.get(), size_) != 0) {
      size_ += written;
      torn_ = true;
    }
    return false;
  }
  return failed("cannot append");
}

bool FileSink::sync() { return fdatasync(fd_.get()) == 0 || failed("cannot sync"); }

Status FileSink::reopen() {
  auto file = open_file(path_);
  if (!file.ok()) return file.error();
  fd_ = std::move(file->first);
  size_ = file->second;
  torn_ = false;
  return Success{};
}

}  // namespace ifgw::adapters
