#include "dataplane/engine/headers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "dataplane/engine/config.h"
#include "tests/support/frames.h"

namespace ifgw::test {
namespace {

using api::DropReason;
using engine::Checksum;
using engine::L4;

const Endpoint kFrom = *Endpoint::parse("198.51.100.1:1000");
const Endpoint kTo = *Endpoint::parse("192.0.2.1:2000");
const Endpoint kFrom6 = *Endpoint::parse("[2001:db8::1]:1000");
const Endpoint kTo6 = *Endpoint::parse("[2001:db8::2]:2000");

struct Parsed {
  explicit Parsed(Frame f, Checksum from_port = Checksum::Unknown) : frame(std::move(f)) {
    packet.data = frame.data();
    packet.length = static_cast<std::uint16_t>(frame.size());
    packet.ip_checksum = from_port;
    outcome = engine::parse_headers(packet);
  }
  Frame frame;
  engine::Packet packet;
  engine::ParseOutcome outcome;
};

void expect_refused(Frame frame, DropReason reason) {
  const Parsed parsed(std::move(frame));
  EXPECT_FALSE(parsed.outcome.ok);
  EXPECT_EQ(api::info(parsed.outcome.reason).label, api::info(reason).label);
}

void fix_ip_checksum(Frame& f) {
  f[24] = f[25] = 0;
  const std::size_t header = std::min(std::size_t{4} * (f[14] & 15U), f.size() - 14);  // it may claim more than there is
  const unsigned sum = ~ones_sum(&f[14], header) & 0xFFFF;
  f[24] = static_cast<std::uint8_t>(sum >> 8);
  f[25] = static_cast<std::uint8_t>(sum);
}

TEST(Headers, ReadsUdpOverBothFamilies) {
  for (const bool v6 : {false, true}) {
    const Parsed p(udp_frame(v6 ? kFrom6 : kFrom, v6 ? kTo6 : kTo, {1, 2, 3}));
    ASSERT_TRUE(p.outcome.ok);
    EXPECT_EQ(p.outcome.headers.l4, L4::Udp);
    EXPECT_EQ(p.outcome.headers.source, (v6 ? kFrom6 : kFrom).ip);
    EXPECT_EQ(p.outcome.headers.destination, (v6 ? kTo6 : kTo).ip);
    EXPECT_EQ(p.packet.source_port, 1000);
    EXPECT_EQ(p.packet.destination_port, 2000);
    EXPECT_EQ(p.packet.payload_length, 3);
    EXPECT_EQ(p.packet.payload_offset, 14 + (v6 ? 40 : 20) + 8);
    EXPECT_TRUE(udp_checksum_ok(p.packet));
    EXPECT_EQ(packet_source(p.packet), (v6 ? kFrom6 : kFrom).ip);
  }
}

TEST(Headers, EveryTruncationIsRefused) {
  for (const Frame& whole : {udp_frame(kFrom, kTo, {1, 2, 3}), udp_frame(kFrom6, kTo6, {1, 2, 3}), tcp_frame(kFrom, kTo, 2)}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(Parsed(Frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))).outcome.ok) << size;
    }
  }
}

TEST(Headers, ChecksLengthsAgainstEachOther) {
  Frame udp_longer_than_ip = udp_frame(kFrom, kTo, {1, 2, 3});
  udp_longer_than_ip[14 + 20 + 5] += 1;
  expect_refused(udp_longer_than_ip, DropReason::MalformedUdp);
  Frame udp_too_short = udp_frame(kFrom, kTo, {1, 2, 3});
  udp_too_short[14 + 20 + 5] = 7;
  expect_refused(udp_too_short, DropReason::MalformedUdp);
  Frame header_too_short = udp_frame(kFrom, kTo, {1, 2, 3});
  header_too_short[14] = 0x44;
  expect_refused(header_too_short, DropReason::MalformedIp);
  Frame version = udp_frame(kFrom, kTo, {1});
  version[14] = 0x65;
  expect_refused(version, DropReason::MalformedIp);
}

