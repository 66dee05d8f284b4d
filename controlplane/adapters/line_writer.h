// Whole lines to a descriptor that may be shared with others and whose reader may stop reading: a line goes at once or
// not at all.
//
// Pipes and terminals are opened anew without blocking, so that the description others share stays as it is; where that
// is not allowed (a pipe of another user) the writer asks first whether a line fits, which is exact for pipes. Sockets
// (the journal) are sent to without waiting. A regular file takes the line as fast as its disk does. One thread; write()
// allocates nothing.
#pragma once

#include <cstddef>
#include <string_view>

#include "controlplane/adapters/unique_fd.h"

namespace ifgw::adapters {

class LineWriter {
 public:
  static constexpr std::size_t kMaxLine = 4096;  // PIPE_BUF: what a pipe takes whole

  // `fd` stays the caller's and outlives this.
  explicit LineWriter(int fd);

  // `line` with its line feed, at most kMaxLine bytes. False: not written, or (a terminal) torn: then the next line
  // starts a new one.
  bool write(std::string_view line) noexcept;

 private:
  enum class Kind { File, Socket, Reopened, Asked };
  bool ready() const noexcept;

  int fd_;
  Kind kind_ = Kind::File;
  UniqueFd own_;
  bool torn_ = false;
};

}  // namespace ifgw::adapters
