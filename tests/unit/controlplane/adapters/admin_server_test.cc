#include "controlplane/adapters/admin_server.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>

#include "controlplane/adapters/log.h"
#include "tests/support/call_world.h"

namespace ifgw::adapters {
namespace {

struct NoView : core::DataplaneView {
  core::AttachState attach_state() const override { return {}; }
  std::vector<core::LegView> legs(std::size_t) const override { return {}; }
  std::optional<core::LegView> leg(api::LegId) const override { return std::nullopt; }
  std::vector<core::WorkerView> workers() const override { return {}; }
  std::vector<core::PortView> ports() const override { return {}; }
  void list_sources(bool, std::size_t, SourcesDone done) override { pending.push_back(std::move(done)); }
  void block_source(const IpAddress&, Duration, Done) override {}
  void unblock_source(const IpAddress&, Done) override {}
  void list_prefixes(PrefixesDone done) override { done("", {}); }
  void start_capture(const api::StartCapture&, Done done) override { later.push_back(std::move(done)); }
  void stop_capture(const api::StartCapture&, Done done) override { later.push_back(std::move(done)); }
  std::vector<Done> later;
  std::uint64_t capture_lost(std::uint32_t, std::size_t) const override { return 0; }
  void exempt_prefix(const IpPrefix&, bool, Done) override {}
  std::vector<SourcesDone> pending;
};

class AdminServerTest : public ::testing::Test {
 protected:
  AdminServerTest()
      : path((std::filesystem::temp_directory_path() / ("ifgw_admin_" + std::to_string(getpid()))).string()),
        loop(std::move(EventLoop::create()).value()),
        admin(admin::AdminPorts{world.calls(), view, world.witness, "0.1", from_ns(0), {}, {}, [] { return std::int64_t{0}; }}) {
    std::filesystem::remove(path);
  }
  void open(std::size_t max_clients = 4) {
    auto opened = AdminServer::open(*loop, {path, 0600, {}, max_clients}, admin);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    server = std::move(opened).value();
  }
  UniqueFd connected() const {
    UniqueFd fd{socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  void rounds(int n = 6) {
    for (int i = 0; i < n; ++i) ASSERT_TRUE(loop->run_once(Duration::zero()).ok());
  }
  static void say(const UniqueFd& fd, const std::string& text) {
    ASSERT_EQ(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  static std::string hear(const UniqueFd& fd) {
    std::string text(1 << 20, '\0');
    const ssize_t got = recv(fd.get(), text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return got == 0 ? "(closed)" : text;
  }
  std::string path;
  test::CallWorld world;
  NoView view;
  std::unique_ptr<EventLoop> loop;
  admin::Admin admin;
  std::unique_ptr<AdminServer> server;
};

TEST_F(AdminServerTest, AnswersLinesHoweverTheyAreCut) {
  open();
  const UniqueFd client = connected();
  say(client, "{\"id\":1,\"comm");
  rounds();
  say(client, "and\":\"drops show\"}\n{\"id\":2,\"command\":\"calls show\"}\n");
  rounds();
  const std::string heard = hear(client);
  EXPECT_NE(heard.find("\"id\":1,\"ok\":true"), std::string::npos) << heard;
  EXPECT_NE(heard.find("\"id\":2,\"ok\":true"), std::string::npos) << heard;
}

TEST_F(AdminServerTest, WhatLastsEndsWithItsConnection) {
  open();
  const UniqueFd other = connected();
  UniqueFd client = connected();
  say(client, "{\"id\":1,\"command\":\"capture start\",\"args\":{\"source\":\"192.0.2.9\"}}\n");
  say(other, "{\"id\":1,\"command\":\"capture stop\"}\n");
  rounds();
  ASSERT_EQ(view.later.size(), 1u);
  view.later[0]("");
  EXPECT_NE(hear(other).find("no capture was started over this connection"), std::string::npos);
  EXPECT_EQ(admin.captures().active(), 1u);
  client.reset();
  rounds();
  ASSERT_EQ(view.later.size(), 2u) << "the capture is stopped";
  view.later[1]("");
  EXPECT_EQ(admin.captures().active(), 0u);
  EXPECT_EQ(world.witness.last("CAPTURE_ENDED")->details.at("rule"), "reader-gone");
}

TEST_F(AdminServerTest, KnowsWhatAClientHasNotTakenYet) {
  open();
  const UniqueFd client = connected();
  const int small = 4096;
  ASSERT_EQ(setsockopt(client.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
  EXPECT_EQ(server->unsent_bytes(1), 0u);
  for (int i = 0; i < 200; ++i) say(client, "{\"id\":1,\"command\":\"drops show\",\"args\":{\"all\":true}}\n");
  rounds(40);
  EXPECT_GT(server->unsent_bytes(1), 0u);
  for (int i = 0; i < 100 && server->unsent_bytes(1) != 0; ++i) {
    (void)hear(client);
    rounds();
  }
  EXPECT_EQ(server->unsent_bytes(1), 0u);
  EXPECT_EQ(server->unsent_bytes(99), 0u);
}

TEST_F(AdminServerTest, TheSocketHasTheConfiguredModeAndIsRemovedAtTheEnd) {
  open();
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
  server.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(AdminServerTest, AnOverlongRequestIsAnsweredAndTheClientCutOff) {
  open();
  const UniqueFd client = connected();
  say(client, std::string(admin::kMaxRequestBytes + 100, 'x'));
  rounds();
  EXPECT_NE(hear(client).find("longer than 16384 bytes"), std::string::npos);
  EXPECT_EQ(hear(client), "(closed)");
  EXPECT_EQ(server->clients(), 0u);
}

TEST_F(AdminServerTest, ClientsAreBounded) {
  open(2);
  const UniqueFd a = connected(), b = connected(), c = connected();
  rounds();
  EXPECT_EQ(server->clients(), 2u);
  EXPECT_EQ(server->refused(), 1u);
  EXPECT_NE(hear(c).find("too many clients"), std::string::npos);
}

TEST_F(AdminServerTest, OutOfDescriptorsItWaitsForSomeInsteadOfSpinning) {
  open();
  // A sanitizer needs descriptors to look at an object for the first time: not when there are none.
  rounds(1);
  log_line(LogSeverity::Info, "descriptors run out now");
  const UniqueFd client = connected();
  say(client, "{\"id\":1,\"command\":\"calls show\"}\n");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const UniqueFd next_free{dup(0)};
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next_free.get()) + 1;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  rounds(1);
  EXPECT_EQ(server->accept_failures(), 1u);
  const Instant began = read_clock();
  ASSERT_TRUE(loop->run_once(std::chrono::milliseconds{100}).ok());
  EXPECT_GE(read_clock() - began, std::chrono::milliseconds{100}) << "it slept though a client waits";
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  for (int i = 0; i < 50 && server->clients() == 0; ++i) ASSERT_TRUE(loop->run_once(std::chrono::milliseconds{100}).ok());
  rounds();
  EXPECT_NE(hear(client).find("\"ok\":true"), std::string::npos) << "served when there are descriptors again";
}

TEST_F(AdminServerTest, AnAnswerForAClientThatLeftIsDropped) {
  open();
  {
    const UniqueFd client = connected();
    say(client, "{\"command\":\"pike show\"}\n");
    rounds();
  }
  rounds();
  ASSERT_EQ(view.pending.size(), 1u);
  view.pending[0]("", {});
  EXPECT_EQ(server->clients(), 0u);
  // Nor does it matter that the server itself is gone.
  const UniqueFd client = connected();
  say(client, "{\"command\":\"pike show\"}\n");
  rounds();
  server.reset();
  view.pending[1]("", {});
}

TEST_F(AdminServerTest, ADeadSocketIsReplacedALiveOneAndAFileAreNot) {
  open();
  const auto second = AdminServer::open(*loop, {path, 0600, {}}, admin);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find("another control plane"), std::string::npos);
  server.reset();
  std::ofstream(path) << "x";
  EXPECT_FALSE(AdminServer::open(*loop, {path, 0600, {}}, admin).ok());
  std::filesystem::remove(path);
  {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const UniqueFd dead{socket(AF_UNIX, SOCK_STREAM, 0)};
    ASSERT_EQ(bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  open();
}

}  // namespace
}  // namespace ifgw::adapters
