// The blocks are read back here as the draft lays them out; tshark and capinfos judge whole files in tests/smoke/capture_test.py.
#include "codecs/wire/pcapng.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace ifgw::wire::pcapng {
namespace {

std::uint32_t u32(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(bytes.at(at + i));
  return value;
}
unsigned u16(std::string_view bytes, std::size_t at) { return u32(std::string(bytes.substr(at, 2)) + std::string(2, '\0'), 0); }
std::uint64_t time_at(std::string_view bytes, std::size_t at) { return std::uint64_t{u32(bytes, at)} << 32 | u32(bytes, at + 4); }

struct Block {
  std::uint32_t type;
  std::string_view body;
};
std::vector<Block> blocks(std::string_view file) {
  std::vector<Block> found;
  while (!file.empty()) {
    const std::uint32_t length = u32(file, 4);
    EXPECT_EQ(length % 4, 0u);
    EXPECT_EQ(u32(file, length - 4), length) << "the same at both ends";
    found.push_back({u32(file, 0), file.substr(8, length - 12)});
    file.remove_prefix(length);
  }
  return found;
}
// By code; each may be there once.
std::map<unsigned, std::string> options(std::string_view body, std::size_t at) {
  std::map<unsigned, std::string> found;
  while (true) {
    const unsigned code = u16(body, at), length = u16(body, at + 2);
    if (code == 0) {
      EXPECT_EQ(length, 0u);
      EXPECT_EQ(at + 4, body.size()) << "nothing behind the end of options";
      return found;
    }
    EXPECT_TRUE(found.emplace(code, body.substr(at + 4, length)).second);
    at += 4 + (length + 3) / 4 * 4;
  }
}

TEST(Pcapng, TheHeadOfAFile) {
  std::string file;
  write_section({"x86_64", "Linux 6.1", "ifgw 1", ""}, file);
  write_interface({"out", 1992}, file);
  const std::vector<Block> all = blocks(file);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].type, 0x0A0D0D0Au);
  EXPECT_EQ(u32(all[0].body, 0), 0x1A2B3C4Du);
  EXPECT_EQ(u16(all[0].body, 4), 1u);
  EXPECT_EQ(u16(all[0].body, 6), 0u);
  EXPECT_EQ(all[0].body.substr(8, 8), std::string(8, '\xff')) << "the length of the section is not told";
  EXPECT_EQ(options(all[0].body, 16), (std::map<unsigned, std::string>{{2, "x86_64"}, {3, "Linux 6.1"}, {4, "ifgw 1"}}));
  EXPECT_EQ(all[1].type, 1u);
  EXPECT_EQ(u16(all[1].body, 0), 1u) << "Ethernet";
  EXPECT_EQ(u32(all[1].body, 4), 1992u);
  EXPECT_EQ(options(all[1].body, 8), (std::map<unsigned, std::string>{{2, "out"}, {9, "\x09"}}));
}

TEST(Pcapng, APacketWithAllThatIsSaidOfIt) {
  const std::vector<std::uint8_t> data{1, 2, 3, 4, 5};
  Packet packet{1, 0x1234'5678'9ABC'DEF0, 214, data, Direction::Outbound, 0x1'0000'0002, "leg 0:1:2; dropped: no_next_hop"};
  std::string file;
  write_packet(packet, file);
  EXPECT_EQ(packet_bytes(packet), file.size());
  const Block block = blocks(file).at(0);
  EXPECT_EQ(block.type, 6u);
  EXPECT_EQ(u32(block.body, 0), 1u);
  EXPECT_EQ(time_at(block.body, 4), packet.time_ns) << "the high word first";
  EXPECT_EQ(u32(block.body, 12), 5u);
  EXPECT_EQ(u32(block.body, 16), 214u);
  EXPECT_EQ(block.body.substr(20, 8), std::string("\1\2\3\4\5\0\0\0", 8));
  EXPECT_EQ(options(block.body, 28),
            (std::map<unsigned, std::string>{
                {1, std::string(packet.comment)}, {2, std::string("\2\0\0\0", 4)}, {4, std::string("\2\0\0\0\1\0\0\0", 8)}}));
}

TEST(Pcapng, WhatIsNotToBeSaidIsLeftOut) {
  std::string file;
  Packet packet;
  packet.direction = Direction::Inbound;
  write_packet(packet, file);
  EXPECT_EQ(packet_bytes(packet), file.size());
  EXPECT_EQ(options(blocks(file).at(0).body, 20), (std::map<unsigned, std::string>{{2, std::string("\1\0\0\0", 4)}}));
}

TEST(Pcapng, TheSizeIsKnownBeforehandForEveryPadding) {
  const std::vector<std::uint8_t> data(8, 0x55);
  const std::string text(8, 'x');
  for (std::size_t n = 0; n <= 8; ++n)
    for (std::size_t m = 0; m <= 8; ++m) {
      Packet packet{0, 1, 100, Bytes(data).first(n), Direction::Inbound, m, std::string_view(text).substr(0, m)};
      std::string file;
      write_packet(packet, file);
      EXPECT_EQ(packet_bytes(packet), file.size());
      EXPECT_EQ(blocks(file).size(), 1u);
    }
}

TEST(Pcapng, LongTextsAreCutBetweenCharacters) {
  std::string text(kMaxTextBytes - 1, 'x');
  text += "\xC3\xA9 and more";
  Packet packet;
  packet.comment = text;
  std::string file;
  write_packet(packet, file);
  EXPECT_EQ(packet_bytes(packet), file.size());
  EXPECT_EQ(options(blocks(file).at(0).body, 20).at(1), std::string(kMaxTextBytes - 1, 'x'));
}

TEST(Pcapng, StatisticsAtTheEnd) {
  std::string file;
  write_statistics({1, 10, 20, 30, 4, 26}, file);
  EXPECT_EQ(file.size(), kStatisticsBytes);
  const Block block = blocks(file).at(0);
  EXPECT_EQ(block.type, 5u);
  EXPECT_EQ(u32(block.body, 0), 1u);
  EXPECT_EQ(time_at(block.body, 4), 20u);
  const auto found = options(block.body, 12);
  ASSERT_EQ(found.size(), 5u);
  EXPECT_EQ(time_at(found.at(2), 0), 10u);
  EXPECT_EQ(time_at(found.at(3), 0), 20u);
  EXPECT_EQ(u32(found.at(6), 0), 30u);
  EXPECT_EQ(u32(found.at(7), 0), 4u);
  EXPECT_EQ(u32(found.at(8), 0), 26u);
}

}  // namespace
}  // namespace ifgw::wire::pcapng
