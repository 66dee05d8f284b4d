#include "dataplane/api/counters.h"

#include <gtest/gtest.h>

namespace ifgw::api {
namespace {

TEST(LegLatency, ABucketHoldsWhatItsBoundsSay) {
  for (unsigned bits = 0; bits < 40; ++bits)
    for (const std::int64_t off : {-1, 0, 1}) {
      const std::int64_t value = (std::int64_t{1} << bits) + off;
      const auto ns = static_cast<std::uint64_t>(value);
      const unsigned b = LegLatency::bucket(ns);
      ASSERT_LT(b, LegLatency::kBuckets);
      if (b + 1 < LegLatency::kBuckets) {
        EXPECT_LE(ns, LegLatency::upper_bound(b));
      }
      if (b > 0) {
        EXPECT_GT(ns, LegLatency::upper_bound(b - 1));
      }
    }
  EXPECT_EQ(LegLatency::upper_bound(0), 4096U);
  EXPECT_EQ(LegLatency::upper_bound(8), 1'048'576U);
}

TEST(LegLatency, TheMaximumIsExactUntilItSaturates) {
  LegLatency latency;
  latency.record(5000);
  latency.record(4999);
  EXPECT_EQ(latency.maximum_ns.get(), 5000U);
  latency.record(std::uint64_t{7} << 32);
  EXPECT_EQ(latency.maximum_ns.get(), 0xFFFFFFFFU);
  EXPECT_EQ(latency.counts[1].get(), 2U);
  EXPECT_EQ(latency.counts[9].get(), 1U);
}

TEST(CodecPair, EveryPairHasAnIndexOfItsOwnAndComesBack) {
  std::array<bool, kCodecPairs> seen{};
  for (std::uint8_t from = 0; from <= kMaxCodec; ++from)
    for (std::uint8_t to = 0; to <= kMaxCodec; ++to) {
      const std::uint8_t pair = codec_pair(static_cast<Codec>(from), static_cast<Codec>(to));
      ASSERT_LT(pair, kCodecPairs);
      EXPECT_FALSE(seen[pair]);
      seen[pair] = true;
      EXPECT_EQ(pair_from(pair), static_cast<Codec>(from == 0 ? to : from)) << "from None: it stays in its codec";
      EXPECT_EQ(is_recoded(pair), from == 0 && to != 0);
      EXPECT_EQ(pair_to(pair), static_cast<Codec>(to));
    }
}

// A relayed packet touches these lines of a leg's row, and no other.
TEST(LegRow, WhatOnePacketTouchesIsOneCacheLine) {
  const LegRow row;
  const auto line = [&](const auto& field) {
    return (reinterpret_cast<std::uintptr_t>(&field) - reinterpret_cast<std::uintptr_t>(&row)) / 64;
  };
  EXPECT_EQ(line(row.tx_packets), line(row.tx_bytes));
  EXPECT_EQ(line(row.tx_packets), line(row.inside.counts.back()));
  EXPECT_EQ(line(row.tx_packets), line(row.inside.maximum_ns));
  EXPECT_EQ(line(row.rx_packets), line(row.reordered));
}

}  // namespace
}  // namespace ifgw::api
