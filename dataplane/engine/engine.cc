#include "dataplane/engine/engine.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "codecs/base/check.h"
#include "dataplane/engine/frame.h"

namespace ifgw::engine {
namespace {

constexpr Duration kTimerInterval = std::chrono::milliseconds(5);
// Timer calls it takes to visit every leg: one second.
constexpr std::uint32_t kSweepCalls = 200;

std::size_t limiter_bytes(const EngineConfig& config) noexcept { return (SourceLimiter::required_bytes(config) + 63) / 64 * 64; }
std::size_t coder_bytes(const EngineConfig& config) noexcept { return std::size_t{config.transcoding_mb} << 20; }

}  // namespace

std::size_t Engine::required_bytes(const EngineConfig& config) noexcept {
  return LegTable::required_bytes(config) + limiter_bytes(config) + coder_bytes(config);
}

Engine::Engine(const EngineConfig& config, std::span<std::byte> memory, std::span<api::LegRow> rows, api::WorkerBlock& block,
               NextHops& next_hops, EventSink& events, PeerWorkers* peers)
    : config_(config),
      block_(block),
      next_hops_(next_hops),
      events_(events),
      legs_(config, memory.first(LegTable::required_bytes(config)), rows),
      limiter_(config, memory.subspan(LegTable::required_bytes(config), limiter_bytes(config)), events),
      classifier_(config, limiter_),
      media_(config, memory.subspan(required_bytes(config) - coder_bytes(config), coder_bytes(config)), legs_, next_hops, events, block),
      capture_(config),
      peers_(peers) {
  if (peers != nullptr) unreleased_.reserve(max_legs(config));
  for (std::size_t pair = 0; pair < api::kCodecPairs; ++pair) block_.pair_cost_ns[pair].set(config.pair_costs_ns[pair]);
  block_.load_limit_ppm.set(media_.headroom().limit_ppm());
}

std::size_t Engine::bytes_per_leg(const EngineConfig& config) noexcept {
  return LegTable::required_bytes(config) / leg_rows(config) + Media::bytes_per_leg() + sizeof(api::LegRow);
}

bool Engine::can_transcode(api::Codec codec, const EngineConfig& config) noexcept {
  const bool g711 = codec == api::Codec::Pcmu || codec == api::Codec::Pcma;
  return g711 || (config.transcoding_mb != 0 && audio::pcm_rate_hz(codec_settings(codec)) != 0);
}

void Engine::classify(std::span<Packet> packets) noexcept {
  // A frame that came by DMA is not in the first cache yet; all headers up to RTP are in its first line.
  constexpr std::size_t kAhead = 6;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    if (i + kAhead < packets.size()) __builtin_prefetch(packets[i + kAhead].data, 1);
    Packet& packet = packets[i];
    classifier_.classify(packet);
    if (packet.kind == PacketKind::Media && packet.owner == config_.worker) legs_.prefetch(packet.leg_index);
    if (packet.verdict == PacketVerdict::Drop) block_.drops[static_cast<std::size_t>(packet.drop)].add(1);
  }
}

void Engine::media(std::span<Packet* const> packets, Instant now, PacketSource& spare) noexcept {
  while (!packets.empty()) {
    const std::size_t count = std::min(packets.size(), kMaxBurst);
    std::array<void*, kMaxBurst> handles;  // ours meanwhile, to tell whose frames come back
    for (std::size_t i = 0; i < count; ++i) handles[i] = std::exchange(packets[i]->handle, packets[i]);
    media_.begin(packets.first(count), now);
    while (const WaitingFrame* frame = media_.next_frame(spare)) *static_cast<Packet*>(frame->packet.handle) = frame->packet;
    for (std::size_t i = 0; i < count; ++i) packets[i]->handle = handles[i];
    packets = packets.subspan(count);
  }
}

void Engine::limit(std::span<Packet* const> packets, Instant now) noexcept {
  while (!packets.empty()) {
    const std::size_t count = std::min(packets.size(), kMaxBurst);
    limit_burst(packets.first(count), now);
    packets = packets.subspan(count);
  }
  publish_limiter();
  arm(now);
}

void Engine::limit_burst(std::span<Packet* const> packets, Instant now) noexcept {
  std::array<SourceLimiter::Probe, kMaxBurst> probes;
  const SourceLimiter::Moment moment = limiter_.at(now);
  for (std::size_t i = 0; i < packets.size(); ++i) limiter_.begin(packet_source(*packets[i]), probes[i]);
  for (std::size_t i = 0; i < packets.size(); ++i) limiter_.locate(probes[i]);
  for (std::size_t i = 0; i < packets.size(); ++i) decide_signalling(*packets[i], probes[i], moment);
}

