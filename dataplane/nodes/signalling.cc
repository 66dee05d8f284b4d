#include "dataplane/nodes/signalling.h"

#include <cstring>

#include "codecs/base/check.h"

namespace ifgw::nodes {
namespace {

constexpr Duration kParkTime = std::chrono::seconds(1);

IpAddress source_of(const engine::Packet& packet) noexcept {
  const std::uint8_t* ip = packet.data + packet.ip_offset;
  if (packet.ip_version == 4) return IpAddress::v4(load_be32(ip + 12));
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), ip + 8, bytes.size());
  return IpAddress::v6(bytes);
}

}  // namespace

Signalling::Signalling(engine::Engine& engine, engine::NextHops& next_hops, api::WorkerBlock& block, Exception& exception, Tx& tx,
                       rte_mempool* pool)
    : engine_(engine),
      next_hops_(next_hops),
      block_(block),
      exception_(exception),
      tx_(tx),
      pool_(pool),
      slot_(std::make_unique<api::Datagram>()),
      parked_(std::make_unique<std::array<Parked, kParked>>()) {}

std::size_t Signalling::receive(const PacketList& packets, Instant now, api::RingProducer<api::Datagram>* up,
                                std::span<const IpAddress> local_addresses) noexcept {
  if (packets.empty()) return 0;
  engine_.limit(packets.all(), now);
  std::size_t lifted = 0;
  for (engine::Packet* packet : packets.all()) {
    switch (packet->verdict) {
      case engine::PacketVerdict::Up:
        if (lift(*packet, now, up, local_addresses[packet->local_address])) ++lifted;
        break;
      case engine::PacketVerdict::Kernel:
        if (packet->kind == engine::PacketKind::SignallingTcp)
          exception_.police_tcp_to_kernel(*packet, now);
        else
          exception_.to_kernel(*packet);
        break;
      default: rte_pktmbuf_free(settle(*packet));
    }
  }
  return lifted;
}

bool Signalling::lift(engine::Packet& packet, Instant now, api::RingProducer<api::Datagram>* up, const IpAddress& local) noexcept {
  if (up == nullptr) {
    drop(packet, api::DropReason::NoControlPlane);
    return false;
  }
  IFGW_CHECK(packet.payload_length <= api::kMaxDatagramPayload);  // the engine sends no other up
  slot_->header.local = {local, packet.destination_port};
  slot_->header.remote = {source_of(packet), packet.source_port};
  slot_->header.time_ns = static_cast<std::uint64_t>(to_ns(now));
  slot_->header.length = packet.payload_length;
  std::memcpy(slot_->payload.data(), packet.data + packet.payload_offset, packet.payload_length);
  if (!up->push(*slot_)) {
    drop(packet, api::DropReason::DatagramRingFull);
    return false;
  }
  block_.datagrams_up.add(1);
  rte_pktmbuf_free(settle(packet));
  return true;
}

bool Signalling::usable(engine::NextHopIndex index) const noexcept {
  return index != engine::kNoNextHop && next_hops_.table()[index].usable != 0;
}

void Signalling::send(const api::Datagram& datagram, Instant now) noexcept {
  if (datagram.header.length == 0 || datagram.header.length > api::kMaxDatagramPayload) {
    block_.invalid_messages.add(1);
    return;
  }
  const engine::NextHopIndex next_hop = next_hops_.lookup(datagram.header.remote.ip);
  if (next_hop == engine::kNoNextHop || usable(next_hop) || parked_count_ == kParked) return transmit(datagram);
  Parked& parked = (*parked_)[parked_count_++];
  parked.since = now;
  parked.next_hop = next_hop;
  api::SlotCopy<api::Datagram>::into_slot(parked.datagram, datagram);
}

void Signalling::retry(Instant now) noexcept {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < parked_count_; ++i) {
    Parked& parked = (*parked_)[i];
    if (usable(parked.next_hop) || now - parked.since > kParkTime)
      transmit(parked.datagram);  // too late: counted there
    else if (kept++ != i)
      (*parked_)[kept - 1] = parked;
  }
  parked_count_ = kept;
}

void Signalling::transmit(const api::Datagram& datagram) noexcept {
  const std::size_t length = datagram.header.length;
  rte_mbuf* buffer = rte_pktmbuf_alloc(pool_);
  if (buffer == nullptr) {
    block_.drops[static_cast<std::size_t>(api::DropReason::NoBuffer)].add(1);
    return;
  }
  engine::Packet packet;
  view(buffer, 0, packet);
  if (length > packet.tailroom) return drop(buffer, api::DropReason::OversizedDatagram);
  std::memcpy(packet.data, datagram.payload.data(), length);
  packet.length = static_cast<std::uint16_t>(length);
  packet.tailroom = static_cast<std::uint16_t>(packet.tailroom - length);
  packet.payload_length = packet.length;
  engine_.build_datagram(packet, datagram.header, next_hops_);
  if (packet.verdict != engine::PacketVerdict::Transmit) return rte_pktmbuf_free(settle(packet));
  block_.datagrams_down.add(1);
  tx_.add(settle(packet), packet.tx_port);
}

void Signalling::drop(engine::Packet& packet, api::DropReason reason) noexcept {
  packet.verdict = engine::PacketVerdict::Drop;
  packet.drop = reason;
  drop(settle(packet), reason);
}

void Signalling::drop(rte_mbuf* buffer, api::DropReason reason) noexcept {
  block_.drops[static_cast<std::size_t>(reason)].add(1);
  rte_pktmbuf_free(buffer);
}

}  // namespace ifgw::nodes
