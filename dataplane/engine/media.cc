#include "dataplane/engine/media.h"

#include <algorithm>
#include <cstring>

#include "dataplane/engine/frame.h"
#include "dataplane/engine/icmp_error.h"

namespace ifgw::engine {
namespace {

constexpr std::int32_t kMaxLatchGap = 50;  // packets: one second, after which a stream is not the same stream any more
// A stream that gave way to another may still have packets under way; later ones mean that it is back.
constexpr Duration kOldStream = std::chrono::milliseconds(200);
constexpr Duration kNextHopRetry = std::chrono::milliseconds(100);

api::DropReason reason(FrameError error) noexcept {
  return error == FrameError::Oversized ? api::DropReason::OversizedDatagram : api::DropReason::NoBuffer;
}

}  // namespace

Media::Media(const EngineConfig& config, std::span<std::byte> memory, LegTable& legs, NextHops& next_hops, EventSink& events,
             api::WorkerBlock& block)
    : legs_(legs),
      next_hops_(next_hops),
      events_(events),
      block_(block),
      worker_(config.worker),
      mtu_(config.mtu),
      headroom_(config.pair_costs_ns, config.max_load_percent),
      late_(config.late),
      pool_(memory),
      coding_(legs.slots()),
      streams_(legs.slots()),
      rtcp_(legs.slots()),
      event_mappers_(legs.slots()),
      key_(config.hash_key) {}

void Media::begin(std::span<Packet* const> packets, Instant now) noexcept {
  // Far enough ahead for a line to arrive, near enough to leave the processor room for what classify() asked for.
  constexpr std::size_t kAhead = 8;
  for (std::size_t i = 0; i < std::min(kAhead, packets.size()); ++i) legs_.prefetch_peer(packets[i]->leg_index);
  waiting_.clear();
  arrival_ = static_cast<std::uint32_t>(to_ns(now) / 125'000);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    if (i + kAhead < packets.size()) legs_.prefetch_peer(packets[i + kAhead]->leg_index);
    if (!relay_next(*packets[i], now)) receive(*packets[i], now);
  }
  for (const Waiting& waiting : waiting_) {
    if (legs_.rx(waiting.packet->leg_index).path == AudioPath::Transcode)
      queue(waiting, now);
    else if (waiting.kind == FrameKind::Event)
      relayed_event(waiting, now);
    else
      map(waiting, now);
  }
}

void Media::receive(Packet& packet, Instant now) noexcept {
  if (!legs_.present(packet.leg_index)) return pass_on(packet);
  if (packet.payload_offset == 0) return receive_icmp(packet, now);
  const bool rtcp = (packet.destination_port & 1) != 0 || looks_like_rtcp(udp_payload(packet));
  return rtcp ? receive_rtcp(packet, now) : receive_rtp(packet, now);
}

inline void Media::count_packet(api::LegRow& row, const Packet& packet, std::int64_t expected, Instant now) noexcept {
  row.rx_packets.add(1);
  row.rx_bytes.add(packet.payload_length);
  row.last_rx_ns.set(static_cast<std::uint64_t>(to_ns(now)));
  row.expected.add(static_cast<std::uint64_t>(expected));
}

// RFC 3550 appendix A.8, in its integer form. The upper half of the counter is the transit time of the packet before.
inline void Media::count_jitter(api::LegRow& row, std::uint32_t clock_khz, std::uint32_t timestamp, SequenceTracker::Order order) noexcept {
  const std::uint64_t before = row.jitter.get();
  auto jitter = static_cast<std::uint32_t>(before);
  const std::uint32_t transit = arrival_ * (clock_khz / 8) - timestamp;
  const std::uint32_t change = transit - static_cast<std::uint32_t>(before >> 32);
  const std::uint32_t distance = std::min(change, 0 - change);
  // A clock that was set anew is no jitter.
  if (order != SequenceTracker::Order::Restart && distance <= kMaxTimestampGap) jitter += distance - ((jitter + 8) >> 4);
  row.jitter.set(std::uint64_t{transit} << 32 | jitter);
}

inline SequenceTracker::Order Media::count_rtp(LegRx& rx, api::LegRow& row, std::uint32_t leg, const Packet& packet, const RtpHeader& rtp,
                                               bool audio, Instant now) noexcept {
  const SequenceTracker::Change change = rx.sequence.packet(rtp.ssrc, rtp.sequence);
  count_packet(row, packet, change.expected, now);
  if (__builtin_expect(change.reordered, 0)) row.reordered.add(1);
  if (__builtin_expect(change.order == SequenceTracker::Order::Restart, 0)) {
    Rtcp& rtcp = rtcp_[leg];
    rtcp.stream_expected = row.expected.get() - 1;
    rtcp.stream_received = row.rx_packets.get() - 1;
    rtcp.expected_before = rtcp.received_before = 0;
  }
  // Events share their beginning's time stamp; only audio tells jitter.
  if (audio && change.order != SequenceTracker::Order::Unconfirmed) count_jitter(row, rx.clock_khz, rtp.timestamp, change.order);
  return change.order;
}

// Gives a packet its numbers in the stream that the peer hears. False: it has no place there. `before`: what had come until
// then.
inline bool Media::number(LegRx& rx, std::uint32_t leg, RtpHeader& rtp, SequenceTracker::Order order, const Received& before, bool audio,
                          Instant now) noexcept {
  StreamMap& map = rx.map;
  // Events bear the time of their beginning, and do not move the audio's.
  const bool steady = !audio || rtp.timestamp - map.newest_timestamp <= kMaxTimestampGap;
  if (__builtin_expect(order == SequenceTracker::Order::Next && map.made() && steady, 1)) {
    if (audio) map.newest_timestamp = rtp.timestamp;
  } else if (!place(leg, rtp, order, before, audio, now)) {
    return false;
  }
  rtp.sequence = static_cast<std::uint16_t>(rtp.sequence + map.sequence_offset);
  rtp.timestamp += map.timestamp_offset;
  rtp.ssrc = map.ssrc;
  return true;
}

[[gnu::always_inline]] inline void Media::relay(Packet& packet, const LegRx& rx, const LegOut& out, const RtpFixed& before,
                                                const RtpFixed& after, Instant now) noexcept {
  const UdpTemplate& path = out.path;
  std::uint16_t checksum = load_raw16(packet.data + packet.l4_offset + 6);
  after.store(packet.data + packet.payload_offset);
  if (checksum != 0) {
    checksum = update_checksum(checksum, before.sum() + rx.pseudo_sum, after.sum() + path.pseudo_sum);
  } else if (path.is_v6()) {
    checksum = fresh_udp_checksum(path, udp_payload(packet));
  }
  const NextHop* const hop = next_hop(packet.leg_index, now);
  if (__builtin_expect(hop == nullptr, 0)) return drop(packet, api::DropReason::NoNextHop);
  const FrameError error = write_frame(packet, path, *hop, mtu_, checksum);
  if (__builtin_expect(error != FrameError::None, 0)) return drop(packet, reason(error));
  count_sent(packet, rx);
}

// What nearly every packet is: audio, the next of a relayed stream that flows (LegRx::flows). All it takes is here, in
// registers. False: nothing was done, receive() knows the rest.
inline bool Media::relay_next(Packet& packet, Instant now) noexcept {
  const std::uint32_t leg = packet.leg_index;
  LegRx& rx = legs_.rx(leg);
  if (!rx.flows || (packet.destination_port & 1) != 0) return false;
  if (packet.source_port != rx.source_port || !from_address(packet, rx.source)) return false;
  if (packet.payload_length < kRtpFixedBytes) return false;
  const RtpFixed rtp = RtpFixed::load(packet.data + packet.payload_offset);
  if (!rtp.plain(rx.payload_type) || !rx.sequence.is_next(rtp.ssrc(), rtp.sequence())) return false;
  const std::uint32_t timestamp = rtp.timestamp();
  StreamMap& map = rx.map;
  if (timestamp - map.newest_timestamp > kMaxTimestampGap) return false;
  rx.sequence.advance();
  map.newest_timestamp = timestamp;
  api::LegRow& row = legs_.row(leg);
  count_packet(row, packet, 1, now);
  count_jitter(row, rx.clock_khz, timestamp, SequenceTracker::Order::Next);
  const LegOut& out = legs_.out(leg);
  const RtpFixed heard = RtpFixed::make(out.payload_type, static_cast<std::uint16_t>(rtp.sequence() + map.sequence_offset),
                                        timestamp + map.timestamp_offset, map.ssrc);
  relay(packet, rx, out, rtp, heard, now);
  return true;
}

void Media::receive_rtp(Packet& packet, Instant now) noexcept {
  const std::uint32_t leg = packet.leg_index;
  LegRx& rx = legs_.rx(leg);
  const bool expected = packet.source_port == rx.source_port && from_address(packet, rx.source);
  if (!expected && rx.latch == 0) return drop(packet, api::DropReason::WrongMediaSource);
  RtpHeader rtp;
  if (!parse_rtp(udp_payload(packet), rtp)) return drop(packet, api::DropReason::MalformedRtp);
  const bool audio = rtp.payload_type == rx.payload_type;
  const bool noise = !audio && rtp.payload_type == rx.noise_payload_type;
  if (!audio && !noise && rtp.payload_type != rx.event_payload_type) return drop(packet, api::DropReason::UnexpectedPayloadType);
  if (!expected && !latch(packet, rtp, now)) return drop(packet, api::DropReason::WrongMediaSource);
  if (rx.started == 0) first_packet(packet, rtp, now);
  if (__builtin_expect(rtp.ssrc != rx.sequence.ssrc(), 0) && rx.sequence.started()) {
    // What is damaged begins no other stream.
    if (!udp_checksum_ok(packet)) return drop(packet, api::DropReason::BadChecksum);
    if (straggler(leg, rtp.ssrc, now)) return drop(packet, api::DropReason::OutOfSequence);
  }
  api::LegRow& row = legs_.row(leg);
  const Received before{rx.sequence.highest(), from_ns(static_cast<std::int64_t>(row.last_rx_ns.get()))};
  const SequenceTracker::Order order = count_rtp(rx, row, leg, packet, rtp, audio, now);
  if (rx.receive == 0) return drop(packet, api::DropReason::DirectionOff);
  if (rx.peer == kNoLeg) return drop(packet, api::DropReason::NoPeerLeg);
  const LegOut& out = legs_.out(leg);
  if (out.send == 0) return drop(packet, api::DropReason::DirectionOff);
  if (!out.path.made()) return drop(packet, api::DropReason::NoRemoteAddress);
  if (!audio || rx.path == AudioPath::Relay) {
    const std::uint8_t outgoing = audio ? out.payload_type : noise ? out.noise_payload_type : out.event_payload_type;
    // Who refuses noise has a transcoder.
    if (outgoing == api::kNoPayloadType && !noise) return drop(packet, api::DropReason::UnexpectedPayloadType);
    const bool valid = audio || (noise ? rtp.payload_length != 0 : valid_telephone_events(rtp.payload_length));
    if (!valid) return drop(packet, api::DropReason::BadPayload);
    // A transcoder waits for nobody to confirm a jump of these.
    if (rx.path == AudioPath::Transcode && order == SequenceTracker::Order::Unconfirmed)
      return drop(packet, api::DropReason::OutOfSequence);
    // Durations may only grow; a copy of the newest is one of an end that is said thrice.
    const bool late = order == SequenceTracker::Order::Late && rtp.sequence != rx.sequence.highest();
    if (rx.path == AudioPath::Transcode) return wait({&packet, rtp, noise ? FrameKind::Noise : FrameKind::Event});
    if (!number(rx, leg, rtp, order, before, audio || noise, now)) return drop(packet, api::DropReason::OutOfSequence);
    if (!audio && !noise && rx.map_events != 0) {
      if (late) return drop(packet, api::DropReason::OutOfSequence);
      return wait({&packet, rtp, FrameKind::Event});
    }
    if (audio) rx.flows = true;
    const RtpFixed fixed = RtpFixed::load(packet.data + packet.payload_offset);
    return relay(packet, rx, out, fixed, fixed.with(rtp, outgoing), now);
  }
  if (rx.path == AudioPath::None) return drop(packet, api::DropReason::UnexpectedPayloadType);
  if (rtp.payload_length == 0) return drop(packet, api::DropReason::BadPayload);
  if (rx.path != AudioPath::Transcode && !number(rx, leg, rtp, order, before, true, now))
    return drop(packet, api::DropReason::OutOfSequence);
  wait({&packet, rtp, FrameKind::Audio});
}

// Of another SSRC than the newest: still under way when the party turned to that one? Otherwise it is the newest now.
bool Media::straggler(std::uint32_t leg, std::uint32_t ssrc, Instant now) noexcept {
  LegCold& cold = legs_.cold(leg);
  const Instant last_packet = from_ns(static_cast<std::int64_t>(legs_.row(leg).last_rx_ns.get()));
  if (ssrc == cold.old_ssrc && now - last_packet < kOldStream) return true;
  cold.old_ssrc = legs_.rx(leg).sequence.ssrc();
  return false;
}

// What the leg's party was sent did not arrive, somebody says: to be told, not to be acted on.
void Media::receive_icmp(Packet& packet, Instant now) noexcept {
  const std::uint32_t leg = packet.leg_index;
  const auto error = parse_icmp_error(packet);
  const Endpoint& remote = legs_.info(leg).current_remote;
  LegCold& cold = legs_.cold(leg);
  const bool ours =
      error && error->remote.ip == remote.ip && (error->remote.port == remote.port || error->remote.port == cold.rtcp_send_port);
  if (!ours) return drop(packet, api::DropReason::WrongMediaSource);
  packet.verdict = PacketVerdict::Kept;
  legs_.row(leg).unreachable.add(1);
  if (cold.unreachable_told) return;
  api::Event unreachable = event(api::EventType::MediaUnreachable, now);
  unreachable.media_unreachable = {legs_.id(leg), error->reporter, error->remote, error->cause, error->mtu};
  cold.unreachable_told = events_.on_event(unreachable);
}

// A packet of a leg that may learn its party's address, from another address than the one expected now. The first valid
// one of the window decides; later in the window only the same stream, carried on, may move.
bool Media::latch(const Packet& packet, const RtpHeader& rtp, Instant now) noexcept {
  const std::uint32_t leg = packet.leg_index;
  LegRx& rx = legs_.rx(leg);
  if (now >= legs_.cold(leg).latch_until) return false;
  if (rx.started != 0) {
    const std::int32_t ahead = serial_distance(rx.sequence.highest(), rtp.sequence);
    if (rtp.ssrc != rx.sequence.ssrc() || ahead <= 0 || ahead > kMaxLatchGap) return false;
  }
  if (!udp_checksum_ok(packet)) return false;
  const Endpoint source{packet_source(packet), packet.source_port};
  if (source.port == 0) return false;
  api::LegInfo& info = legs_.info(leg);
  api::Event moved = event(api::EventType::AddressChange, now);
  moved.address_change = {legs_.id(leg), info.current_remote, source};
  info.current_remote = source;
  set_remote(leg);
  rx.rtcp_port = 0;
  // One port for both, as agreed (RFC 5761), or the next one.
  const bool mux = info.media.remote_rtcp_port != 0 && info.media.remote_rtcp_port == info.media.remote.port;
  legs_.cold(leg).rtcp_send_port = static_cast<std::uint16_t>(source.port + (mux ? 0 : 1));
  legs_.publish(leg);
  events_.on_event(moved);
  return true;
}

void Media::first_packet(const Packet& packet, const RtpHeader& rtp, Instant now) noexcept {
  if (!legs_.rx(packet.leg_index).sequence.started()) legs_.cold(packet.leg_index).old_ssrc = rtp.ssrc;
  legs_.rx(packet.leg_index).started = 1;
  api::Event first = event(api::EventType::FirstPacket, now);
  first.first_packet = {legs_.id(packet.leg_index), {packet_source(packet), packet.source_port}};
  events_.on_event(first);
}

// False, and dropped: it cannot go.
bool Media::send_frame(Packet& packet, const UdpTemplate& path, std::uint16_t udp_checksum, const NextHop* hop) noexcept {
  if (hop == nullptr) {
    drop(packet, api::DropReason::NoNextHop);
    return false;
  }
  const FrameError error = write_frame(packet, path, *hop, mtu_, udp_checksum);
  if (error != FrameError::None) drop(packet, reason(error));
  return error == FrameError::None;
}

const NextHop* Media::resolve_next_hop(std::uint32_t leg, Instant now) noexcept {
  LegOut& out = legs_.out(leg);
  LegCold& cold = legs_.cold(leg);
  if (now < cold.next_hop_retry) return nullptr;
  cold.next_hop_retry = now + kNextHopRetry;
  const std::uint32_t peer = legs_.rx(leg).peer;
  const IpAddress& destination = legs_.info(peer).current_remote.ip;
  if (legs_.cold(peer).next_hop == kNoNextHop)
    out.next_hop = legs_.cold(peer).next_hop = next_hops_.acquire(destination);  // there may be room by now
  else
    (void)next_hops_.lookup(destination);  // the first question may have been lost
  const auto table = next_hops_.table();
  return out.next_hop < table.size() && table[out.next_hop].usable != 0 ? &table[out.next_hop] : nullptr;
}

void Media::drop(Packet& packet, api::DropReason reason) noexcept {
  packet.verdict = PacketVerdict::Drop;
  packet.drop = reason;
  count_drop(packet, reason);
}

// Of a packet whose buffer carries another one on.
void Media::count_drop(const Packet& packet, api::DropReason reason) noexcept {
  block_.drops[static_cast<std::size_t>(reason)].add(1);
  if (legs_.present(packet.leg_index)) legs_.row(packet.leg_index).dropped.add(1);
}

api::Event Media::event(api::EventType type, Instant now) const noexcept {
  api::Event made{};
  made.type = type;
  made.worker = worker_;
  made.time_ns = static_cast<std::uint64_t>(to_ns(now));
  return made;
}

}  // namespace ifgw::engine
