// An append-only file of lines. A line that does not fit is taken back whole, so that a full disk leaves no half line;
// where that cannot be (a pipe, a file that may only grow) the next line starts a new one.
//
// append() is synchronous on purpose: the record is with the kernel before the answer it is about leaves, so that no
// crash of ours loses it. It costs a copy into the page cache; only when a disk is so far behind that the kernel holds
// writers back does the caller wait, so the file belongs on a local disk. open() and reopen() wait for the file system
// too. A pipe or device is never waited for: when it is full, append() fails like on a full disk.
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
  bool torn_ = false;  // what was written last does not end in a line feed
  std::uint64_t failures_ = 0;
  std::string last_error_;
};

}  // namespace ifgw::adapters
