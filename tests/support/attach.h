// Attaching for programs that have no event loop: tests, tools, benches.
#pragma once

#include <poll.h>

#include <cerrno>
#include <memory>
#include <string>

#include "controlplane/adapters/dataplane_attach.h"

namespace ifgw::test {

// Blocks until the answer is there, for at most one second.
inline Result<std::unique_ptr<adapters::DataplaneLink>> attach(const std::string& socket_path) {
  auto attempt = adapters::DataplaneAttach::begin(socket_path);
  if (!attempt) return attempt.error();
  pollfd answer{attempt->fd(), POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&answer, 1, 1000);
  } while (ready < 0 && errno == EINTR);
  if (ready != 1) return Error{"dataplane at " + socket_path + " did not answer within 1 s"};
  return attempt->finish();
}

}  // namespace ifgw::test
