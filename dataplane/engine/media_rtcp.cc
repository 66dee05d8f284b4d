// The part of Media that is RTCP (RFC 3550 section 6). Where streams are relayed, reports go on to the other party in the
// terms of what it hears; where they are transcoded, ours take their place. What a party reports is read in both cases.
#include <algorithm>
#include <array>

#include "codecs/wire/rtcp.h"
#include "dataplane/engine/media.h"

namespace ifgw::engine {
namespace {

constexpr std::size_t kMaxReportBytes = 160;        // the longest we make: SR with a block, CNAME, BYE
constexpr std::uint64_t kNtpEpoch = 2'208'988'800;  // 1970 in seconds since 1900

// RFC 3550 6.2 and 6.3.1: five seconds between two parties' reports, half of that before the first, both randomized.
constexpr std::int64_t kReportInterval_ns = 5'000'000'000;

// What follows a BYE within this time belongs to the same stream of ours.
constexpr std::uint32_t kByeAfterMs = 1000;
std::uint32_t in_ms(Instant now) noexcept { return static_cast<std::uint32_t>(to_ns(now) / 1'000'000); }

std::uint64_t ntp_time(std::uint64_t unix_ns) noexcept {
  const std::uint64_t fraction = ((unix_ns % 1'000'000'000) << 32) / 1'000'000'000;
  return (unix_ns / 1'000'000'000 + kNtpEpoch) << 32 | fraction;
}
std::uint32_t middle(std::uint64_t ntp) noexcept { return static_cast<std::uint32_t>(ntp >> 16); }
// 1/65536 s.
std::uint32_t short_time(Duration d) noexcept { return static_cast<std::uint32_t>(d.count() * 65536 / 1'000'000'000); }
Duration long_time(std::uint32_t short_time) noexcept { return Duration{static_cast<std::int64_t>(short_time) * 1'000'000'000 / 65536}; }

}  // namespace

void Media::receive_rtcp(Packet& packet, Instant now) noexcept {
  const std::uint32_t leg = packet.leg_index;
  const LegRx& rx = legs_.rx(leg);
  const bool port_ok = rx.rtcp_port == 0 || packet.source_port == rx.rtcp_port || packet.source_port == rx.source_port;
  if (!port_ok || !from_address(packet, rx.source)) return drop(packet, api::DropReason::WrongMediaSource);
  const Bytes compound = udp_payload(packet);
  if (!valid_rtcp(compound)) return drop(packet, api::DropReason::MalformedRtcp);
  if (!udp_checksum_ok(packet)) return drop(packet, api::DropReason::BadChecksum);
  api::LegRow& row = legs_.row(leg);
  row.rx_rtcp.add(1);
  legs_.cold(leg).quiet_since = now;  // a party that reports is there, though it may not speak
  // Behind a NAT the RTCP port can only be learned; the party's own packets name it.
  if (rx.latch != 0 && (packet.destination_port & 1) != 0) legs_.cold(leg).rtcp_send_port = packet.source_port;
  hear_reports(leg, compound, now);
  if (rx.peer == kNoLeg) return drop(packet, api::DropReason::NoPeerLeg);
  if (rx.path == AudioPath::Transcode) {
    packet.verdict = PacketVerdict::Kept;
    return;
  }
  std::array<std::uint8_t, kMaxReportBytes> bytes;
  ByteWriter out(bytes);
  translate(leg, compound, out, now);
  send_rtcp(packet, rx.peer, out.written());
}

// What a party tells of itself and of what it hears.
void Media::hear_reports(std::uint32_t leg, Bytes compound, Instant now) noexcept {
  Rtcp& rtcp = rtcp_[leg];
  api::LegRow& row = legs_.row(leg);
  RtcpReader reader(compound);
  for (RtcpPacket packet; reader.next(packet);) {
    if (const auto sender = rtcp_sender_info(packet)) {
      rtcp.received_sr = middle(sender->ntp_time);
      rtcp.received_sr_at = now;
    }
    for (std::size_t i = 0; const auto block = rtcp_report_block(packet, i); ++i) {
      if (block->ssrc != streams_[leg].ssrc()) continue;
      api::set_remote_report(row, {static_cast<std::uint32_t>(std::max(block->cumulative_lost, 0)), block->jitter});
      if (block->last_sr == 0 || block->last_sr != rtcp.sent_sr) continue;
      const Duration round_trip = now - rtcp.sent_sr_at - long_time(block->delay_since_last_sr);
      if (round_trip > Duration::zero()) row.rtt_ns.set(static_cast<std::uint64_t>(round_trip.count()));
    }
  }
}

// The extended highest sequence number of the party's stream (appendix A.1), as counted here.
std::uint32_t Media::extended_highest(std::uint32_t leg) noexcept {
  return static_cast<std::uint32_t>(legs_.rx(leg).sequence.first() + legs_.row(leg).expected.get() - rtcp_[leg].stream_expected - 1);
}

// A party's compound, as the party that it is relayed to may hear it: one sender, which is the stream of its own leg; only
// reports on what comes from it; nothing of the other party's names. APP, feedback and extended reports were not
// negotiated, and end here.
void Media::translate(std::uint32_t leg, Bytes compound, ByteWriter& out, Instant now) noexcept {
  const LegRx& rx = legs_.rx(leg);
  const std::uint32_t to = rx.peer;
  const LegRx& reported = legs_.rx(to);
  const std::uint32_t ssrc = streams_[to].ssrc();
  std::optional<RtcpSenderInfo> sender;
  std::optional<RtcpReportBlock> report;
  bool bye = false;
  RtcpReader reader(compound);
  for (RtcpPacket packet; reader.next(packet);) {
    if (const auto info = rtcp_sender_info(packet); info && info->ssrc == rx.sequence.ssrc() && rx.map.made()) {
      sender = info;
      sender->ssrc = ssrc;
      sender->rtp_timestamp += rx.map.timestamp_offset;
    }
    for (std::size_t i = 0; const auto block = rtcp_report_block(packet, i); ++i) {
      if (block->ssrc != streams_[leg].ssrc() || !reported.map.made()) continue;
      report = block;
      report->ssrc = reported.sequence.ssrc();
      const auto highest = static_cast<std::uint16_t>(block->highest_sequence - reported.map.sequence_offset);
      const std::int16_t behind = serial_distance(highest, reported.sequence.highest());
      report->highest_sequence = extended_highest(to) - static_cast<std::uint32_t>(std::max<std::int16_t>(behind, 0));
    }
    if (packet.type == static_cast<std::uint8_t>(RtcpType::Bye))
      for (std::size_t i = 0; i < packet.count; ++i) bye = bye || load_be32(&packet.body[4 * i]) == rx.sequence.ssrc();
  }
  const std::span<const RtcpReportBlock> blocks(report ? &*report : nullptr, report ? 1 : 0);
  if (sender) {
    write_sender_report(out, *sender, blocks);
    rtcp_[to].sent_sr = middle(sender->ntp_time);
    rtcp_[to].sent_sr_at = now;
  } else {
    write_receiver_report(out, ssrc, blocks);
  }
  write_cname(to, out);
  if (bye && rx.sequence.started()) {
    rtcp_[to].bye_packets = static_cast<std::uint32_t>(legs_.row(to).tx_packets.get());
    rtcp_[to].bye_ms = in_ms(now) | 1;
  }
}

// A speaker's BYE is not the end of what its listener hears when another SSRC of it follows: our stream goes on then (section 8.2 would
// have its receiver forget it). So it is told once nothing has followed for a while. False: no packet for it.
bool Media::pass_bye(std::uint32_t leg, Instant now, PacketSource& spare) noexcept {
  Rtcp& rtcp = rtcp_[leg];
  if (rtcp.bye_ms == 0) return true;
  const bool goes_on = static_cast<std::uint32_t>(legs_.row(leg).tx_packets.get()) != rtcp.bye_packets;
  if (!goes_on && in_ms(now) - rtcp.bye_ms < kByeAfterMs) return true;
  if (!goes_on && !say_bye(leg, spare)) return false;
  rtcp.bye_ms = 0;
  return true;
}

// RFC 7022: a name that lasts as long as the leg and tells nothing.
void Media::write_cname(std::uint32_t leg, ByteWriter& out) noexcept {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<char, 16> name;
  const api::LegId first = legs_.elsewhere(leg);  // where it came from, if it has moved
  std::uint64_t random = keyed_hash(~(first.present() ? first : legs_.id(leg)).value, key_);
  for (char& c : name) {
    c = kDigits[random & 15];
    random >>= 4;
  }
  write_sdes_cname(out, streams_[leg].ssrc(), {name.data(), name.size()});
}

// On the party's stream, since the report before (appendix A.3).
RtcpReportBlock Media::report_on(std::uint32_t leg, Instant now) noexcept {
  const api::LegRow& row = legs_.row(leg);
  Rtcp& rtcp = rtcp_[leg];
  const std::uint64_t expected = row.expected.get() - rtcp.stream_expected;
  const std::uint64_t received = row.rx_packets.get() - rtcp.stream_received;
  const auto newly_expected = static_cast<std::int64_t>(expected - rtcp.expected_before);
  const std::int64_t newly_lost = newly_expected - static_cast<std::int64_t>(received - rtcp.received_before);
  rtcp.expected_before = expected;
  rtcp.received_before = received;
  RtcpReportBlock block;
  block.ssrc = legs_.rx(leg).sequence.ssrc();
  if (newly_expected > 0 && newly_lost > 0)
    block.fraction_lost = static_cast<std::uint8_t>(std::min<std::int64_t>(newly_lost * 256 / newly_expected, 255));
  block.cumulative_lost =
      static_cast<std::int32_t>(std::clamp<std::int64_t>(static_cast<std::int64_t>(expected - received), -0x800000, 0x7FFFFF));
  block.highest_sequence = extended_highest(leg);
  block.jitter = api::jitter_units(row);
  // 16 bits of seconds.
  if (rtcp.received_sr_at != Instant{} && now - rtcp.received_sr_at < std::chrono::hours(18)) {
    block.last_sr = rtcp.received_sr;
    block.delay_since_last_sr = short_time(now - rtcp.received_sr_at);
  }
  return block;
}

// Our own report to a party whose stream is transcoded. False: no packet for it.
bool Media::report(std::uint32_t leg, Instant now, std::uint64_t unix_ns, PacketSource& spare) noexcept {
  Rtcp& rtcp = rtcp_[leg];
  const api::LegRow& row = legs_.row(leg);
  Packet* packet = spare.take();
  if (packet == nullptr) return false;
  const std::uint64_t random = keyed_hash(legs_.id(leg).value ^ static_cast<std::uint64_t>(to_ns(now)), key_) & 0xFFFF;
  // 0.5 to 1.5 of the interval, made up for what reconsideration would do: a constant of appendix A.7.
  rtcp.next_report = now + Duration{(kReportInterval_ns * static_cast<std::int64_t>(0x8000 + random) >> 16) * 100'000 / 121'828};
  RtcpReportBlock block;
  // Section 6.4: of whom there were packets since the last one.
  const bool heard = legs_.rx(leg).sequence.started() && row.rx_packets.get() - rtcp.stream_received != rtcp.received_before;
  if (heard) block = report_on(leg, now);
  const std::span<const RtcpReportBlock> blocks(&block, heard ? 1 : 0);
  std::array<std::uint8_t, kMaxReportBytes> bytes;
  ByteWriter out(bytes);
  const RtpOut& stream = streams_[leg];
  const std::uint64_t sent = row.tx_packets.get();
  if (sent != rtcp.sent_before) {
    const std::uint64_t ntp = ntp_time(unix_ns);
    const std::uint64_t octets = row.tx_bytes.get() - sent * kRtpFixedBytes;
    write_sender_report(out,
                        {stream.ssrc(), ntp, stream.timestamp_at(now, legs_.rx(leg).clock_hz()), static_cast<std::uint32_t>(sent),
                         static_cast<std::uint32_t>(octets)},
                        blocks);
    rtcp.sent_sr = middle(ntp);
    rtcp.sent_sr_at = now;
    rtcp.sent_before = sent;
  } else {
    write_receiver_report(out, stream.ssrc(), blocks);
  }
  write_cname(leg, out);
  packet->leg_index = leg;
  send_rtcp(*packet, leg, out.written());
  return true;
}

// To a party that has heard us, when its leg goes or its stream has ended (section 6.6). False: no packet for it.
bool Media::say_bye(std::uint32_t leg, PacketSource& spare) noexcept {
  if (legs_.row(leg).tx_packets.get() == 0) return true;
  Packet* packet = spare.take();
  if (packet == nullptr) return false;
  std::array<std::uint8_t, kMaxReportBytes> bytes;
  ByteWriter out(bytes);
  write_receiver_report(out, streams_[leg].ssrc(), {});
  write_cname(leg, out);
  write_bye(out, streams_[leg].ssrc());
  packet->leg_index = leg;
  send_rtcp(*packet, leg, out.written());
  return true;
}

// To the party of `to`. `packet.leg_index`: whose drop it is if it cannot go.
void Media::send_rtcp(Packet& packet, std::uint32_t to, Bytes compound) noexcept {
  const api::LegInfo& info = legs_.info(to);
  const std::uint16_t port = legs_.cold(to).rtcp_send_port;
  if (!info.current_remote.present() || port == 0) return drop(packet, api::DropReason::NoRemoteAddress);
  // One port for both (RFC 5761): then ours is one as well.
  const bool mux = port == info.current_remote.port;
  const Endpoint local{info.local.ip, static_cast<std::uint16_t>(info.local.port + (mux ? 0 : 1))};
  const UdpTemplate path = make_udp_template(local, {info.current_remote.ip, port}, info.media.dscp);
  if (payload_room(packet) < compound.size()) return drop(packet, api::DropReason::NoBuffer);
  std::copy(compound.begin(), compound.end(), packet.data + packet.payload_offset);
  set_payload_length(packet, compound.size());
  if (send_frame(packet, path, fresh_udp_checksum(path, compound), own_hop(to))) legs_.row(to).tx_rtcp.add(1);
}

}  // namespace ifgw::engine
