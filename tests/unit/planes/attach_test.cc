// The attach handshake and the rings, real server against real client, and the client killed at any moment.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/adapters/dataplane_link.h"
#include "dataplane/runtime/attach_server.h"
#include "dataplane/runtime/idle.h"

namespace ifgw {
namespace {

using adapters::DataplaneLink;
using runtime::AttachServer;

// The dataplane without packets: a main thread that serves attaches and one worker thread that echoes commands as
// CommandDone and datagrams back down-to-up, checking each one.
class Plane {
 public:
  explicit Plane(api::RingSizes rings = {16, 16, 8, 8}, bool huge_pages = false) {
    dir_ = std::filesystem::temp_directory_path() / ("ifgw-attach-" + std::to_string(getpid()) + "-" + std::to_string(counter_++));
    std::filesystem::create_directory(dir_);
    counters = std::make_unique<runtime::CounterRegion>(std::move(runtime::CounterRegion::create(1, 4, huge_pages)).value());
    config.socket_path = dir_ / "plane.sock";
    config.welcome.workers = 1;
    config.welcome.legs_per_worker = 4;
    config.welcome.rings = rings;
  }
  void start() {
    auto started = AttachServer::start(config, *counters, links);
    ASSERT_TRUE(started) << started.error().message;
    server = std::move(started).value();
    server->on_report = [this](const std::string& line) { reports.push_back(line); };
    worker_ = std::thread([this] { work(); });
    main_ = std::thread([this] { serve(); });
  }
  ~Plane() {
    stop_ = true;
    if (main_.joinable()) main_.join();
    server.reset();
    stop_worker_ = true;
    if (worker_.joinable()) worker_.join();
    std::filesystem::remove_all(dir_);
  }
  std::string path() const { return config.socket_path; }

  runtime::AttachServer* running() { return server.get(); }

  runtime::AttachServerConfig config;
  std::unique_ptr<runtime::CounterRegion> counters;
  std::vector<std::unique_ptr<runtime::WorkerLink>> links = one_link();
  std::unique_ptr<AttachServer> server;
  std::vector<std::string> reports;  // main thread's; read after the Plane's threads ended or when quiet
  std::atomic<std::uint64_t> echoed{0};
  std::atomic<std::uint64_t> torn{0};

