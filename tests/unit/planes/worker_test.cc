// A whole worker without ports, driven by hand, and the control plane's end of its rings. No EAL is started.
#include "dataplane/runtime/worker.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "controlplane/adapters/dataplane_link.h"
#include "tests/support/aligned_bytes.h"
#include "tests/support/attach.h"

namespace ifgw::test {
namespace {

constexpr api::RingSizes kRings{.commands = 128, .events = 64, .datagrams_up = 8, .datagrams_down = 8};

engine::EngineConfig small_engine() {
  engine::EngineConfig config;
  config.local_addresses = {*IpAddress::parse("192.0.2.1")};
  config.first_media_port = 20000;
  config.last_media_port = 20063;
  config.sip_udp_ports = {5060};
  config.limiter_sources = 1000;
  config.prefix_stamps = 1000;
  config.max_prefixes = 8;
  return config;
}

class AttachedWorker {
 public:
  AttachedWorker() {
    setup_.engine = small_engine();
    setup_.exception.peer.fill(nodes::kNoDevice);
    setup_.exception.packets_per_second = 1000;
    setup_.exception.burst = 100;
    setup_.busy_poll = true;
    setup_.main_doorbell = main_doorbell_.get();
    setup_.shared = &shared_;
    links_.push_back(std::make_unique<runtime::WorkerLink>());
    links_[0]->doorbell = runtime::Fd(eventfd(0, EFD_NONBLOCK));
    const std::uint32_t rows = engine::Engine::leg_rows(setup_.engine);
    counters_ = std::make_unique<runtime::CounterRegion>(std::move(runtime::CounterRegion::create(1, rows)).value());
    worker_ = std::make_unique<runtime::Worker>(setup_, memory_.span(), *counters_, links_, *handover_);
    attach(rows);
  }
  ~AttachedWorker() {
    link_.reset();
    worker_.reset();
    server_.reset();
  }

  bool attached() const { return link_ != nullptr; }
  const api::WorkerBlock& block() const { return counters_->worker(0); }
  void iterate(int times = 1) {
    for (; times > 0; --times) worker_->iterate(runtime::monotonic_now());
  }
  void send(api::CommandType type, const auto& fill) {
    api::Command command;
    command.type = type;
    command.request_id = ++request_;
    fill(command);
    ASSERT_TRUE(link_->send(0, command));
  }
  std::vector<api::Event> receive_all() {
    std::vector<api::Event> all;
    api::Event event;
    while (link_->receive(0, std::span(&event, 1)) == 1) all.push_back(event);
    return all;
  }

 private:
  void attach(std::uint32_t rows) {
    runtime::AttachServerConfig config;
    config.socket_path = std::filesystem::temp_directory_path() / ("ifgw-worker-" + std::to_string(getpid()) + ".sock");
    config.welcome.workers = 1;
    config.welcome.legs_per_worker = rows;
    config.welcome.rings = kRings;
    server_ = std::move(runtime::AttachServer::start(config, *counters_, links_)).value();
    std::atomic<bool> done{false};
    std::thread client([&] {
      auto attached = test::attach(config.socket_path);
      EXPECT_TRUE(attached) << attached.error().message;
      if (attached) link_ = std::move(attached).value();
      done = true;
    });
    while (!done) {
      server_->on_ready(runtime::monotonic_now());
      std::this_thread::yield();
    }
    client.join();
    iterate();
  }

  runtime::WorkerSetup setup_;
  nodes::SharedQueues shared_;
  runtime::Fd main_doorbell_{eventfd(0, EFD_NONBLOCK)};
  AlignedBytes memory_{engine::Engine::required_bytes(small_engine())};
  std::vector<std::unique_ptr<runtime::WorkerLink>> links_;
  std::unique_ptr<runtime::CounterRegion> counters_;
  std::unique_ptr<nodes::HandoverRings> handover_ = nodes::HandoverRings::create(1);
  std::unique_ptr<runtime::Worker> worker_;
  std::unique_ptr<runtime::AttachServer> server_;
  std::unique_ptr<adapters::DataplaneLink> link_;
  std::uint32_t request_ = 0;
};

// The longest answer there is, asked for while the event ring is nearly full.
TEST(Worker, AnswersACommandOnlyWhenTheWholeAnswerHasRoom) {
  AttachedWorker worker;
  ASSERT_TRUE(worker.attached());
  for (std::uint32_t i = 0; i < 40; ++i) {
    worker.send(api::CommandType::BlockSource, [i](api::Command& c) { c.block_source = {IpAddress::v4(0xC6336400 + i), 0}; });
    worker.iterate();
    ASSERT_EQ(worker.receive_all().size(), 1u);
  }
  for (std::uint32_t i = 0; i < 44; ++i)
    worker.send(api::CommandType::UnblockSource, [](api::Command& c) { c.unblock_source = {*IpAddress::parse("203.0.113.1")}; });
  worker.send(api::CommandType::ListSources, [](api::Command& c) { c.list_sources = {}; });
  std::vector<api::Event> events;
  for (int round = 0; round < 10; ++round) {
    worker.iterate(5);  // the client is slower than the worker
    const std::vector<api::Event> more = worker.receive_all();
    events.insert(events.end(), more.begin(), more.end());
  }
  EXPECT_EQ(worker.block().events_lost.get(), 0u);
  ASSERT_EQ(events.size(), 44u + api::kMaxAnswerEvents);
  for (std::size_t i = 0; i + 1 < events.size(); ++i) EXPECT_EQ(events[i + 1].sequence, events[i].sequence + 1);
  EXPECT_EQ(events.back().type, api::EventType::CommandDone);
  EXPECT_NE(events.back().command_done.value, 0u) << "forty are more than one page";
}

}  // namespace
}  // namespace ifgw::test
