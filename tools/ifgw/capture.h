// `ifgw capture`: asks the control plane for a capture and writes the file as it comes, with the rights of whoever runs it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "codecs/base/result.h"
#include "tools/ifgw/client.h"

namespace ifgw::cli {

struct CaptureOptions {
  std::string socket;
  std::string file;  // "-": standard output
  bool json = false;
  Json args;  // of "capture start"
};

// "10M": a whole number of bytes with K, M or G (of 1024) or without; at most 2^40.
std::optional<std::uint64_t> parse_size(std::string_view text);

// What a line of the control plane's means here.
struct CaptureLine {
  enum class Kind { Data, End, Other } kind = Kind::Other;
  std::string data;  // of the file, with Data
  Json response;     // with End
};
// Lines of a capture asked for as number 1. An Error: the line is of another protocol.
Result<CaptureLine> read_capture_line(std::string_view line);

// Runs until the capture has ended; SIGINT and SIGTERM end it. Says on standard error how it went. The exit code.
int capture(const CaptureOptions& options);

}  // namespace ifgw::cli
