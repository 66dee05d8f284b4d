// What goes beside the audio through Media: comfort noise, and telephone-events (RFC 4733) where they are more than relayed: beside
// transcoded audio they take numbers of its stream; between clocks their durations change. The time stamp is that of the event's beginning,
// on all its packets.
#include <algorithm>
#include <array>

#include "dataplane/engine/media.h"

namespace ifgw::engine {

// Sends the frame that has begun, which what comes now must not overtake. Returns the packet that is free for that: this one
// where no frame came of it; nullptr: none.
Packet* Media::complete_frame(Packet& packet, RtpOut& stream, Instant now, PacketSource& spare) noexcept {
  const std::uint32_t leg = packet.leg_index;
  coding_[leg].coder->complete();
  if (send_frames(packet, stream, now, spare) == 0) return &packet;
  Packet* free = spare.take();
  if (free != nullptr) free->leg_index = leg;
  return free;
}

// Beside transcoded audio.
void Media::transcoded_event(const Waiting& waiting, Instant now, PacketSource& spare) noexcept {
  Packet& packet = *waiting.packet;
  const RtpHeader& rtp = waiting.rtp;
  const std::uint32_t leg = packet.leg_index;
  const std::uint8_t payload_type = legs_.out(leg).event_payload_type;
  if (!udp_checksum_ok(packet)) return drop(packet, api::DropReason::BadChecksum);
  if (rtp.payload_length > audio::kMaxPayloadBytes) return drop(packet, api::DropReason::BadPayload);
  RtpOut& stream = streams_[legs_.rx(leg).peer];
  std::array<std::uint8_t, audio::kMaxPayloadBytes> kept;
  const std::span<std::uint8_t> events = std::span(kept).first(rtp.payload_length);
  std::copy_n(packet.data + packet.payload_offset + rtp.payload_offset, events.size(), events.begin());
  const bool one = events.size() == kTelephoneEventBytes;
  // Some phones (oRTP) say the end of an event thrice under one number.
  const bool end = one && read_telephone_event(events.data()).end;
  std::uint32_t placed = 0;
  follow(coding_[leg], rtp.ssrc);
  if (!coding_[leg].coder->pass({rtp.sequence, rtp.timestamp, rtp.marker, {}}, end, stream, now, placed))
    return drop(packet, api::DropReason::OutOfSequence);
  EventMapper::Reports reports;
  if (one)
    event_mappers_[leg].map(rtp.timestamp, rtp.marker, read_telephone_event(events.data()), placed, EventMapper::kMaxReports, reports);
  else
    event_mappers_[leg].scale(events);
  Packet* target = complete_frame(packet, stream, now, spare);
  for (std::size_t i = 0; i < (one ? reports.size() : 1); ++i) {
    if (i != 0) target = spare.take();
    if (target == nullptr || payload_room(*target) < kRtpFixedBytes + events.size()) {
      block_.drops[static_cast<std::size_t>(api::DropReason::NoBuffer)].add(1);
      continue;
    }
    const EventMapper::Report report = one ? reports[i] : EventMapper::Report{placed, rtp.marker, {}};
    if (one) write_telephone_event(events.data(), report.event);
    send_beside(*target, leg, payload_type, events, report.timestamp, report.marker, now);
  }
}

// A packet of the stream that is no frame of its audio.
void Media::send_beside(Packet& packet, std::uint32_t leg, std::uint8_t payload_type, Bytes payload, std::uint32_t timestamp, bool marker,
                        Instant now) noexcept {
  RtpOut& stream = streams_[legs_.rx(leg).peer];
  packet.leg_index = leg;
  std::copy(payload.begin(), payload.end(), packet.data + packet.payload_offset + kRtpFixedBytes);
  const Transcoder::Output output{payload.size(), stream.next_sequence(), timestamp, marker};
  stream.sent_beside(timestamp, now);
  (void)send_stream(packet, payload_type, output, stream.ssrc(), now);
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
  if (rtp.payload_length > audio::kMaxPayloadBytes) return drop(packet, api::DropReason::BadPayload);
  RtpOut& stream = streams_[to];
  std::uint32_t placed = 0;
  follow(coding_[leg], rtp.ssrc);
  if (!coding_[leg].coder->pass({rtp.sequence, rtp.timestamp, rtp.marker, {}}, false, stream, now, placed))
    return drop(packet, api::DropReason::OutOfSequence);
  const auto rate = [&](std::uint32_t of) { return audio::pcm_rate_hz(codec_settings(legs_.info(of).media.codec)); };
  std::array<std::uint8_t, audio::kMaxPayloadBytes> kept;
  const std::span<std::uint8_t> noise = std::span(kept).first(rate(leg) == rate(to) ? rtp.payload_length : 1);
  std::copy_n(packet.data + packet.payload_offset + rtp.payload_offset, noise.size(), noise.begin());
  Packet* target = complete_frame(packet, stream, now, spare);
  if (target == nullptr || payload_room(*target) < kRtpFixedBytes + noise.size()) {
    block_.drops[static_cast<std::size_t>(api::DropReason::NoBuffer)].add(1);
    return;
  }
  send_beside(*target, leg, payload_type, noise, placed, false, now);
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
