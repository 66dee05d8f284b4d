// What a packet of one pair of codecs costs on this machine: an engine of its own with two joined legs, and a second of
// voice from one to the other, over and over. For tools, benches and the dataplane's start; nothing of it is a packet's path.
//
// Nothing here reads a clock: the caller reads whatever it wants to know (time, instructions) before and after run().
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/api/messages.h"

namespace ifgw::engine {

class PairProbe {
 public:
  static constexpr unsigned kPackets = 50;  // one second, 20 ms each
  using Payloads = std::vector<std::vector<std::uint8_t>>;

  // `pair`: an api::codec_pair() or recoded_pair(). Allocates about 3 MB.
  explicit PairProbe(std::size_t pair);
  // Of packets of 20 ms in its first codec that are there already; `voice` outlives the probe. Neither codec is None.
  PairProbe(std::size_t pair, const Payloads& voice);
  ~PairProbe();

  // False: a codec of it is None, or this build cannot run the pair, or nothing makes it necessary (recoded).
  bool ready() const noexcept;
  // Makes the next packets, as a port would give them. Before each run().
  void receive() noexcept;
  // What is to be measured: classifies and handles them in one burst. How many left.
  unsigned run() noexcept;

 private:
  struct Parts;
  Payloads voice_;
  std::unique_ptr<Parts> parts_;
};

// Per packet of 20 ms, in units of `reading`; 0: the pair cannot be run. By api::codec_pair().
using PairCosts = std::array<double, api::kCodecPairs>;

// The least of `rounds` runs of every pair of codecs, each after one that is not counted; the pairs take turns, so that all of
// them see the same host. A run is of 300 ms. `reading`: nanoseconds, instructions or the like, rising.
PairCosts measure_pairs(std::uint64_t (*reading)() noexcept, unsigned rounds);

}  // namespace ifgw::engine
