#include "codecs/wire/rtp.h"

#include <gtest/gtest.h>

#include <vector>

#include "codecs/wire/rtcp.h"

namespace ifgw {
namespace {

using Octets = std::vector<std::uint8_t>;

Octets fixed_header() { return {0x80, 0x80 | 96, 0x12, 0x34, 0, 0, 0, 160, 0xDE, 0xAD, 0xBE, 0xEF}; }

TEST(Rtp, ReadsTheFixedHeader) {
  Octets packet = fixed_header();
  packet.insert(packet.end(), 20, 7);
  RtpHeader header;
  ASSERT_TRUE(parse_rtp(packet, header));
  EXPECT_TRUE(header.marker);
  EXPECT_EQ(header.payload_type, 96);
  EXPECT_EQ(header.sequence, 0x1234);
  EXPECT_EQ(header.timestamp, 160U);
  EXPECT_EQ(header.ssrc, 0xDEADBEEFU);
  EXPECT_EQ(header.payload_offset, 12);
  EXPECT_EQ(header.payload_length, 20);
}

TEST(Rtp, ReadsCsrcsExtensionAndPadding) {
  Octets packet = fixed_header();
  packet[0] = 0x80 | 0x20 | 0x10 | 2;
  packet.insert(packet.end(), {1, 1, 1, 1, 2, 2, 2, 2});           // CSRCs
  packet.insert(packet.end(), {0xBE, 0xDE, 0, 1, 0x10, 9, 0, 0});  // extension, one word
  packet.insert(packet.end(), {5, 6, 7, 0, 0, 3});                 // three bytes of payload, three of padding
  RtpHeader header;
  ASSERT_TRUE(parse_rtp(packet, header));
  EXPECT_EQ(header.csrc_count, 2);
  EXPECT_EQ(rtp_csrc(packet, 1), 0x02020202U);
  EXPECT_EQ(header.extension_profile, 0xBEDE);
  EXPECT_EQ(header.extension_offset, 24);
  EXPECT_EQ(header.extension_length, 4);
  EXPECT_EQ(header.payload_offset, 28);
  EXPECT_EQ(header.payload_length, 3);
  EXPECT_EQ(header.padding, 3);
}

TEST(Rtp, RefusesWhatRunsPastTheEnd) {
  RtpHeader header;
  const auto refused = [&](const auto& change) {
    Octets packet = fixed_header();
    packet.insert(packet.end(), 8, 0);
    change(packet);
    EXPECT_FALSE(parse_rtp(packet, header));
  };
  refused([](Octets& p) { p.resize(11); });
  refused([](Octets& p) { p.clear(); });
  refused([](Octets& p) { p[0] = 0x40; });
  refused([](Octets& p) { p[0] = 0xC0; });
  refused([](Octets& p) { p[0] |= 3; });     // three CSRCs need 12 bytes
  refused([](Octets& p) { p[0] |= 0x12; });  // no room for the extension's header
  refused([](Octets& p) {
    p[0] |= 0x10;
    p[15] = 2;
  });                                        // two words, one is there
  refused([](Octets& p) { p[0] |= 0x20; });  // padding of 0
  refused([](Octets& p) {
    p[0] |= 0x20;
    p.back() = 9;
  });  // more padding than payload
}

TEST(Rtp, TruncationIsFoundAtEveryLength) {
  Octets whole = fixed_header();
  whole[0] |= 0x13;
  whole.insert(whole.end(), 12, 1);
  whole.insert(whole.end(), {0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8});
  RtpHeader header;
  ASSERT_TRUE(parse_rtp(whole, header));
  EXPECT_EQ(header.payload_length, 0);
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(parse_rtp(Bytes(whole).first(size), header)) << size;
}

TEST(Rtp, WritesWhatItReads) {
  std::uint8_t buffer[12];
  ByteWriter out(buffer);
  RtpHeader header;
  header.marker = true;
  header.payload_type = 8;
  header.sequence = 65535;
  header.timestamp = 0xFFFFFF60;
  header.ssrc = 1;
  write_rtp(out, header);
  ASSERT_TRUE(out.ok());
  RtpHeader again;
  ASSERT_TRUE(parse_rtp(out.written(), again));
  EXPECT_EQ(again.sequence, 65535);
  EXPECT_EQ(again.timestamp, 0xFFFFFF60U);
  EXPECT_TRUE(again.marker);
  EXPECT_EQ(again.payload_type, 8);
}

TEST(Rtp, IsToldFromRtcpByTheSecondByte) {
  for (unsigned second = 0; second < 256; ++second) {
    const Octets packet = {0x80, static_cast<std::uint8_t>(second)};
    EXPECT_EQ(looks_like_rtcp(packet), second >= 192 && second <= 223) << second;
  }
  EXPECT_FALSE(looks_like_rtcp(Octets{0x80}));
}

Octets compound() {
  Octets buffer(512);
  ByteWriter out(buffer);
  const RtcpReportBlock block{0x11, 64, -3, 70000, 12, 0xAABBCCDD, 65536};
  write_sender_report(out, {0x22, 0x0123456789ABCDEF, 160, 5, 800}, {&block, 1});
  write_sdes_cname(out, 0x22, "gateway@example.org");
  write_bye(out, 0x22);
  EXPECT_TRUE(out.ok());
  buffer.resize(out.size());
  return buffer;
}

TEST(Rtcp, WritesWhatItReads) {
  const Octets bytes = compound();
  ASSERT_TRUE(valid_rtcp(bytes));
  RtcpReader reader(bytes);
  RtcpPacket packet;
  ASSERT_TRUE(reader.next(packet));
  const auto info = rtcp_sender_info(packet);
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->ntp_time, 0x0123456789ABCDEFU);
  EXPECT_EQ(info->octets, 800U);
  const auto block = rtcp_report_block(packet, 0);
  ASSERT_TRUE(block.has_value());
  EXPECT_EQ(block->cumulative_lost, -3);
  EXPECT_EQ(block->fraction_lost, 64);
  EXPECT_EQ(block->highest_sequence, 70000U);
  EXPECT_FALSE(rtcp_report_block(packet, 1).has_value());
  ASSERT_TRUE(reader.next(packet));
  EXPECT_EQ(packet.type, 202);
  EXPECT_FALSE(rtcp_sender_info(packet).has_value());
  ASSERT_TRUE(reader.next(packet));
  EXPECT_EQ(packet.type, 203);
  EXPECT_FALSE(reader.next(packet));
}

TEST(Rtcp, EveryTruncationIsRefusedOrAWholeNumberOfPackets) {
  const Octets bytes = compound();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const bool boundary = size == 52 || size == 84;
    EXPECT_EQ(valid_rtcp(Bytes(bytes).first(size)), boundary) << size;
  }
}