 private:
  static std::vector<std::unique_ptr<runtime::WorkerLink>> one_link() {
    std::vector<std::unique_ptr<runtime::WorkerLink>> links;
    links.push_back(std::make_unique<runtime::WorkerLink>());
    links[0]->doorbell = runtime::Fd(eventfd(0, EFD_NONBLOCK));
    return links;
  }
  void serve() {
    while (!stop_) {
      pollfd fds[2] = {{server->listen_fd(), POLLIN, 0}, {server->client_fd(), POLLIN, 0}};
      poll(fds, server->client_fd() < 0 ? 1 : 2, 5);
      if (fds[0].revents != 0) server->on_listener_readable();
      if (server->client_fd() >= 0 && fds[1].revents != 0) server->on_client_readable();
      server->check_corruption();
    }
  }
  void work() {
    auto datagram = std::make_unique<api::Datagram>();
    runtime::WorkerRings* before = nullptr;
    while (!stop_worker_) {
      runtime::WorkerRings* rings = links[0]->offered.load(std::memory_order_acquire);
      if (rings != std::exchange(before, rings)) idle_.hear(rings == nullptr ? -1 : rings->doorbell);
      links[0]->taken.store(rings, std::memory_order_release);
      bool idle = true;
      if (rings != nullptr) {
        api::Command command;
        while (rings->commands.pop(command)) {
          idle = false;
          if (command.remove_leg.leg.value != (std::uint64_t{command.request_id} << 32 | command.request_id)) ++torn;
          api::Event event;
          event.type = api::EventType::CommandDone;
          event.sequence = ++rings->event_sequence;
          event.command_done = {};
          event.command_done.request_id = command.request_id;
          (void)rings->events.push(event);
          ++echoed;
        }
        while (rings->datagrams_down.pop(*datagram)) {
          idle = false;
          for (std::size_t i = 1; i < std::min<std::size_t>(datagram->header.length, api::kMaxDatagramPayload); ++i)
            if (datagram->payload[i] != datagram->payload[0]) {
              ++torn;
              break;
            }
          (void)rings->datagrams_up.push(*datagram);
        }
        if (rings->corrupt()) links[0]->corrupt = true;
        if (!idle) rings->wake_client();
      }
      if (!idle) idle_.busy();
      else if (idle_.tired()) sleep(rings);
    }
  }
  // As Worker does it.
  void sleep(runtime::WorkerRings* rings) {
    if (rings != nullptr) rings->flags->worker_sleeps.store(1);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (rings == nullptr || (rings->commands.empty() && rings->datagrams_down.empty())) idle_.sleep(std::chrono::milliseconds(10));
    if (rings != nullptr) rings->flags->worker_sleeps.store(0);
  }
  static inline int counter_ = 0;
  std::filesystem::path dir_;
  runtime::Idle idle_{{}, links[0]->doorbell.get(), false, false};
  std::atomic<bool> stop_{false};
  std::atomic<bool> stop_worker_{false};
  std::thread main_;
  std::thread worker_;
};

api::Command numbered(std::uint32_t n) {
  api::Command command;
  command.type = api::CommandType::RemoveLeg;
  command.request_id = n;
  command.remove_leg = {api::LegId{std::uint64_t{n} << 32 | n}};
  return command;
}

// Waits on the doorbell until one event is there; 5 s is for a machine under load, not a measurement.
bool await_event(DataplaneLink& link, api::Event& event) {
  for (int tries = 0; tries < 50; ++tries) {
    if (link.receive(0, std::span(&event, 1)) == 1) return true;
    if (!link.arm()) continue;
    pollfd fd{link.doorbell_fd(), POLLIN, 0};
    poll(&fd, 1, 100);
    link.disarm();
  }
  return false;
}

TEST(Attach, CommandGoesDownAndItsAnswerComesUpWithADoorbell) {
  Plane plane;
  plane.start();
  auto link = DataplaneLink::attach(plane.path());
  ASSERT_TRUE(link) << link.error().message;
  ASSERT_TRUE((*link)->send(0, numbered(7)));
  api::Event event;
  ASSERT_TRUE(await_event(**link, event));
  EXPECT_EQ(event.command_done.request_id, 7u);
  EXPECT_EQ(event.sequence, 1u);
}

TEST(Attach, SecondControlPlaneIsToldWhoHoldsIt) {
  Plane plane;
  plane.start();
  auto first = DataplaneLink::attach(plane.path());
  ASSERT_TRUE(first);
  const auto second = DataplaneLink::attach(plane.path());
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("pid " + std::to_string(getpid())), std::string::npos) << second.error().message;
}

TEST(Attach, TakesTheNextClientWhenTheFirstIsGone) {
  Plane plane;
  plane.start();
  for (int i = 0; i < 20; ++i) {
    auto link = DataplaneLink::attach(plane.path());
    ASSERT_TRUE(link) << "round " << i << ": " << link.error().message;
  }
  EXPECT_EQ(plane.counters->process().attaches.get(), 20u);
}

TEST(Attach, NobodyThereSaysWhatToDo) {
  const auto link = DataplaneLink::attach("/nonexistent/plane.sock");
  ASSERT_FALSE(link);
  EXPECT_NE(link.error().message.find("start ifgw-dataplane"), std::string::npos);
}

// A client of another version, written by hand.
api::AttachReply raw_attach(const std::string& path, const void* request, std::size_t bytes) {
  api::AttachReply reply;
  reply.magic = 0;
  const runtime::Fd fd(socket(AF_UNIX, SOCK_SEQPACKET, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(send(fd.get(), request, bytes, 0), static_cast<ssize_t>(bytes));
  EXPECT_EQ(recv(fd.get(), &reply, sizeof reply, 0), static_cast<ssize_t>(sizeof reply));
  return reply;
}

TEST(Attach, OtherVersionSizeAndNonsenseAreRefusedAndCounted) {
  Plane plane;
  plane.start();
  api::AttachRequest request;
  request.version = 99;
  api::AttachReply reply = raw_attach(plane.path(), &request, sizeof request);
  EXPECT_EQ(reply.status, api::AttachStatus::VersionMismatch);
  EXPECT_EQ(reply.version, api::kContractVersion);
  EXPECT_EQ(reply.workers, 0u) << "a refusal tells nothing about us";
  std::array<std::uint8_t, sizeof(api::AttachRequest) + 8> longer{};
  std::memcpy(longer.data(), &request, sizeof request);
  EXPECT_EQ(raw_attach(plane.path(), longer.data(), longer.size()).status, api::AttachStatus::VersionMismatch) << "a later version may say more";
  EXPECT_EQ(raw_attach(plane.path(), longer.data(), sizeof request - 8).status, api::AttachStatus::VersionMismatch) << "or less";
  request = {};
  EXPECT_EQ(raw_attach(plane.path(), &request, sizeof request - 8).status, api::AttachStatus::SizeMismatch);
  ++request.sizes.event;
  EXPECT_EQ(raw_attach(plane.path(), &request, sizeof request).status, api::AttachStatus::SizeMismatch);
  EXPECT_EQ(raw_attach(plane.path(), "hello", 5).status, api::AttachStatus::NotIfgw);
  const std::vector<char> huge(4096, 'x');
  EXPECT_EQ(raw_attach(plane.path(), huge.data(), huge.size()).status, api::AttachStatus::NotIfgw);
  EXPECT_EQ(plane.counters->process().attach_refusals.get(), 7u);
  EXPECT_TRUE(DataplaneLink::attach(plane.path())) << "and the door is still open";
}

TEST(Attach, UnprivilegedStrangerIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  Plane plane({16, 16, 8, 8}, true);  // an unprivileged client must be able to map huge pages, where there are any
  plane.config.socket_mode = 0666;  // the file lets anybody in: the peer check alone decides
  plane.config.allowed_uid = 12345;
  plane.start();
  const auto attach_as = [&](uid_t uid) {
    const pid_t child = fork();
    if (child == 0) {
      std::filesystem::permissions(std::filesystem::path(plane.path()).parent_path(), std::filesystem::perms(0755));
      if (setresuid(uid, uid, uid) != 0) _exit(3);
      const auto link = DataplaneLink::attach(plane.path());
      _exit(link ? 0 : link.error().message.find("does not accept user id " + std::to_string(uid)) != std::string::npos ? 1 : 2);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  };
  EXPECT_EQ(attach_as(65534), 1);
  EXPECT_EQ(attach_as(12345), 0);
}

TEST(Attach, ClientCannotWriteCountersNorResizeAnything) {
  Plane plane;
  plane.start();
  auto region = runtime::RingRegion::create({16, 16, 8, 8}, 1);
  ASSERT_TRUE(region);
  EXPECT_NE(ftruncate((*region)->fd(), 1 << 20), 0) << "sealed";
  EXPECT_NE(ftruncate((*region)->fd(), 0), 0) << "sealed";
  EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, plane.counters->fd(), 0), MAP_FAILED) << "read-only for others";
  EXPECT_NE(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, plane.counters->fd(), 0), MAP_FAILED);
}

// On a host without free 2 MB pages the region falls back, and this tests the same on ordinary ones.
TEST(Attach, CountersMayLieOnHugePages) {
  Plane plane({16, 16, 8, 8}, true);
  plane.start();
  plane.counters->legs(0)[3].tx_bytes.add(77);
  const auto link = DataplaneLink::attach(plane.path());
  ASSERT_TRUE(link) << link.error().message;
  EXPECT_EQ((*link)->welcome().counter_page_bytes, plane.counters->page_bytes());
  EXPECT_EQ((*link)->legs(0)[3].tx_bytes.get(), 77u);
  const std::size_t bytes = plane.counters->page_bytes();
  EXPECT_NE(ftruncate(plane.counters->fd(), static_cast<off_t>(2 * bytes)), 0) << "sealed";
  EXPECT_EQ(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, plane.counters->fd(), 0), MAP_FAILED) << "read-only for others";
}

