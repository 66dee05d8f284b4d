// Any byte stream, cut into any reads: the framer is bounded, and gives the same messages as when read at once.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "controlplane/sip/stream_framer.h"

namespace {
using ifgw::sip::FrameEvent;

std::vector<std::string> cut(ifgw::Bytes stream, std::size_t step) {
  constexpr std::size_t kMax = 2048;
  ifgw::sip::StreamFramer framer(kMax);
  std::vector<std::string> out;
  for (std::size_t at = 0; at < stream.size(); at += step) {
    framer.feed(stream.subspan(at, std::min(step, stream.size() - at)));
    for (;;) {
      const FrameEvent event = framer.next();
      if (event == FrameEvent::NeedMore) break;
      if (event == FrameEvent::TooLarge || event == FrameEvent::Bad) return out;
      if (event == FrameEvent::Message) out.emplace_back(ifgw::as_text(framer.message()));
      if (event == FrameEvent::Message && framer.message().size() > kMax) std::abort();
    }
    if (framer.buffered_bytes() > kMax + step) std::abort();
  }
  return out;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t step = 1 + data[0];
  const ifgw::Bytes stream(data + 1, size - 1);
  if (cut(stream, step) != cut(stream, stream.size())) std::abort();
  return 0;
}
