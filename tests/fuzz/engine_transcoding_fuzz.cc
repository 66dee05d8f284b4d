// What a hostile party may send while it is transcoded, through the whole engine. Input: two bytes choose both parties' codecs, two
// more their packet times and what they know of comfort noise and SID frames; then a record per packet: two bytes that say which kind it
// is, how its number and time follow, and how much time passes, one byte of length, and as many of payload. Checked: what engine_packets
// checks, and that what one party hears is one stream.
#include <cstdlib>

#include "tests/support/plane.h"

namespace {

using namespace ifgw;

constexpr std::uint8_t kAudio = 96, kEvents = 101, kNoise = 13;

api::MediaParams party(const char* remote, std::uint8_t codec, std::uint8_t how) {
  api::MediaParams media = test::media_to(remote, static_cast<api::Codec>(1 + codec % api::kMaxCodec));
  media.payload_type = kAudio;
  media.telephone_event_payload_type = kEvents;
  media.telephone_event_clock_hz = (how & 0x10) != 0 ? 48'000 : 8000;
  constexpr std::uint8_t kTimes[] = {20, 10, 30, 40, 60};
  const std::uint8_t ptime = kTimes[(how & 0x0F) % std::size(kTimes)];
  media.ptime_ms = api::valid_ptime(media.codec, ptime) ? ptime : std::uint8_t{20};
  if ((how & 0x20) != 0 && api::facts(media.codec).needs_comfort_noise) media.comfort_noise_payload_type = kNoise;
  media.encoder.annex_b = (how & 0x40) != 0 ? 1 : 0;
  media.encoder.dtx = (how & 0x80) != 0 ? 1 : 0;
  return media;
}

struct Listener {
  void hear(const engine::Packet& packet) {
    if (packet.verdict != engine::PacketVerdict::Transmit) return;
    const test::Datagram d = test::read_udp(packet.data, packet.length);
    RtpHeader rtp;
    if (!d.ok || d.payload.size() + 28 > 1500 || !parse_rtp(d.payload, rtp)) std::abort();
    if (rtp.payload_type != kAudio && rtp.payload_type != kEvents && rtp.payload_type != kNoise) std::abort();
    if (started && rtp.ssrc != ssrc) std::abort();
    ssrc = rtp.ssrc;
    started = true;
  }
  std::uint32_t ssrc = 0;
  bool started = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  test::Plane plane(test::transcoding_config());
  const api::MediaParams near = party("198.51.100.10:40000", data[0], data[2]), far = party("203.0.113.20:50000", data[1], data[3]);
  const api::CommandDone a = plane.add(near), b = plane.add(far);
  if (a.status != api::CommandStatus::Ok || b.status != api::CommandStatus::Ok) std::abort();
  if (plane.join(a.leg, b.leg).status != api::CommandStatus::Ok) return 0;
  data += 4;
  size -= 4;
  const std::uint32_t step = api::facts(near.codec).rtp_clock_hz / 100;
  std::uint16_t sequence = 65'530;
  std::uint32_t timestamp = 0xFFFF'F000, ssrc = 1;
  Listener listener;
  while (size >= 3) {
    const unsigned kind = data[0], pace = data[1];
    const std::size_t length = std::min<std::size_t>(data[2] * std::size_t{(kind & 0x40) != 0 ? 4U : 1U}, size - 3);
    constexpr std::uint8_t kTypes[] = {kAudio, kAudio, kEvents, kNoise};
    sequence = static_cast<std::uint16_t>(sequence + ((kind & 0x1C) == 0x1C ? 4000 : (kind & 0x1C) == 0x18 ? -2 : (kind >> 2) & 3));
    timestamp += (pace & 7) == 7 ? 1'000'000 : (pace & 7) == 6 ? 0 - 3 * step : (pace & 7) == 1 ? step - 1 : (pace & 7) * step;
    if ((kind & 0x20) != 0) ++ssrc;
    const unsigned type = kTypes[kind & 3] | (kind & 0x80U);
    const test::Frame frame = test::udp_frame(*Endpoint::parse("198.51.100.10:40000"), a.local,
                                              test::rtp_packet(type, sequence, timestamp, ssrc, test::Frame(data + 3, data + 3 + length)));
    const test::Plane::Sent sent = plane.send(frame);
    if (sent.packet.verdict == engine::PacketVerdict::Pending) std::abort();
    listener.hear(sent.packet);
    for (const auto& spare : plane.spares.packets) listener.hear(spare.packet);
    plane.run(std::chrono::milliseconds((pace >> 3) * ((pace & 0x80) != 0 ? 20 : 1)));
    data += 3 + length;
    size -= 3 + length;
  }
  return 0;
}
