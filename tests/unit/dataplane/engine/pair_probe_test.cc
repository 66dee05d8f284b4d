#include "dataplane/engine/pair_probe.h"

#include <gtest/gtest.h>

namespace ifgw::engine {
namespace {

using api::Codec;

TEST(PairProbe, EveryPacketOfEveryPairLeavesInEveryRun) {
  for (std::uint8_t from = 1; from <= api::kMaxCodec; ++from)
    for (std::uint8_t to = 1; to <= api::kMaxCodec; ++to) {
      PairProbe probe(api::codec_pair(static_cast<Codec>(from), static_cast<Codec>(to)));
      ASSERT_TRUE(probe.ready()) << int{from} << " to " << int{to};
      for (int run = 0; run < 3; ++run) {
        probe.receive();
        EXPECT_EQ(probe.run(), PairProbe::kPackets) << int{from} << " to " << int{to};
      }
    }
}

// Those that have SID frames or comfort noise beside them, which another party may refuse.
TEST(PairProbe, WhatStaysInItsCodecIsDecodedAndEncodedWhereItMustBe) {
  unsigned ready = 0;
  for (std::uint8_t codec = 1; codec <= api::kMaxCodec; ++codec) {
    PairProbe probe(api::recoded_pair(static_cast<Codec>(codec)));
    if (!probe.ready()) continue;
    ++ready;
    for (int run = 0; run < 3; ++run) {
      probe.receive();
      EXPECT_EQ(probe.run(), PairProbe::kPackets) << int{codec};
    }
  }
  EXPECT_EQ(ready, 10U);
}

TEST(PairProbe, WithoutACodecThereIsNothingToRun) {
  EXPECT_FALSE(PairProbe(api::codec_pair(Codec::None, Codec::None)).ready());
  EXPECT_FALSE(PairProbe(api::codec_pair(Codec::Opus, Codec::None)).ready());
}

// A reading that rises by one with each look: one unit a run.
TEST(PairProbe, ACostIsPerPacketAndAbsentPairsCostNothing) {
  static std::uint64_t looks = 0;
  const PairCosts costs = measure_pairs([]() noexcept { return looks++; }, 2);
  EXPECT_EQ(looks, (14U * 14 + 10) * 2 * 2);
  EXPECT_DOUBLE_EQ(costs[api::codec_pair(Codec::Pcmu, Codec::Opus)], 1.0 / 15);
  EXPECT_EQ(costs[api::codec_pair(Codec::Opus, Codec::None)], 0);
  EXPECT_EQ(costs[api::recoded_pair(Codec::Opus)], 0) << "nothing of it can be refused";
}

}  // namespace
}  // namespace ifgw::engine
