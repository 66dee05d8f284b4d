// Which variant of a kernel runs: chosen once, from what the processor has, for all codecs.
#pragma once

#include <cstdint>

namespace ifgw::audio {

enum class Cpu : std::uint8_t {
  Portable,    // what every processor of the architecture has
  Avx512Vbmi,  // AVX-512 F, BW and VBMI
};

namespace detail {
extern Cpu cpu;
}

// The best this processor has, or less when pinned.
inline Cpu cpu() noexcept { return detail::cpu; }
// For counting instructions, which must not depend on the machine, and for tests. `wanted` beyond what the processor has
// is ignored. Before other threads use a codec.
void pin_cpu(Cpu wanted) noexcept;

}  // namespace ifgw::audio
