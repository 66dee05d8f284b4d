// A dataplane that consists of the attach server, one worker that echoes, and nothing else: for tests of the handshake
// and of clients good and bad.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/adapters/dataplane_link.h"
#include "dataplane/runtime/attach_server.h"
#include "dataplane/runtime/idle.h"
#include "tests/support/attach.h"

namespace ifgw::test {

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
    auto started = runtime::AttachServer::start(config, *counters, links);
    ASSERT_TRUE(started) << started.error().message;
    server = std::move(started).value();
    server->on_report = [this](const std::string& line) { reports.push_back(line); };
    worker_ = std::thread([this] { work(); });
    main_ = std::thread([this] { serve(); });
  }
  ~Plane() {
    stop_ = true;
    if (main_.joinable()) main_.join();
    stop_worker_ = true;
    if (worker_.joinable()) worker_.join();
    server.reset();
    std::filesystem::remove_all(dir_);
  }
  std::string path() const { return config.socket_path; }

  runtime::AttachServerConfig config;
  std::unique_ptr<runtime::CounterRegion> counters;
  std::vector<std::unique_ptr<runtime::WorkerLink>> links = one_link();
  std::unique_ptr<runtime::AttachServer> server;
  std::vector<std::string> reports;                                   // main thread's; read after the Plane's threads ended or when quiet
  std::function<api::CommandStatus(const api::Command&)> on_command;  // worker's thread; set before start(); empty: all is well
  std::atomic<std::uint64_t> echoed{0};
  std::atomic<std::uint64_t> torn{0};
  std::atomic<std::uint64_t> out_of_turn{0};  // commands whose numbers are not 1, 2, 3 and so on, from each client's first
  std::atomic<bool> worker_stands_still{false};
  std::atomic<Duration> now{std::chrono::hours(1)};  // the server's time; it passes when a test says so

 private:
  static std::vector<std::unique_ptr<runtime::WorkerLink>> one_link() {
    std::vector<std::unique_ptr<runtime::WorkerLink>> links;
    links.push_back(std::make_unique<runtime::WorkerLink>());
    links[0]->doorbell = runtime::Fd(eventfd(0, EFD_NONBLOCK));
    return links;
  }
  void serve() {
    while (!stop_) {
      pollfd ready{server->fd(), POLLIN, 0};
      poll(&ready, 1, 5);
      if (ready.revents != 0) server->on_ready(Instant(now));
      server->on_second(Instant(now));
      server->check_corruption();
    }
  }
  void work() {
    auto datagram = std::make_unique<api::Datagram>();
    runtime::WorkerRings* rings = nullptr;
    std::uint32_t last = 0;
    while (!stop_worker_) {
      if (worker_stands_still) {
        std::this_thread::yield();
        continue;
      }
      if (links[0]->offered.load() != rings) {
        idle_.hear(-1);
        rings = links[0]->take();
        last = 0;
        if (rings != nullptr) idle_.hear(rings->doorbell);
      }
      bool idle = true;
      if (rings != nullptr) {
        api::Command command;
        while (rings->commands.pop(command)) {
          idle = false;
          if (command.remove_leg.leg.value != (std::uint64_t{command.request_id} << 32 | command.request_id)) ++torn;
          if (command.request_id != ++last) ++out_of_turn;
          last = command.request_id;
          api::Event event;
          event.type = api::EventType::CommandDone;
          event.sequence = ++rings->event_sequence;
          event.command_done = {};
          event.command_done.request_id = command.request_id;
          if (on_command) event.command_done.status = on_command(command);
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
      if (!idle)
        idle_.busy();
      else if (idle_.tired())
        sleep(rings);
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

inline api::Command numbered(std::uint32_t n) {
  api::Command command;
  command.type = api::CommandType::RemoveLeg;
  command.request_id = n;
  command.remove_leg = {api::LegId{std::uint64_t{n} << 32 | n}};
  return command;
}

// Waits on the doorbell until one event is there; 5 s is for a machine under load, not a measurement.
inline bool await_event(adapters::DataplaneLink& link, api::Event& event) {
  for (int tries = 0; tries < 50; ++tries) {
    if (link.receive(0, std::span(&event, 1)) == 1) return true;
    if (!link.arm()) continue;
    pollfd fd{link.doorbell_fd(), POLLIN, 0};
    poll(&fd, 1, 100);
    link.disarm();
  }
  return false;
}

// Connected, and silent so far.
inline runtime::Fd connect_to(const std::string& path) {
  runtime::Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

}  // namespace ifgw::test
