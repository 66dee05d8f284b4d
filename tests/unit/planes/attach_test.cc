// The attach handshake and the rings, real server against real link.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <array>
#include <cstring>

#include "tests/unit/planes/attach_rig.h"

namespace ifgw::test {
namespace {

TEST(Attach, CommandGoesDownAndItsAnswerComesUpWithADoorbell) {
  Plane plane;
  plane.start();
  auto link = test::attach(plane.path());
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
  auto first = test::attach(plane.path());
  ASSERT_TRUE(first);
  const auto second = test::attach(plane.path());
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("pid " + std::to_string(getpid())), std::string::npos) << second.error().message;
}

TEST(Attach, TakesTheNextClientWhenTheFirstIsGone) {
  Plane plane;
  plane.start();
  for (int i = 0; i < 20; ++i) {
    auto link = test::attach(plane.path());
    ASSERT_TRUE(link) << "round " << i << ": " << link.error().message;
  }
  EXPECT_EQ(plane.counters->process().attaches.get(), 20u);
}

TEST(Attach, SecondDataplaneIsRefusedAndTheFirstKeepsItsSocket) {
  Plane plane;
  plane.start();
  const auto second = runtime::AttachServer::start(plane.config, *plane.counters, plane.links);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("another dataplane"), std::string::npos) << second.error().message;
  const auto link = test::attach(plane.path());
  EXPECT_TRUE(link) << link.error().message;
}

TEST(Attach, NobodyThereSaysWhatToDo) {
  const auto link = test::attach("/nonexistent/plane.sock");
  ASSERT_FALSE(link);
  EXPECT_NE(link.error().message.find("start ifgw-dataplane"), std::string::npos);
}

// A client of another version, written by hand.
api::AttachReply raw_attach(const std::string& path, const void* request, std::size_t bytes) {
  api::AttachReply reply;
  reply.magic = 0;
  const runtime::Fd fd = connect_to(path);
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
  EXPECT_EQ(raw_attach(plane.path(), longer.data(), longer.size()).status, api::AttachStatus::VersionMismatch)
      << "a later version may say more";
  EXPECT_EQ(raw_attach(plane.path(), longer.data(), sizeof request - 8).status, api::AttachStatus::VersionMismatch) << "or less";
  request = {};
  EXPECT_EQ(raw_attach(plane.path(), &request, sizeof request - 8).status, api::AttachStatus::SizeMismatch);
  ++request.sizes.event;
  EXPECT_EQ(raw_attach(plane.path(), &request, sizeof request).status, api::AttachStatus::SizeMismatch);
  EXPECT_EQ(raw_attach(plane.path(), "hello", 5).status, api::AttachStatus::NotIfgw);
  const std::vector<char> huge(4096, 'x');
  EXPECT_EQ(raw_attach(plane.path(), huge.data(), huge.size()).status, api::AttachStatus::NotIfgw);
  EXPECT_EQ(plane.counters->process().attach_refusals.get(), 7u);
  EXPECT_TRUE(test::attach(plane.path())) << "and the door is still open";
}

TEST(Attach, UnprivilegedStrangerIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  Plane plane({16, 16, 8, 8}, true);  // an unprivileged client must be able to map huge pages, where there are any
  plane.config.socket_mode = 0666;    // the file lets anybody in: the peer check alone decides
  plane.config.allowed_uid = 12345;
  plane.start();
  const auto attach_as = [&](uid_t uid) {
    const pid_t child = fork();
    if (child == 0) {
      std::filesystem::permissions(std::filesystem::path(plane.path()).parent_path(), std::filesystem::perms(0755));
      if (setresuid(uid, uid, uid) != 0) _exit(3);
      const auto link = test::attach(plane.path());
      _exit(link ? 0 : link.error().message.find("does not accept user id " + std::to_string(uid)) != std::string::npos ? 1 : 2);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  };
  EXPECT_EQ(attach_as(65534), 1);
  EXPECT_EQ(attach_as(12345), 0);
}

bool hung_up(const runtime::Fd& connection, int within_ms) {
  pollfd fd{connection.get(), POLLIN, 0};
  char byte = 0;
  return poll(&fd, 1, within_ms) == 1 && recv(connection.get(), &byte, 1, MSG_DONTWAIT) == 0;
}

TEST(Attach, SilentClientsHoldUpNobody) {
  Plane plane;
  plane.start();
  std::vector<runtime::Fd> silent;
  for (int i = 0; i < 7; ++i) silent.push_back(connect_to(plane.path()));
  const auto link = test::attach(plane.path());
  ASSERT_TRUE(link) << link.error().message;
  for (const runtime::Fd& fd : silent) EXPECT_FALSE(hung_up(fd, 0)) << "it was not waited for, nor is its time over";
}

TEST(Attach, OldestSilentClientsMakeRoom) {
  Plane plane;
  plane.start();
  std::vector<runtime::Fd> silent;
  for (int i = 0; i < 12; ++i) silent.push_back(connect_to(plane.path()));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(hung_up(silent[i], 5000)) << i << " is beyond the eight that may wait";
  EXPECT_FALSE(hung_up(silent[4], 0));
}

TEST(Attach, ClientThatStaysSilentIsForgotten) {
  Plane plane;
  plane.start();
  const runtime::Fd silent = connect_to(plane.path());
  bool forgotten = false;
  for (int second = 0; second < 500 && !forgotten; ++second) {
    plane.now = plane.now.load() + std::chrono::seconds(1);
    forgotten = hung_up(silent, 10);
  }
  EXPECT_TRUE(forgotten);
  EXPECT_EQ(plane.counters->process().attach_refusals.get(), 0u) << "there was nothing to refuse";
}

TEST(Attach, StrangerIsRefusedBeforeItSaysAnything) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  Plane plane;
  plane.config.socket_mode = 0666;
  plane.start();
  const pid_t child = fork();
  if (child == 0) {
    std::filesystem::permissions(std::filesystem::path(plane.path()).parent_path(), std::filesystem::perms(0755));
    if (setresuid(65534, 65534, 65534) != 0) _exit(3);
    const runtime::Fd fd = connect_to(plane.path());
    api::AttachReply reply;
    _exit(recv(fd.get(), &reply, sizeof reply, 0) == sizeof reply && reply.status == api::AttachStatus::PeerRefused ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(Attach, WorkerThatStandsStillHoldsUpNeitherDetachNorAttach) {
  Plane plane;
  plane.start();
  auto first = test::attach(plane.path());
  ASSERT_TRUE(first);
  ASSERT_TRUE((*first)->send(0, numbered(1)));
  api::Event event;
  ASSERT_TRUE(await_event(**first, event)) << "the worker has the first one's rings";
  plane.worker_stands_still = true;
  first = Error{"closed"};
  auto second = test::attach(plane.path());
  ASSERT_TRUE(second) << second.error().message;
  ASSERT_TRUE((*second)->send(0, numbered(2)));
  plane.worker_stands_still = false;
  ASSERT_TRUE(await_event(**second, event));
  EXPECT_EQ(event.command_done.request_id, 2u);
}

TEST(Attach, ClientCannotWriteCountersNorResizeAnything) {
  Plane plane;
  plane.start();
  auto region = runtime::RingRegion::create({16, 16, 8, 8}, 1);
  ASSERT_TRUE(region);
  EXPECT_NE(ftruncate((*region)->fd(), 1 << 20), 0) << "sealed";
  EXPECT_NE(ftruncate((*region)->fd(), 0), 0) << "sealed";
  EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, plane.counters->fd(), 0), MAP_FAILED) << "read-only for others";
  EXPECT_NE(fallocate(plane.counters->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0) << "nor emptied";
  EXPECT_NE(pwrite(plane.counters->fd(), "x", 1, 0), 1) << "nor written without mapping";
  EXPECT_NE(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, plane.counters->fd(), 0), MAP_FAILED);
}

// On a host without free 2 MB pages the region falls back, and this tests the same on ordinary ones.
TEST(Attach, CountersMayLieOnHugePages) {
  Plane plane({16, 16, 8, 8}, true);
  plane.start();
  plane.counters->legs(0)[3].tx_bytes.add(77);
  const auto link = test::attach(plane.path());
  ASSERT_TRUE(link) << link.error().message;
  EXPECT_EQ((*link)->welcome().counter_page_bytes, plane.counters->page_bytes());
  EXPECT_EQ((*link)->legs(0)[3].tx_bytes.get(), 77u);
  const std::size_t bytes = plane.counters->page_bytes();
  EXPECT_NE(ftruncate(plane.counters->fd(), static_cast<off_t>(2 * bytes)), 0) << "sealed";
  EXPECT_EQ(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, plane.counters->fd(), 0), MAP_FAILED) << "read-only for others";
}

// A dataplane may say anything; what is told on is in range.
TEST(Attach, CapturedPacketsAreCheckedWhenTheyAreReceived) {
  Plane plane;
  plane.start();
  auto link = test::attach(plane.path());
  ASSERT_TRUE(link);
  plane.worker_stands_still = true;
  api::RingProducer<api::Captured>& ring = plane.links[0]->offered.load()->captured;
  auto packet = std::make_unique<api::Captured>();
  const auto push = [&](const auto& change) {
    packet->header = api::CapturedHeader{};
    packet->header.direction = api::CaptureDirection::Outbound;
    packet->header.length = 3;
    packet->header.original_length = 60;
    packet->header.port = api::kMaxPorts - 1;
    packet->bytes[2] = 0x77;
    change(packet->header);
    ASSERT_TRUE(ring.push(*packet));
  };
  push([](api::CapturedHeader& h) { h.length = api::kMaxCapturedBytes + 1; });
  push([](api::CapturedHeader& h) { h.original_length = 2; });
  push([](api::CapturedHeader& h) { h.port = api::kMaxPorts; });
  push([](api::CapturedHeader& h) { h.direction = static_cast<api::CaptureDirection>(3); });
  push([](api::CapturedHeader& h) { h.dropped = 2; });
  push([](api::CapturedHeader& h) {
    h.dropped = 1;
    h.drop = static_cast<api::DropReason>(api::kDropReasonCount);
  });
  EXPECT_FALSE((*link)->arm()) << "something waits";
  push([](api::CapturedHeader& h) { h.capture = 9; });
  const api::Captured* seen = (*link)->receive_captured(0);
  ASSERT_NE(seen, nullptr);
  EXPECT_EQ(seen->header.capture, 9u);
  EXPECT_EQ(seen->bytes[2], 0x77);
  EXPECT_EQ((*link)->receive_captured(0), nullptr);
  EXPECT_EQ((*link)->invalid_messages(), 6u);
}

}  // namespace
}  // namespace ifgw::test
