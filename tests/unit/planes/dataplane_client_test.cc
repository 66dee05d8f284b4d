// The control plane's client in its event loop, against dataplanes that do not do their part.
#include "controlplane/adapters/dataplane_client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <filesystem>
#include <mutex>

#include "tests/unit/planes/attach_rig.h"

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

// What a dataplane that keeps at most `room` requests in budgets is told about the limiter, and what the log says then.
struct Configured {
  std::vector<api::Command> commands;
  std::vector<std::string> reports;
};

Configured configure(const LimiterSettings& settings, std::uint32_t most_requests, std::uint32_t room = 1000) {
  Configured result;
  std::mutex mutex;
  test::Plane plane({64, 64, 8, 8});
  plane.config.welcome.limiter_requests_max = most_requests;
  plane.on_command = [&](const api::Command& command) {
    const std::lock_guard lock(mutex);
    result.commands.push_back(command);
    if (command.type != api::CommandType::SetPrefixLimit) return api::CommandStatus::Ok;
    if (command.set_prefix_limit.requests > room) return api::CommandStatus::TableFull;
    room -= command.set_prefix_limit.requests;
    return api::CommandStatus::Ok;
  };
  plane.start();
  auto loop = std::move(EventLoop::create()).value();
  DataplaneClientHandlers handlers;
  handlers.on_media = [](const core::MediaEvent&, Instant) {};
  handlers.on_report = [&](const std::string& line, bool good) {
    if (!good) result.reports.push_back(line);
  };
  DataplaneClient client(*loop, DataplaneClientConfig{plane.path(), settings}, std::move(handlers));
  client.start(read_clock());
  bool answered = false;
  const Instant end = read_clock() + 10s;
  for (bool asked = false; !answered && read_clock() < end;) {
    EXPECT_TRUE(loop->run_once(100ms).ok());
    if (asked || !client.attached()) continue;
    asked = true;  // after everything else
    client.unblock_source(*IpAddress::parse("192.0.2.1"), [&](const std::string&) { answered = true; });
  }
  EXPECT_TRUE(answered);
  const std::lock_guard lock(mutex);
  return result;
}

const api::Command* first(const Configured& configured, api::CommandType type) {
  const auto at = std::find_if(configured.commands.begin(), configured.commands.end(), [&](const auto& c) { return c.type == type; });
  return at == configured.commands.end() ? nullptr : &*at;
}

