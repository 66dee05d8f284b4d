// An append-only file of lines. A line that does not fit is taken back whole, so that a full disk leaves no half line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codecs/base/result.h"
#include "controlplane/adapters/unique_fd.h"
#include "controlplane/witness/witness_log.h"

namespace ifgw::adapters {

class FileSink : public witness::LineSink {
 public:
  // Creates the file (mode 0640) or appends to it. A torn last line of a crash gets its line feed, so that it cannot
  // swallow the next one.
  static Result<FileSink> open(const std::string& path);

  bool append(std::string_view line) override;
  // To the disk; false when that failed. Blocks: at stop only.
  bool sync();
  // Close and open again by name, after a rotation. On failure the old file stays in use.
  Status reopen();

  std::uint64_t failures() const noexcept { return failures_; }
  const std::string& last_error() const noexcept { return last_error_; }  // empty while the last append worked
  const std::string& path() const noexcept { return path_; }

 private:
  FileSink(std::string path, UniqueFd fd, std::int64_t size) : path_(std::move(path)), fd_(std::move(fd)), size_(size) {}
  bool failed(const char* what);

  std::string path_;
  UniqueFd fd_;
  std::int64_t size_;
  std::uint64_t failures_ = 0;
  std::string last_error_;
};

}  // namespace ifgw::adapters
