// One request to the control plane over its admin socket.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "codecs/base/result.h"

namespace ifgw::cli {

using Json = nlohmann::ordered_json;

inline constexpr int kTimeoutSeconds = 10;

// Connects, asks, reads one line. The Error says what the operator can do. `refused` of the response is an Error too;
// position is 2 for a usage error and 1 for every other (the exit code).
Result<Json> ask(const std::string& socket_path, const std::string& command, const Json& args);

}  // namespace ifgw::cli