TEST(LimiterAtAttach, MoreRequestsThanTheDataplaneCanCountAreCutAndTheRestOfTheLimitsHolds) {
  LimiterSettings settings;
  settings.limits = {40, 1000, 60'000};
  const Configured cut = configure(settings, 30);
  const api::Command* limits = first(cut, api::CommandType::SetLimits);
  ASSERT_NE(limits, nullptr);
  EXPECT_EQ(limits->set_limits.requests, 30u);
  EXPECT_EQ(limits->set_limits.window_ms, 1000u);
  EXPECT_EQ(limits->set_limits.block_ms, 60'000u);
  ASSERT_EQ(cut.reports.size(), 1u);
  EXPECT_EQ(cut.reports[0].find("[pike] requests 40 exceeds the dataplane's --limiter-max-requests 30: 30 is in force"), 0u)
      << cut.reports[0];
  const Configured whole = configure(settings, 40);
  EXPECT_EQ(first(whole, api::CommandType::SetLimits)->set_limits.requests, 40u);
  EXPECT_TRUE(whole.reports.empty());
}

TEST(LimiterAtAttach, ABudgetThatFindsNoRoomIsNamedWithWhatToRaise) {
  LimiterSettings settings;
  settings.budgets = {{{*IpPrefix::parse("10.2.0.2/32"), 800, 1000}, "prefix 10.2.0.2/32 (target of route \"expert\")"},
                      {{*IpPrefix::parse("10.9.0.0/16"), 300, 1000}, "prefix 10.9.0.0/16"},
                      {{*IpPrefix::parse("10.8.0.0/16"), 200, 1000}, "prefix 10.8.0.0/16"}};
  const Configured configured = configure(settings, 255);
  ASSERT_EQ(configured.reports.size(), 1u);
  EXPECT_EQ(configured.reports[0].find("[pike] prefix 10.9.0.0/16, 300 requests: the dataplane's table for this is full"), 0u)
      << configured.reports[0];
  EXPECT_NE(configured.reports[0].find("--limiter-prefix-requests"), std::string::npos);
  EXPECT_EQ(first(configured, api::CommandType::SetPrefixLimit)->set_prefix_limit.prefix.text(), "10.2.0.2/32") << "in their order";
  const Configured roomy = configure(settings, 255, 2000);
  EXPECT_TRUE(roomy.reports.empty());
}

// ---- a dataplane that writes what no dataplane writes ---------------------------------------------------------------

api::LegInfo leg_at(std::uint32_t index) {
  api::LegInfo leg;
  leg.id = api::LegId::make(0, index, 1);
  leg.local = *Endpoint::parse("192.0.2.1:20000");
  return leg;
}

TEST(HostileDataplane, ImpossibleLegRowsAreLeftOutAndCounted) {
  test::Plane plane;
  const std::span<api::LegRow> rows = plane.counters->legs(0);
  api::LegInfo codec = leg_at(0);
  codec.media.codec = static_cast<api::Codec>(200);
  api::write_leg(rows[0], codec);
  api::LegInfo family = leg_at(1);
  family.current_remote.ip.family = static_cast<IpFamily>(9);
  api::write_leg(rows[1], family);
  api::write_leg(rows[2], leg_at(3));  // the id names another row
  api::write_leg(rows[3], leg_at(3));
  plane.start();
  auto loop = std::move(EventLoop::create()).value();
  std::vector<api::LegInfo> table;
  DataplaneClientHandlers handlers;
  handlers.on_media = [&](const core::MediaEvent& event, Instant) {
    if (const auto* attached = std::get_if<core::MediaAttached>(&event)) table = attached->legs;
  };
  handlers.on_report = [](const std::string&, bool) {};
  DataplaneClient client(*loop, DataplaneClientConfig{plane.path(), {}}, std::move(handlers));
  client.start(read_clock());
  for (const Instant end = read_clock() + 10s; table.empty() && read_clock() < end;) ASSERT_TRUE(loop->run_once(100ms).ok());
  ASSERT_EQ(table.size(), 1u);
  EXPECT_EQ(table[0].id, leg_at(3).id);
  EXPECT_EQ(client.attach_state().invalid_messages, 3u);
  EXPECT_EQ(client.legs(100).size(), 1u);
  EXPECT_FALSE(client.leg(leg_at(0).id));
  EXPECT_TRUE(client.leg(leg_at(3).id));
  EXPECT_EQ(client.attach_state().invalid_messages, 7u) << "each reading counts: the table's three, and the one asked for";
}

TEST(HostileDataplane, AnImpossibleAnswerIsLostAndCounted) {
  test::Plane plane({64, 64, 8, 8});
  plane.on_command = [](const api::Command& command) {
    return command.type == api::CommandType::UnblockSource ? static_cast<api::CommandStatus>(200) : api::CommandStatus::Ok;
  };
  plane.start();
  auto loop = std::move(EventLoop::create()).value();
  DataplaneClientHandlers handlers;
  handlers.on_media = [](const core::MediaEvent&, Instant) {};
  handlers.on_report = [](const std::string&, bool) {};
  DataplaneClient client(*loop, DataplaneClientConfig{plane.path(), {}}, std::move(handlers));
  client.start(read_clock());
  std::vector<std::string> answers;
  const auto until = [&](const auto& done) {
    for (const Instant end = read_clock() + 10s; !done() && read_clock() < end;) EXPECT_TRUE(loop->run_once(100ms).ok());
    ASSERT_TRUE(done());
  };
  until([&] { return client.attached(); });
  const auto take = [&](const std::string& error) { answers.push_back(error); };
  client.unblock_source(*IpAddress::parse("192.0.2.1"), take);
  client.block_source(*IpAddress::parse("192.0.2.2"), 1s, take);
  until([&] { return answers.size() == 2; });
  EXPECT_NE(answers[0], "") << "no answer that can be believed";
  EXPECT_EQ(answers[1], "");
  EXPECT_EQ(client.attach_state().invalid_messages, 1u);
}

}  // namespace
}  // namespace ifgw::adapters
