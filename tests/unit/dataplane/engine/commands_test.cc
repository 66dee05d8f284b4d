#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

using api::CommandStatus;
using std::chrono::seconds;

api::CommandDone set_limits(Plane& plane, api::SetLimits limits) {
  return plane.command(api::CommandType::SetLimits, [&](api::Command& c) { c.set_limits = limits; });
}

TEST(Commands, AddLegGivesAnEvenPortOfItsAddress) {
  Plane plane;
  const api::CommandDone done = plane.add(media_to("198.51.100.10:40000"));
  EXPECT_EQ(done.status, CommandStatus::Ok);
  EXPECT_EQ(done.local.ip, plane.config.local_addresses[0]);
  EXPECT_EQ(done.local.port % 2, 0);
  EXPECT_GE(done.local.port, 20000);
  const auto info = api::read_leg(plane.engine.row(done.leg.index()));
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->id, done.leg);
  EXPECT_EQ(info->local, done.local);
  EXPECT_EQ(plane.block->legs_in_use.get(), 1U);
}

TEST(Commands, PortsRunOutAndComeBackAfterTheQuarantine) {
  Plane plane;
  std::set<std::uint16_t> ports;
  api::LegId last;
  for (int i = 0; i < 32; ++i) {
    const api::CommandDone done = plane.add(media_to("198.51.100.10:40000"));
    ASSERT_EQ(done.status, CommandStatus::Ok);
    ports.insert(done.local.port);
    last = done.leg;
  }
  EXPECT_EQ(ports.size(), 32U);
  EXPECT_EQ(plane.add(media_to("198.51.100.10:40000")).status, CommandStatus::PortsExhausted);
  EXPECT_EQ(plane.add(media_to("[2001:db8::5]:40000"), 1).status, CommandStatus::Ok) << "the other address has its own ports";
  ASSERT_EQ(plane.remove(last).status, CommandStatus::Ok);
  EXPECT_EQ(plane.add(media_to("198.51.100.10:40000")).status, CommandStatus::PortsExhausted) << "still in quarantine";
  plane.advance(plane.config.port_quarantine);
  const api::CommandDone again = plane.add(media_to("198.51.100.10:40000"));
  EXPECT_EQ(again.status, CommandStatus::Ok);
  EXPECT_EQ(again.leg.index(), last.index());
  EXPECT_NE(again.leg, last);
  EXPECT_EQ(plane.remove(last).status, CommandStatus::UnknownLeg) << "the old id names nothing any more";
}

TEST(Commands, TheLegTableHasABound) {
  engine::EngineConfig config = small_config();
  config.max_legs = 2;
  Plane plane(config);
  EXPECT_EQ(plane.add(media_to(nullptr)).status, CommandStatus::Ok);
  EXPECT_EQ(plane.add(media_to(nullptr)).status, CommandStatus::Ok);
  EXPECT_EQ(plane.add(media_to(nullptr)).status, CommandStatus::TableFull);
}

