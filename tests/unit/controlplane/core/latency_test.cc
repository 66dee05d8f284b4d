// Quantiles of histograms against the values themselves: never too good, and no worse than the bucket is wide.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>

#include "controlplane/core/ports/dataplane_view.h"

namespace ifgw::core {
namespace {

std::vector<std::uint64_t> some_times(std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::uint64_t> ns(3000);
  for (std::uint64_t& t : ns) t = std::uint64_t{random()} >> (random() % 22);
  return ns;
}

std::uint64_t true_quantile(std::vector<std::uint64_t> ns, std::uint64_t per_mille) {
  std::sort(ns.begin(), ns.end());
  return ns[(ns.size() * per_mille + 999) / 1000 - 1];
}

class Quantiles : public testing::TestWithParam<std::uint32_t> {};

TEST_P(Quantiles, OfAWorkerIsAtMostABucketTooLong) {
  const auto ns = some_times(GetParam());
  auto histograms = std::make_unique<std::array<api::LatencyHistogram, 2>>();
  for (std::size_t i = 0; i < ns.size(); ++i) (*histograms)[i % 2].record(ns[i], 1);
  const LatencyView view = summarise(*histograms);
  EXPECT_EQ(view.count, ns.size());
  EXPECT_EQ(view.max_ns, *std::max_element(ns.begin(), ns.end()));
  for (const auto& [seen, per_mille] : {std::pair{view.p50_ns, 500U}, {view.p90_ns, 900U}, {view.p99_ns, 990U}, {view.p999_ns, 999U}}) {
    const std::uint64_t exact = true_quantile(ns, per_mille);
    EXPECT_GE(*seen, exact);
    EXPECT_LE(static_cast<double>(*seen), static_cast<double>(exact) * 1.032 + 1);
  }
}

TEST_P(Quantiles, OfALegIsAtMostTwiceAsLongAboveItsFirstBucket) {
  const auto ns = some_times(GetParam());
  api::LegRow row;
  for (const std::uint64_t t : ns) row.inside.record(t);
  const LatencyView view = summarise(snapshot({}, row).inside);
  EXPECT_EQ(view.count, ns.size());
  EXPECT_EQ(view.max_ns, *std::max_element(ns.begin(), ns.end()));
  for (const auto& [seen, per_mille] : {std::pair{view.p50_ns, 500U}, {view.p90_ns, 900U}, {view.p99_ns, 990U}, {view.p999_ns, 999U}}) {
    const std::uint64_t exact = true_quantile(ns, per_mille);
    EXPECT_GE(*seen, exact);
    const bool beyond = exact > api::LegLatency::upper_bound(api::LegLatency::kBuckets - 2);
    EXPECT_LE(*seen, beyond ? *view.max_ns : std::max<std::uint64_t>(2 * exact, 4096));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Quantiles, testing::Range(1U, 9U));

TEST(Latency, NothingCountedIsNothingSaid) {
  EXPECT_FALSE(summarise(LegLatencyView{}).p50_ns.has_value());
  const auto block = std::make_unique<api::WorkerBlock>();
  EXPECT_TRUE(snapshot(0, *block).pairs.empty());
  EXPECT_FALSE(snapshot(0, *block).inside.max_ns.has_value());
}

TEST(Latency, AWorkerShowsThePairsThatHadPacketsAndTheirSum) {
  const auto block = std::make_unique<api::WorkerBlock>();
  block->inside[api::codec_pair(api::Codec::Pcmu, api::Codec::Opus)].record(100'000, 3);
  block->inside[api::codec_pair(api::Codec::Pcma, api::Codec::Pcma)].record(2000, 5);
  const WorkerView view = snapshot(1, *block);
  ASSERT_EQ(view.pairs.size(), 2U);
  EXPECT_EQ(view.pairs[0].pair, api::codec_pair(api::Codec::Pcmu, api::Codec::Opus));
  EXPECT_EQ(view.pairs[0].inside.count, 3U);
  EXPECT_EQ(view.pairs[1].pair, api::codec_pair(api::Codec::Pcma, api::Codec::Pcma));
  EXPECT_EQ(view.inside.count, 8U);
  EXPECT_EQ(view.inside.max_ns, 100'000U);
}

}  // namespace
}  // namespace ifgw::core
