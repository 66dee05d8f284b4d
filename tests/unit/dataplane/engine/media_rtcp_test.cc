// RTCP through the engine: relayed reports in the terms of what each party hears, our own where streams are transcoded, and
// what is measured from both.
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "codecs/wire/rtcp.h"
#include "codecs/wire/rtp.h"
#include "codecs/wire/telephone_event.h"
#include "tests/support/plane.h"

namespace ifgw::test {
namespace {

using api::Codec;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kNtp = 0xE0000001'80000000;  // its middle: 0x00018000

struct Reports {
  std::vector<int> types;
  std::optional<RtcpSenderInfo> sender;
  std::optional<RtcpReportBlock> block;
  std::uint32_t ssrc = 0, bye = 0;
  std::string cname;
};
Reports read(const Datagram& d) {
  EXPECT_TRUE(d.ok);
  EXPECT_TRUE(valid_rtcp(d.payload));
  Reports r;
  RtcpReader reader(d.payload);
  for (RtcpPacket p; reader.next(p);) {
    r.types.push_back(p.type);
    if (r.ssrc == 0) r.ssrc = load_be32(p.body.data());
    if (const auto sender = rtcp_sender_info(p)) r.sender = sender;
    EXPECT_FALSE(rtcp_report_block(p, 1)) << "one party hears one stream";
    if (const auto block = rtcp_report_block(p, 0)) r.block = block;
    if (p.type == 202) r.cname = as_text(p.body.subspan(6, p.body[5]));
    if (p.type == 203) r.bye = load_be32(p.body.data());
  }
  return r;
}

class Rtcp : public testing::Test {
 protected:
  static constexpr const char* kAlice = "198.51.100.10:40000";
  static constexpr const char* kBob = "203.0.113.20:50000";
  void connect(Codec a, Codec b, std::uint16_t bobs_rtcp_port = 0) {
    api::MediaParams at_b = media_to(kBob, b);
    at_b.remote_rtcp_port = bobs_rtcp_port;
    alice = plane.add(media_to(kAlice, a));
    bob = plane.add(at_b);
    ASSERT_EQ(plane.join(alice.leg, bob.leg).status, api::CommandStatus::Ok);
  }
  std::uint32_t rtp(const char* from, const api::CommandDone& leg, unsigned payload_type, unsigned sequence, std::uint32_t timestamp,
                    std::uint32_t ssrc) {
    const Plane::Sent sent =
        plane.send(udp_frame(*Endpoint::parse(from), leg.local, rtp_packet(payload_type, sequence, timestamp, ssrc, Frame(160, 0xD5))));
    RtpHeader h;
    return sent.packet.verdict == engine::PacketVerdict::Transmit && parse_rtp(sent.datagram.payload, h) ? h.ssrc : 0;
  }
  Plane::Sent rtcp(const char* from, const api::CommandDone& leg, const std::function<void(ByteWriter&)>& write, bool on_rtp_port = false) {
    std::array<std::uint8_t, 512> bytes;
    ByteWriter out(bytes);
    write(out);
    Endpoint source = *Endpoint::parse(from), target = leg.local;
    if (!on_rtp_port) ++source.port, ++target.port;
    return plane.send(udp_frame(source, target, Frame(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(out.size()))));
  }
  // What our timers sent to an endpoint.
  std::vector<Reports> made_for(const char* endpoint) {
    std::vector<Reports> found;
    for (const Spares::Spare& spare : plane.spares.packets) {
      if (spare.packet.verdict != engine::PacketVerdict::Transmit) continue;
      const Datagram d = read_udp(spare.packet.data, spare.packet.length);
      if (d.to == *Endpoint::parse(endpoint)) found.push_back(read(d));
    }
    return found;
  }
  api::LegRow& row(const api::CommandDone& leg) { return plane.engine.row(leg.leg.index()); }

