// Stage capture: copies of packets, as they came from a port and as they go to one, into the client's ring. What the ring has
// no room for is counted and lost; nothing waits. While no capture is on, a burst pays for asking whether one is.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "codecs/base/time.h"
#include "dataplane/api/region.h"
#include "dataplane/nodes/packets.h"
#include "dataplane/nodes/vlans.h"

namespace ifgw::nodes {

class Capture {
 public:
  // `ports`: the network ports' numbers, in the order in which clients know them.
  Capture(engine::Engine& engine, api::WorkerBlock& block, std::uint8_t worker, std::span<const std::uint16_t> ports, Clock clock) noexcept;

  bool on() const noexcept { return engine_.capturing(); }
  // Where captured packets go from here on; nullptr: nowhere. The capture there was is over.
  void use(api::RingProducer<api::Captured>* ring) noexcept;

  // A classified burst that this worker handles now, but for the packets that it will hand over; and what became of it.
  // Between the two the packets stay where they are. Those that wait to be transcoded are decided later, each by itself.
  void received(std::span<const engine::Packet> packets, Instant at, bool owned) noexcept;
  void decided() noexcept;
  void decided(const engine::Packet& waited) noexcept;
  // One that another worker should have handled, and that ends here.
  void dropped(const engine::Packet& packet, api::DropReason reason) noexcept;
  // Frames that go to a device now, of these ports and legs (nullptr: not known) and without the tags of their VLANs, and those
  // from `first` on that it did not take.
  void sending(std::span<const std::uint16_t> ports, std::span<rte_mbuf* const> buffers, std::span<const api::LegRow* const> legs) noexcept;
  void not_sent(std::size_t first) noexcept;

  // Gives the client what was captured, up to the first packet that is not decided yet; or all, as if those had not been dropped. Whether
  // there was anything.
  bool publish() noexcept;
  bool publish_all() noexcept;

 private:
  static constexpr std::uint8_t kNotOurs = 0xFF;
  api::Captured* take(Bytes frame, api::CaptureDirection direction, std::uint16_t port, std::uint32_t leg, Instant at) noexcept;

  engine::Engine& engine_;
  api::WorkerBlock& block_;
  std::uint8_t worker_;
  Clock clock_;
  api::RingProducer<api::Captured>* ring_ = nullptr;
  std::array<std::uint8_t, kMaxPortNumbers> index_of_{};
  struct Undecided {
    const engine::Packet* packet;  // of the burst; nullptr: it waits
    const void* handle;            // of a packet that waits
    api::Captured* slot;
  };
  static constexpr std::size_t kMostUndecided = engine::kMaxBurst + engine::FrameQueue::kCapacity;
  std::vector<Undecided> undecided_;           // as in the ring; room for kMostUndecided
  std::array<api::Captured*, kBurst> sent_{};  // of the burst that goes to a device; nullptr: not captured
};

}  // namespace ifgw::nodes
