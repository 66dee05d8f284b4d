#include "codecs/base/bytes.h"

#include <gtest/gtest.h>

#include <array>

#include "codecs/base/fixed.h"
#include "codecs/base/result.h"
#include "codecs/base/serial.h"

namespace ifgw {
namespace {

TEST(ByteReader, ReadsNetworkOrder) {
  const std::array<std::uint8_t, 15> bytes{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  ByteReader reader(bytes);
  EXPECT_EQ(reader.u8(), 0x01);
  EXPECT_EQ(reader.u16(), 0x0203);
  EXPECT_EQ(reader.u32(), 0x04050607u);
  EXPECT_EQ(reader.u64(), 0x08090A0B0C0D0E0Full);
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0u);
}

TEST(ByteReader, FirstShortReadFailsForGood) {
  const std::array<std::uint8_t, 3> bytes{1, 2, 3};
  ByteReader reader(bytes);
  EXPECT_EQ(reader.u32(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.u8(), 0u) << "a failed reader yields nothing more, even what would fit";
  EXPECT_TRUE(reader.bytes(1).empty());
}

TEST(ByteWriter, WritesNothingPastTheEnd) {
  std::array<std::uint8_t, 4> buffer{9, 9, 9, 9};
  ByteWriter writer(MutableBytes(buffer).first(3));
  writer.u16(0x0102);
  writer.u32(0xFFFFFFFF);
  EXPECT_FALSE(writer.ok());
  EXPECT_EQ(writer.size(), 2u);
  EXPECT_EQ(buffer, (std::array<std::uint8_t, 4>{1, 2, 9, 9}));
}

TEST(Serial, WrapsAsRfc1982) {
  EXPECT_EQ(serial_distance<std::uint16_t>(65535, 0), 1);
  EXPECT_EQ(serial_distance<std::uint16_t>(0, 65535), -1);
  EXPECT_TRUE(serial_newer<std::uint32_t>(5, 0xFFFFFFF0u));
  EXPECT_FALSE(serial_newer<std::uint16_t>(7, 7));
  EXPECT_FALSE(serial_newer<std::uint16_t>(0x8000, 0));
}

TEST(FixedVector, RefusesWhenFull) {
  FixedVector<int, 2> v;
  EXPECT_TRUE(v.push_back(1));
  EXPECT_TRUE(v.push_back(2));
  EXPECT_FALSE(v.push_back(3));
  EXPECT_EQ(v.size(), 2u);
  EXPECT_EQ(v[1], 2);
  EXPECT_DEATH((void)v[2], "");
}

TEST(Result, HoldsOneSide) {
  const Result<int> good = 7;
  const Result<int> bad = Error{"port: 70000 is not in 1..65535", 12};
  EXPECT_EQ(*good, 7);
  EXPECT_EQ(bad.error().position, 12u);
  EXPECT_DEATH((void)bad.value(), "");
}

}  // namespace
}  // namespace ifgw