  Plane plane{transcoding_config()};
  api::CommandDone alice, bob;
};

TEST_F(Rtcp, ASenderReportIsRelayedAsOfTheStreamThatIsHeard) {
  connect(Codec::Pcmu, Codec::Pcma);
  (void)rtp(kAlice, alice, 0, 100, 5000, 1);
  plane.advance(milliseconds(20));
  const std::uint32_t heard_by_bob = rtp(kAlice, alice, 0, 7, 1000, 2);  // another stream: time stamps are moved by 4160
  const Plane::Sent sent = rtcp(kAlice, alice, [](ByteWriter& out) {
    write_sender_report(out, {2, kNtp, 1400, 55, 8800}, {});
    write_sdes_cname(out, 2, "alice@10.0.0.7");
  });
  ASSERT_EQ(sent.packet.verdict, engine::PacketVerdict::Transmit);
  EXPECT_EQ(sent.datagram.to, *Endpoint::parse("203.0.113.20:50001"));
  EXPECT_EQ(sent.datagram.from.port, bob.local.port + 1);
  const Reports r = read(sent.datagram);
  EXPECT_EQ(r.types, (std::vector<int>{200, 202}));
  ASSERT_TRUE(r.sender);
  EXPECT_EQ(r.sender->ssrc, heard_by_bob);
  EXPECT_EQ(r.sender->ntp_time, kNtp);
  EXPECT_EQ(r.sender->rtp_timestamp, 1400U + 4160);
  EXPECT_EQ(r.sender->packets, 55U);
  EXPECT_EQ(r.cname.size(), 16U);
  EXPECT_EQ(r.cname.find("alice"), std::string::npos) << "names stay on their side";
  EXPECT_EQ(row(bob).tx_rtcp.get(), 1U);
}

TEST_F(Rtcp, AReportBlockIsRelayedInTheSpeakersOwnNumbers) {
  connect(Codec::Pcmu, Codec::Pcmu);
  (void)rtp(kBob, bob, 0, 500, 0, 8);
  plane.advance(milliseconds(20));
  std::uint32_t heard_by_alice = 0;  // Bob restarted: 7 is 501 to Alice
  for (unsigned i = 0; i < 10; ++i) heard_by_alice = rtp(kBob, bob, 0, 7 + i, 160 * i, 9);
  const Plane::Sent sent = rtcp(kAlice, alice, [&](ByteWriter& out) {
    const RtcpReportBlock blocks[] = {{0xBAD, 9, 9, 9, 9, 9, 9}, {heard_by_alice, 64, 3, 508, 17, 0x12345678, 0x10000}};
    write_receiver_report(out, 4711, blocks);
  });
  ASSERT_EQ(sent.packet.verdict, engine::PacketVerdict::Transmit);
  const Reports r = read(sent.datagram);
  ASSERT_TRUE(r.block);
  EXPECT_EQ(r.block->ssrc, 9U);
  EXPECT_EQ(r.block->highest_sequence, 14U);
  EXPECT_EQ(r.block->fraction_lost, 64);
  EXPECT_EQ(r.block->cumulative_lost, 3);
  EXPECT_EQ(r.block->jitter, 17U);
  EXPECT_EQ(r.block->last_sr, 0x12345678U) << "the round trip is from end to end";
  EXPECT_EQ(r.block->delay_since_last_sr, 0x10000U);
  EXPECT_NE(r.ssrc, 4711U);
  ASSERT_TRUE(api::remote_report(row(alice)));
  EXPECT_EQ(api::remote_report(row(alice))->lost, 3U);
  EXPECT_EQ(api::remote_report(row(alice))->jitter, 17U);
  EXPECT_FALSE(api::remote_report(row(bob)));
}

TEST_F(Rtcp, ExtendedNumbersCountRoundsOfTheSpeakersStream) {
  connect(Codec::Pcmu, Codec::Pcmu);
  std::uint32_t heard = 0;
  for (unsigned i = 0; i < 70'000; ++i) heard = rtp(kBob, bob, 0, (65'000 + i) & 0xFFFF, 160 * i, 9);
  const std::uint32_t newest = 65'000 + 69'999;
  const Plane::Sent sent = rtcp(kAlice, alice, [&](ByteWriter& out) {
    const RtcpReportBlock block{heard, 0, 0, newest - 2, 0, 0, 0};
    write_receiver_report(out, 4711, {&block, 1});
  });
  EXPECT_EQ(read(sent.datagram).block->highest_sequence, newest - 2);
}

TEST_F(Rtcp, WhatWasNotNegotiatedEndsHere) {
  connect(Codec::Pcmu, Codec::Pcmu);
  (void)rtp(kAlice, alice, 0, 1, 1, 1);
  const Plane::Sent sent = rtcp(kAlice, alice, [](ByteWriter& out) {
    write_receiver_report(out, 1, {});
    for (const unsigned type : {204U, 205U, 206U, 207U})
      for (const std::uint32_t word : {0x80000002U | type << 16, 1U, 0x41424344U}) out.u32(word);
    write_bye(out, 77);
  });
  ASSERT_EQ(sent.packet.verdict, engine::PacketVerdict::Transmit);
  EXPECT_EQ(read(sent.datagram).types, (std::vector<int>{201, 202}));
}

TEST_F(Rtcp, AByeIsPassedOnWhenNothingFollows) {
  connect(Codec::Pcmu, Codec::Pcmu);
  const std::uint32_t heard = rtp(kAlice, alice, 0, 1, 1, 6);
  const Plane::Sent sent = rtcp(kAlice, alice, [](ByteWriter& out) {
    write_receiver_report(out, 6, {});
    write_bye(out, 6);
  });
  EXPECT_EQ(read(sent.datagram).types, (std::vector<int>{201, 202}));
  plane.run(milliseconds(900));
  EXPECT_TRUE(made_for("203.0.113.20:50001").empty()) << "not yet";
  plane.run(milliseconds(1200));
  const std::vector<Reports> said = made_for("203.0.113.20:50001");
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].types, (std::vector<int>{201, 202, 203}));
  EXPECT_EQ(said[0].bye, heard);
  plane.run(seconds(5));
  EXPECT_TRUE(made_for("203.0.113.20:50001").empty()) << "once";
}

