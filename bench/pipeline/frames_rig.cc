#include "bench/pipeline/frames_rig.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "bench/pipeline/allocations.h"
#include "codecs/base/bytes.h"
#include "codecs/base/check.h"
#include "codecs/wire/rtp.h"
#include "dataplane/engine/audio_path.h"
#include "dataplane/engine/headers.h"

namespace ifgw::bench {
namespace {

using api::Codec;

constexpr std::size_t kHeaders = engine::kEthernetBytes + engine::kIpv4Bytes + engine::kUdpBytes;
constexpr std::uint8_t kPayloadType = 96;

engine::EngineConfig config() {
  engine::EngineConfig c;
  c.local_addresses = {IpAddress::v4(0xC0A80001)};
  c.first_media_port = 20'000;
  c.last_media_port = 20'511;
  c.sip_udp_ports = {5060};
  c.transcoding_mb = 16;
  c.max_load_percent = 100;
  c.port_quarantine = Duration::zero();
  c.late = std::chrono::seconds(1);  // nothing is given up, whatever the host does
  return c;
}

std::uint32_t clock_hz(Codec codec) { return audio::rtp_clock_hz(engine::codec_settings(codec)); }

}  // namespace

api::MediaParams params(const Endpoint& remote, Codec codec) {
  api::MediaParams media;
  media.remote = remote;
  media.codec = codec;
  media.payload_type = kPayloadType;
  return media;
}

std::vector<Payload> encode(test::OwnedEncoder& encoder, std::span<const std::int16_t> pcm, std::size_t frame) {
  std::vector<Payload> payloads;
  for (std::size_t at = 0; at + frame <= pcm.size(); at += frame) {
    Payload& payload = payloads.emplace_back(audio::kMaxPayloadBytes);
    payload.resize(encoder->encode(pcm.subspan(at, frame), payload).size);
  }
  return payloads;
}

const std::vector<Payload>& voice(Codec codec) {
  static std::map<Codec, std::vector<Payload>> made;
  std::vector<Payload>& payloads = made[codec];
  if (payloads.empty()) {
    const audio::CodecSettings settings = engine::codec_settings(codec);
    const std::uint32_t rate = audio::pcm_rate_hz(settings);
    test::OwnedEncoder encoder(settings);
    payloads = encode(encoder, test::speech(rate, rate), rate / 50);
  }
  return payloads;
}

Frames::Frames(bool hugepages) : rig_(config(), hugepages) { IFGW_CHECK(allocations() > 0); }

void Frames::open(Codec from, Codec to) {
  const auto number = static_cast<std::uint16_t>(opened_++ % 5000);
  Stream s;
  s.from = from;
  s.to = to;
  s.party = {IpAddress::v4(0x0A000002), static_cast<std::uint16_t>(20'000 + 2 * number)};
  s.listener = {IpAddress::v4(0x0A000003), static_cast<std::uint16_t>(40'000 + 2 * number)};
  const auto [near, far] = rig_.call(params(s.party, from), params(s.listener, to));
  s.near = near.leg;
  s.far = far.leg;
  s.port = near.local;
  (void)rig_.iterate();
  by_listener_[s.listener.port] = streams_.size();
  streams_.push_back(s);
}

void Frames::close_all() {
  for (const Stream& s : streams_)
    for (const api::LegId leg : {s.near, s.far}) {
      api::Command remove;
      remove.type = api::CommandType::RemoveLeg;
      remove.remove_leg = {leg};
      rig_.command(remove);
    }
  streams_.clear();
  by_listener_.clear();
  (void)take();  // their BYE
}

rte_mbuf* Frames::packet(Stream& s, const Payload& payload) {
  rte_mbuf* buffer = rte_pktmbuf_alloc(rig_.pool());
  IFGW_CHECK(buffer != nullptr);
  const std::size_t length = 12 + payload.size();
  auto* frame = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(buffer, static_cast<std::uint16_t>(kHeaders + length)));
  std::memset(frame, 0, 12);
  store_be16(frame + 12, 0x0800);
  std::uint8_t* rtp = frame + kHeaders;
  rtp[0] = 0x80;
  rtp[1] = kPayloadType;
  store_be16(rtp + 2, s.sequence++);
  store_be32(rtp + 4, s.timestamp);
  store_be32(rtp + 8, 77);
  std::copy(payload.begin(), payload.end(), rtp + 12);
  s.timestamp += clock_hz(s.from) / 50;
  const auto path = engine::make_udp_template(s.party, s.port, 46);
  engine::write_udp_headers(path, frame + engine::kEthernetBytes, static_cast<std::uint16_t>(length),
                            engine::fresh_udp_checksum(path, {rtp, length}));
  return buffer;
}

rte_mbuf* Frames::next_packet(Stream& s) { return packet(s, voice(s.from)[s.spoken++ % voice(s.from).size()]); }

void Frames::through(std::span<rte_mbuf*> buffers) {
  if (!buffers.empty()) rig_.receive(buffers);
  received_ += buffers.size();
  const std::uint64_t before = allocations();
  while (rig_.iterate() != 0) {
  }
  allocated_ += allocations() - before;
}

std::vector<Sent> Frames::take() {
  std::vector<Sent> all;
  std::array<rte_mbuf*, nodes::kBurst> buffers;
  for (std::size_t count; (count = rig_.sent(buffers)) != 0;)
    for (std::size_t i = 0; i < count; ++i) {
      read(buffers[i], all);
      rte_pktmbuf_free(buffers[i]);
    }
  return all;
}

void Frames::read(rte_mbuf* buffer, std::vector<Sent>& all) {
  const auto* frame = rte_pktmbuf_mtod(buffer, const std::uint8_t*);
  const auto found = by_listener_.find(load_be16(frame + kHeaders - 6));
  RtpHeader rtp;
  if (found == by_listener_.end() || !parse_rtp({frame + kHeaders, rte_pktmbuf_data_len(buffer) - kHeaders}, rtp)) return;
  Stream& s = streams_[found->second];
  if (!s.heard) s.first_timestamp = rtp.timestamp;
  s.heard = true;
  const std::uint8_t* payload = frame + kHeaders + rtp.payload_offset;
  all.push_back({found->second, (rtp.timestamp - s.first_timestamp) / (clock_hz(s.to) / 50), {payload, payload + rtp.payload_length}});
}

}  // namespace ifgw::bench
