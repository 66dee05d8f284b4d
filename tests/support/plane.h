// One worker's engine with its surroundings: memory, counters, a next hop for every address, and a list of what it
// reported. Time is a number the test moves.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/engine/engine.h"
#include "tests/support/aligned_bytes.h"
#include "tests/support/frames.h"

namespace ifgw::test {

class PlainNextHops : public engine::NextHops {
 public:
  PlainNextHops() : hops_(2) {
    hops_[0] = {{2, 0, 0, 0, 0, 0x10}, {2, 0, 0, 0, 0, 0x20}, 3, 1, 0};
    hops_[1] = {{2, 0, 0, 0, 0, 0x11}, {2, 0, 0, 0, 0, 0x21}, 4, 1, 0};
    table_ = hops_;
  }
  engine::NextHopIndex lookup(const IpAddress&) noexcept override {
    ++lookups;
    return route;
  }
  engine::NextHopIndex acquire(const IpAddress& destination) noexcept override {
    const engine::NextHopIndex index = lookup(destination);
    if (index != engine::kNoNextHop) ++held;
    return index;
  }
  void release(engine::NextHopIndex) noexcept override {
    if (held-- == 0) std::abort();
  }
  engine::NextHop& hop(std::size_t i) { return hops_[i]; }
  engine::NextHopIndex route = 0;  // what every lookup answers
  int lookups = 0;
  std::uint32_t held = 0;  // acquired and not released

 private:
  std::vector<engine::NextHop> hops_;
};

class EventLog : public engine::EventSink {
 public:
  EventLog() { events.reserve(1 << 12); }
  bool on_event(const api::Event& event) noexcept override {
    if (deaf || events.size() == events.capacity()) return false;
    events.push_back(event);
    return true;
  }
  std::size_t count(api::EventType type) const {
    return static_cast<std::size_t>(std::count_if(events.begin(), events.end(), [&](const auto& e) { return e.type == type; }));
  }
  const api::Event* last(api::EventType type) const {
    for (auto it = events.rbegin(); it != events.rend(); ++it) {
      if (it->type == type) return &*it;
    }
    return nullptr;
  }
  std::vector<api::Event> events;
  bool deaf = false;  // like a full ring
};

inline engine::EngineConfig small_config() {
  engine::EngineConfig config;
  config.local_addresses = {*IpAddress::parse("192.0.2.1"), *IpAddress::parse("2001:db8::1")};
  config.first_media_port = 20000;
  config.last_media_port = 20063;
  config.sip_udp_ports = {5060};
  config.signalling_tcp_ports = {5060, 5061};
  config.limiter_sources = 1000;
  config.prefix_stamps = 1000;
  config.max_prefixes = 8;
  return config;
}

// Two legs' coders have room in it.
inline engine::EngineConfig transcoding_config() {
  engine::EngineConfig config = small_config();
  config.transcoding_mb = 1;
  return config;
}

// Packets beyond those that came in, with room like a buffer's.
class Spares : public engine::PacketSource {
 public:
  engine::Packet* take() noexcept override {
    if (packets.size() == limit) return nullptr;
    Spare& spare = packets.emplace_back();
    spare.buffer.assign(2048, 0xEE);
    spare.packet.data = spare.buffer.data() + 128;
    spare.packet.headroom = 128;
    spare.packet.tailroom = 1920;
    return &spare.packet;
  }
  struct Spare {
    engine::Packet packet;
    Frame buffer;
  };
  std::deque<Spare> packets;
  std::size_t limit = 64;
};

struct Plane {
  explicit Plane(const engine::EngineConfig& c = small_config(), engine::PeerWorkers* peers = nullptr)
      : config(c),
        memory(engine::Engine::required_bytes(c)),
        rows(engine::Engine::leg_rows(c)),
        block(std::make_unique<api::WorkerBlock>()),
        engine(c, memory.span(), rows, *block, hops, events, peers) {}

