// One request to the control plane over its admin socket.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "codecs/base/result.h"

namespace ifgw::cli {

using Json = nlohmann::ordered_json;

inline constexpr int kTimeoutSeconds = 10;

// A descriptor that is closed in the end.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

// Connected to the admin socket, with kTimeoutSeconds for each read and write. The Error is as that of ask().
Result<Descriptor> connect_to(const std::string& socket_path);
// A request line, as it is sent.
std::string request_line(int id, const std::string& command, const Json& args);
// What a response line says.
Result<Json> result_of(const Json& response);

// Connects, asks, reads one line. The Error says what the operator can do. `refused` of the response is an Error too;
// position is 2 for a usage error and 1 for every other (the exit code).
Result<Json> ask(const std::string& socket_path, const std::string& command, const Json& args);

}  // namespace ifgw::cli
