// What bcg729 itself makes of a signal.
#pragma once

extern "C" {
#include <bcg729/encoder.h>
}

#include "tests/support/signals.h"

namespace ifgw::test {

// A frame per 10 ms: 10 bytes; with the voice detector (Annex B) also 2 (SID) or none.
inline std::vector<std::vector<std::uint8_t>> g729_frames(const Pcm& pcm, bool vad) {
  constexpr std::size_t kSamples = 80;
  auto* channel = initBcg729EncoderChannel(vad ? 1 : 0);
  std::vector<std::vector<std::uint8_t>> frames;
  for (std::size_t at = 0; at + kSamples <= pcm.size(); at += kSamples) {
    std::vector<std::uint8_t> bits(10);
    std::uint8_t size = 0;
    bcg729Encoder(channel, &pcm[at], bits.data(), &size);
    bits.resize(size);
    frames.push_back(bits);
  }
  closeBcg729EncoderChannel(channel);
  return frames;
}

}  // namespace ifgw::test
