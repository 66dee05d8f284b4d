// What this host's memory gives, for reading the limiter's rows by: whoever looks up a random source must touch two cache lines at
// least, the one that finds it and the one that holds its times.
#include <random>

#include "bench/micro/windows.h"

namespace ifgw::bench {
namespace {

constexpr std::size_t kBurst = 32;
constexpr std::size_t kLine = 64;

// Two random lines of so many MB, one read and one written, fetched ahead a burst at a time as the limiter does.
void memory_touch(benchmark::State& state) {
  const std::size_t bytes = static_cast<std::size_t>(state.range(0)) << 20;
  Pages memory(bytes, state.range(1) != 0 ? PageSize::Huge : PageSize::Small);
  if (memory.empty()) return state.SkipWithError("not enough 2 MB pages reserved (vm.nr_hugepages)");
  std::byte* const at = memory.span().data();
  std::mt19937_64 random(1);
  std::vector<std::uint32_t> lines(std::size_t{1} << 21);
  for (auto& line : lines) line = static_cast<std::uint32_t>(random() % (bytes / kLine));
  const auto word = [at](std::uint32_t line) { return reinterpret_cast<std::uint64_t*>(at + std::size_t{line} * kLine); };

  const std::size_t operations = std::size_t{1} << 18;
  std::size_t next = 0;
  std::uint64_t sum = 0;
  measure(state, operations, [&] {
    for (std::size_t done = 0; done < operations; done += kBurst) {
      const std::uint32_t* pairs = lines.data() + next;
      for (std::size_t i = 0; i < 2 * kBurst; ++i) __builtin_prefetch(word(pairs[i]), 1);
      for (std::size_t i = 0; i < kBurst; ++i) {
        sum += *word(pairs[2 * i]);
        *word(pairs[2 * i + 1]) += sum;
      }
      next = (next + 2 * kBurst) & (lines.size() - 1);
    }
  });
  benchmark::DoNotOptimize(sum);
}
BENCHMARK(memory_touch)->ArgNames({"mb", "huge"})->ArgsProduct({{20, 195}, {0, 1}})->Iterations(60)->UseManualTime();

}  // namespace
}  // namespace ifgw::bench
