// One attempt to attach to a dataplane, without waiting: connect and ask at once, take the answer when it is there.
//
// One thread. Nothing blocks: a dataplane that hangs costs its caller nothing but the time the caller grants it, which
// is the caller's to measure. Ending the attempt (the destructor) hangs up, whatever the dataplane made of the request.
#pragma once

#include <memory>
#include <string>

#include "codecs/base/result.h"
#include "controlplane/adapters/dataplane_link.h"
#include "controlplane/adapters/unique_fd.h"

namespace ifgw::adapters {

class DataplaneAttach {
 public:
  // Connects and sends the request. An Error names the path and says what to do about it.
  static Result<DataplaneAttach> begin(const std::string& socket_path);

  // Readable when the answer is there or the dataplane hung up: call finish().
  int fd() const noexcept { return connection_.get(); }
  // Once, when fd() is readable. The link, never null, or an Error that says what to do; either way the attempt is over.
  // Maps and populates the rings: page faults for some megabytes, no waiting.
  Result<std::unique_ptr<DataplaneLink>> finish();

 private:
  DataplaneAttach(std::string path, UniqueFd connection) : path_(std::move(path)), connection_(std::move(connection)) {}

  std::string path_;
  UniqueFd connection_;
};

}  // namespace ifgw::adapters
