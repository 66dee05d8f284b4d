// The limit of open files (RLIMIT_NOFILE) against what the configuration asks for.
#pragma once

#include "codecs/base/result.h"
#include "controlplane/config/config.h"

namespace ifgw::control {

// Raises the soft limit to the hard one, before any connection is accepted. An Error when the hard limit cannot carry
// [sip] max_connections and what the process needs beside them: says by how much, and both ways out.
Status raise_open_files(const config::Config& config);

}  // namespace ifgw::control
