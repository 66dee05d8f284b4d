#include "tests/support/worker_rig.h"

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_ring.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "tests/support/attach.h"

namespace ifgw::test {

bool start_eal(runtime::MemoryChoice memory, bool& hugepages) {
  runtime::EalRequest request;
  request.memory = memory;
  request.memory_mb = 256;
  const auto profile = runtime::choose_eal_profile(request, runtime::read_huge_page_supply("/sys"));
  if (!profile) {
    std::fprintf(stderr, "%s\n", profile.error().message.c_str());
    return false;
  }
  std::fprintf(stderr, "memory: %s\n", profile->reason.c_str());
  hugepages = profile->hugepages;
  const auto started = runtime::start_eal(*profile);
  if (!started) std::fprintf(stderr, "%s\n", started.error().message.c_str());
  return started.ok();
}

bool read_memory_option(std::string_view argument, runtime::MemoryChoice& memory) {
  if (argument == "--memory=hugepages")
    memory = runtime::MemoryChoice::HugePages;
  else if (argument == "--memory=none")
    memory = runtime::MemoryChoice::None;
  else
    return argument == "--memory=auto";
  return true;
}

WorkerRig::WorkerRig(const engine::EngineConfig& config, bool hugepages) : config_(config) {
  make_port();
  make_worker(hugepages);
  attach();
}

void WorkerRig::make_port() {
  const auto socket = static_cast<int>(rte_socket_id());
  pool_ = rte_pktmbuf_pool_create("rig", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, socket);
  in_ = rte_ring_create("rig_in", 2048, socket, RING_F_SP_ENQ | RING_F_SC_DEQ);
  out_ = rte_ring_create("rig_out", 2048, socket, RING_F_SP_ENQ | RING_F_SC_DEQ);
  const int id = rte_eth_from_rings("rig", &in_, 1, &out_, 1, rte_socket_id());
  IFGW_CHECK(pool_ != nullptr && in_ != nullptr && out_ != nullptr && id >= 0);
  port_ = static_cast<std::uint16_t>(id);
  rte_eth_conf conf{};
  IFGW_CHECK(rte_eth_dev_configure(port_, 1, 1, &conf) == 0 &&
             rte_eth_rx_queue_setup(port_, 0, 512, rte_socket_id(), nullptr, pool_) == 0 &&
             rte_eth_tx_queue_setup(port_, 0, 512, rte_socket_id(), nullptr) == 0 && rte_eth_dev_start(port_) == 0);
}

void WorkerRig::make_worker(bool hugepages) {
  runtime::WorkerSetup setup;
  setup.engine = config_;
  setup.ports = setup.numbers = {port_};
  setup.exception.peer.fill(nodes::kNoDevice);
  setup.busy_poll = true;
  setup.pool = pool_;
  doorbell_ = runtime::Fd(eventfd(0, EFD_NONBLOCK));
  setup.main_doorbell = doorbell_.get();
  setup.shared = &shared_;
  const std::uint32_t rows = engine::Engine::leg_rows(config_);
  counters_ = std::make_unique<runtime::CounterRegion>(std::move(runtime::CounterRegion::create(1, rows, hugepages)).value());
  links_.push_back(std::make_unique<runtime::WorkerLink>());
  links_[0]->doorbell = runtime::Fd(eventfd(0, EFD_NONBLOCK));
  handover_ = nodes::HandoverRings::create(1);
  const std::size_t bytes = engine::Engine::required_bytes(config_);
  void* memory = rte_zmalloc("engine", bytes, 64);
  IFGW_CHECK(memory != nullptr);
  worker_ = std::make_unique<runtime::Worker>(setup, std::span(static_cast<std::byte*>(memory), bytes), *counters_, links_, *handover_);
  runtime::AttachServerConfig config;
  config.socket_path = "/tmp/ifgw-rig-" + std::to_string(getpid()) + ".sock";
  config.welcome.workers = 1;
  config.welcome.legs_per_worker = rows;
  server_ = std::move(runtime::AttachServer::start(config, *counters_, links_)).value();
  path_ = config.socket_path;
}

// Client and server in threads of their own, the worker here.
void WorkerRig::attach() {
  std::atomic<bool> attached{false};
  std::thread client([&] {
    link_ = std::move(test::attach(path_)).value();
    attached = true;
  });
  std::thread server([&] {
    while (!attached) server_->on_ready(runtime::monotonic_now());
  });
  while (!attached) (void)iterate();
  client.join();
  server.join();
  unlink(path_.c_str());  // nobody else is to come
}

std::pair<api::CommandDone, api::CommandDone> WorkerRig::call(const api::MediaParams& near, const api::MediaParams& far) {
  const auto add = [this](const api::MediaParams& media) {
    api::Command command;
    command.type = api::CommandType::AddLeg;
    command.add_leg = {};
    command.add_leg.media = media;
    return this->command(command);
  };
  const api::CommandDone a = add(near), b = add(far);
  api::Command join;
  join.type = api::CommandType::JoinLegs;
  join.join_legs = {a.leg, b.leg};
  command(join);
  return {a, b};
}

void WorkerRig::send(api::Command value) {
  value.request_id = ++request_;
  IFGW_CHECK(link_->send(0, value));
}

api::CommandDone WorkerRig::command(api::Command value) {
  send(value);
  api::Event event;
  do {
    (void)iterate();
    answer_next_hops();
    while (link_->receive(0, std::span(&event, 1)) == 1 && event.type != api::EventType::CommandDone) {
    }
  } while (event.type != api::EventType::CommandDone);
  IFGW_CHECK(event.command_done.status == api::CommandStatus::Ok);
  return event.command_done;
}

void WorkerRig::answer_next_hops() {
  runtime::NextHopRequest request;
  while (worker_->media_next_hops().requests().pop(request)) {
    runtime::NextHopUpdate update;
    update.hop.port = port_;
    update.hop.usable = 1;
    update.index = request.index;
    update.generation = request.generation;
    worker_->media_next_hops().tell(update);
  }
}

void WorkerRig::receive(std::span<rte_mbuf*> frames) {
  const auto count = static_cast<unsigned>(frames.size());
  IFGW_CHECK(rte_ring_enqueue_bulk(in_, reinterpret_cast<void**>(frames.data()), count, nullptr) == count);
}

std::size_t WorkerRig::iterate() { return worker_->iterate(runtime::monotonic_now()); }

void WorkerRig::forget_captured() {
  while (link_->receive_captured(0) != nullptr) {
  }
}

std::size_t WorkerRig::sent(std::span<rte_mbuf*> frames) {
  return rte_ring_dequeue_burst(out_, reinterpret_cast<void**>(frames.data()), static_cast<unsigned>(frames.size()), nullptr);
}

api::LegRow& WorkerRig::row(api::LegId leg) noexcept { return counters_->legs(0)[leg.index()]; }

}  // namespace ifgw::test