TEST(Headers, VerifiesTheIpChecksumUnlessThePortDid) {
  Frame frame = udp_frame(kFrom, kTo, {1});
  frame[14 + 8] ^= 1;
  expect_refused(frame, DropReason::BadChecksum);
  EXPECT_TRUE(Parsed(frame, Checksum::Good).outcome.ok);
  EXPECT_FALSE(Parsed(udp_frame(kFrom, kTo, {1}), Checksum::Bad).outcome.ok);
}

TEST(Headers, ReadsIpv4OptionsAndFragments) {
  Frame frame = udp_frame(kFrom, kTo, {9});
  frame.insert(frame.begin() + 34, {1, 1, 1, 0});
  frame[14] = 0x46;
  frame[17] = static_cast<std::uint8_t>(frame[17] + 4);
  fix_ip_checksum(frame);
  const Parsed options(frame);
  ASSERT_TRUE(options.outcome.ok);
  EXPECT_EQ(options.packet.destination_port, 2000);
  EXPECT_EQ(options.packet.payload_length, 1);
  for (const auto& [flags, fragment] : {std::pair{0x20, true}, {0x1F, true}, {0x40, false}}) {
    Frame piece = udp_frame(kFrom, kTo, {9});
    piece[20] = static_cast<std::uint8_t>(flags);
    fix_ip_checksum(piece);
    EXPECT_EQ(Parsed(piece).outcome.headers.fragment, fragment);
  }
}

// An extension header must not be a way around the limiter.
TEST(Headers, WalksIpv6ExtensionHeaders) {
  const Frame plain = udp_frame(kFrom6, kTo6, {9});
  for (const unsigned type : {0U, 43U, 60U}) {
    Frame frame = plain;
    frame.insert(frame.begin() + 54, {17, 0, 1, 4, 0, 0, 0, 0});
    frame[20] = static_cast<std::uint8_t>(type);
    frame[19] = static_cast<std::uint8_t>(frame[19] + 8);
    const Parsed p(frame);
    ASSERT_TRUE(p.outcome.ok);
    EXPECT_EQ(p.outcome.headers.l4, L4::Udp);
    EXPECT_EQ(p.packet.destination_port, 2000);
    EXPECT_TRUE(udp_checksum_ok(p.packet));
  }
  Frame fragment = plain;
  fragment.insert(fragment.begin() + 54, {17, 0, 0, 1, 0, 0, 0, 1});
  fragment[20] = 44;
  fragment[19] = static_cast<std::uint8_t>(fragment[19] + 8);
  EXPECT_TRUE(Parsed(fragment).outcome.headers.fragment);
  Frame chain = plain;
  for (int i = 0; i < 9; ++i) chain.insert(chain.begin() + 54, {static_cast<std::uint8_t>(i == 0 ? 17 : 60), 0, 1, 4, 0, 0, 0, 0});
  chain[20] = 60;
  chain[19] = static_cast<std::uint8_t>(chain[19] + 72);
  expect_refused(chain, DropReason::MalformedIp);
  Frame overrun = plain;
  overrun[20] = 60;  // the UDP header read as options of 8 * (232 + 1) bytes
  expect_refused(overrun, DropReason::MalformedIp);
}

TEST(Headers, LooksThroughPriorityTagsOnly) {
  Frame tagged = udp_frame(kFrom, kTo, {1});
  tagged.insert(tagged.begin() + 12, {0x81, 0, 0xE0, 0});
  const Parsed priority(tagged);
  EXPECT_EQ(priority.outcome.headers.l4, L4::Udp);
  EXPECT_EQ(priority.packet.payload_length, 1);
  tagged[15] = 5;
  EXPECT_EQ(Parsed(tagged).outcome.headers.l4, L4::None);
}

TEST(Headers, TellsConnectionAttempts) {
  EXPECT_TRUE(Parsed(tcp_frame(kFrom, kTo, 0x02)).outcome.headers.tcp_syn);
  EXPECT_TRUE(Parsed(tcp_frame(kFrom, kTo, 0xC2)).outcome.headers.tcp_syn) << "with ECN";
  EXPECT_FALSE(Parsed(tcp_frame(kFrom, kTo, 0x12)).outcome.headers.tcp_syn);
  EXPECT_FALSE(Parsed(tcp_frame(kFrom, kTo, 0x10)).outcome.headers.tcp_syn);
}

