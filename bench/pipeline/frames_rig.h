// Streams between two codecs through one worker (tests/support/worker_rig.h): makes their packets, and reads what was sent.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "tests/support/signals.h"
#include "tests/support/worker_rig.h"

namespace ifgw::bench {

using Payload = std::vector<std::uint8_t>;

// Of a party that names no preferences.
api::MediaParams params(const Endpoint& remote, api::Codec codec);
// Frames of so many samples, whole ones.
std::vector<Payload> encode(test::OwnedEncoder& encoder, std::span<const std::int16_t> pcm, std::size_t frame);
// One second of voice in packets of 20 ms, made at the first call.
const std::vector<Payload>& voice(api::Codec codec);

// One direction: a party that speaks `from`, and what its peer is sent in `to`.
struct Stream {
  api::Codec from{}, to{};
  Endpoint party, port, listener;
  api::LegId near, far;
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;
  std::size_t spoken = 0;
  bool heard = false;
  std::uint32_t first_timestamp = 0;  // of what was sent
};

struct Sent {
  std::size_t stream = 0;
  std::size_t frame = 0;  // of 20 ms, since the stream's first
  Payload payload;
};

class Frames {
 public:
  explicit Frames(bool hugepages);

  std::vector<Stream>& streams() { return streams_; }
  void open(api::Codec from, api::Codec to);
  void close_all();

  // The stream's next packet, with this payload, or with the next of voice().
  rte_mbuf* packet(Stream& s, const Payload& payload);
  rte_mbuf* next_packet(Stream& s);
  // One iteration of the worker, which receives these.
  void through(std::span<rte_mbuf*> buffers);
  // RTP that was sent since.
  std::vector<Sent> take();

  // Where the stream's listener is counted.
  api::LegRow& row(const Stream& s) { return rig_.row(s.far); }
  double allocations_per_packet() const { return static_cast<double>(allocated_) / static_cast<double>(received_); }

 private:
  void read(rte_mbuf* buffer, std::vector<Sent>& all);

  test::WorkerRig rig_;
  std::vector<Stream> streams_;
  std::map<std::uint16_t, std::size_t> by_listener_;
  std::size_t opened_ = 0;
  std::uint64_t allocated_ = 0;
  std::uint64_t received_ = 0;
};

}  // namespace ifgw::bench
