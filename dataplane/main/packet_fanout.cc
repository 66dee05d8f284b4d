// DPDK's af_packet driver joins its queues to a fanout group that reassembles IPv4 fragments (PACKET_FANOUT_FLAG_DEFRAG)
// and then cuts what is longer than a frame, so that a large SIP message would arrive as one malformed packet. The driver
// has no option for it. This setsockopt() takes the place of libc's for the driver, which is loaded later, and leaves the
// flag out: fragments come as they are on the wire, and are counted and reassembled like those of every other driver.
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

extern "C" __attribute__((visibility("default"))) int setsockopt(int fd, int level, int name, const void* value,
                                                                 socklen_t length) noexcept {
  int fanout = 0;  // group in the low half, mode and flags in the high half: packet(7)
  if (level == SOL_PACKET && name == PACKET_FANOUT && length == sizeof fanout) {
    std::memcpy(&fanout, value, sizeof fanout);
    fanout &= ~(PACKET_FANOUT_FLAG_DEFRAG << 16);
    value = &fanout;
  }
  return static_cast<int>(syscall(SYS_setsockopt, fd, level, name, value, length));
}
