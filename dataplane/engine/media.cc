#include "dataplane/engine/media.h"

#include <algorithm>
#include <cstring>

#include "codecs/audio/g711.h"
#include "codecs/wire/rtcp.h"

namespace ifgw::engine {
namespace {

constexpr std::int32_t kMaxLatchGap = 50;  // packets: one second, after which a stream is not the same stream any more
constexpr Duration kNextHopRetry = std::chrono::milliseconds(100);

// RFC 1624 equation 3: what a checksum becomes when words that sum up to `before` give way to words that sum up to
// `after`. Both may be plain sums of a few words, not folded.
std::uint16_t update_checksum(std::uint16_t checksum, std::uint32_t before, std::uint32_t after) noexcept {
  const std::uint32_t removed = static_cast<std::uint16_t>(~add_sum(before, 0));
  const auto updated = static_cast<std::uint16_t>(~add_sum(std::uint32_t{static_cast<std::uint16_t>(~checksum)} + removed, after));
  return updated == 0 ? std::uint16_t{0xFFFF} : updated;
}

bool same_address(const Packet& packet, const IpAddress& expected) noexcept {
  const std::uint8_t* ip = packet.data + packet.ip_offset;
  if (__builtin_expect(packet.ip_version == 4, 1)) return expected.is_v4() && std::memcmp(ip + 12, expected.bytes.data(), 4) == 0;
  return expected.is_v6() && std::memcmp(ip + 8, expected.bytes.data(), 16) == 0;
}

Bytes payload(const Packet& packet) noexcept { return {packet.data + packet.payload_offset, packet.payload_length}; }

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
      key_(config.hash_key) {}

void Media::begin(std::span<Packet* const> packets, Instant now) noexcept {
  // Far enough ahead for a line to arrive, near enough to leave the processor room for what classify() asked for.
  constexpr std::size_t kAhead = 8;
  for (std::size_t i = 0; i < std::min(kAhead, packets.size()); ++i) legs_.prefetch_peer(packets[i]->leg_index);
  waiting_.clear();
  for (std::size_t i = 0; i < packets.size(); ++i) {
    if (i + kAhead < packets.size()) legs_.prefetch_peer(packets[i + kAhead]->leg_index);
    receive(*packets[i], now);
  }
  order_.clear();
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    const std::uint32_t leg = waiting_[i].packet->leg_index;
    const LegRx& rx = legs_.rx(leg);
    if (rx.path == AudioPath::Transcode)
      order_.add(i, headroom_.heavy(rx.codec_pair), coding_[leg].born);
    else
      map(waiting_[i], now);
  }
  order_.sort();
}

Packet* Media::next_frame(const FrameTime& time, PacketSource& spare) noexcept {
  if (order_.waiting() == 0) return nullptr;
  const bool given_up = order_.heavy() && time.current - time.due > late_;
  const Waiting& waiting = waiting_[order_.take()];
  if (!waiting.audio)
    transcoded_event(waiting, time.received);
  else if (given_up)
    drop(*waiting.packet, api::DropReason::Overloaded);
  else
    transcode(waiting, time.received, spare);
  return waiting.packet;
}

void Media::receive(Packet& packet, Instant now) noexcept {
  if (!legs_.present(packet.leg_index)) return drop(packet, api::DropReason::UnknownMediaPort);
  if (packet.l4_checksum == Checksum::Bad) return drop(packet, api::DropReason::BadChecksum);
  const bool rtcp = (packet.destination_port & 1) != 0 || looks_like_rtcp(payload(packet));
  return rtcp ? receive_rtcp(packet, now) : receive_rtp(packet, now);
}

void Media::receive_rtp(Packet& packet, Instant now) noexcept {
  const std::uint32_t leg = packet.leg_index;
  LegRx& rx = legs_.rx(leg);
  const bool expected = packet.source_port == rx.source_port && same_address(packet, rx.source);
  if (!expected && rx.latch == 0) return drop(packet, api::DropReason::WrongMediaSource);
  RtpHeader rtp;
  if (!parse_rtp(payload(packet), rtp)) return drop(packet, api::DropReason::MalformedRtp);
  const bool audio = rtp.payload_type == rx.payload_type;
  if (!audio && rtp.payload_type != rx.event_payload_type) return drop(packet, api::DropReason::UnexpectedPayloadType);
  if (!expected && !latch(packet, rtp, now)) return drop(packet, api::DropReason::WrongMediaSource);
  if (rx.started == 0) first_packet(packet, now);
  count_rtp(leg, packet, rtp, now);
  if (rx.receive == 0) return drop(packet, api::DropReason::DirectionOff);
  if (rx.peer == kNoLeg) return drop(packet, api::DropReason::NoPeerLeg);
  const LegOut& out = legs_.out(leg);
  if (out.send == 0) return drop(packet, api::DropReason::DirectionOff);
  if (!out.path.made()) return drop(packet, api::DropReason::NoRemoteAddress);
  if (!audio || rx.path == AudioPath::Relay) {
    const std::uint8_t outgoing = audio ? out.payload_type : out.event_payload_type;
    if (outgoing == api::kNoPayloadType) return drop(packet, api::DropReason::UnexpectedPayloadType);
    if (rx.path != AudioPath::Transcode) return relay(packet, outgoing, now);
    IFGW_CHECK(waiting_.push_back({&packet, rtp, false}));
    return;
  }
  if (rx.path == AudioPath::None) return drop(packet, api::DropReason::UnexpectedPayloadType);
  if (rtp.payload_length == 0) return drop(packet, api::DropReason::BadPayload);
  IFGW_CHECK(waiting_.push_back({&packet, rtp}));
}

void Media::count_rtp(std::uint32_t leg, const Packet& packet, const RtpHeader& rtp, Instant now) noexcept {
  api::LegRow& row = legs_.row(leg);
  const SequenceTracker::Change change = legs_.rx(leg).sequence.packet(rtp.ssrc, rtp.sequence);
  row.rx_packets.add(1);
  row.rx_bytes.add(packet.payload_length);
  row.last_rx_ns.set(static_cast<std::uint64_t>(to_ns(now)));
  row.expected.add(static_cast<std::uint64_t>(change.expected));
  if (change.reordered) row.reordered.add(1);
}

void Media::relay(Packet& packet, std::uint8_t payload_type, Instant now) noexcept {
  const std::uint32_t to = legs_.rx(packet.leg_index).peer;
  const UdpTemplate& path = legs_.out(packet.leg_index).path;
  std::uint8_t* rtp = packet.data + packet.payload_offset;
  // The payload type's byte as part of a 16-bit word: writing the byte and reading the word back would stall.
  const std::uint16_t word_before = load_raw16(rtp);
  const auto word_after = static_cast<std::uint16_t>((word_before & 0x80FF) | payload_type << 8);
  store_raw16(rtp, word_after);
  std::uint16_t checksum = load_raw16(packet.data + packet.l4_offset + 6);
  if (checksum != 0) {
    checksum = update_checksum(checksum, std::uint32_t{legs_.rx(packet.leg_index).pseudo_sum} + word_before,
                               std::uint32_t{path.pseudo_sum} + word_after);
  } else if (path.is_v6()) {
    checksum = fresh_udp_checksum(path, payload(packet));
  }
  if (write_frame(packet, path, checksum, now)) count_sent(packet, to);
}

void Media::map(const Waiting& waiting, Instant now) noexcept {
  Packet& packet = *waiting.packet;
  const LegRx& rx = legs_.rx(packet.leg_index);
  const LegOut& out = legs_.out(packet.leg_index);
  if (!udp_checksum_ok(packet)) return drop(packet, api::DropReason::BadChecksum);
  std::uint8_t* rtp = packet.data + packet.payload_offset;
  rtp[1] = static_cast<std::uint8_t>((rtp[1] & 0x80) | out.payload_type);
  const std::span<std::uint8_t> frame{rtp + waiting.rtp.payload_offset, waiting.rtp.payload_length};
  if (rx.path == AudioPath::PcmuToPcma) {
    audio::mulaw_to_alaw(frame);
  } else {
    audio::alaw_to_mulaw(frame);
  }
  if (!write_frame(packet, out.path, fresh_udp_checksum(out.path, payload(packet)), now)) return;
  count_sent(packet, rx.peer);
  legs_.row(rx.peer).transcoded.add(1);
}

void Media::receive_rtcp(Packet& packet, Instant now) noexcept {
  const std::uint32_t leg = packet.leg_index;
  const LegRx& rx = legs_.rx(leg);
  const bool port_ok = rx.rtcp_port == 0 || packet.source_port == rx.rtcp_port || packet.source_port == rx.source_port;
  if (!port_ok || !same_address(packet, rx.source)) return drop(packet, api::DropReason::WrongMediaSource);
  if (!valid_rtcp(payload(packet))) return drop(packet, api::DropReason::MalformedRtcp);
  api::LegRow& row = legs_.row(leg);
  row.rx_rtcp.add(1);
  row.last_rx_ns.set(static_cast<std::uint64_t>(to_ns(now)));
  // Behind a NAT the RTCP port can only be learned; the party's own packets name it.
  if (rx.latch != 0 && (packet.destination_port & 1) != 0) legs_.cold(leg).rtcp_send_port = packet.source_port;
  if (rx.peer == kNoLeg) return drop(packet, api::DropReason::NoPeerLeg);
  const std::uint32_t to = rx.peer;
  const api::LegInfo& info = legs_.info(to);
  const std::uint16_t port = legs_.cold(to).rtcp_send_port;
  if (!info.current_remote.present() || port == 0) return drop(packet, api::DropReason::NoRemoteAddress);
  const Endpoint local{info.local.ip, static_cast<std::uint16_t>(info.local.port + 1)};
  const UdpTemplate path = make_udp_template(local, {info.current_remote.ip, port}, info.media.dscp);
  std::uint16_t checksum = load_raw16(packet.data + packet.l4_offset + 6);
  if (checksum != 0) {
    checksum = update_checksum(checksum, packet_pseudo_sum(packet), path.pseudo_sum);
  } else if (path.is_v6()) {
    checksum = fresh_udp_checksum(path, payload(packet));
  }
  if (write_frame(packet, path, checksum, now)) legs_.row(to).tx_rtcp.add(1);
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
  legs_.cold(leg).rtcp_send_port = static_cast<std::uint16_t>(source.port + 1);
  legs_.publish(leg);
  events_.on_event(moved);
  return true;
}

void Media::first_packet(const Packet& packet, Instant now) noexcept {
  legs_.rx(packet.leg_index).started = 1;
  api::Event first = event(api::EventType::FirstPacket, now);
  first.first_packet = {legs_.id(packet.leg_index), {packet_source(packet), packet.source_port}};
  events_.on_event(first);
}

// Puts the new headers before the payload, wherever that makes the frame begin. Nothing was written on failure.
bool Media::write_frame(Packet& packet, const UdpTemplate& path, std::uint16_t udp_checksum, Instant now) noexcept {
  const NextHop* hop = next_hop(packet.leg_index, now);
  if (hop == nullptr) {
    drop(packet, api::DropReason::NoNextHop);
    return false;
  }
  const std::size_t headers = kEthernetBytes + path.size();
  if (path.size() + packet.payload_length > mtu_) {
    drop(packet, api::DropReason::OversizedDatagram);
    return false;
  }
  if (headers > std::size_t{packet.payload_offset} + packet.headroom) {
    drop(packet, api::DropReason::NoBuffer);
    return false;
  }
  const int shift = static_cast<int>(packet.payload_offset) - static_cast<int>(headers);
  const std::size_t end = std::size_t{packet.payload_offset} + packet.payload_length;
  packet.tailroom = static_cast<std::uint16_t>(packet.tailroom + packet.length - end);
  packet.headroom = static_cast<std::uint16_t>(packet.headroom + shift);
  packet.data += shift;
  packet.payload_offset = static_cast<std::uint16_t>(headers);
  packet.length = static_cast<std::uint16_t>(headers + packet.payload_length);
  packet.ip_offset = kEthernetBytes;
  packet.l4_offset = static_cast<std::uint16_t>(headers - kUdpBytes);
  packet.ip_version = path.is_v6() ? 6 : 4;
  std::memcpy(packet.data, hop->destination.data(), 6);
  std::memcpy(packet.data + 6, hop->source.data(), 6);
  store_be16(packet.data + 12, path.is_v6() ? 0x86DD : 0x0800);
  write_udp_headers(path, packet.data + kEthernetBytes, packet.payload_length, udp_checksum);
  packet.verdict = PacketVerdict::Transmit;
  packet.tx_port = hop->port;
  return true;
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