TEST(Commands, EveryFieldOfMediaIsChecked) {
  Plane plane;
  const auto refused = [&](const auto& change, std::size_t offset) {
    api::MediaParams media = media_to("198.51.100.10:40000");
    change(media);
    const api::CommandDone done = plane.add(media);
    EXPECT_EQ(done.status, CommandStatus::InvalidArgument);
    EXPECT_EQ(done.value, offsetof(api::AddLeg, media) + offset);
    EXPECT_FALSE(done.leg.present());
  };
  using M = api::MediaParams;
  refused([](M& m) { m.remote = *Endpoint::parse("[2001:db8::5]:4000"); }, offsetof(M, remote));
  refused([](M& m) { m.remote = *Endpoint::parse("127.0.0.1:4000"); }, offsetof(M, remote));
  refused([](M& m) { m.remote = *Endpoint::parse("192.0.2.1:4000"); }, offsetof(M, remote));
  refused([](M& m) { m.remote.ip.bytes[9] = 1; }, offsetof(M, remote));
  refused([](M& m) { m.remote.ip.family = static_cast<IpFamily>(9); }, offsetof(M, remote));
  refused([](M& m) { m.remote.ip.family = IpFamily::None; }, offsetof(M, remote));
  refused([](M& m) { m.remote.port = 0; }, offsetof(M, remote) + offsetof(Endpoint, port));
  refused([](M& m) { m.codec = static_cast<api::Codec>(api::kMaxCodec + 1); }, offsetof(M, codec));
  refused([](M& m) { m.payload_type = 128; }, offsetof(M, payload_type));
  refused([](M& m) { m.payload_type = 72; }, offsetof(M, payload_type));
  refused([](M& m) { m.telephone_event_payload_type = 0; }, offsetof(M, telephone_event_payload_type));
  refused([](M& m) { m.received_payload_type = 64; }, offsetof(M, received_payload_type));
  refused([](M& m) { m.received_telephone_event_payload_type = 101; }, offsetof(M, received_telephone_event_payload_type));
  refused(
      [](M& m) {
        m.telephone_event_payload_type = 101;
        m.received_payload_type = 101;
      },
      offsetof(M, received_telephone_event_payload_type));
  refused(
      [](M& m) {
        m.comfort_noise_payload_type = 13;
        m.received_comfort_noise_payload_type = 0;
      },
      offsetof(M, received_comfort_noise_payload_type));
  refused([](M& m) { m.comfort_noise_payload_type = 0; }, offsetof(M, comfort_noise_payload_type));
  refused([](M& m) { m.comfort_noise_payload_type = 72; }, offsetof(M, comfort_noise_payload_type));
  refused([](M& m) { m.comfort_noise_payload_type = m.telephone_event_payload_type = 101; }, offsetof(M, comfort_noise_payload_type));
  refused(
      [](M& m) {
        m.codec = api::Codec::G729;
        m.comfort_noise_payload_type = 13;
      },
      offsetof(M, comfort_noise_payload_type));
  refused([](M& m) { m.telephone_event_clock_hz = 44'100; }, offsetof(M, telephone_event_clock_hz));
  refused([](M& m) { m.ptime_ms = 25; }, offsetof(M, ptime_ms));
  const auto refused_ptime = [&](api::Codec codec, std::uint8_t ms) {
    refused([&](M& m) { m.codec = codec, m.ptime_ms = ms; }, offsetof(M, ptime_ms));
  };
  refused_ptime(api::Codec::Gsm, 30);
  refused_ptime(api::Codec::Speex16, 10);
  refused_ptime(api::Codec::L16_16, 60);
  refused([](M& m) { m.receive = 7; }, offsetof(M, receive));
  refused([](M& m) { m.send = 2; }, offsetof(M, send));
  refused([](M& m) { m.source_policy = static_cast<api::SourcePolicy>(0); }, offsetof(M, source_policy));
  refused([](M& m) { m.dscp = 64; }, offsetof(M, dscp));
  refused([](M& m) { m.source_policy = api::SourcePolicy::Latch; }, offsetof(M, latch_window_ms));
  refused([](M& m) { m.media_timeout_ms = 999; }, offsetof(M, media_timeout_ms));
  using E = api::EncoderParams;
  const auto refused_encoder = [&](const auto& change, std::size_t offset) {
    refused([&](M& m) { change(m.encoder); }, offsetof(M, encoder) + offset);
  };
  refused_encoder([](E& e) { e.bitrate_bps = 5999; }, offsetof(E, bitrate_bps));
  refused_encoder([](E& e) { e.bitrate_bps = 128'001; }, offsetof(E, bitrate_bps));
  refused_encoder([](E& e) { e.max_bitrate_bps = 510'001; }, offsetof(E, max_bitrate_bps));
  refused_encoder([](E& e) { e.max_playback_rate_hz = 7999; }, offsetof(E, max_playback_rate_hz));
  refused_encoder([](E& e) { e.max_playback_rate_hz = 48'001; }, offsetof(E, max_playback_rate_hz));
  refused_encoder([](E& e) { e.complexity = 11; }, offsetof(E, complexity));
  refused_encoder([](E& e) { e.expected_loss_percent = 101; }, offsetof(E, expected_loss_percent));
  refused_encoder([](E& e) { e.fec = 2; }, offsetof(E, fec));
  refused_encoder([](E& e) { e.dtx = 2; }, offsetof(E, dtx));
  refused_encoder([](E& e) { e.cbr = 2; }, offsetof(E, cbr));
  refused_encoder([](E& e) { e.annex_b = 2; }, offsetof(E, annex_b));
  refused_encoder([](E& e) { e.speex_quality = 11; }, offsetof(E, speex_quality));
  refused_encoder([](E& e) { e.speex_rate = static_cast<api::SpeexRate>(3); }, offsetof(E, speex_rate));
  refused([](M& m) { m.ptime_ms = 50; }, offsetof(M, ptime_ms));
  EXPECT_EQ(plane.add(media_to("198.51.100.10:40000"), 2).value, offsetof(api::AddLeg, local_address));
  EXPECT_EQ(plane.block->legs_in_use.get(), 0U);
  EXPECT_EQ(plane.block->invalid_messages.get(), 45U);
}

TEST(Commands, JoinKnowsWhatCanBeConnected) {
  Plane plane;
  const api::LegId pcmu = plane.add(media_to("198.51.100.10:40000", api::Codec::Pcmu)).leg;
  const api::LegId pcma = plane.add(media_to("198.51.100.10:40002", api::Codec::Pcma)).leg;
  const api::LegId opus = plane.add(media_to("198.51.100.10:40004", api::Codec::Opus)).leg;
  const api::LegId opus2 = plane.add(media_to("198.51.100.10:40006", api::Codec::Opus)).leg;
  EXPECT_EQ(plane.join(pcmu, pcma).status, CommandStatus::Ok);
  EXPECT_EQ(plane.join(opus, opus2).status, CommandStatus::Ok) << "the same codec is relayed, whatever it is";
  EXPECT_EQ(plane.join(pcmu, opus).status, CommandStatus::NoTranscoder) << "no memory was configured";
  EXPECT_EQ(plane.join(pcmu, pcmu).status, CommandStatus::InvalidArgument);
  EXPECT_EQ(plane.join(pcmu, {0xFFFFFFFFFFFFFFFF}).status, CommandStatus::UnknownLeg);
  EXPECT_EQ(plane.join({}, pcmu).status, CommandStatus::UnknownLeg);
  EXPECT_EQ(plane.update(pcma, media_to("198.51.100.10:40002", api::Codec::G722)).status, CommandStatus::NoTranscoder);
  EXPECT_EQ(api::read_leg(plane.engine.row(pcmu.index()))->peer, pcma) << "refused commands change nothing";
}

// By the declared costs a call between PCMU and Opus takes 0.56 % of a worker.
TEST(Commands, ACallThatDoesNotFitTheWorkersTimeIsRefusedAndRelaysAreNot) {
  engine::EngineConfig config = small_config();
  config.transcoding_mb = 4;
  config.max_load_percent = 1;
  Plane plane(config);
  const auto leg = [&](const char* remote, api::Codec codec) { return plane.add(media_to(remote, codec)).leg; };
  const api::LegId a = leg("198.51.100.10:40000", api::Codec::Pcmu), b = leg("198.51.100.10:40002", api::Codec::Opus);
  const api::LegId c = leg("198.51.100.10:40004", api::Codec::Pcmu), d = leg("198.51.100.10:40006", api::Codec::Opus);
  EXPECT_EQ(plane.block->load_limit_ppm.get(), 10'000U);
  ASSERT_EQ(plane.join(a, b).status, CommandStatus::Ok);
  const std::uint64_t one_call = plane.block->load_booked_ppm.get();
  EXPECT_GT(one_call, 5000U);
  EXPECT_EQ(plane.join(c, d).status, CommandStatus::NoHeadroom);
  EXPECT_FALSE(api::read_leg(plane.engine.row(c.index()))->peer.present());
  EXPECT_EQ(plane.block->load_booked_ppm.get(), one_call);
  EXPECT_EQ(plane.join(a, b).status, CommandStatus::Ok) << "it is there already";
  EXPECT_EQ(plane.join(a, d).status, CommandStatus::Ok) << "in place of the other";
  EXPECT_EQ(plane.join(a, b).status, CommandStatus::Ok);

  const api::LegId e = leg("198.51.100.10:40008", api::Codec::Pcmu);
  EXPECT_EQ(plane.join(c, e).status, CommandStatus::Ok) << "a relay";
  EXPECT_EQ(plane.update(e, media_to("198.51.100.10:40008", api::Codec::Opus)).status, CommandStatus::NoHeadroom);
  EXPECT_EQ(api::read_leg(plane.engine.row(e.index()))->media.codec, api::Codec::Pcmu) << "and stays one";
  plane.remove(a);
  EXPECT_EQ(plane.update(e, media_to("198.51.100.10:40008", api::Codec::Opus)).status, CommandStatus::Ok);
  plane.remove(c);
  plane.remove(e);
  EXPECT_EQ(plane.block->load_booked_ppm.get(), 0U);
}

TEST(Commands, RemovingALegPartsItsPeer) {
  Plane plane;
  const api::LegId a = plane.add(media_to("198.51.100.10:40000")).leg;
  const api::LegId b = plane.add(media_to("198.51.100.10:40002")).leg;
  ASSERT_EQ(plane.join(a, b).status, CommandStatus::Ok);
  ASSERT_EQ(plane.remove(b).status, CommandStatus::Ok);
  EXPECT_FALSE(api::read_leg(plane.engine.row(a.index()))->peer.present());
  EXPECT_FALSE(api::read_leg(plane.engine.row(b.index())).has_value());
}

TEST(Commands, JoiningAnewPartsTheOldPeers) {
  Plane plane;
  const api::LegId a = plane.add(media_to("198.51.100.10:40000")).leg;
  const api::LegId b = plane.add(media_to("198.51.100.10:40002")).leg;
  const api::LegId c = plane.add(media_to("198.51.100.10:40004")).leg;
  ASSERT_EQ(plane.join(a, b).status, CommandStatus::Ok);
  ASSERT_EQ(plane.join(a, c).status, CommandStatus::Ok);
  EXPECT_FALSE(api::read_leg(plane.engine.row(b.index()))->peer.present());
  EXPECT_EQ(api::read_leg(plane.engine.row(c.index()))->peer, a);
}

TEST(Commands, LimitsAndPrefixesAreChecked) {
  Plane plane;
  EXPECT_EQ(set_limits(plane, {31, 1000, 0}).status, CommandStatus::InvalidArgument) << "over the capacity";
  EXPECT_EQ(set_limits(plane, {0, 1000, 0}).status, CommandStatus::InvalidArgument);
  EXPECT_EQ(set_limits(plane, {10, 99, 0}).value, offsetof(api::SetLimits, window_ms));
  EXPECT_EQ(set_limits(plane, {10, 100, 86'400'001}).value, offsetof(api::SetLimits, block_ms));
  EXPECT_EQ(set_limits(plane, {30, 100, 86'400'000}).status, CommandStatus::Ok);
  const auto exempt = [&](IpPrefix prefix, std::uint8_t flag) {
    return plane.command(api::CommandType::ExemptPrefix, [&](api::Command& c) { c.exempt_prefix = {prefix, flag}; });
  };
  IpPrefix host_bits{*IpAddress::parse("10.0.0.1"), 8};
  EXPECT_EQ(exempt(host_bits, 1).status, CommandStatus::InvalidArgument);
  EXPECT_EQ(exempt({*IpAddress::parse("10.0.0.0"), 33}, 1).value, offsetof(api::ExemptPrefix, prefix) + offsetof(IpPrefix, length));
  EXPECT_EQ(exempt(*IpPrefix::parse("10.0.0.0/8"), 2).value, offsetof(api::ExemptPrefix, exempt));
  EXPECT_EQ(exempt(*IpPrefix::parse("10.0.0.0/8"), 0).status, CommandStatus::NotFound);
  EXPECT_EQ(exempt(*IpPrefix::parse("10.0.0.0/8"), 1).status, CommandStatus::Ok);
  EXPECT_EQ(exempt(*IpPrefix::parse("10.0.0.0/8"), 0).status, CommandStatus::Ok);
}

TEST(Commands, UnknownCommandsAreAnswered) {
  Plane plane;
  for (const int type : {0, 16, 255}) {
    const api::CommandDone done = plane.command(static_cast<api::CommandType>(type), [](api::Command&) {});
    EXPECT_EQ(done.status, CommandStatus::UnknownCommand);
  }
}

TEST(Commands, NoWorkMeansNoTimer) {
  Plane plane;
  plane.run(seconds(1));
  EXPECT_EQ(plane.engine.next_deadline(), kNever);
  const api::LegId leg = plane.add(media_to(nullptr)).leg;
  EXPECT_NE(plane.engine.next_deadline(), kNever);
  ASSERT_EQ(plane.remove(leg).status, CommandStatus::Ok);
  plane.run(seconds(1));
  EXPECT_EQ(plane.engine.next_deadline(), kNever);
}

TEST(Commands, WorkersSharePortsByParity) {
  engine::EngineConfig config = small_config();
  config.worker_count = 3;
  const engine::PortMap map(config);
  std::set<std::pair<int, std::uint32_t>> seen;
  for (unsigned port = config.first_media_port; port <= config.last_media_port; port += 2) {
    const auto p = static_cast<std::uint16_t>(port);
    const int owner = map.owner(p);
    EXPECT_EQ(owner, map.owner(static_cast<std::uint16_t>(port + 1))) << "RTP and RTCP stay together";
    EXPECT_TRUE(seen.insert({owner, map.index(1, p)}).second);
    EXPECT_EQ(map.port(static_cast<std::uint8_t>(owner), map.index(1, p)), p);
    EXPECT_EQ(map.address(map.index(1, p)), 1);
  }
  for (std::uint8_t worker = 0; worker < 3; ++worker) {
    config.worker = worker;
    Plane plane(config);
    for (int i = 0; i < 10; ++i) {
      const api::CommandDone done = plane.add(media_to(nullptr));
      ASSERT_EQ(done.status, CommandStatus::Ok);
      EXPECT_EQ(map.owner(done.local.port), worker);
      EXPECT_EQ(done.leg.worker(), worker);
    }
  }
}

}  // namespace
}  // namespace ifgw::test
