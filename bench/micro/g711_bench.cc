// G.711 on one 20 ms frame.
#include <vector>

#include "bench/micro/windows.h"
#include "codecs/audio/g711.h"

namespace ifgw::bench {
namespace {

constexpr std::size_t kOperations = 1 << 16;

template <typename Operation>
void frames(benchmark::State& state, Operation&& operation) {
  std::vector<std::uint8_t> codes(160, 0x31);
  std::vector<std::int16_t> pcm(160, 1234);
  measure(state, kOperations, [&] {
    for (std::size_t i = 0; i < kOperations; ++i) {
      operation(codes, pcm);
      benchmark::ClobberMemory();
    }
  });
}
void mulaw_decode(benchmark::State& state) {
  frames(state, [](auto& codes, auto& pcm) { audio::mulaw_decode(codes, pcm); });
}
void mulaw_encode(benchmark::State& state) {
  frames(state, [](auto& codes, auto& pcm) { audio::mulaw_encode(pcm, codes); });
}
void mulaw_to_alaw(benchmark::State& state) {
  frames(state, [](auto& codes, auto&) { audio::mulaw_to_alaw(codes); });
}
void map_codes_portable(benchmark::State& state) {
  audio::CodeMap map{};
  frames(state, [&](auto& codes, auto&) { audio::map_codes_portable(map, codes); });
}
BENCHMARK(mulaw_decode)->Iterations(40)->UseManualTime();
BENCHMARK(mulaw_encode)->Iterations(40)->UseManualTime();
BENCHMARK(mulaw_to_alaw)->Iterations(40)->UseManualTime();
BENCHMARK(map_codes_portable)->Iterations(40)->UseManualTime();

}  // namespace
}  // namespace ifgw::bench