TEST_F(Rtcp, AStreamThatGoesOnUnderAnotherSsrcHasNoBye) {
  connect(Codec::Pcmu, Codec::Pcmu);
  const std::uint32_t heard = rtp(kAlice, alice, 0, 1, 1, 6);
  for (const std::uint32_t ssrc : {6U, 7U}) {
    (void)rtcp(kAlice, alice, [ssrc](ByteWriter& out) {
      write_receiver_report(out, ssrc, {});
      write_bye(out, ssrc);
    });
    plane.run(milliseconds(500));
    EXPECT_EQ(rtp(kAlice, alice, 0, 100, 9000, ssrc + 1), heard) << "one stream for the life of the leg";
    plane.run(seconds(3));
    EXPECT_TRUE(made_for("203.0.113.20:50001").empty());
  }
}

TEST_F(Rtcp, DamageIsNotLaundered) {
  connect(Codec::Pcmu, Codec::Pcmu);
  std::array<std::uint8_t, 8> bytes;
  ByteWriter out(bytes);
  write_receiver_report(out, 6, {});
  Frame frame = udp_frame(*Endpoint::parse("198.51.100.10:40001"), {alice.local.ip, static_cast<std::uint16_t>(alice.local.port + 1)},
                          Frame(bytes.begin(), bytes.end()));
  frame.back() ^= 1;
  EXPECT_EQ(plane.send(frame).packet.drop, api::DropReason::BadChecksum);
}

TEST_F(Rtcp, OnePortForBothIsAnsweredFromOnePort) {
  connect(Codec::Pcmu, Codec::Pcmu, 50000);
  (void)rtp(kAlice, alice, 0, 1, 1, 6);
  const Plane::Sent there = rtcp(kAlice, alice, [](ByteWriter& out) { write_receiver_report(out, 6, {}); });
  EXPECT_EQ(there.datagram.to, *Endpoint::parse(kBob));
  EXPECT_EQ(there.datagram.from, bob.local);
  const Plane::Sent back = rtcp(
      kBob, bob, [](ByteWriter& out) { write_receiver_report(out, 6, {}); }, true);
  EXPECT_EQ(back.datagram.to, *Endpoint::parse("198.51.100.10:40001"));
  EXPECT_EQ(back.datagram.from.port, alice.local.port + 1);
}

// Comfort noise that one knows and the other does not: his reports must not come beside ours.
TEST_F(Rtcp, WhereOneDirectionIsMadeAnewBothHaveReportsOfOurs) {
  api::MediaParams knows = media_to(kAlice);
  knows.comfort_noise_payload_type = 13;
  alice = plane.add(knows);
  bob = plane.add(media_to(kBob));
  ASSERT_EQ(plane.join(alice.leg, bob.leg).status, api::CommandStatus::Ok);
  for (const auto& [from, leg] : {std::pair{kAlice, alice}, std::pair{kBob, bob}}) {
    ASSERT_NE(rtp(from, leg, 0, 1, 160, 6), 0U);
    EXPECT_EQ(rtcp(from, leg,
                   [](ByteWriter& out) {
                     write_sender_report(out, {6, kNtp, 1, 1, 160}, {});
                   })
                  .packet.verdict,
              engine::PacketVerdict::Kept);
  }
}

