#include "dataplane/runtime/dataplane.h"

#include <poll.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "codecs/base/check.h"

namespace ifgw::runtime {
namespace {

constexpr unsigned kPoolCache = 256;
constexpr std::uint32_t kSparePerBuffer = 64 + 128 + 128;  // object header, mbuf, alignment

std::uint16_t buffer_bytes(const DataplaneSetup& setup) {
  const std::uint16_t mtu = setup.ports.empty() ? std::uint16_t{1500} : setup.ports.front().mtu;
  return static_cast<std::uint16_t>(std::max<unsigned>(RTE_MBUF_DEFAULT_BUF_SIZE, RTE_PKTMBUF_HEADROOM + 64u + mtu));
}

std::uint16_t tap_queues(const DataplaneSetup& setup) { return std::min<std::uint16_t>(setup.engine.worker_count, kMaxTapQueues); }

// What all devices can hold at once in their rings and workers in their caches, one full ring between workers for each, and some on their
// way.
std::uint32_t buffers_needed(const DataplaneSetup& setup) {
  constexpr std::uint32_t kOnTheirWay = 4096;
  constexpr std::uint32_t kOfAWorker = kPoolCache * 3 / 2 + nodes::HandoverRings::kCapacity + std::uint32_t{engine::FrameQueue::kCapacity};
  const std::uint32_t workers = setup.engine.worker_count;
  std::uint32_t needed = kOnTheirWay + workers * kOfAWorker;
  for (std::size_t i = 0; i < setup.ports.size(); ++i) {
    const PortConfig& port = setup.ports[i];
    const std::uint32_t descriptors = port.rx_descriptors + port.tx_descriptors;
    if (setup.exception) needed += tap_queues(setup) * descriptors;
    const auto same_device = [&](const PortConfig& other) { return device_name(other.device) == device_name(port.device); };
    if (std::none_of(setup.ports.begin(), setup.ports.begin() + static_cast<std::ptrdiff_t>(i), same_device))
      needed += workers * descriptors;
  }
  return needed;
}

Result<Fd> every_second() {
  Fd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  const itimerspec period{{1, 0}, {1, 0}};
  if (!timer || timerfd_settime(timer.get(), 0, &period, nullptr) != 0)
    return Error{std::string("the timer of counters and neighbours (timerfd): ") + std::strerror(errno)};
  return timer;
}

}  // namespace

std::uint32_t Dataplane::packet_buffers(const DataplaneSetup& setup) {
  constexpr std::uint32_t kLeast = 16'384;
  return setup.packet_buffers != 0 ? setup.packet_buffers : std::max(kLeast, std::bit_ceil(buffers_needed(setup) + 1)) - 1;
}

std::uint32_t Dataplane::required_memory_mb(const DataplaneSetup& setup) {
  const std::size_t pool = std::size_t{packet_buffers(setup)} * (buffer_bytes(setup) + kSparePerBuffer);
  const std::size_t engines = engine::Engine::required_bytes(setup.engine) * setup.engine.worker_count;
  constexpr std::size_t kDevicesAndRings = 32u << 20;
  const std::size_t handover = nodes::HandoverRings::bytes(setup.engine.worker_count);
  return static_cast<std::uint32_t>((pool + engines + handover + kDevicesAndRings) >> 20) + 1;
}

Dataplane::Dataplane(DataplaneSetup setup) : setup_(std::move(setup)) {}

Result<std::unique_ptr<Dataplane>> Dataplane::start(DataplaneSetup setup) {
  std::unique_ptr<Dataplane> dataplane(new Dataplane(std::move(setup)));
  if (const Status opened = dataplane->open_ports(); !opened) return opened.error();
  auto interfaces = dataplane->bring_up_exceptions();
  if (!interfaces) return interfaces.error();
  auto netlink = Netlink::open(dataplane->setup_.exception_netns);
  if (!netlink) return netlink.error();
  if (const Status made = dataplane->make_workers(); !made) return made.error();
  if (const Status started = dataplane->start_plane(std::move(interfaces).value(), std::move(netlink).value()); !started)
    return started.error();
  if (const Status running = dataplane->give_up_privileges_and_go(); !running) return running.error();
  return dataplane;
}

Status Dataplane::open_ports() {
  const std::uint32_t buffers = packet_buffers(setup_), needed = buffers_needed(setup_);
  if (buffers < needed)
    setup_.log("packet buffers: " + std::to_string(buffers) + ", but ports and workers can hold " + std::to_string(needed) +
               " at once; while they do, packets are lost (rx_no_buffer): leave --packet-buffers out, or raise it");
  pool_ = rte_pktmbuf_pool_create("packets", buffers, kPoolCache, 0, buffer_bytes(setup_), static_cast<int>(rte_socket_id()));
  if (pool_ == nullptr)
    return Error{"no memory for " + std::to_string(buffers) +
                 " packet buffers: reserve more huge pages, or lower --packet-buffers or --workers"};
  for (const PortConfig& config : setup_.ports) {
    auto port = open_device_of(config);
    if (!port) return port.error();
    port->name = config.name;
    port->vlan = config.vlan;
    if (config.vlan == 0) {
      vlans_.add_untagged(port->id);
    } else {
      port->number = vlans_.add(port->id, config.vlan);
      IFGW_CHECK(port->number != nodes::kNoDevice);
    }
    setup_.log("port " + port->name + ": " + config.device + (port->vlan != 0 ? ", VLAN " + std::to_string(port->vlan) : "") + " (" +
               port->driver + ")" +
               (port->checks_ip ? port->checks_udp ? ", verifies IP and UDP checksums" : ", verifies IP checksums" : "") +
               (port->wake_fds.empty() ? ", can only be polled" : ""));
    ports_.push_back(std::move(port).value());
  }
  return Success{};
}

// Opened now, or by an earlier port that is another VLAN of it.
Result<Port> Dataplane::open_device_of(const PortConfig& config) {
  for (std::size_t i = 0; i < ports_.size(); ++i)
    if (device_name(setup_.ports[i].device) == device_name(config.device)) return ports_[i];
  auto device = open_port(config, pool_);
  if (!device) return device.error();
  if (device->id >= nodes::kMaxDevices) return Error{"--port " + config.name + ": too many DPDK devices in this process"};
  devices_.push_back(*device);
  return device;
}

// The kernel's side of each port: a tap with the port's MAC address and the gateway's addresses, up.
Result<std::vector<PortInterface>> Dataplane::bring_up_exceptions() {
  std::vector<PortInterface> interfaces;
  if (!setup_.exception) return interfaces;
  for (const Port& port : ports_) {
    const std::string name = "ifgw-" + port.name;
    auto exception = open_exception_port(port, name, tap_queues(setup_), pool_);
    if (!exception) return exception.error();
    if (exception->queues < setup_.engine.worker_count) shared_queues_.add(exception->id, exception->queues);
    exceptions_.push_back(std::move(exception).value());
    if (!setup_.exception_netns.empty())
      if (const Status moved = Netlink::move_interface(name, setup_.exception_netns); !moved) return moved.error();
    auto netlink = Netlink::open(setup_.exception_netns);
    if (!netlink) return netlink.error();
    const auto index = (*netlink)->interface_index(name);
    if (!index) return index.error();
    if (const Status up = (*netlink)->set_up(*index); !up) return up.error();
    for (const ExceptionAddress& address : setup_.addresses)
      if (address.port == port.name)
        if (const Status added = (*netlink)->add_address(*index, address.address, address.prefix_length); !added) return added.error();
    interfaces.push_back({*index, port.number, port.mac});
    setup_.log("exception interface " + name + " for port " + port.name);
  }
  return interfaces;
}

WorkerSetup Dataplane::worker_setup(std::uint8_t worker) const {
  WorkerSetup setup;
  setup.engine = setup_.engine;
  setup.engine.worker = worker;
  setup.exception.peer.fill(nodes::kNoDevice);
  setup.exception.packets_per_second = setup_.exception_pps;
  setup.exception.burst = setup_.exception_pps / 10;
  setup.vlans = vlans_;
  for (const Port& device : devices_) setup.ports.push_back(device.id);
  for (const Port& port : ports_) setup.numbers.push_back(port.number);
  setup.shared = &shared_queues_;
  for (std::size_t i = 0; i < exceptions_.size(); ++i) {
    if (worker < exceptions_[i].queues) setup.exceptions.push_back(exceptions_[i].id);
    setup.exception.peer[ports_[i].number] = exceptions_[i].id;
    setup.exception.peer[exceptions_[i].id] = ports_[i].number;
  }
  const auto add_fds = [&](const Port& port) {
    setup.pollable_only |= port.wake_fds.empty();
    // One descriptor per queue, in queue order; a device with another number wakes every worker.
    if (worker >= port.queues) return;
    if (port.wake_fds.size() == port.queues)
      setup.wake_fds.push_back(port.wake_fds[worker]);
    else
      setup.wake_fds.insert(setup.wake_fds.end(), port.wake_fds.begin(), port.wake_fds.end());
  };
  std::for_each(devices_.begin(), devices_.end(), add_fds);
  std::for_each(exceptions_.begin(), exceptions_.end(), add_fds);
  setup.busy_poll = setup_.busy_poll;
  setup.cpu = setup_.cpus.empty() ? -1 : setup_.cpus[worker];
  setup.main_doorbell = doorbell_.get();
  setup.pool = pool_;
  return setup;
}

Status Dataplane::make_workers() {
  const std::uint32_t legs = engine::Engine::leg_rows(setup_.engine);
  auto counters = CounterRegion::create(setup_.engine.worker_count, legs, setup_.hugepages);
  if (!counters) return counters.error();
  counters_ = std::move(counters).value();
  if (setup_.hugepages && counters_.page_bytes() != api::kHugePage)
    setup_.log("leg counters: on ordinary pages, too few 2 MB pages are left (a packet costs a little more)");
  doorbell_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  handover_ = nodes::HandoverRings::create(setup_.engine.worker_count);
  if (!handover_) return Error{"no memory for the rings between workers"};
  for (std::uint8_t w = 0; w < setup_.engine.worker_count; ++w) {
    links_.push_back(std::make_unique<WorkerLink>());
    links_.back()->doorbell = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  }
  for (std::uint8_t w = 0; w < setup_.engine.worker_count; ++w) {
    const std::size_t bytes = engine::Engine::required_bytes(setup_.engine);
    void* memory = rte_zmalloc("engine", bytes, 64);
    if (memory == nullptr)
      return Error{"no memory for worker " + std::to_string(w) + ": " + std::to_string(bytes >> 20) +
                   " MB. Lower --limiter-sources or --transcoding-mb, or reserve more huge pages"};
    engine_memory_.push_back(memory);
    workers_.push_back(
        std::make_unique<Worker>(worker_setup(w), std::span(static_cast<std::byte*>(memory), bytes), counters_, links_, *handover_));
  }
  return Success{};
}

Status Dataplane::start_plane(std::vector<PortInterface> interfaces, std::unique_ptr<Netlink> netlink) {
  std::vector<NextHopTable*> tables;
  for (const auto& worker : workers_) tables.insert(tables.end(), {&worker->media_next_hops(), &worker->signalling_next_hops()});
  neighbours_ = std::make_unique<Neighbours>(std::move(netlink), std::move(interfaces), std::move(tables));

  static_assert(engine::kMaxSignallingPorts == api::kMaxSignallingPorts && 2 * engine::kMaxSignallingPorts == api::kMaxSignallingTcpPorts);
  api::AttachReply& welcome = setup_.attach.welcome;
  welcome.workers = setup_.engine.worker_count;
  welcome.legs_per_worker = engine::Engine::leg_rows(setup_.engine);
  for (const IpAddress& address : setup_.engine.local_addresses) welcome.local_addresses[welcome.local_address_count++] = address;
  for (const std::uint16_t port : setup_.engine.sip_udp_ports) welcome.signalling_ports[welcome.signalling_port_count++] = port;
  for (const std::uint16_t port : setup_.engine.signalling_tcp_ports)
    welcome.signalling_tcp_ports[welcome.signalling_tcp_port_count++] = port;
  welcome.media_port_first = setup_.engine.first_media_port;
  welcome.media_port_last = setup_.engine.last_media_port;
  for (std::uint8_t codec = 1; codec <= api::kMaxCodec; ++codec)
    if (engine::Engine::can_transcode(static_cast<api::Codec>(codec), setup_.engine)) welcome.codec_mask |= 1u << codec;
  welcome.limiter_requests_max = setup_.engine.limiter_max_requests;
  welcome.mtu = setup_.engine.mtu;
  auto server = AttachServer::start(setup_.attach, counters_, links_);
  if (!server) return server.error();
  server_ = std::move(server).value();
  server_->on_report = setup_.log;
  fill_port_blocks();
  return Success{};
}

Status Dataplane::give_up_privileges_and_go() {
  const auto dropped = drop_privileges(setup_.user);
  if (!dropped) return dropped.error();
  setup_.log(*dropped);
  for (const auto& worker : workers_) threads_.emplace_back([&worker] { worker->run(); });
  for (const auto& worker : workers_)
    while (!worker->settled()) usleep(100);
  for (std::size_t i = 0; i < workers_.size(); ++i)
    if (const int error = workers_[i]->pin_error())
      return Error{"--cpus " + std::to_string(setup_.cpus[i]) + ": worker " + std::to_string(i) +
                   " cannot be pinned to it: " + std::strerror(error)};
  auto timer = every_second();  // the filter allows no new one
  if (!timer) return timer.error();
  timer_ = std::move(timer).value();
  if (!setup_.syscall_filter) {
    setup_.log("system call filter: off (--no-syscall-filter)");
    return Success{};
  }
  const Status filtered = install_syscall_filter();
  if (filtered) setup_.log("system call filter: on");
  return filtered;
}

void Dataplane::fill_port_blocks() {
  const auto fill = [&](std::size_t i, const Port& port, bool exception) {
    api::PortBlock& block = counters_.port(i);
    port.name.copy(block.name.data(), block.name.size() - 1);
    port.driver.copy(block.driver.data(), block.driver.size() - 1);
    block.mac = port.mac;
    block.mtu = port.mtu;
    block.vlan = port.vlan;
    block.is_exception = exception ? 1 : 0;
  };
  for (std::size_t i = 0; i < ports_.size(); ++i) fill(i, ports_[i], false);
  for (std::size_t i = 0; i < exceptions_.size(); ++i) fill(ports_.size() + i, exceptions_[i], true);
  api::ProcessBlock& process = counters_.process();
  process.port_count.set(ports_.size() + exceptions_.size());
  setup_.version.copy(process.version.data(), process.version.size() - 1);
  process.pid.set(static_cast<std::uint64_t>(getpid()));
  process.started_ns.set(static_cast<std::uint64_t>(to_ns(monotonic_now())));
  process.hugepages.set(setup_.hugepages ? 1 : 0);
  process.mempool_size.set(packet_buffers(setup_));
  refresh_port_blocks();
}

void Dataplane::refresh_port_blocks() {
  const auto refresh = [&](std::size_t i, const Port& port) {
    rte_eth_stats stats{};
    rte_eth_link link{};
    rte_eth_stats_get(port.id, &stats);
    rte_eth_link_get_nowait(port.id, &link);
    api::PortBlock& block = counters_.port(i);
    block.link_up.set(link.link_status);
    block.rx_packets.set(stats.ipackets);
    block.rx_bytes.set(stats.ibytes);
    block.tx_packets.set(stats.opackets);
    block.tx_bytes.set(stats.obytes);
    block.rx_missed.set(stats.imissed);
    block.rx_errors.set(stats.ierrors);
    block.tx_errors.set(stats.oerrors);
    block.rx_no_buffer.set(stats.rx_nombuf);
  };
  for (std::size_t i = 0; i < ports_.size(); ++i) refresh(i, ports_[i]);
  for (std::size_t i = 0; i < exceptions_.size(); ++i) refresh(ports_.size() + i, exceptions_[i]);
  counters_.process().mempool_in_use.set(rte_mempool_in_use_count(pool_));
}

void Dataplane::wake_workers() {
  for (const auto& link : links_) link->wake();
}

void Dataplane::run(int stop_fd) {
  while (true) {
    pollfd fds[] = {{stop_fd, POLLIN, 0},
                    {server_->fd(), POLLIN, 0},
                    {neighbours_->fd(), POLLIN, 0},
                    {doorbell_.get(), POLLIN, 0},
                    {timer_.get(), POLLIN, 0}};
    if (poll(fds, std::size(fds), neighbours_->behind() ? Neighbours::kCatchUpMs : -1) < 0) continue;
    if (fds[0].revents != 0) return;
    if (fds[1].revents != 0) server_->on_ready(monotonic_now());
    std::uint64_t count = 0;
    bool told = neighbours_->catch_up();
    if (fds[3].revents != 0 && read(doorbell_.get(), &count, sizeof count) > 0) {
      server_->check_corruption();
      told |= neighbours_->on_requests();
    }
    if (fds[2].revents != 0) told |= neighbours_->on_readable();
    if (fds[4].revents != 0 && read(timer_.get(), &count, sizeof count) > 0) {
      refresh_port_blocks();
      server_->on_second(monotonic_now());
      told |= neighbours_->on_second();
    }
    if (told) wake_workers();
  }
}

Dataplane::~Dataplane() {
  for (const auto& worker : workers_) worker->stop();
  for (const auto& link : links_) eventfd_write(link->doorbell.get(), 1);
  for (std::thread& thread : threads_) thread.join();
  workers_.clear();
  server_.reset();
  for (void* memory : engine_memory_) rte_free(memory);
  for (const Port& port : exceptions_) close_port(port);
  for (const Port& device : devices_) close_port(device);
}

}  // namespace ifgw::runtime
