// A party that speaks over a bad network, through the whole engine, to a party of another codec: what leaves, under which numbers, when,
// and what the listener hears. Virtual time; the network is seeded.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "dataplane/engine/audio_path.h"
#include "tests/support/plane.h"
#include "tests/support/signals.h"

namespace ifgw::test {
namespace {

using api::Codec;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr double kToneHz = 440;
constexpr unsigned kPackets = 300;  // of 20 ms

struct Network {
  const char* name;
  double loss;
  double duplicate;
  double overtake;  // leaves 30 ms late, behind its successor
  unsigned jitter_ms;
  double purity;  // of the tone that is heard, once lost frames were concealed
};
constexpr Network kNetworks[] = {{"good", 0, 0, 0, 0, 0.97},
                                 {"1 % loss", 0.01, 0, 0, 0, 0.9},
                                 {"5 % loss", 0.05, 0, 0, 0, 0.75},
                                 {"20 % loss", 0.2, 0, 0, 0, 0.35},
                                 {"jitter", 0, 0, 0, 60, 0.3},
                                 {"disorder and copies", 0, 0.05, 0.05, 5, 0.75},
                                 {"everything", 0.2, 0.1, 0.1, 40, 0.15}};

struct Arrival {
  Instant at;
  std::uint16_t sequence;
  std::uint32_t timestamp;
  Frame payload;
};

// What a party says: a tone, 20 ms a packet, as the network delivers it.
std::vector<Arrival> spoken(Codec codec, const Network& network, unsigned seed, Instant start) {
  std::mt19937 random(seed);
  const auto happens = [&](double share) { return std::uniform_real_distribution<>(0, 1)(random) < share; };
  const audio::CodecSettings settings = engine::codec_settings(codec);
  const unsigned rate = audio::pcm_rate_hz(settings);
  const OwnedEncoder encoder(settings);
  const Pcm pcm = tone(kToneHz, rate, 8000, rate / 50 * kPackets);
  std::vector<Arrival> arrivals;
  for (unsigned i = 0; i < kPackets; ++i) {
    Frame payload(audio::kMaxPayloadBytes);
    payload.resize(encoder->encode(std::span(pcm).subspan(i * (rate / 50), rate / 50), payload).size);
    const bool lost = happens(network.loss), copied = happens(network.duplicate), late = happens(network.overtake);
    const auto jitter = microseconds(random() % (network.jitter_ms * 1000 + 1));
    if (lost) continue;
    const Instant at = start + milliseconds(20) * i + jitter + (late ? milliseconds(30) : milliseconds(0));
    const Arrival arrival{at, static_cast<std::uint16_t>(65'400 + i), 0xFFFF'0000U + i * (api::facts(codec).rtp_clock_hz / 50u), payload};
    arrivals.push_back(arrival);
    if (copied) arrivals.push_back({at + milliseconds(random() % 50), arrival.sequence, arrival.timestamp, arrival.payload});
  }
  std::stable_sort(arrivals.begin(), arrivals.end(), [](const Arrival& a, const Arrival& b) { return a.at < b.at; });
  return arrivals;
}

struct Heard {
  RtpHeader rtp;
  Frame payload;
};

// The listener: decodes, and conceals what is missing.
Pcm listen(Codec codec, const std::vector<Heard>& heard) {
  const audio::CodecSettings settings = engine::codec_settings(codec);
  const OwnedDecoder decoder(settings);
  const std::size_t frame = audio::pcm_rate_hz(settings) / 50;
  Pcm all, pcm(audio::kMaxPcmSamples);
  for (std::size_t i = 0; i < heard.size(); ++i) {
    if (i != 0)
      for (auto missing = static_cast<std::uint16_t>(heard[i].rtp.sequence - heard[i - 1].rtp.sequence - 1); missing > 0; --missing) {
        decoder->conceal(std::span(pcm).first(frame));
        all.insert(all.end(), pcm.begin(), pcm.begin() + static_cast<long>(frame));
      }
    const audio::Decoded decoded = decoder->decode(heard[i].payload, pcm);
    EXPECT_EQ(decoded.error, audio::CodecError::None);
    EXPECT_EQ(decoded.samples, frame);
    all.insert(all.end(), pcm.begin(), pcm.begin() + static_cast<long>(decoded.samples));
  }
  return all;
}

// The share of the tone in each tenth of a second, on average: what a longer look would take for another phase.
double purity(const Pcm& pcm, unsigned rate) {
  double sum = 0;
  std::size_t parts = 0;
  const std::size_t size = rate / 10;
  for (std::size_t at = size * 3; at + size <= pcm.size(); at += size, ++parts) {
    const std::span<const std::int16_t> part = std::span(pcm).subspan(at, size);
    double re = 0, im = 0, all = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const double angle = 2 * std::numbers::pi * kToneHz * static_cast<double>(i) / rate;
      re += part[i] * std::cos(angle);
      im += part[i] * std::sin(angle);
      all += static_cast<double>(part[i]) * part[i];
    }
    sum += all == 0 ? 0 : 2 * (re * re + im * im) / static_cast<double>(size) / all;
  }
  return sum / static_cast<double>(parts);
}

struct Pair {
  Codec from, to;
};
std::vector<Pair> pairs() {
  std::vector<Pair> found;
  constexpr Codec kMain[] = {Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::G729, Codec::Opus};
  for (const Codec a : kMain)
    for (const Codec b : kMain) found.push_back({a, b});
  for (const Codec more : {Codec::Speex8, Codec::Speex16, Codec::Gsm, Codec::G726_32, Codec::L16_16})
    found.insert(found.end(), {{more, Codec::Pcma}, {Codec::Opus, more}});
  return found;
}

class MediaSim : public ::testing::TestWithParam<Pair> {};
INSTANTIATE_TEST_SUITE_P(All, MediaSim, ::testing::ValuesIn(pairs()), [](const auto& pair) {
  std::string name = std::string(api::facts(pair.param.from).name) + "To" + std::string(api::facts(pair.param.to).name);
  std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
  return name;
});

TEST_P(MediaSim, WhateverTheNetworkDoesTheStreamIsCleanAndTheLossIsSeen) {
  const auto [from, to] = GetParam();
  const bool relayed = engine::path_between(from, to) != engine::AudioPath::Transcode;
  for (const Network& network : kNetworks) {
    SCOPED_TRACE(network.name);
    Plane plane(transcoding_config());
    api::MediaParams b = media_to("203.0.113.20:50000", to);
    b.payload_type = 97;
    const api::CommandDone leg = plane.add(media_to("198.51.100.10:40000", from));
    const std::uint8_t payload_type = media_to(nullptr, from).payload_type;
    ASSERT_EQ(plane.join(leg.leg, plane.add(b).leg).status, api::CommandStatus::Ok);
    std::vector<Heard> heard;
    std::vector<std::uint16_t> taken;
    std::uint64_t late = 0;
    for (const Arrival& arrival : spoken(from, network, 11, plane.now)) {
      plane.now = arrival.at;
      const Plane::Sent sent = plane.send(udp_frame(*Endpoint::parse("198.51.100.10:40000"), leg.local,
                                                    rtp_packet(payload_type, arrival.sequence, arrival.timestamp, 7, arrival.payload)));
      const bool newest = taken.empty() || serial_newer(arrival.sequence, taken.back());
      if (!newest && !relayed) {
        EXPECT_EQ(sent.packet.drop, api::DropReason::OutOfSequence) << "a decoder is past it";
        ++late;
        continue;
      }
      ASSERT_EQ(sent.packet.verdict, engine::PacketVerdict::Transmit) << "a frame leaves with the packet that it is made of";
      EXPECT_TRUE(plane.spares.packets.empty());
      Heard h;
      ASSERT_TRUE(parse_rtp(sent.datagram.payload, h.rtp));
      h.payload.assign(sent.datagram.payload.begin() + h.rtp.payload_offset, sent.datagram.payload.end());
      if (!newest) continue;  // a relay leaves disorder and copies to the listener
      taken.push_back(arrival.sequence);
      heard.push_back(h);
    }
    ASSERT_GT(heard.size(), kPackets / 2);
    EXPECT_EQ(plane.drops(api::DropReason::OutOfSequence), late);
    const std::uint32_t step = api::facts(to).rtp_clock_hz / 50u;
    for (std::size_t i = 0; i < heard.size(); ++i) {
      const RtpHeader &rtp = heard[i].rtp, &first = heard[0].rtp;
      const auto missing = static_cast<std::uint16_t>(taken[i] - taken[0]);
      EXPECT_EQ(rtp.payload_type, 97);
      EXPECT_EQ(rtp.ssrc, first.ssrc);
      EXPECT_EQ(static_cast<std::uint16_t>(rtp.sequence - first.sequence), missing) << "as many numbers unused as packets were lost";
      EXPECT_EQ(rtp.timestamp - first.timestamp, missing * step);
      EXPECT_TRUE(relayed || rtp.marker == (i == 0));
    }
    EXPECT_GT(purity(listen(to, heard), audio::pcm_rate_hz(engine::codec_settings(to))), network.purity);
  }
}

}  // namespace
}  // namespace ifgw::test
