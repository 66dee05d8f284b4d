#include "dataplane/runtime/worker.h"

#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

#include "dataplane/nodes/media.h"
#include "dataplane/runtime/privileges.h"

namespace ifgw::runtime {
namespace {

constexpr std::size_t kCommandsPerIteration = 32;
constexpr std::uint32_t kSignallingNextHops = 8192;  // with fewer than these at once nobody is asked for twice

}  // namespace

Instant monotonic_now() noexcept {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return from_ns(t.tv_sec * 1'000'000'000LL + t.tv_nsec);
}

namespace {

std::uint64_t unix_now_ns() noexcept {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

}  // namespace

Worker::Worker(const WorkerSetup& setup, std::span<std::byte> memory, CounterRegion& counters,
               std::vector<std::unique_ptr<WorkerLink>>& links, const nodes::HandoverRings& handover)
    : setup_(setup),
      block_(counters.worker(setup.engine.worker)),
      links_(links),
      link_(*links[setup.engine.worker]),
      media_hops_(setup.engine.hash_key, engine::Engine::max_legs(setup.engine)),
      signalling_hops_(setup.engine.hash_key, kSignallingNextHops),
      handover_(handover, setup.engine.worker, block_, capture_),
      engine_(setup.engine, memory, counters.legs(setup.engine.worker), block_, media_hops_, *this, &handover_),
      capture_(engine_, block_, setup.engine.worker, setup.numbers, monotonic_now),
      tx_(setup.engine.worker, *setup.shared, setup_.vlans, block_, monotonic_now, capture_, ports_time_),
      exception_(setup.exception, block_, tx_),
      signalling_(engine_, signalling_hops_, block_, exception_, tx_, setup.pool),
      idle_(setup.wake_fds, link_.doorbell.get(), setup.pollable_only, setup.busy_poll),
      spare_(setup.pool) {}

void Worker::run() noexcept {
  drop_thread_capabilities();
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  if (setup_.cpu >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(setup_.cpu, &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus) != 0) pin_error_ = errno;
  }
  rte_thread_register();  // a lcore id of its own: without one the packet buffer pool has no cache for us
  settled_.store(true, std::memory_order_release);
  while (!stop_.load(std::memory_order_relaxed)) {
    const Instant now = monotonic_now();
    if (iterate(now) != 0)
      idle_.busy();
    else if (idle_.tired())
      sleep(now);
  }
  while (engine_.frames_waiting() != 0) (void)nodes::transcode(engine_, monotonic_now, spare_, tx_, capture_);
  tx_.flush();
  link_.taken.store(nullptr, std::memory_order_release);
  rte_thread_unregister();
}

std::size_t Worker::iterate(Instant now) noexcept {
  now_ = now;
  block_.polls.add(1);
  block_.heartbeat_ns.set(static_cast<std::uint64_t>(to_ns(now)));
  ports_time_.begin(last_busy_ != kNever);
  relink();
  media_hops_.apply();
  signalling_hops_.apply();
  full_ = false;
  relayed_ = 0;
  const std::size_t received = receive_ports() + receive_handover(now);
  turns_.looked(full_, received, relayed_, now);
  const std::size_t packets = received + receive_exceptions();
  const std::size_t messages = receive_plane(now);
  signalling_.retry(now);
  if (now >= engine_.next_deadline()) {
    engine_.on_timer(now, unix_now_ns(), spare_);
    nodes::send(engine_, spare_, now, tx_);
  }
  hand_over();
  tx_.flush();
  const std::size_t frames = engine_.frames_waiting() == 0 ? 0 : transcode();
  if (const auto took = ports_time_.of_a_packet()) engine_.ports_took(*took);
  if (capture_.on()) [[unlikely]] {
    settle_capture();
    engine_.check_capture(now);
    if (!capture_.on()) published_ |= capture_.publish_all();
  }
  if (media_hops_.take_requested() | signalling_hops_.take_requested()) eventfd_write(setup_.main_doorbell, 1);
  ring_client();
  if (packets + frames != 0) {
    block_.busy_polls.add(1);
    if (last_busy_ != kNever) block_.poll_gap.record(static_cast<std::uint64_t>((now - last_busy_).count()), 1);
    last_busy_ = now;
  } else {
    last_busy_ = kNever;
  }
  return packets + messages + frames;
}

// A client came or went: from here on its rings are the ones in use, and the old ones are never touched again.
void Worker::relink() noexcept {
  if (link_.offered.load(std::memory_order_acquire) == linked_) return;
  idle_.hear(-1);  // while the old ones are still ours
  linked_ = rings_ = link_.take();
  capture_.use(linked_ == nullptr ? nullptr : &linked_->captured);
  if (linked_ == nullptr) return;
  idle_.hear(linked_->doorbell);
  engine_.on_client();
}

// Each burst is stamped when it is here, not when the iteration began: what lies between is waiting, not work.
std::size_t Worker::receive_ports() noexcept {
  std::size_t total = 0;
  rte_mbuf* buffers[nodes::kBurst];
  for (const std::uint16_t port : setup_.ports) {
    const Instant before = ports_time_.measuring() ? monotonic_now() : Instant{};
    const std::uint16_t count = rte_eth_rx_burst(port, setup_.engine.worker, buffers, nodes::kBurst);
    if (count == 0) continue;
    full_ |= count == nodes::kBurst;
    const Instant received = monotonic_now();
    if (ports_time_.measuring()) ports_time_.received(received - before, count);
    total += count;
    block_.rx_packets.add(count);
    const std::span<engine::Packet> packets(packets_.data(), view_burst({buffers, count}, port));
    engine_.classify(packets);
    dispatch(packets, received, false);
  }
  return total;
}

// Fills packets_; returns with how many.
std::size_t Worker::view_burst(std::span<rte_mbuf* const> buffers, std::uint16_t device) noexcept {
  const auto drop = [&](rte_mbuf* buffer, api::DropReason reason) {
    block_.drops[static_cast<std::size_t>(reason)].add(1);
    rte_pktmbuf_free(buffer);
  };
  const bool vlans = setup_.vlans.any(device);
  std::size_t kept = 0;
  for (rte_mbuf* const buffer : buffers) {
    if (__builtin_expect(buffer->nb_segs != 1, 0)) {
      drop(buffer, api::DropReason::MalformedEthernet);  // larger than a buffer: not on this MTU
      continue;
    }
    const std::uint16_t port = vlans ? setup_.vlans.receive(buffer, device) : device;
    if (__builtin_expect(port == nodes::kNoDevice, 0))
      drop(buffer, api::DropReason::UnknownVlan);
    else
      nodes::view(buffer, port, packets_[kept++]);
  }
  return kept;
}

std::size_t Worker::receive_handover(Instant now) noexcept {
  if (links_.size() == 1) return 0;
  std::array<Instant, nodes::kBurst> received;
  const std::size_t count = handover_.take(packets_, received);
  full_ |= count == nodes::kBurst;
  while (handover_.listen(*message_)) {  // after take(): a leg is here before its packets
    if (engine_.hurry(*message_)) transcode_hurried();
    engine_.on_message(*message_, now);
  }
  for (std::size_t begin = 0, end = 0; begin < count; begin = end) {  // those that came together at a time
    while (end < count && received[end] == received[begin]) ++end;
    dispatch({packets_.data() + begin, end - begin}, received[begin], true);
  }
  return count;
}

void Worker::hand_over() noexcept {
  for (std::uint32_t woken = handover_.flush(); woken != 0; woken &= woken - 1)
    links_[static_cast<std::size_t>(__builtin_ctz(woken))]->wake();
}

// `owned`: by this worker, whatever the packets say (they were handed over).
void Worker::dispatch(std::span<engine::Packet> packets, Instant now, bool owned) noexcept {
  if (!capture_.on()) [[likely]]
    return handle(packets, now, owned);
  capture_.received(packets, now, owned);
  handle(packets, now, owned);
  capture_.decided();
}

// Frames, when it is their turn; what is late is given up in any case.
std::size_t Worker::transcode() noexcept {
  const Instant now = monotonic_now();
  nodes::shed(engine_, now, tx_, capture_);
  if (engine_.frames_waiting() == 0) return 0;
  if (turns_.frames(now)) {
    const std::size_t frames = nodes::transcode(engine_, monotonic_now, spare_, tx_, capture_);
    turns_.frames_ran(now);
    tx_.flush();
    return frames;
  }
  if (!engine_.hurried()) return 0;
  (void)nodes::transcode_next(engine_, now, monotonic_now, spare_, tx_, capture_);  // an event, which is next to nothing
  return 1;
}

// Before the legs of these frames change.
void Worker::transcode_hurried() noexcept {
  while (engine_.hurried()) (void)nodes::transcode_next(engine_, monotonic_now(), monotonic_now, spare_, tx_, capture_);
}

// What was captured so far and is decided becomes the client's, what waits to be sent included.
void Worker::settle_capture() noexcept {
  tx_.flush();
  published_ |= capture_.publish();
}

// Sends each packet the way its kind asks for.
void Worker::handle(std::span<engine::Packet> packets, Instant now, bool owned) noexcept {
  media_.clear();
  limited_.clear();
  for (engine::Packet& packet : packets) {
    switch (packet.kind) {
      case engine::PacketKind::Exception: exception_.police_to_kernel(packet, now); continue;
      case engine::PacketKind::Malformed: rte_pktmbuf_free(nodes::buffer_of(packet)); continue;
      default: break;
    }
    const bool media = packet.kind == engine::PacketKind::Media;
    if (!owned && packet.owner != setup_.engine.worker) {
      handover_.give(packet, now);
      relayed_ += media ? 1 : 0;
    } else {
      (media ? media_ : limited_).add(packet);
    }
  }
  relayed_ += nodes::media(engine_, media_, now, tx_, handover_, capture_);
  // The limiter's time does not go back to when a packet was handed over.
  published_ |= signalling_.receive(limited_, std::max(now, now_), rings_ == nullptr ? nullptr : &rings_->datagrams_up,
                                    setup_.engine.local_addresses) != 0;
}

std::size_t Worker::receive_exceptions() noexcept {
  std::size_t total = 0;
  rte_mbuf* buffers[nodes::kBurst];
  for (const std::uint16_t device : setup_.exceptions) {
    const std::uint16_t count = rte_eth_rx_burst(device, setup_.engine.worker, buffers, nodes::kBurst);
    total += count;
    for (std::uint16_t i = 0; i < count; ++i) exception_.from_kernel(buffers[i], device);
  }
  return total;
}

std::size_t Worker::receive_plane(Instant now) noexcept {
  if (rings_ == nullptr) return 0;
  std::size_t total = 0;
  api::Command command;
  while (total < kCommandsPerIteration && engine_.accepts_commands() && rings_->events.has_room(api::kMaxAnswerEvents) &&
         rings_->commands.pop(command)) {
    ++total;
    if (engine_.hurry(command)) {
      transcode_hurried();
      total = kCommandsPerIteration;  // the ports first, then others
    }
    if (capture_.on()) {  // before the answer to what may end it
      settle_capture();
      if (command.type == api::CommandType::StopCapture) published_ |= capture_.publish_all();
    }
    engine_.on_command(command, now, spare_);
    nodes::send(engine_, spare_, now, tx_);
  }
  for (std::size_t i = 0; i < nodes::kBurst && rings_->datagrams_down.pop(*datagram_); ++i, ++total) signalling_.send(*datagram_, now);
  if (rings_->corrupt()) {
    link_.corrupt.store(true, std::memory_order_relaxed);
    capture_.use(nullptr);
    rings_ = nullptr;  // not touched again; the main thread sees the flag and detaches the client
    eventfd_write(setup_.main_doorbell, 1);
  }
  return total;
}

bool Worker::on_event(const api::Event& event) noexcept {
  if (rings_ == nullptr) return false;  // nobody to tell; a client that attaches reads the leg table
  api::Event numbered = event;
  numbered.worker = setup_.engine.worker;
  numbered.sequence = ++rings_->event_sequence;
  const bool told = rings_->events.push(numbered);
  (told ? block_.events : block_.events_lost).add(1);
  published_ = true;
  return told;
}

void Worker::ring_client() noexcept {
  if (std::exchange(published_, false) && rings_ != nullptr) rings_->wake_client();
}

bool Worker::something_waits() noexcept {
  if (link_.offered.load(std::memory_order_acquire) != linked_ || tx_.waiting()) return true;
  if (rings_ != nullptr && ((engine_.accepts_commands() && !rings_->commands.empty()) || !rings_->datagrams_down.empty())) return true;
  return media_hops_.updates_waiting() || signalling_hops_.updates_waiting() || handover_.waiting();
}

// Says that it sleeps, looks once more at everything that is not a descriptor, then sleeps.
void Worker::sleep(Instant now) noexcept {
  link_.sleeps.store(1, std::memory_order_relaxed);
  if (rings_ != nullptr) rings_->flags->worker_sleeps.store(1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!something_waits()) {
    block_.sleeps.add(1);
    idle_.sleep(engine_.next_deadline() - now);
  }
  link_.sleeps.store(0, std::memory_order_relaxed);
  if (rings_ != nullptr) rings_->flags->worker_sleeps.store(0, std::memory_order_relaxed);
}

}  // namespace ifgw::runtime