TEST(Rtcp, MustBeginWithAReport) {
  Octets buffer(64);
  ByteWriter out(buffer);
  write_bye(out, 1);
  EXPECT_FALSE(valid_rtcp(out.written()));
  EXPECT_TRUE(valid_rtcp(out.written(), RtcpSize::Reduced));
}

TEST(Rtcp, OnlyTheLastPacketMayBePadded) {
  Octets bytes(64);
  ByteWriter out(bytes);
  write_receiver_report(out, 1, {});
  const std::size_t first = out.size();
  write_bye(out, 1);
  bytes.resize(out.size());
  bytes[first] |= 0x20;  // pad the BYE by one word
  bytes[first + 3] = 2;
  bytes.insert(bytes.end(), {0, 0, 0, 4});
  EXPECT_TRUE(valid_rtcp(bytes));
  Octets zero = bytes;
  zero.back() = 0;
  EXPECT_FALSE(valid_rtcp(zero));
  zero.back() = 12;
  EXPECT_FALSE(valid_rtcp(zero)) << "more padding than packet";
  zero.back() = 3;
  EXPECT_FALSE(valid_rtcp(zero)) << "not a multiple of four";
  Octets early = bytes;
  early[0] |= 0x20;
  EXPECT_FALSE(valid_rtcp(early));
}

TEST(Rtcp, CountsMustFit) {
  Octets report = {0x81, 201, 0, 1, 0, 0, 0, 1};  // one block promised, none there
  EXPECT_FALSE(valid_rtcp(report));
  Octets sdes = {0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, 'a', 0};
  EXPECT_FALSE(valid_rtcp(sdes)) << "item longer than the chunk";
  sdes[17] = 1;
  EXPECT_TRUE(valid_rtcp(sdes));
  sdes[19] = 1;
  EXPECT_FALSE(valid_rtcp(sdes)) << "no end of the chunk";
}

}  // namespace
}  // namespace ifgw
