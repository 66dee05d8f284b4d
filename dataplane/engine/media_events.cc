// What goes beside the audio through Media: comfort noise, and telephone-events (RFC 4733) where they are more than relayed: beside
// transcoded audio they take numbers of its stream; between clocks their durations change. The time stamp is that of the event's beginning,
// on all its packets.
#include <algorithm>

#include "dataplane/engine/media.h"

namespace ifgw::engine {

// Beside transcoded audio.
void Media::transcoded_event(const Waiting& waiting, Instant now, PacketSource& spare) noexcept {
  Packet& packet = *waiting.packet;
  const RtpHeader& rtp = waiting.rtp;
  const std::uint32_t leg = packet.leg_index;
  const std::uint8_t payload_type = legs_.out(leg).event_payload_type;
  if (!udp_checksum_ok(packet)) return drop(packet, api::DropReason::BadChecksum);
  RtpOut& stream = streams_[legs_.rx(leg).peer];
  std::uint32_t placed = 0;
  // Some phones (oRTP) say the end of an event thrice under one number.
  const std::uint8_t* received = packet.data + packet.payload_offset + rtp.payload_offset;
  const bool end = rtp.payload_length == kTelephoneEventBytes && read_telephone_event(received).end;
  follow(coding_[leg], rtp.ssrc);
  if (!coding_[leg].coder->pass({rtp.sequence, rtp.timestamp, rtp.marker, {}}, end, stream, now, placed))
    return drop(packet, api::DropReason::OutOfSequence);
  std::uint8_t* at = packet.data + packet.payload_offset;
  std::copy_n(at + rtp.payload_offset, rtp.payload_length, at + kRtpFixedBytes);  // where there were no CSRC or extension: itself
  const auto send = [&](Packet& target, const EventMapper::Report& report, std::size_t bytes) {
    const Transcoder::Output output{bytes, stream.next_sequence(), report.timestamp, report.marker};
    stream.sent(output.sequence, output.timestamp, report.length, now);
    (void)send_stream(target, payload_type, output, stream.ssrc(), now);
  };
  if (rtp.payload_length != kTelephoneEventBytes) {
    event_mappers_[leg].scale({at + kRtpFixedBytes, rtp.payload_length});
    return send(packet, {placed, 0, rtp.marker, {}}, rtp.payload_length);
  }
  EventMapper::Reports reports;
  event_mappers_[leg].map(rtp.timestamp, rtp.marker, read_telephone_event(at + kRtpFixedBytes), placed, EventMapper::kMaxReports, reports);
  // The packet takes the first, spare packets the others.
  for (std::size_t i = 0; i < reports.size(); ++i) {
    Packet* target = i == 0 ? &packet : spare.take();
    if (target == nullptr || payload_room(*target) < kRtpFixedBytes + kTelephoneEventBytes) {
      block_.drops[static_cast<std::size_t>(api::DropReason::NoBuffer)].add(1);
      continue;
    }
    target->leg_index = leg;
    write_telephone_event(target->data + target->payload_offset + kRtpFixedBytes, reports[i].event);
    send(*target, reports[i], kTelephoneEventBytes);
  }
}

// To a party that knows comfort noise it goes on as such, without its spectrum where that was measured at another sampling
// rate. To others it is audio, one frame of it: between its packets nothing comes, so nothing is sent.
void Media::transcoded_noise(const Waiting& waiting, Instant now, PacketSource& spare) noexcept {
  Packet& packet = *waiting.packet;
  const RtpHeader& rtp = waiting.rtp;
  const std::uint32_t leg = packet.leg_index, to = legs_.rx(leg).peer;
  const std::uint8_t payload_type = legs_.out(leg).noise_payload_type;
  if (payload_type == api::kNoPayloadType) return transcode(waiting, now, spare);
  if (!udp_checksum_ok(packet)) return drop(packet, api::DropReason::BadChecksum);
  RtpOut& stream = streams_[to];
  Transcoder::Output output;
  follow(coding_[leg], rtp.ssrc);
  if (!coding_[leg].coder->pass({rtp.sequence, rtp.timestamp, rtp.marker, {}}, false, stream, now, output.timestamp))
    return drop(packet, api::DropReason::OutOfSequence);
  const auto rate = [&](std::uint32_t of) { return audio::pcm_rate_hz(codec_settings(legs_.info(of).media.codec)); };
  output.size = rate(leg) == rate(to) ? rtp.payload_length : 1;
  output.sequence = stream.next_sequence();
  stream.sent(output.sequence, output.timestamp, 0, now);
  std::uint8_t* at = packet.data + packet.payload_offset;
  std::copy_n(at + rtp.payload_offset, output.size, at + kRtpFixedBytes);
  (void)send_stream(packet, payload_type, output, stream.ssrc(), now);
}

// Beside relayed audio, between clocks: one packet leaves for one that came, under its number.
void Media::relayed_event(const Waiting& waiting, Instant now) noexcept {
  Packet& packet = *waiting.packet;
  const RtpHeader& rtp = waiting.rtp;
  const std::uint32_t leg = packet.leg_index;
  const LegOut& out = legs_.out(leg);
  if (!udp_checksum_ok(packet)) return drop(packet, api::DropReason::BadChecksum);
  const LegRx& rx = legs_.rx(leg);
  std::uint8_t* at = packet.data + packet.payload_offset;
  std::uint8_t* events = at + rtp.payload_offset;
  std::uint32_t timestamp = rtp.timestamp;
  bool marker = rtp.marker;
  if (rtp.payload_length == kTelephoneEventBytes) {
    EventMapper::Reports reports;
    event_mappers_[leg].map(rtp.timestamp, rtp.marker, read_telephone_event(events), rtp.timestamp, 1, reports);
    write_telephone_event(events, reports[0].event);
    timestamp = reports[0].timestamp;
    marker = reports[0].marker;
  } else {
    event_mappers_[leg].scale({events, rtp.payload_length});
  }
  at[1] = static_cast<std::uint8_t>((marker ? 0x80 : 0) | out.event_payload_type);
  store_be16(at + 2, rtp.sequence);
  store_be32(at + 4, timestamp);
  store_be32(at + 8, rtp.ssrc);
  const Bytes datagram{at, packet.payload_length};
  if (send_frame(packet, out.path, fresh_udp_checksum(out.path, datagram), next_hop(packet.leg_index, now))) count_sent(packet, rx);
}

}  // namespace ifgw::engine