  // ---- commands
  api::CommandDone command(api::CommandType type, const auto& fill) {
    api::Command c{};
    c.type = type;
    c.request_id = ++request;
    fill(c);
    const std::size_t before = events.count(api::EventType::CommandDone);
    spares.packets.clear();
    engine.on_command(c, now, spares);
    if (events.count(api::EventType::CommandDone) != before + 1) std::abort();
    const api::CommandDone done = events.last(api::EventType::CommandDone)->command_done;
    if (done.request_id != request || done.command != type) std::abort();
    return done;
  }
  api::CommandDone add(const api::MediaParams& media, std::uint8_t local_address = 0) {
    return command(api::CommandType::AddLeg, [&](api::Command& c) {
      c.add_leg = api::AddLeg{};
      c.add_leg.local_address = local_address;
      c.add_leg.media = media;
    });
  }
  api::CommandDone join(api::LegId a, api::LegId b) {
    return command(api::CommandType::JoinLegs, [&](api::Command& c) { c.join_legs = {a, b}; });
  }
  api::CommandDone update(api::LegId leg, const api::MediaParams& media) {
    return command(api::CommandType::UpdateLeg, [&](api::Command& c) { c.update_leg = {leg, media}; });
  }
  api::CommandDone remove(api::LegId leg) {
    return command(api::CommandType::RemoveLeg, [&](api::Command& c) { c.remove_leg = {leg}; });
  }

  // ---- packets
  struct Sent {
    engine::Packet packet;
    Datagram datagram;
    Frame frame;
  };
  static constexpr std::uint16_t kTailroom = 1024;  // a small packet may become a large one
  // Through classify() and then media() or limit(). `moved_to`: handed over by another worker, which found its leg there. `l4`:
  // what the port says of the UDP checksum.
  Sent send(const Frame& frame, std::optional<std::uint32_t> moved_to = std::nullopt, engine::Checksum l4 = engine::Checksum::Unknown) {
    buffer.assign(128 + frame.size() + kTailroom, 0xEE);
    std::copy(frame.begin(), frame.end(), buffer.begin() + 128);
    engine::Packet p;
    p.data = buffer.data() + 128;
    p.length = static_cast<std::uint16_t>(frame.size());
    p.headroom = 128;
    p.tailroom = kTailroom;
    p.l4_checksum = l4;
    engine.classify({&p, 1});
    if (moved_to) p.leg_index = *moved_to;
    engine::Packet* one[] = {&p};
    using Kind = engine::PacketKind;
    spares.packets.clear();
    if (p.kind == Kind::Media) engine.media(one, now, spares);
    if (p.kind == Kind::SipUdp || p.kind == Kind::Fragment || p.kind == Kind::SignallingTcp || p.kind == Kind::SignallingTcpSyn) {
      engine.limit(one, now);
    }
    Sent sent{p, {}, {p.data, p.data + p.length}};
    if (p.verdict == engine::PacketVerdict::Transmit) sent.datagram = read_udp(p.data, p.length);
    return sent;
  }
  std::uint64_t drops(api::DropReason reason) const { return block->drops[static_cast<std::size_t>(reason)].get(); }
  void advance(Duration d) { now += d; }
  // Runs every timer that is due until `d` has passed. What they send is in spares.packets, the last 64 of it.
  void run(Duration d) {
    const Instant end = now + d;
    spares.packets.clear();
    while (engine.next_deadline() <= end) {
      now = std::max(now, engine.next_deadline());
      engine.on_timer(now, static_cast<std::uint64_t>(to_ns(now)) + kUnixOffset, spares);
      while (spares.packets.size() >= spares.limit) spares.packets.pop_front();
    }
    now = end;
  }
  static constexpr std::uint64_t kUnixOffset = 1'795'000'000'000'000'000;

  engine::EngineConfig config;
  AlignedBytes memory;
  std::vector<api::LegRow> rows;
  std::unique_ptr<api::WorkerBlock> block;
  PlainNextHops hops;
  EventLog events;
  Spares spares;
  engine::Engine engine;
  Instant now = from_ns(1'000'000'000'000);
  std::uint32_t request = 0;
  Frame buffer;
};

inline api::MediaParams media_to(const char* remote, api::Codec codec = api::Codec::Pcmu) {
  api::MediaParams media;
  if (remote != nullptr) media.remote = *Endpoint::parse(remote);
  media.codec = codec;
  media.payload_type = codec == api::Codec::Pcmu ? 0 : codec == api::Codec::Pcma ? 8 : 96;
  return media;
}

}  // namespace ifgw::test
