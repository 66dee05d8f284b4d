// One limiter check, bursts of 32, every source equally likely; load 1: nearly all admitted, load 2: half refused.
#include <random>

#include "bench/micro/windows.h"
#include "codecs/base/window_limiter.h"

namespace ifgw::bench {
namespace {

constexpr std::size_t kBurst = 32;

void limiter_check(benchmark::State& state) {
  const auto sources = static_cast<std::size_t>(state.range(0));
  const PageSize page = state.range(1) != 0 ? PageSize::Huge : PageSize::Small;
  const std::size_t bytes = WindowLimiter::required_bytes(sources, 30);
  Pages memory(bytes, page);
  if (memory.empty()) return state.SkipWithError("not enough 2 MB pages reserved (vm.nr_hugepages)");
  WindowLimiter limiter(memory.span(), sources, 30, HashKey{});
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> keys(std::size_t{1} << 20);
  for (auto& key : keys) key = limiter_key(IpAddress::v4(0x0A000000 + static_cast<std::uint32_t>(random() % sources)));
  Instant now = from_ns(1'000'000'000);
  for (std::size_t i = 0; i < sources; ++i)
    (void)limiter.check(limiter_key(IpAddress::v4(0x0A000000 + static_cast<std::uint32_t>(i))), now);

  // Each window sends 2^18 requests; time passes so that a source sends 15 or 60 requests in its window.
  const std::size_t operations = std::size_t{1} << 18;
  const Duration per_burst{static_cast<std::int64_t>(10e9 / ((state.range(2) == 1 ? 15.0 : 60.0) * static_cast<double>(sources)) * kBurst)};
  std::size_t at = 0;
  WindowLimiter::Probe probes[kBurst];
  measure(state, operations, [&] {
    for (std::size_t done = 0; done < operations; done += kBurst) {
      for (std::size_t i = 0; i < kBurst; ++i) probes[i] = limiter.begin(keys[at + i]);
      for (std::size_t i = 0; i < kBurst; ++i) limiter.locate(probes[i]);
      const WindowLimiter::Moment moment = limiter.at(now);
      for (std::size_t i = 0; i < kBurst; ++i) benchmark::DoNotOptimize(limiter.check(probes[i], moment));
      at = (at + kBurst) & (keys.size() - 1);
      now += per_burst;
    }
  });
  state.counters["refused"] = static_cast<double>(limiter.stats().limited + limiter.stats().refused_full) /
                              static_cast<double>(limiter.stats().limited + limiter.stats().refused_full + limiter.stats().admitted);
  state.counters["full"] = static_cast<double>(limiter.stats().refused_full);
  state.counters["bytes_per_source"] = static_cast<double>(bytes) / static_cast<double>(sources);
  state.SetLabel(name(page));
}
BENCHMARK(limiter_check)
    ->ArgNames({"sources", "huge", "load"})
    ->ArgsProduct({{1000, 100'000, 1'000'000}, {0, 1}, {1, 2}})
    ->Iterations(60)
    ->UseManualTime();

}  // namespace
}  // namespace ifgw::bench
