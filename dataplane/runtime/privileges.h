// What the dataplane gives up once it runs: every capability but CAP_NET_ADMIN in the main thread (the neighbour table
// needs it), its root user, and all system calls that moving packets does not need.
#pragma once

#include <sys/types.h>

#include <string>

#include "codecs/base/result.h"

namespace ifgw::runtime {

struct UserId {
  uid_t uid = 0;
  gid_t gid = 0;
};

// "name", "1234" or "1234:5678".
Result<UserId> find_user(const std::string& text);

// Main thread, before the workers are started, after the ports are. When root: becomes `user` in every thread of the
// process (others lose all capabilities by that); the caller keeps CAP_NET_ADMIN. When not root: keeps of its
// capabilities at most CAP_NET_ADMIN. Returns one line for the log.
Result<std::string> drop_privileges(const UserId& user);

// Each worker, first thing: gives up what it inherited from the main thread.
void drop_thread_capabilities() noexcept;

// Main thread, after the workers run: all threads lose every system call that is not on the list in privileges.cc.
// A refused call returns EPERM instead of ending the process: a fault must not cost calls. The kernel's log
// names it (SECCOMP, audit record 1326).
Status install_syscall_filter();

}  // namespace ifgw::runtime
