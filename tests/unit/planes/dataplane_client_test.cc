// The control plane's client in its event loop, against dataplanes that do not do their part.
#include "controlplane/adapters/dataplane_client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <filesystem>

namespace ifgw::adapters {
namespace {

using namespace std::chrono_literals;

// Ticks every 10 ms and remembers the longest time between two ticks: how long anything held the loop.
struct Ticker final : DeadlineSource {
  Instant next_deadline() const override { return last + 10ms; }
  void on_deadline(Instant now) override {
    longest = std::max(longest, now - last);
    last = now;
  }
  Instant last = read_clock();
  Duration longest{};
};

class DataplaneClientTest : public ::testing::Test {
 protected:
  DataplaneClientTest()
      : path((std::filesystem::temp_directory_path() / ("ifgw_plane_" + std::to_string(getpid()))).string()),
        loop(std::move(EventLoop::create()).value()) {
    std::filesystem::remove(path);
    DataplaneClientHandlers handlers;
    handlers.on_media = [](const core::MediaEvent&, Instant) {};
    handlers.on_report = [this](const std::string& line, bool) { reports.push_back(line); };
    client.emplace(*loop, DataplaneClientConfig{path, {}}, std::move(handlers));
  }
  ~DataplaneClientTest() override { std::filesystem::remove(path); }

  // Listens, and does nothing else: what a stopped process looks like from outside.
  void listen() {
    listener = UniqueFd{socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener.get(), 0), 0);
  }
  bool reported(const std::string& words) const {
    return std::any_of(reports.begin(), reports.end(), [&](const std::string& line) { return line.find(words) != std::string::npos; });
  }
  // 10 s is for a machine under load, not a measurement.
  void run_until(const std::function<bool()>& done) {
    const Instant end = read_clock() + 10s;
    while (!done()) {
      ASSERT_LT(read_clock(), end);
      ASSERT_TRUE(loop->run_once(100ms).ok());
    }
  }

  std::string path;
  std::unique_ptr<EventLoop> loop;
  std::vector<std::string> reports;
  std::optional<DataplaneClient> client;
  UniqueFd listener;
};

TEST_F(DataplaneClientTest, NobodyThereIsKnownAtOnceAndSaysWhatToDo) {
  client->start(read_clock());
  EXPECT_TRUE(client->settled());
  EXPECT_TRUE(reported("start ifgw-dataplane"));
  EXPECT_TRUE(reported(path));
}

TEST_F(DataplaneClientTest, ADataplaneThatHangsHoldsNothingUp) {
  listen();
  Ticker ticker;
  loop->add_source(ticker);
  client->start(read_clock());
  EXPECT_FALSE(client->settled()) << "the answer is still awaited";
  run_until([&] { return client->settled(); });
  EXPECT_TRUE(reported("did not answer within 1 s"));
  EXPECT_FALSE(client->attached());
  // The connection that was given up still fills the queue of the listener.
  run_until([&] { return reported("takes no connections"); });
  EXPECT_LT(ticker.longest, 700ms) << "the loop stood still";
  loop->remove_source(ticker);
}

TEST_F(DataplaneClientTest, HangingUpWithoutAnAnswerIsReportedAndTriedAgain) {
  listen();
  client->start(read_clock());
  UniqueFd{accept(listener.get(), nullptr, nullptr)}.reset();
  run_until([&] { return client->settled(); });
  EXPECT_FALSE(client->attached());
  EXPECT_TRUE(client->attach_state().last_error.find(path) != std::string::npos) << client->attach_state().last_error;
  run_until([&] { return UniqueFd{accept(listener.get(), nullptr, nullptr)}.get() >= 0; });
}

TEST_F(DataplaneClientTest, AnAnswerOfAnotherProgramIsRefused) {
  listen();
  client->start(read_clock());
  UniqueFd server{accept(listener.get(), nullptr, nullptr)};
  ASSERT_TRUE(server);
  ASSERT_EQ(send(server.get(), "hello", 5, MSG_NOSIGNAL), 5);
  run_until([&] { return client->settled(); });
  EXPECT_TRUE(reported("not of this contract"));
}

}  // namespace
}  // namespace ifgw::adapters
