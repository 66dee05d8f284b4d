// The rarer half of relaying: where a stream begins, and the map between the laws of G.711.
#include "codecs/audio/g711.h"
#include "dataplane/engine/media.h"

namespace ifgw::engine {
namespace {

using Order = SequenceTracker::Order;

constexpr std::uint32_t kAssumedPacketMs = 20;

}  // namespace

// What number() does with anything but the next packet of the same stream.
bool Media::place(std::uint32_t leg, RtpHeader& rtp, Order order, const Received& before, bool audio, Instant now) noexcept {
  LegRx& rx = legs_.rx(leg);
  StreamMap& map = rx.map;
  if (order == Order::Unconfirmed) return false;
  if (order == Order::Late) {
    if (!map.made()) return false;
    // What was sent under an earlier mapping keeps its numbers.
    const std::int16_t since_first = serial_distance(map.first_sequence, before.newest);
    const bool begun = since_first < 0 || since_first > SequenceTracker::kMaxMisorder;
    return rx.goes_on == 0 || begun || serial_distance(map.first_sequence, rtp.sequence) >= 0;
  }
  end_map(leg, before);
  RtpOut& out = streams_[rx.peer];
  map.ssrc = out.ssrc();
  map.newest_timestamp = rtp.timestamp;
  map.first_sequence = rtp.sequence;
  rx.goes_on = out.started() ? 1 : 0;
  // The first stream keeps its numbers: they are as random as ours, and both sides' captures and reports agree on them.
  map.sequence_offset = out.started() ? static_cast<std::uint16_t>(out.next_sequence() - rtp.sequence) : std::uint16_t{0};
  map.timestamp_offset = out.started() ? out.resume(now, rx.clock_hz()) - rtp.timestamp : 0;
  if (audio && out.started()) rtp.marker = true;
  return true;
}

// The mapping of the leg's stream is over: what was sent is what the next one goes on from.
void Media::end_map(std::uint32_t leg, const Received& last) noexcept {
  LegRx& rx = legs_.rx(leg);
  if (!rx.map.made()) return;
  const std::uint32_t duration = rx.clock_hz() / 1000 * kAssumedPacketMs;
  streams_[rx.peer].sent(static_cast<std::uint16_t>(last.newest + rx.map.sequence_offset),
                         rx.map.newest_timestamp + rx.map.timestamp_offset, duration, last.at);
  rx.map = StreamMap{};
  rx.flows = false;
}

void Media::map(const Waiting& waiting, Instant now) noexcept {
  Packet& packet = *waiting.packet;
  const LegRx& rx = legs_.rx(packet.leg_index);
  const LegOut& out = legs_.out(packet.leg_index);
  if (!udp_checksum_ok(packet)) return drop(packet, api::DropReason::BadChecksum);
  std::uint8_t* at = packet.data + packet.payload_offset;
  RtpFixed::load(at).with(waiting.rtp, out.payload_type).store(at);
  const std::span<std::uint8_t> frame{at + waiting.rtp.payload_offset, waiting.rtp.payload_length};
  if (rx.path == AudioPath::PcmuToPcma) {
    audio::mulaw_to_alaw(frame);
  } else {
    audio::alaw_to_mulaw(frame);
  }
  if (!send_frame(packet, out.path, fresh_udp_checksum(out.path, udp_payload(packet)), next_hop(packet.leg_index, now))) return;
  count_sent(packet, rx);
  legs_.row(rx.peer).transcoded.add(1);
}

}  // namespace ifgw::engine