void Engine::decide_signalling(Packet& packet, const SourceLimiter::Probe& probe, SourceLimiter::Moment moment) noexcept {
  const bool counts = packet.kind != PacketKind::SignallingTcp;
  const SourceLimiter::Outcome outcome = counts ? limiter_.check(probe, moment) : limiter_.check_blocked(probe, moment);
  if (!outcome.pass) return drop(packet, outcome.reason);
  // What no slot of the ring holds is for the control plane's socket in the kernel, like what comes in fragments.
  if (packet.kind != PacketKind::SipUdp || packet.payload_length > api::kMaxDatagramPayload) {
    packet.verdict = PacketVerdict::Kernel;
    return;
  }
  if (packet.payload_length == 0) return drop(packet, api::DropReason::EmptyDatagram);
  if (!udp_checksum_ok(packet)) return drop(packet, api::DropReason::BadChecksum);
  packet.verdict = PacketVerdict::Up;
}

bool Engine::fits_mtu(const Endpoint& remote, std::size_t payload_length) const noexcept {
  return (remote.ip.is_v6() ? kIpv6Bytes : kIpv4Bytes) + kUdpBytes + payload_length <= config_.mtu;
}

void Engine::build_datagram(Packet& packet, const api::DatagramHeader& header, NextHops& next_hops) noexcept {
  const bool ours = classifier_.local_address(header.local.ip) >= 0 && classifier_.is_sip_udp_port(header.local.port);
  const bool remote_ok = header.remote.ip.family == header.local.ip.family && !is_martian(header.remote.ip) && header.remote.port != 0 &&
                         classifier_.local_address(header.remote.ip) < 0;
  const bool valid = ours && header.dscp <= 63 && header.length != 0 && header.length == packet.length;
  if (!valid) block_.invalid_messages.add(1);
  if (!valid || !remote_ok) return drop(packet, api::DropReason::RefusedDatagram);
  if (!fits_mtu(header.remote, header.length)) return drop(packet, api::DropReason::OversizedDatagram);
  const NextHopIndex index = next_hops.lookup(header.remote.ip);
  const auto table = next_hops.table();
  if (index >= table.size() || table[index].usable == 0) return drop(packet, api::DropReason::NoNextHop);
  const UdpTemplate path = make_udp_template(header.local, header.remote, header.dscp);
  packet.payload_offset = 0;
  packet.payload_length = header.length;
  const std::uint16_t checksum = fresh_udp_checksum(path, {packet.data, header.length});
  if (write_frame(packet, path, table[index], config_.mtu, checksum) != FrameError::None) return drop(packet, api::DropReason::NoBuffer);
  packet.tx_leg = kNoLegRow;
}

bool Engine::capture(Bytes frame, api::CaptureDirection direction, std::uint32_t leg, api::CapturedHeader& header) const noexcept {
  const auto taken = capture_.take(frame, direction);
  if (!taken) return false;
  header = api::CapturedHeader{};
  header.capture = capture_.number();
  header.length = taken->length;
  header.original_length = static_cast<std::uint16_t>(frame.size());
  header.direction = direction;
  if (leg == kNoLeg && taken->media && taken->owner == config_.worker) leg = taken->leg_index;
  if (leg != kNoLeg && legs_.present(leg)) header.leg = legs_.id(leg);
  return true;
}

void Engine::check_capture(Instant now) noexcept {
  const bool leg_gone = capture_.leg().present() && legs_.find(capture_.leg()) == kNoLeg;
  if (leg_gone || now >= capture_.until()) capture_.end();
}

void Engine::on_timer(Instant now, std::uint64_t unix_ns, PacketSource& spare) noexcept {
  if (now < next_timer_) return;
  limiter_.on_timer(now);
  if (legs_.in_use() != 0) media_.sweep(legs_.slots() / kSweepCalls + 1, now, unix_ns, spare);
  publish_limiter();
  while (!unreleased_.empty() && peers_->tell(unreleased_.back().worker(), release_message(unreleased_.back()))) unreleased_.pop_back();
  tell_moved(now);
  const bool busy = legs_.in_use() != 0 || moving_ || limiter_.stats().sources != 0 || !unreleased_.empty();
  next_timer_ = busy ? now + kTimerInterval : kNever;
}

// The timer rests while there is neither a leg nor a source to look after.
void Engine::arm(Instant now) noexcept {
  if (next_timer_ == kNever) next_timer_ = now + kTimerInterval;
}

void Engine::drop(Packet& packet, api::DropReason reason) noexcept {
  packet.verdict = PacketVerdict::Drop;
  packet.drop = reason;
  block_.drops[static_cast<std::size_t>(reason)].add(1);
}

void Engine::publish_limiter() noexcept {
  block_.limiter_sources.set(limiter_.stats().sources);
  block_.limiter_blocked.set(limiter_.stats().blocked);
  block_.limiter_admitted.set(limiter_.admitted());
  if (const std::uint64_t lost = limiter_.take_suppressed_events(); lost != 0) block_.events_lost.add(lost);
}

}  // namespace ifgw::engine
