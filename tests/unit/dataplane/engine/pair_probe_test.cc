#include "dataplane/engine/pair_probe.h"

#include <gtest/gtest.h>

namespace ifgw::engine {
namespace {

using api::Codec;

TEST(PairProbe, EveryPacketOfEveryPairLeavesInEveryRun) {
  for (std::uint8_t from = 1; from <= api::kMaxCodec; ++from)
    for (std::uint8_t to = 1; to <= api::kMaxCodec; ++to) {
      PairProbe probe(static_cast<Codec>(from), static_cast<Codec>(to));
      ASSERT_TRUE(probe.ready()) << int{from} << " to " << int{to};
      for (int run = 0; run < 3; ++run) {
        probe.receive();
        EXPECT_EQ(probe.run(), PairProbe::kPackets) << int{from} << " to " << int{to};
      }
    }
}

TEST(PairProbe, WithoutACodecThereIsNothingToRun) {
  EXPECT_FALSE(PairProbe(Codec::None, Codec::Pcmu).ready());
  EXPECT_FALSE(PairProbe(Codec::Opus, Codec::None).ready());
}

// A reading that rises by one with each look: one unit a run.
TEST(PairProbe, ACostIsPerPacketAndAbsentPairsCostNothing) {
  static std::uint64_t looks = 0;
  const PairCosts costs = measure_pairs([]() noexcept { return looks++; }, 2);
  EXPECT_EQ(looks, 14U * 14 * 2 * 2);
  EXPECT_DOUBLE_EQ(costs[api::codec_pair(Codec::Pcmu, Codec::Opus)], 1.0 / 15);
  EXPECT_EQ(costs[api::codec_pair(Codec::None, Codec::Opus)], 0);
}

}  // namespace
}  // namespace ifgw::engine