TEST(Attach, ImpossibleIndexDetachesTheClientAndOnlyIt) {
  Plane plane;
  plane.start();
  {
    auto link = DataplaneLink::attach(plane.path());
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
  EXPECT_TRUE(DataplaneLink::attach(plane.path()));
}

// A client written by hand, with the descriptors as it was given them.
class HostileClient {
 public:
  explicit HostileClient(const std::string& path) {
    connection_ = runtime::Fd(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(connect(connection_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
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
  ~HostileClient() { munmap(rings_, bytes_); }
  HostileClient(const HostileClient&) = delete;
  HostileClient& operator=(const HostileClient&) = delete;

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

TEST(Attach, ClientThatFillsItsDoorbellsAndMakesThemBlockStopsNobody) {
  Plane plane;
  plane.start();
  {
    HostileClient client(plane.path());
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
  auto link = DataplaneLink::attach(plane.path());
  ASSERT_TRUE(link) << link.error().message;
  ASSERT_TRUE((*link)->send(0, numbered(7)));
  api::Event event;
  EXPECT_TRUE(await_event(**link, event));
}

// Whoever receives a descriptor closes it, and closing can take minutes. See doorbell.h.
TEST(Attach, DoorbellsCarryNoDescriptors) {
  Plane plane;
  plane.start();
  HostileClient client(plane.path());
  for (const runtime::Fd* bell : {&client.client_doorbell(), &client.worker_doorbell()}) {
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
    std::memset(CMSG_DATA(header), 0, sizeof(int));  // our standard input
    EXPECT_LT(sendmsg(bell->get(), &message, MSG_NOSIGNAL), 0);
    EXPECT_TRUE(errno == EPIPE || errno == ENOTSOCK) << std::strerror(errno);
  }
}

// An earlier client kept its descriptors: they are of no use to it against the next one.
TEST(Attach, DoorbellsOfAnEarlierClientRingNobody) {
  Plane plane;
  plane.start();
  auto earlier = std::make_unique<HostileClient>(plane.path());
  earlier->stop_reading();
  for (int i = 0; plane.counters->process().detaches.get() == 0 && i < 5000; ++i) usleep(1000);
  HostileClient later(plane.path());
  ASSERT_EQ(eventfd_write(later.worker_doorbell().get(), 1), 0);
  eventfd_t count = 0;
  fcntl(earlier->worker_doorbell().get(), F_SETFL, O_NONBLOCK);
  EXPECT_NE(eventfd_read(earlier->worker_doorbell().get(), &count), 0) << "it takes away the later one's ring";
}

// 200 clients under full load, each killed with SIGKILL at a random moment. Nothing torn may ever be seen, no attach
// may fail, and nothing may be left behind.
TEST(Attach, KilledTwoHundredTimesUnderLoadCorruptsNothing) {
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
      auto link = DataplaneLink::attach(plane.path());
      if (!link) _exit(9);
      std::vector<std::uint8_t> payload(1500);
      api::DatagramHeader header;
      header.remote = *Endpoint::parse("192.0.2.1:5060");
      std::array<api::Event, 8> events;
      for (std::uint32_t n = 1;; ++n) {
        (void)(*link)->send(0, numbered(n));
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
  auto last = DataplaneLink::attach(plane.path());
  ASSERT_TRUE(last) << last.error().message;
  last = Error{"closed"};
  EXPECT_EQ(plane.torn, 0u);
  EXPECT_EQ(plane.counters->process().corrupt_rings.get(), 0u);
  for (int i = 0; i < 5000 && open_fds() > fds_before; ++i) usleep(1000);
  EXPECT_LE(open_fds(), fds_before) << "descriptors leak";
}

}  // namespace
}  // namespace ifgw
