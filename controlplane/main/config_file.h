// The configuration's file, read whole.
#pragma once

#include <cstddef>
#include <string>

#include "codecs/base/result.h"

namespace ifgw::control {

inline constexpr std::size_t kMaxConfigBytes = std::size_t{1} << 20;

// The text of a regular file of at most kMaxConfigBytes. Error: "PATH: cannot be read: why, and what to do". Never waits, as
// a pipe or a device would make it; nothing but regular files is read.
Result<std::string> read_config_file(const std::string& path);

}  // namespace ifgw::control
