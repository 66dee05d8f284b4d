#include "dataplane/runtime/doorbell.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

namespace ifgw::runtime {
namespace {

Error system_error(const std::string& what) { return Error{what + ": " + std::strerror(errno)}; }

ssize_t read_now(int fd) noexcept {
  std::uint64_t count = 0;
  const iovec part{&count, sizeof count};
  return preadv2(fd, &part, 1, -1, RWF_NOWAIT);
}

}  // namespace

Result<Fd> make_worker_doorbell() {
  Fd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) return system_error("eventfd");
  // A bell that cannot be silenced would never let its worker sleep.
  if (read_now(fd.get()) >= 0 || errno != EAGAIN) return system_error("reading an eventfd with RWF_NOWAIT (Linux 5.8 or later is needed)");
  return fd;
}

void silence(int worker_doorbell) noexcept { (void)read_now(worker_doorbell); }

Result<ClientDoorbell> make_client_doorbell() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return system_error("socketpair");
  ClientDoorbell bell{Fd(ends[0]), Fd(ends[1])};
  if (shutdown(bell.ours.get(), SHUT_RD) != 0) return system_error("shutdown");
  return bell;
}

void ring(int client_doorbell) noexcept {
  const char anything = 0;
  (void)send(client_doorbell, &anything, sizeof anything, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace ifgw::runtime
