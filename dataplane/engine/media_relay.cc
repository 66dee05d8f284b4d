// The part of Media that sends what came: with the numbers of the listener's stream, and between the laws of G.711.
#include <bit>

#include "codecs/audio/g711.h"
#include "dataplane/engine/media.h"

namespace ifgw::engine {
namespace {

using Order = SequenceTracker::Order;

constexpr std::uint32_t kAssumedPacketMs = 20;

// The first twelve bytes of an RTP packet, as three words in the order of memory.
struct FixedHeader {
  std::uint32_t words[3];

  static FixedHeader load(const std::uint8_t* at) noexcept {
    FixedHeader header;
    std::memcpy(header.words, at, sizeof header.words);
    return header;
  }
  // The first byte stays what it is: version, padding, extension and CSRCs are the sender's.
  void set(const RtpHeader& rtp, std::uint8_t payload_type) noexcept {
    std::uint8_t bytes[sizeof words];
    std::memcpy(bytes, words, 1);
    words[0] =
        memory_order(std::uint32_t{bytes[0]} << 24 | std::uint32_t{rtp.marker} << 23 | std::uint32_t{payload_type} << 16 | rtp.sequence);
    words[1] = memory_order(rtp.timestamp);
    words[2] = memory_order(rtp.ssrc);
  }
  void store(std::uint8_t* at) const noexcept { std::memcpy(at, words, sizeof words); }
  // Of its 16-bit words, not folded.
  std::uint32_t sum() const noexcept {
    std::uint32_t total = 0;
    for (const std::uint32_t word : words) total += (word & 0xFFFF) + (word >> 16);
    return total;
  }

 private:
  static constexpr std::uint32_t memory_order(std::uint32_t value) noexcept {
    return std::endian::native == std::endian::little ? __builtin_bswap32(value) : value;
  }
};

}  // namespace

// Gives a packet its numbers in the stream that the peer hears. False: it has no place there. `before`: what had
// come until then.
bool Media::number(std::uint32_t leg, RtpHeader& rtp, Order order, const Received& before, bool audio, Instant now) noexcept {
  LegRx& rx = legs_.rx(leg);
  StreamMap& map = rx.map;
  // Events bear the time of their beginning, and do not move the audio's.
  const bool steady = !audio || rtp.timestamp - map.newest_timestamp <= kMaxTimestampGap;
  if (__builtin_expect(order == Order::Next && map.made() && steady, 1)) {
    if (audio) map.newest_timestamp = rtp.timestamp;
  } else if (!place(leg, rtp, order, before, audio, now)) {
    return false;
  }
  rtp.sequence = static_cast<std::uint16_t>(rtp.sequence + map.sequence_offset);
  rtp.timestamp += map.timestamp_offset;
  rtp.ssrc = map.ssrc;
  return true;
}

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
}

void Media::relay(Packet& packet, const RtpHeader& rtp, std::uint8_t payload_type, Instant now) noexcept {
  const std::uint32_t to = legs_.rx(packet.leg_index).peer;
  const UdpTemplate& path = legs_.out(packet.leg_index).path;
  std::uint8_t* at = packet.data + packet.payload_offset;
  FixedHeader header = FixedHeader::load(at);
  const std::uint32_t before = header.sum();
  header.set(rtp, payload_type);
  header.store(at);
  std::uint16_t checksum = load_raw16(packet.data + packet.l4_offset + 6);
  if (checksum != 0) {
    checksum = update_checksum(checksum, legs_.rx(packet.leg_index).pseudo_sum + before, path.pseudo_sum + header.sum());
  } else if (path.is_v6()) {
    checksum = fresh_udp_checksum(path, udp_payload(packet));
  }
  if (write_frame(packet, path, checksum, now)) count_sent(packet, to);
}

void Media::map(const Waiting& waiting, Instant now) noexcept {
  Packet& packet = *waiting.packet;
  const LegRx& rx = legs_.rx(packet.leg_index);
  const LegOut& out = legs_.out(packet.leg_index);
  if (!udp_checksum_ok(packet)) return drop(packet, api::DropReason::BadChecksum);
  std::uint8_t* at = packet.data + packet.payload_offset;
  FixedHeader header = FixedHeader::load(at);
  header.set(waiting.rtp, out.payload_type);
  header.store(at);
  const std::span<std::uint8_t> frame{at + waiting.rtp.payload_offset, waiting.rtp.payload_length};
  if (rx.path == AudioPath::PcmuToPcma) {
    audio::mulaw_to_alaw(frame);
  } else {
    audio::alaw_to_mulaw(frame);
  }
  if (!write_frame(packet, out.path, fresh_udp_checksum(out.path, udp_payload(packet)), now)) return;
  count_sent(packet, rx.peer);
  legs_.row(rx.peer).transcoded.add(1);
}

}  // namespace ifgw::engine