TEST(Headers, Ipv6NeedsAUdpChecksum) {
  Frame frame = udp_frame(kFrom6, kTo6, {1});
  frame[60] = frame[61] = 0;
  EXPECT_FALSE(udp_checksum_ok(Parsed(frame).packet));
  Frame v4 = udp_frame(kFrom, kTo, {1});
  v4[40] = v4[41] = 0;
  EXPECT_TRUE(udp_checksum_ok(Parsed(v4).packet));
}

TEST(Headers, TheShortWayAgreesWithTheLongOne) {
  std::mt19937 random(3);
  int plain = 0;
  for (int i = 0; i < 200'000; ++i) {
    Frame frame = udp_frame(kFrom, kTo, Frame(random() % 8, 1));
    if (random() % 3 == 0) frame.resize(frame.size() + random() % 20);
    for (auto n = random() % 3; n > 0; --n) frame[random() % frame.size()] = static_cast<std::uint8_t>(random());
    if (random() % 2 == 0) fix_ip_checksum(frame);
    const Parsed p(frame);
    engine::Packet q;
    q.data = frame.data();
    q.length = static_cast<std::uint16_t>(frame.size());
    if (!engine::parse_plain_ipv4_udp(q).ok) continue;
    ++plain;
    ASSERT_TRUE(p.outcome.ok);
    ASSERT_EQ(p.outcome.headers.l4, L4::Udp);
    ASSERT_FALSE(p.outcome.headers.fragment);
    ASSERT_EQ(q.payload_length, p.packet.payload_length);
    ASSERT_EQ(q.destination_port, p.packet.destination_port);
  }
  EXPECT_GT(plain, 50'000);
}

TEST(Headers, SumsLikeBytePairs) {
  std::mt19937 random(4);
  for (std::size_t size = 0; size < 1500; ++size) {
    Frame bytes(size);
    for (auto& b : bytes) b = random() % 5 == 0 ? 0xFF : static_cast<std::uint8_t>(random());
    const unsigned sum = ones_sum(bytes.data(), size);
    ASSERT_EQ(__builtin_bswap16(engine::sum_bytes(bytes)) % 0xFFFF, sum % 0xFFFF) << size;
  }
}

TEST(PortMap, DividesExactly) {
  engine::EngineConfig config;
  config.local_addresses = {kTo.ip};
  config.first_media_port = 1024;
  config.last_media_port = 65535;
  for (unsigned workers = 1; workers <= engine::kMaxWorkers; ++workers) {
    config.worker_count = static_cast<std::uint8_t>(workers);
    const engine::PortMap map(config);
    for (std::uint32_t pair = 0; pair < 32'768; ++pair) ASSERT_EQ(map.by_workers(pair), pair / workers);
  }
}

TEST(EngineConfig, ErrorsNameTheSettingAndItsRange) {
  engine::EngineConfig good;
  good.local_addresses = {kTo.ip};
  EXPECT_TRUE(check_config(good).ok());
  const auto error = [&](const auto& change) {
    engine::EngineConfig config = good;
    change(config);
    const Status status = check_config(config);
    return status.ok() ? std::string("accepted") : status.error().message;
  };
  EXPECT_EQ(error([](auto& c) { c.mtu = 500; }), "mtu is 500; allowed are 576 to 9000");
  EXPECT_NE(error([](auto& c) { c.first_media_port = 16385; }).find("even"), std::string::npos);
  EXPECT_NE(error([](auto& c) { c.sip_udp_ports = {20000}; }).find("among the media ports"), std::string::npos);
  EXPECT_NE(error([](auto& c) { c.local_addresses.clear(); }), "accepted");
  EXPECT_NE(error([](auto& c) { c.local_addresses.push_back(c.local_addresses[0]); }).find("twice"), std::string::npos);
  EXPECT_NE(error([](auto& c) { c.worker = 1; }), "accepted");
  EXPECT_NE(error([](auto& c) { c.limits.requests = 31; }).find("1 to 30"), std::string::npos);
  EXPECT_NE(error([](auto& c) { c.last_media_port = 16384; }), "accepted");
}

}  // namespace
}  // namespace ifgw::test