TEST_F(Rtcp, OnePortForBothStaysOneWhereThePartyIsFound) {
  for (const bool mux : {true, false}) {
    api::MediaParams behind_nat = media_to("10.0.0.5:4000");
    behind_nat.remote_rtcp_port = mux ? 4000 : 4001;
    behind_nat.source_policy = api::SourcePolicy::Latch;
    behind_nat.latch_window_ms = 1000;
    alice = plane.add(media_to(kAlice));
    bob = plane.add(behind_nat);
    ASSERT_EQ(plane.join(alice.leg, bob.leg).status, api::CommandStatus::Ok);
    ASSERT_NE(rtp(kBob, bob, 0, 1, 1, 6), 0U);
    const Plane::Sent there = rtcp(kAlice, alice, [](ByteWriter& out) { write_receiver_report(out, 6, {}); });
    EXPECT_EQ(there.datagram.to, *Endpoint::parse(mux ? kBob : "203.0.113.20:50001"));
    EXPECT_EQ(there.datagram.from.port, bob.local.port + (mux ? 0 : 1));
    plane.remove(alice.leg);
    plane.remove(bob.leg);
    plane.advance(std::chrono::seconds(10));
  }
}

TEST_F(Rtcp, TheRoundTripToEachPartyIsMeasuredFromRelayedReports) {
  connect(Codec::Pcmu, Codec::Pcmu);
  const std::uint32_t heard = rtp(kAlice, alice, 0, 1, 1, 6);
  (void)rtcp(kAlice, alice, [](ByteWriter& out) { write_sender_report(out, {6, kNtp, 1, 1, 160}, {}); });
  plane.advance(milliseconds(1080));
  const auto answer = [&](std::uint32_t last_sr) {
    (void)rtcp(kBob, bob, [&](ByteWriter& out) {
      const RtcpReportBlock block{heard, 0, 0, 1, 0, last_sr, 0x10000};  // it kept it for one second
      write_receiver_report(out, 5, {&block, 1});
    });
  };
  answer(0x00011111);
  EXPECT_EQ(row(bob).rtt_ns.get(), 0U) << "an answer to something else";
  answer(0x00018000);
  EXPECT_EQ(row(bob).rtt_ns.get(), 80'000'000U);
}

TEST_F(Rtcp, TranscodedStreamsHaveReportsOfOurs) {
  connect(Codec::Pcmu, Codec::G722);
  ASSERT_EQ(row(alice).tx_rtcp.get(), 0U);
  std::uint32_t heard_by_bob = 0, ssrc = 0;
  for (unsigned i = 0; i < 200; ++i) {  // four seconds, every tenth packet lost
    plane.run(milliseconds(20));
    if (i == 130) (void)rtcp(kAlice, alice, [](ByteWriter& out) { write_sender_report(out, {3, kNtp, 1, 1, 1}, {}); });
    if (i % 10 != 9) ssrc = rtp(kAlice, alice, 0, 1000 + i, 160 * i, 3);
    if (ssrc != 0) heard_by_bob = ssrc;
  }
  // The first is due after two and a half seconds, and slots are visited once a second.
  ASSERT_EQ(row(alice).tx_rtcp.get(), 1U);
  ASSERT_EQ(row(bob).tx_rtcp.get(), 1U);
  plane.run(milliseconds(6500));
  const std::vector<Reports> to_bob = made_for("203.0.113.20:50001"), to_alice = made_for("198.51.100.10:40001");
  ASSERT_FALSE(to_bob.empty());
  ASSERT_FALSE(to_alice.empty());
  const Reports& sender = to_bob.front();
  EXPECT_EQ(sender.types, (std::vector<int>{200, 202}));
  EXPECT_EQ(sender.ssrc, heard_by_bob);
  EXPECT_EQ(sender.sender->packets, row(bob).tx_packets.get());
  EXPECT_EQ(sender.sender->octets, row(bob).tx_packets.get() * 160);
  const double age =
      static_cast<double>(sender.sender->ntp_time >> 32) - 2'208'988'800.0 - static_cast<double>(Plane::kUnixOffset / 1'000'000'000);
  EXPECT_NEAR(age, static_cast<double>(to_ns(plane.now)) / 1e9, 7.0) << "the time of day";
  const Reports& receiver = to_alice.front();
  EXPECT_EQ(receiver.types, (std::vector<int>{201, 202})) << "Bob said nothing: nothing was sent";
  ASSERT_TRUE(receiver.block);
  EXPECT_EQ(receiver.block->ssrc, 3U);
  EXPECT_EQ(receiver.block->highest_sequence, 1198U);
  EXPECT_EQ(receiver.block->cumulative_lost, 19);
  EXPECT_EQ(receiver.block->last_sr, 0x00018000U);
  EXPECT_GT(receiver.block->delay_since_last_sr, 65536U * 13 / 10);
}

