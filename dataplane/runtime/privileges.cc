#include "dataplane/runtime/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace ifgw::runtime {
namespace {

constexpr std::uint32_t bit(int capability) { return 1u << capability; }
static_assert(CAP_NET_ADMIN < 32);

bool set_capabilities(std::uint32_t low) noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {{low, low, 0}, {0, 0, 0}};
  return syscall(SYS_capset, &header, data) == 0;
}

std::uint32_t permitted_capabilities() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  return syscall(SYS_capget, &header, data) == 0 ? data[0].permitted : 0;
}

// Everything that is called after start: polling and sending on the ports, waiting, the attach handshake, netlink,
// memory of an attach, and the way out.
constexpr int kAllowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(preadv2),
    // A card's configuration space is a file of vfio's.
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(socketpair),
    SCMP_SYS(shutdown),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    // DPDK's interrupt thread begins anew whenever a card adds or removes its interrupt.
    SCMP_SYS(epoll_create),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(accept4),
    SCMP_SYS(close),
    SCMP_SYS(getsockopt),
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(sched_yield),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(memfd_create),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fcntl),
    SCMP_SYS(eventfd2),
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(madvise),
    SCMP_SYS(mprotect),
    SCMP_SYS(brk),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(lseek),
    SCMP_SYS(ioctl),
    SCMP_SYS(geteuid),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(tgkill),
    SCMP_SYS(getrandom),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(unlink),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(rseq),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

}  // namespace

Result<UserId> find_user(const std::string& text) {
  UserId user;
  const auto colon = text.find(':');
  const std::string name = text.substr(0, colon);
  const auto number = [](const std::string& digits, auto& out) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return error == std::errc{} && end == digits.data() + digits.size();
  };
  if (number(name, user.uid)) {
    user.gid = user.uid;
  } else if (const passwd* entry = getpwnam(name.c_str()); entry != nullptr) {
    user = {entry->pw_uid, entry->pw_gid};
  } else {
    return Error{"user \"" + name + "\" does not exist: create it (adduser --system " + name + ") or give a numeric id"};
  }
  if (colon != std::string::npos && !number(text.substr(colon + 1), user.gid))
    return Error{"user \"" + text + "\": the group after ':' must be a number"};
  return user;
}

Result<std::string> drop_privileges(const UserId& user) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Error{std::string("prctl(PR_SET_NO_NEW_PRIVS): ") + std::strerror(errno)};
  if (geteuid() == 0 && user.uid != 0) {
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(0, nullptr) != 0 || setresgid(user.gid, user.gid, user.gid) != 0 ||
        setresuid(user.uid, user.uid, user.uid) != 0)
      return Error{"cannot become user " + std::to_string(user.uid) + ": " + std::strerror(errno)};
    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
  }
  const std::uint32_t keep = permitted_capabilities() & bit(CAP_NET_ADMIN);
  if (!set_capabilities(keep)) return Error{std::string("capset: ") + std::strerror(errno)};
  return "privileges: user " + std::to_string(geteuid()) + (keep != 0 ? ", CAP_NET_ADMIN in the main thread only" : ", no capabilities");
}

void drop_thread_capabilities() noexcept { set_capabilities(0); }

Status install_syscall_filter() {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter == nullptr) return Error{"seccomp: no memory"};
  int code = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
  if (code == 0) code = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);  // a call that is missing above is seen
  for (const int call : kAllowed)
    if (code == 0) code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
  if (code == 0) code = seccomp_load(filter);
  seccomp_release(filter);
  if (code != 0)
    return Error{std::string("cannot install the system call filter: ") + std::strerror(-code) + ". --no-syscall-filter starts without it"};
  return Success{};
}

}  // namespace ifgw::runtime
