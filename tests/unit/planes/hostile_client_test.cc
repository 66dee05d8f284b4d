// What a client may do to the dataplane at the worst: scribble, fill, make things block, die at any moment.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <array>
#include <cstring>
#include <random>

#include "tests/unit/planes/attach_rig.h"

namespace ifgw::test {
namespace {

TEST(HostileClient, ImpossibleIndexDetachesTheClientAndOnlyIt) {
  Plane plane;
  plane.start();
  {
    auto link = test::attach(plane.path());
    ASSERT_TRUE(link);
    pollfd gone{(*link)->connection_fd(), POLLIN, 0};
    ASSERT_TRUE((*link)->send(0, numbered(1)));
    api::Event event;
    ASSERT_TRUE(await_event(**link, event));
    for (std::uint32_t i = 0; i < 3; ++i) ASSERT_TRUE((*link)->send(0, numbered(2)));
    // The command ring's tail lies right behind the flags; /proc/self/maps finds the mapping.
    std::FILE* maps = std::fopen("/proc/self/maps", "r");
    ASSERT_NE(maps, nullptr);
    char line[512];
    std::vector<std::uintptr_t> at;
    while (std::fgets(line, sizeof line, maps) != nullptr)
      if (std::string(line).find("memfd:ifgw-rings") != std::string::npos) at.push_back(std::stoull(line, nullptr, 16));
    std::fclose(maps);
    ASSERT_FALSE(at.empty());
    reinterpret_cast<std::atomic<std::uint32_t>*>(at[0] + api::ring_layout({16, 16, 8, 8}).commands)->store(0x7FFFFFFF);
    ASSERT_EQ(poll(&gone, 1, 5000), 1) << "the dataplane did not hang up";
  }
  EXPECT_EQ(plane.counters->process().corrupt_rings.get(), 1u);
  EXPECT_TRUE(test::attach(plane.path()));
}

// A client written by hand, with the descriptors as it was given them.
class RawClient {
 public:
  explicit RawClient(const std::string& path) {
    connection_ = connect_to(path);
    const api::AttachRequest request;
    EXPECT_EQ(::send(connection_.get(), &request, sizeof request, 0), static_cast<ssize_t>(sizeof request));
    api::AttachReply reply;
    iovec data{&reply, sizeof reply};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 4)> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    EXPECT_EQ(recvmsg(connection_.get(), &message, 0), static_cast<ssize_t>(sizeof reply));
    std::array<int, 4> fds;
    std::memcpy(fds.data(), CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fds);
    for (const int fd : fds) fds_.emplace_back(fd);
    bytes_ = api::ring_region_bytes(reply.rings, 1);
    rings_ = static_cast<std::uint8_t*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0));
    EXPECT_NE(rings_, MAP_FAILED);
    const api::RingLayout at = api::ring_layout(reply.rings);
    flags_ = reinterpret_cast<api::SleepFlags*>(rings_ + at.flags);
    commands_ = {rings_ + at.commands, reply.rings.commands};
  }
  ~RawClient() { munmap(rings_, bytes_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  const runtime::Fd& client_doorbell() const { return fds_[2]; }
  const runtime::Fd& worker_doorbell() const { return fds_[3]; }

  // Until the kernel takes no more, then in a way that whoever adds to it would wait.
  void fill_and_block_everything() {
    for (std::size_t i = 2; i < fds_.size(); ++i) {
      const int fd = fds_[i].get();
      fcntl(fd, F_SETFL, O_NONBLOCK);
      eventfd_t old = 0;
      const eventfd_t most = ~eventfd_t{0} - 1;
      if (::send(fd, &most, sizeof most, MSG_NOSIGNAL) < 0 && errno == ENOTSOCK) {
        eventfd_read(fd, &old);
        eventfd_write(fd, most);
      } else {
        while (::send(fd, &most, sizeof most, MSG_NOSIGNAL) > 0) {
        }
      }
      EXPECT_EQ(fcntl(fd, F_SETFL, 0), 0);
    }
    fcntl(connection_.get(), F_SETFL, 0);
  }
  // Claims to sleep, so that it has to be rung; rings, if only because its bell is full.
  bool command(const api::Command& command) {
    flags_->client_sleeps = 1;
    if (!commands_.push(command)) return false;
    fcntl(worker_doorbell().get(), F_SETFL, O_NONBLOCK);
    eventfd_write(worker_doorbell().get(), 1);
    fcntl(worker_doorbell().get(), F_SETFL, 0);
    return true;
  }
  void stop_reading() { connection_ = runtime::Fd(); }

 private:
  runtime::Fd connection_;
  std::vector<runtime::Fd> fds_;
  std::uint8_t* rings_ = nullptr;
  std::size_t bytes_ = 0;
  api::SleepFlags* flags_ = nullptr;
  api::RingProducer<api::Command> commands_;
};

TEST(HostileClient, ClientThatFillsItsDoorbellsAndMakesThemBlockStopsNobody) {
  Plane plane;
  plane.start();
  {
    RawClient client(plane.path());
    // More often than any queue is long: each is rung for, and nobody ever listens.
    for (std::uint32_t n = 1; n <= 1000; ++n) {
      if (n % 100 == 1) client.fill_and_block_everything();
      ASSERT_TRUE(client.command(numbered(n)));
      for (int i = 0; plane.echoed < n && i < 50'000; ++i) usleep(100);
      ASSERT_EQ(plane.echoed, n) << "the worker hangs";
    }
    client.fill_and_block_everything();
  }
  for (int i = 0; plane.counters->process().detaches.get() == 0 && i < 5000; ++i) usleep(1000);
  ASSERT_EQ(plane.counters->process().detaches.get(), 1u) << "the main thread hangs";
  auto link = test::attach(plane.path());
  ASSERT_TRUE(link) << link.error().message;
  ASSERT_TRUE((*link)->send(0, numbered(7)));
  api::Event event;
  EXPECT_TRUE(await_event(**link, event));
}

// Tries to send our standard input along; returns why it cannot be done, 0 when it can.
int send_descriptor(int socket) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memset(CMSG_DATA(header), 0, sizeof(int));
  return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

// Whoever receives a descriptor closes it, and closing can take minutes. See doorbell.h.
TEST(HostileClient, DoorbellsCarryNoDescriptors) {
  Plane plane;
  plane.start();
  RawClient client(plane.path());
  EXPECT_EQ(send_descriptor(client.client_doorbell().get()), EPIPE);
  EXPECT_EQ(send_descriptor(client.worker_doorbell().get()), ENOTSOCK);
}

TEST(HostileClient, ConnectionCarriesNoDescriptorsWhereTheKernelCanForbidIt) {
  const runtime::Fd probe(socket(AF_UNIX, SOCK_SEQPACKET, 0));
  const int no = 0;
  if (setsockopt(probe.get(), SOL_SOCKET, 83 /* SO_PASSRIGHTS */, &no, sizeof no) != 0) GTEST_SKIP() << "needs Linux 6.16";
  Plane plane;
  plane.start();
  const runtime::Fd connection = connect_to(plane.path());
  EXPECT_EQ(send_descriptor(connection.get()), EPERM);
}

// An earlier client kept its descriptors: they are of no use to it against the next one.
TEST(HostileClient, DoorbellsOfAnEarlierClientRingNobody) {
  Plane plane;
  plane.start();
  auto earlier = std::make_unique<RawClient>(plane.path());
  earlier->stop_reading();
  for (int i = 0; plane.counters->process().detaches.get() == 0 && i < 5000; ++i) usleep(1000);
  RawClient later(plane.path());
  ASSERT_EQ(eventfd_write(later.worker_doorbell().get(), 1), 0);
  eventfd_t count = 0;
  fcntl(earlier->worker_doorbell().get(), F_SETFL, O_NONBLOCK);
  EXPECT_NE(eventfd_read(earlier->worker_doorbell().get(), &count), 0) << "it takes away the later one's ring";
}

// 200 clients under full load, each killed with SIGKILL at a random moment. What a client was told is sent arrives whole, once and in
// order until it dies; no attach may fail, and nothing may be left behind.
TEST(HostileClient, KilledTwoHundredTimesUnderLoadCorruptsNothing) {
  Plane plane;
  plane.start();
  const auto open_fds = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator{});
  };
  const auto fds_before = open_fds();
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      auto link = test::attach(plane.path());
      if (!link) _exit(9);
      std::vector<std::uint8_t> payload(1500);
      api::DatagramHeader header;
      header.remote = *Endpoint::parse("192.0.2.1:5060");
      std::array<api::Event, 8> events;
      std::uint32_t sent = 0;
      for (std::uint32_t n = 1;; ++n) {
        if ((*link)->send(0, numbered(sent + 1))) ++sent;
        std::fill(payload.begin(), payload.end(), static_cast<std::uint8_t>(n));
        (void)(*link)->send_datagram(0, header, payload);
        if (n % 3 == 0) (void)(*link)->receive(0, events);
        while ((*link)->receive_datagram(0) != nullptr) {
        }
      }
    }
    const std::uint64_t before = plane.echoed;
    usleep(static_cast<useconds_t>(random() % 8000));
    // At least every tenth client is known to have been busy when it died.
    if (round % 10 == 0) {
      for (int i = 0; plane.echoed == before && i < 5000; ++i) usleep(1000);
      EXPECT_GT(plane.echoed, before) << "round " << round;
    }
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "client gave up by itself: attach refused in round " << round;
  }
  {
    const auto last = test::attach(plane.path());
    ASSERT_TRUE(last) << last.error().message;
  }
  EXPECT_EQ(plane.torn, 0u);
  EXPECT_EQ(plane.out_of_turn, 0u);
  EXPECT_EQ(plane.counters->process().corrupt_rings.get(), 0u);
  for (int i = 0; i < 5000 && open_fds() > fds_before; ++i) usleep(1000);
  EXPECT_LE(open_fds(), fds_before) << "descriptors leak";
}

}  // namespace
}  // namespace ifgw::test