// An event bears the time of its beginning, however long it lasts.
TEST_F(Rtcp, TheTimeOfOurReportsGoesOnWhileAnEventLasts) {
  api::MediaParams at_a = media_to(kAlice), at_b = media_to(kBob, Codec::G722);
  at_a.telephone_event_payload_type = at_b.telephone_event_payload_type = 101;
  alice = plane.add(at_a);
  bob = plane.add(at_b);
  ASSERT_EQ(plane.join(alice.leg, bob.leg).status, api::CommandStatus::Ok);
  std::vector<RtcpSenderInfo> reports;
  unsigned sequence = 0;
  for (unsigned i = 0; i < 1000; ++i) {  // six seconds of audio, eight of a digit, six of audio
    plane.run(milliseconds(20));
    for (const Reports& r : made_for("203.0.113.20:50001"))
      if (r.sender) reports.push_back(*r.sender);
    Frame packet = rtp_packet(0, ++sequence, 160 * i, 3, Frame(160, 0xD5));
    if (i >= 300 && i < 700) {
      Frame event(kTelephoneEventBytes);
      write_telephone_event(event.data(), {5, false, 10, static_cast<std::uint16_t>(160 * (i - 299))});
      packet = rtp_packet(101, sequence, 160 * 300, 3, event);
    }
    EXPECT_EQ(plane.send(udp_frame(*Endpoint::parse(kAlice), alice.local, packet)).packet.verdict, engine::PacketVerdict::Transmit);
  }
  ASSERT_GE(reports.size(), 3U);
  for (std::size_t i = 1; i < reports.size(); ++i) {
    const double passed = static_cast<double>(reports[i].ntp_time - reports[i - 1].ntp_time) / 4294967296.0;
    EXPECT_NEAR(static_cast<double>(reports[i].rtp_timestamp - reports[i - 1].rtp_timestamp), passed * 8000, 400) << i;
  }
}

// Section 6.4: blocks are about sources that were heard since the report before; section 6.4.1: a delay has 16 bits of seconds.
TEST_F(Rtcp, ASilentSourceIsNotReportedOnAndAnOldReportOfItsNotAnswered) {
  connect(Codec::Pcmu, Codec::G722);
  (void)rtp(kAlice, alice, 0, 1, 160, 3);
  (void)rtcp(kAlice, alice, [](ByteWriter& out) { write_sender_report(out, {3, kNtp, 1, 1, 1}, {}); });
  const auto next_report = [&] {
    for (int i = 0; i < 500; ++i) {
      plane.run(milliseconds(20));
      if (auto made = made_for("198.51.100.10:40001"); !made.empty()) return made.front();
    }
    ADD_FAILURE() << "no report in ten seconds";
    return Reports{};
  };
  const Reports first = next_report();
  ASSERT_TRUE(first.block);
  EXPECT_EQ(first.block->last_sr, 0x00018000U);
  EXPECT_FALSE(next_report().block) << "nothing came since";
  plane.now += std::chrono::hours(19);
  (void)rtp(kAlice, alice, 0, 2, 320, 3);
  const Reports late = next_report();
  ASSERT_TRUE(late.block);
  EXPECT_EQ((std::pair{late.block->last_sr, late.block->delay_since_last_sr}), (std::pair{0U, 0U}));
}

