#include "dataplane/nodes/tx.h"

#include <rte_ethdev.h>

namespace ifgw::nodes {

Tx::Tx(std::uint16_t worker, const SharedQueues& shared, const Vlans& vlans, api::WorkerBlock& block, Clock clock, Capture& capture,
       PortsTime& time) noexcept
    : vlans_(vlans), block_(block), clock_(clock), capture_(capture), time_(time) {
  for (std::uint16_t device = 0; device < kMaxDevices; ++device) {
    queues_[device].number = shared.queue(device, worker);
    queues_[device].taken = shared.taken(device, worker);
  }
}

void Tx::add(rte_mbuf* buffer, std::uint16_t port, Instant received, api::LegRow* leg, std::uint8_t codec_pair) noexcept {
  const bool tagged = Vlans::is_vlan(port);
  if (tagged && !Vlans::has_room(buffer)) [[unlikely]] {
    block_.drops[static_cast<std::size_t>(api::DropReason::NoBuffer)].add(1);
    return rte_pktmbuf_free(buffer);
  }
  const std::uint16_t device = vlans_.device(port);
  Queue& queue = queues_[device];
  queue.buffers[queue.size] = buffer;
  queue.ports[queue.size] = port;
  queue.received[queue.size] = received;
  queue.legs[queue.size] = leg;
  queue.pairs[queue.size] = codec_pair;
  queue.tagged |= tagged;
  if (++queue.size == kBurst) send(device);
}

void Tx::flush() noexcept {
  waiting_ = false;
  for (std::uint16_t device = 0; device < kMaxDevices; ++device)
    if (queues_[device].size != 0) send(device);
}

// A full one that another worker is in the way of is given up: the next packet needs its place.
bool Tx::take(Queue& queue) noexcept {
  if (!queue.taken->test_and_set(std::memory_order_acquire)) return true;
  if (queue.size == kBurst)
    drop_from(queue, 0);
  else
    waiting_ = true;
  return false;
}

void Tx::drop_from(Queue& queue, std::uint16_t first) noexcept {
  block_.drops[static_cast<std::size_t>(api::DropReason::TxQueueFull)].add(queue.size - first);
  rte_pktmbuf_free_bulk(&queue.buffers[first], queue.size - first);
  queue.size = 0;
  queue.tagged = false;
}

void Tx::send(std::uint16_t device) noexcept {
  Queue& queue = queues_[device];
  if (queue.taken != nullptr && !take(queue)) return;
  const bool captured = capture_.on();
  if (captured) [[unlikely]]
    capture_.sending({queue.ports.data(), queue.size}, {queue.buffers.data(), queue.size}, {queue.legs.data(), queue.size});
  if (queue.tagged) [[unlikely]]
    for (std::uint16_t i = 0; i < queue.size; ++i)
      if (Vlans::is_vlan(queue.ports[i])) vlans_.tag(queue.buffers[i], queue.ports[i]);
  const bool timed = time_.measuring() && queue.received[0] != kNever;
  const Instant before = timed ? clock_() : Instant{};
  const std::uint16_t sent = rte_eth_tx_burst(device, queue.number, queue.buffers.data(), queue.size);
  if (queue.taken != nullptr) queue.taken->clear(std::memory_order_release);
  if (timed) time_.sent(clock_() - before, queue.size);
  record(queue, sent);
  block_.tx_packets.add(sent);
  if (sent < queue.size) {
    if (captured) capture_.not_sent(sent);
    drop_from(queue, sent);
  }
  queue.size = 0;
  queue.tagged = false;
}

// Packets of one burst share their arrival time: one histogram update stands for all neighbours of one pair of codecs.
void Tx::record(const Queue& queue, std::uint16_t sent) noexcept {
  Instant now = kNever;
  std::uint16_t i = 0;
  while (i < sent) {
    const Instant received = queue.received[i];
    if (received == kNever) {
      ++i;
      continue;
    }
    if (now == kNever) now = clock_();
    const auto inside = static_cast<std::uint64_t>((now - received).count());
    const unsigned bucket = api::LegLatency::bucket(inside);
    const std::uint32_t clamped = api::LegLatency::clamp(inside);
    const std::uint8_t pair = queue.pairs[i];
    std::uint64_t same = 0;
    for (; i < sent && queue.received[i] == received && queue.pairs[i] == pair; ++i, ++same) queue.legs[i]->inside.record(bucket, clamped);
    block_.inside[pair].record(inside, same);
  }
}

}  // namespace ifgw::nodes
