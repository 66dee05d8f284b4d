#include "dataplane/nodes/capture.h"

#include <algorithm>
#include <cstring>

namespace ifgw::nodes {
namespace {

void say_dropped(api::Captured& slot, api::DropReason reason) noexcept {
  slot.header.dropped = 1;
  slot.header.drop = reason;
}

}  // namespace

Capture::Capture(engine::Engine& engine, api::WorkerBlock& block, std::uint8_t worker, std::span<const std::uint16_t> ports,
                 Clock clock) noexcept
    : engine_(engine), block_(block), worker_(worker), clock_(clock) {
  index_of_.fill(kNotOurs);
  undecided_.reserve(kMostUndecided);
  for (std::size_t i = 0; i < std::min(ports.size(), api::kMaxPorts); ++i) index_of_[ports[i]] = static_cast<std::uint8_t>(i);
}

void Capture::use(api::RingProducer<api::Captured>* ring) noexcept {
  engine_.end_capture();
  ring_ = ring;
  undecided_.clear();
  sent_.fill(nullptr);
}

// A slot with the packet in it; nullptr: not of this capture, or no room.
api::Captured* Capture::take(Bytes frame, api::CaptureDirection direction, std::uint16_t port, std::uint32_t leg, Instant at) noexcept {
  const std::uint8_t index = index_of_[port];
  api::CapturedHeader header;
  if (index == kNotOurs || ring_ == nullptr || !engine_.capture(frame, direction, leg, header)) return nullptr;
  api::Captured* slot = ring_->reserve();
  if (slot == nullptr) {
    block_.capture_lost[index].add(1);
    return nullptr;
  }
  header.time_ns = static_cast<std::uint64_t>(to_ns(at));
  header.lost = block_.capture_lost[index].get();
  header.port = index;
  slot->header = header;
  std::memcpy(slot->bytes.data(), frame.data(), header.length);
  return slot;
}

void Capture::received(std::span<const engine::Packet> packets, Instant at, bool owned) noexcept {
  for (const engine::Packet& packet : packets) {
    const bool here =
        owned || packet.owner == worker_ || packet.kind == engine::PacketKind::Exception || packet.kind == engine::PacketKind::Malformed;
    if (!here || engine_.captured_elsewhere(packet) || undecided_.size() == kMostUndecided) continue;
    const std::uint32_t leg = packet.kind == engine::PacketKind::Media ? packet.leg_index : engine::kNoLeg;
    api::Captured* slot = take({packet.data, packet.length}, api::CaptureDirection::Inbound, packet.rx_port, leg, at);
    if (slot != nullptr) undecided_.push_back({&packet, packet.handle, slot});
  }
}

void Capture::decided() noexcept {
  std::erase_if(undecided_, [](Undecided& one) {
    const engine::Packet* packet = std::exchange(one.packet, nullptr);
    if (packet == nullptr || packet->verdict == engine::PacketVerdict::Waits) return false;
    if (packet->verdict == engine::PacketVerdict::Drop) say_dropped(*one.slot, packet->drop);
    return true;
  });
}

void Capture::decided(const engine::Packet& waited) noexcept {
  const auto one = std::find_if(undecided_.begin(), undecided_.end(), [&](const Undecided& u) { return u.handle == waited.handle; });
  if (one == undecided_.end()) return;
  if (waited.verdict == engine::PacketVerdict::Drop) say_dropped(*one->slot, waited.drop);
  undecided_.erase(one);
}

bool Capture::publish() noexcept { return ring_ != nullptr && ring_->publish(undecided_.empty() ? nullptr : undecided_.front().slot); }

bool Capture::publish_all() noexcept {
  undecided_.clear();
  return publish();
}

void Capture::dropped(const engine::Packet& packet, api::DropReason reason) noexcept {
  api::Captured* slot = take({packet.data, packet.length}, api::CaptureDirection::Inbound, packet.rx_port, engine::kNoLeg, clock_());
  if (slot != nullptr) say_dropped(*slot, reason);
}

void Capture::sending(std::span<const std::uint16_t> ports, std::span<rte_mbuf* const> buffers,
                      std::span<const api::LegRow* const> legs) noexcept {
  const Instant at = clock_();
  for (std::size_t i = 0; i < buffers.size(); ++i)
    sent_[i] = take({rte_pktmbuf_mtod(buffers[i], const std::uint8_t*), rte_pktmbuf_data_len(buffers[i])}, api::CaptureDirection::Outbound,
                    ports[i], legs[i] == nullptr ? engine::kNoLeg : engine_.leg_of(*legs[i]), at);
  for (std::size_t i = buffers.size(); i < sent_.size(); ++i) sent_[i] = nullptr;
}

void Capture::not_sent(std::size_t first) noexcept {
  for (std::size_t i = first; i < sent_.size(); ++i)
    if (sent_[i] != nullptr) say_dropped(*std::exchange(sent_[i], nullptr), api::DropReason::TxQueueFull);
}

}  // namespace ifgw::nodes