TEST_F(Rtcp, ReportsTellWhatWasLostSinceTheOneBefore) {
  connect(Codec::Pcmu, Codec::G722);
  std::vector<int> fractions;
  unsigned sequence = 0;
  for (int i = 0; i < 1500; ++i) {
    plane.run(milliseconds(20));
    for (const Reports& r : made_for("198.51.100.10:40001"))
      if (r.block) fractions.push_back(r.block->fraction_lost);
    ++sequence;
    if (i < 750 && i % 4 == 0) continue;
    (void)rtp(kAlice, alice, 0, sequence, 160 * sequence, 3);
  }
  ASSERT_GE(fractions.size(), 4U);
  EXPECT_NEAR(fractions.front(), 64, 4);
  EXPECT_EQ(fractions.back(), 0);
}

TEST_F(Rtcp, ReportsComeEveryFiveSecondsAboutAndNotInStep) {
  connect(Codec::Pcmu, Codec::G722);
  std::vector<double> gaps;
  Instant last{};
  for (int i = 0; i < 20'000; ++i) {
    plane.run(milliseconds(20));
    if (made_for("198.51.100.10:40001").empty()) continue;
    if (last != Instant{}) gaps.push_back(std::chrono::duration<double>(plane.now - last).count());
    last = plane.now;
  }
  ASSERT_GT(gaps.size(), 50U);
  double sum = 0, shortest = 100, longest = 0;
  for (const double gap : gaps) sum += gap, shortest = std::min(shortest, gap), longest = std::max(longest, gap);
  EXPECT_NEAR(sum / static_cast<double>(gaps.size()), 5.0 / 1.21828 + 0.5, 0.6);
  EXPECT_GT(shortest, 2.0);
  EXPECT_LT(longest, 7.3);
  EXPECT_GT(longest - shortest, 2.0);
}

TEST_F(Rtcp, APartyHearsByeWhenItsLegGoes) {
  connect(Codec::Pcmu, Codec::G722);
  const std::uint32_t heard = rtp(kAlice, alice, 0, 1, 1, 6);
  plane.remove(bob.leg);
  const std::vector<Reports> said = made_for("203.0.113.20:50001");
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].types, (std::vector<int>{201, 202, 203}));
  EXPECT_EQ(said[0].bye, heard);
  plane.remove(alice.leg);
  EXPECT_TRUE(made_for("198.51.100.10:40001").empty()) << "it never heard us";
}

TEST_F(Rtcp, BothPartiesHearByeThoughTheSecondIsAloneByThen) {
  connect(Codec::Pcmu, Codec::Pcmu);
  (void)rtp(kAlice, alice, 0, 1, 1, 6);
  const std::uint32_t heard_by_alice = rtp(kBob, bob, 0, 1, 1, 7);
  plane.remove(bob.leg);
  EXPECT_EQ(made_for("203.0.113.20:50001").size(), 1U);
  plane.remove(alice.leg);
  const std::vector<Reports> said = made_for("198.51.100.10:40001");
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].bye, heard_by_alice);
}

TEST_F(Rtcp, APartyWithoutAnAddressIsToldNothing) {
  connect(Codec::Pcmu, Codec::G722);
  api::MediaParams held = media_to(nullptr, Codec::G722);
  held.send = 0;
  ASSERT_EQ(plane.update(bob.leg, held).status, api::CommandStatus::Ok);
  plane.run(seconds(20));
  EXPECT_EQ(row(bob).tx_rtcp.get(), 0U);
  EXPECT_EQ(plane.drops(api::DropReason::NoRemoteAddress), 0U) << "and nothing is counted as dropped";
  EXPECT_GT(row(alice).tx_rtcp.get(), 0U);
}

TEST_F(Rtcp, JitterIsThatOfTheRfc) {
  connect(Codec::Pcmu, Codec::Pcmu);
  (void)rtp(kAlice, alice, 0, 0, 0, 1);
  double jitter = 0;
  for (unsigned i = 1; i < 400; ++i) {
    plane.advance(milliseconds(20 + (i % 2 == 0 ? -10 : 10)));
    (void)rtp(kAlice, alice, 0, i, 160 * i, 1);
    jitter += (80.0 - jitter) / 16;
  }
  EXPECT_NEAR(api::jitter_units(row(alice)), jitter, 1.5);
  (void)rtp(kAlice, alice, 0, 3, 999'999'999, 2);
  EXPECT_NEAR(api::jitter_units(row(alice)), jitter, 6) << "another stream's clock is no jitter";
}

}  // namespace
}  // namespace ifgw::test
