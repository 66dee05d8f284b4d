// No allocation per frame, in our code or the libraries': malloc itself is counted. A test of its own executable.
#include <gtest/gtest.h>

#include "tests/support/signals.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IFGW_COUNTS_MALLOC 0
#else
#define IFGW_COUNTS_MALLOC 1
#endif

namespace {
unsigned long g_allocations = 0;
}

#if IFGW_COUNTS_MALLOC
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
__attribute__((visibility("default"))) void* malloc(std::size_t size) {
  ++g_allocations;
  return __libc_malloc(size);
}
__attribute__((visibility("default"))) void* calloc(std::size_t count, std::size_t size) {
  ++g_allocations;
  return __libc_calloc(count, size);
}
__attribute__((visibility("default"))) void* realloc(void* memory, std::size_t size) {
  ++g_allocations;
  return __libc_realloc(memory, size);
}
}
#endif

namespace ifgw::audio {
namespace {

TEST(Allocation, NoneForFramesOfAnyCodec) {
  if (IFGW_COUNTS_MALLOC == 0) GTEST_SKIP() << "the sanitizer has its own malloc";
  for (const AudioCodec codec : {AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::G722, AudioCodec::G729, AudioCodec::Opus,
                                 AudioCodec::G726_24, AudioCodec::G726_40, AudioCodec::Gsm, AudioCodec::Speex, AudioCodec::L16}) {
    for (const std::uint32_t rate : {8000U, 16'000U, 48'000U}) {
      const CodecSettings settings{
          .codec = codec, .pcm_rate_hz = rate, .opus = {.expected_loss_percent = 10, .fec = true, .dtx = true}, .g729_annex_b = true};
      if (pcm_rate_hz(settings) == 0) continue;
      unsigned long before = g_allocations;
      const test::OwnedEncoder encoder(settings);
      const test::OwnedDecoder decoder(settings);
      const test::Pcm pcm = test::speech(rate, rate);
      test::Pcm out(kMaxPcmSamples);
      std::vector<std::uint8_t> payload(kMaxPayloadBytes);
      ASSERT_GT(g_allocations, before) << "the counter must count";
      before = g_allocations;
      for (std::size_t tenths = 1; tenths <= 6; ++tenths) {
        const std::size_t frame = rate / 100 * tenths;
        for (std::size_t at = 0; at + frame <= pcm.size(); at += frame) {
          const Encoded coded = encoder->encode(std::span(pcm).subspan(at, frame), payload);
          if (coded.size != 0) (void)decoder->decode(std::span(payload).first(coded.size), out);
          if (at % 3 == 0) decoder->conceal(std::span(out).first(frame));
          if (at % 5 == 0) (void)decoder->recover(std::span(payload).first(coded.size), std::span(out).first(frame));
        }
      }
      EXPECT_EQ(g_allocations, before) << format(codec).name << " at " << rate;
    }
  }
}

}  // namespace
}  // namespace ifgw::audio
