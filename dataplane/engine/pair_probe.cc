#include "dataplane/engine/pair_probe.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <utility>
#include <vector>

#include "dataplane/engine/audio_path.h"
#include "dataplane/engine/engine.h"

namespace ifgw::engine {
namespace {

constexpr std::size_t kRtpBytes = 12;
constexpr std::size_t kHeadroom = 128;
constexpr std::size_t kBufferBytes = 2048;
constexpr std::uint8_t kPayloadTypeA = 96;
constexpr std::uint8_t kPayloadTypeB = 97;
constexpr std::uint8_t kPayloadTypeNoise = 13;
constexpr unsigned kMeasuredPackets = 15;  // what voice() repeats, so that it is like a second of it

struct OneHop final : NextHops {
  OneHop() {
    hop.usable = 1;
    table_ = {&hop, 1};
  }
  NextHopIndex lookup(const IpAddress&) noexcept override { return 0; }
  NextHopIndex acquire(const IpAddress&) noexcept override { return 0; }
  void release(NextHopIndex) noexcept override {}
  NextHop hop;
};

// 20 ms in, 20 ms out: no packet makes two.
struct NoSpares final : PacketSource {
  Packet* take() noexcept override { return nullptr; }
};

struct LastAnswer final : EventSink {
  bool on_event(const api::Event& event) noexcept override {
    if (event.type == api::EventType::CommandDone) done = event.command_done;
    return true;
  }
  api::CommandDone done;
};

EngineConfig probe_config() {
  EngineConfig config;
  config.local_addresses = {IpAddress::v4(0xC0000201)};
  config.first_media_port = 20'000;
  config.last_media_port = 20'003;
  config.limiter_sources = 8;
  config.max_prefixes = 1;
  config.prefix_stamps = 1;
  config.transcoding_mb = 1;
  return config;
}

// Two formants driven by the pulses of a gliding pitch, 200 ms of it, then 100 ms of hardly anything: what voices do.
std::vector<std::int16_t> voice(std::uint32_t rate_hz, std::size_t samples) {
  struct Formant {
    Formant(double hz, double width_hz, double rate)
        : pull(2 * std::exp(-std::numbers::pi * width_hz / rate) * std::cos(2 * std::numbers::pi * hz / rate)),
          damping(std::exp(-2 * std::numbers::pi * width_hz / rate)) {}
    double next(double in) noexcept {
      const double out = in + pull * last - damping * before;
      before = std::exchange(last, out);
      return out;
    }
    double pull, damping, last = 0, before = 0;
  };
  Formant low(600, 90, rate_hz);
  Formant high(1700, 120, rate_hz);
  std::vector<std::int16_t> pcm(samples);
  std::uint32_t random = 1;
  double phase = 0;
  for (std::size_t i = 0; i < samples; ++i) {
    random = random * 1'664'525 + 1'013'904'223;
    const double breath = static_cast<double>(random >> 16) / 65536.0 - 0.5;
    const double at = static_cast<double>(i) / rate_hz;
    phase += (100 + 40 * at) / rate_hz;
    const bool pulse = phase >= 1;
    if (pulse) phase -= 1;
    const bool voiced = std::fmod(at, 0.3) < 0.2;
    const double in = (voiced && pulse ? 1500.0 * 8000 / rate_hz : 0) + breath * (voiced ? 20 : 2);
    pcm[i] = static_cast<std::int16_t>(std::clamp(low.next(in) + 0.5 * high.next(in), -32'000.0, 32'000.0));
  }
  return pcm;
}

struct alignas(64) Line {
  std::array<std::byte, 64> bytes;
};

std::vector<std::vector<std::uint8_t>> encode(api::Codec codec, unsigned packets) {
  const audio::CodecSettings settings = codec_settings(codec);
  std::vector<Line> memory(audio::encoder_bytes(settings) / sizeof(Line) + 1);
  const auto encoder = audio::make_encoder(settings, std::as_writable_bytes(std::span(memory)));
  if (encoder == nullptr) return {};
  const std::uint32_t rate = audio::pcm_rate_hz(settings);
  const std::vector<std::int16_t> pcm = voice(rate, rate);
  std::vector<std::vector<std::uint8_t>> payloads;
  for (unsigned i = 0; i < packets; ++i) {
    std::vector<std::uint8_t>& payload = payloads.emplace_back(audio::kMaxPayloadBytes);
    payload.resize(encoder->encode(std::span(pcm).subspan(i * (rate / 50), rate / 50), payload).size);
    if (payload.empty()) return {};
  }
  return payloads;
}

}  // namespace

struct PairProbe::Parts {
  Parts(std::size_t pair, const Payloads& voice)
      : config(probe_config()),
        memory(Engine::required_bytes(config) / sizeof(Line) + 1),
        rows(Engine::leg_rows(config)),
        payloads(voice),
        ticks(api::facts(api::pair_from(pair)).rtp_clock_hz / 50u),
        engine(config, std::as_writable_bytes(std::span(memory)), rows, *block, hops, answers) {
    if (payloads.empty()) return;
    // What the party may send beside its audio, and the other refuses.
    const bool recoded = api::is_recoded(pair), sid = recoded && api::pair_from(pair) == api::Codec::G729;
    const bool noise = recoded && api::facts(api::pair_from(pair)).needs_comfort_noise;
    if (recoded && !sid && !noise) return;
    const api::CommandDone a = add(api::pair_from(pair), kPayloadTypeA, party, sid, noise);
    const api::CommandDone b = add(api::pair_to(pair), kPayloadTypeB, {IpAddress::v4(0xC6336402), 40'000}, false, false);
    api::Command join;
    join.type = api::CommandType::JoinLegs;
    join.join_legs = {a.leg, b.leg};
    engine.on_command(join, now, none);
    way = make_udp_template(party, a.local, 46);
    ready = answers.done.status == api::CommandStatus::Ok;
  }

  api::CommandDone add(api::Codec codec, std::uint8_t payload_type, const Endpoint& remote, bool sid, bool noise) noexcept {
    api::Command command;
    command.type = api::CommandType::AddLeg;
    command.add_leg = api::AddLeg{};
    command.add_leg.media.remote = remote;
    command.add_leg.media.codec = codec;
    command.add_leg.media.payload_type = payload_type;
    command.add_leg.media.encoder.annex_b = sid ? 1 : 0;
    if (noise) command.add_leg.media.comfort_noise_payload_type = kPayloadTypeNoise;
    engine.on_command(command, now, none);
    return answers.done;
  }

  Endpoint party{IpAddress::v4(0xC6336401), 40'000};
  EngineConfig config;
  std::vector<Line> memory;
  std::vector<api::LegRow> rows;
  std::unique_ptr<api::WorkerBlock> block = std::make_unique<api::WorkerBlock>();
  OneHop hops;
  NoSpares none;
  LastAnswer answers;
  const Payloads& payloads;
  std::uint32_t ticks;  // of the time stamp, per packet
  Instant now = from_ns(1'000'000'000);
  Engine engine;
  UdpTemplate way;  // from the party to its leg
  bool ready = false;
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;
  std::vector<Packet> packets = std::vector<Packet>(payloads.size());
  std::vector<Packet*> pointers = std::vector<Packet*>(payloads.size());
  std::vector<std::uint8_t> buffers = std::vector<std::uint8_t>(kBufferBytes * payloads.size());
};

PairProbe::PairProbe(std::size_t pair) {
  if (api::pair_from(pair) == api::Codec::None || api::pair_to(pair) == api::Codec::None) return;
  voice_ = encode(api::pair_from(pair), kPackets);
  parts_ = std::make_unique<Parts>(pair, voice_);
}
PairProbe::PairProbe(std::size_t pair, const Payloads& voice) : parts_(std::make_unique<Parts>(pair, voice)) {}
PairProbe::~PairProbe() = default;

bool PairProbe::ready() const noexcept { return parts_ != nullptr && parts_->ready; }

void PairProbe::receive() noexcept {
  Parts& p = *parts_;
  for (std::size_t i = 0; i < p.payloads.size(); ++i) {
    const std::vector<std::uint8_t>& payload = p.payloads[i];
    Packet& packet = p.packets[i];
    packet = Packet{};
    packet.data = p.buffers.data() + i * kBufferBytes + kHeadroom;
    const std::size_t headers = kEthernetBytes + p.way.size();
    const auto udp_payload = static_cast<std::uint16_t>(kRtpBytes + payload.size());
    packet.length = static_cast<std::uint16_t>(headers + udp_payload);
    packet.headroom = kHeadroom;
    packet.tailroom = static_cast<std::uint16_t>(kBufferBytes - kHeadroom - packet.length);
    std::uint8_t* rtp = packet.data + headers;
    std::memset(packet.data, 0, kEthernetBytes);
    store_be16(packet.data + 12, 0x0800);
    rtp[0] = 0x80;
    rtp[1] = kPayloadTypeA;
    store_be16(rtp + 2, p.sequence++);
    store_be32(rtp + 4, std::exchange(p.timestamp, p.timestamp + p.ticks));
    store_be32(rtp + 8, 0x1F6F'1F6F);
    std::copy(payload.begin(), payload.end(), rtp + kRtpBytes);
    write_udp_headers(p.way, packet.data + kEthernetBytes, udp_payload, fresh_udp_checksum(p.way, {rtp, udp_payload}));
    p.pointers[i] = &packet;
  }
  p.now += std::chrono::seconds(1);
}

unsigned PairProbe::run() noexcept {
  Parts& p = *parts_;
  p.engine.classify(p.packets);
  p.engine.media(p.pointers, p.now, p.none);
  const auto left = [](const Packet& packet) { return packet.verdict == PacketVerdict::Transmit; };
  return static_cast<unsigned>(std::count_if(p.packets.begin(), p.packets.end(), left));
}

PairCosts measure_pairs(std::uint64_t (*reading)() noexcept, unsigned rounds) {
  std::array<PairProbe::Payloads, api::kMaxCodec + 1> voices;
  for (std::size_t codec = 1; codec < voices.size(); ++codec) voices[codec] = encode(static_cast<api::Codec>(codec), kMeasuredPackets);
  PairCosts costs{};
  for (unsigned round = 0; round < rounds; ++round)
    for (std::size_t pair = 0; pair < costs.size(); ++pair) {
      const api::Codec from = api::pair_from(pair), to = api::pair_to(pair);
      if (from == api::Codec::None || to == api::Codec::None) continue;
      PairProbe probe(pair, voices[static_cast<std::size_t>(from)]);
      if (!probe.ready()) continue;
      probe.receive();
      if (probe.run() != kMeasuredPackets) continue;
      probe.receive();
      const std::uint64_t before = reading();
      (void)probe.run();
      const double cost = static_cast<double>(reading() - before) / kMeasuredPackets;
      if (round == 0 || cost < costs[pair]) costs[pair] = cost;
    }
  return costs;
}

}  // namespace ifgw::engine
