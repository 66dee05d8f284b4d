#include "codecs/audio/cpu.h"

namespace ifgw::audio {
namespace {

Cpu best() noexcept {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vbmi") != 0) return Cpu::Avx512Vbmi;
#endif
  return Cpu::Portable;
}

}  // namespace

Cpu detail::cpu = best();

void pin_cpu(Cpu wanted) noexcept {
  if (wanted <= best()) detail::cpu = wanted;
}

}  // namespace ifgw::audio
