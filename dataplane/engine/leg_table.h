// The legs of one worker: flat arrays, one slot for every media port pair the worker owns, so that a destination
// address and port name their leg by arithmetic. A packet touches the Direction of the leg it came for, two cache
// lines, and one line of counters in each leg's LegRow. Engine::bytes_per_leg() tells the sum.
//
// Slots are given out round robin per address; one that was given back rests for the quarantine time, so that late
// packets of an old call do not reach a new one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/api/counters.h"
#include "dataplane/engine/audio_path.h"
#include "dataplane/engine/config.h"
#include "dataplane/engine/headers.h"
#include "dataplane/engine/next_hops.h"
#include "dataplane/engine/sequence.h"

namespace ifgw::engine {

inline constexpr std::uint32_t kNoLeg = 0xFFFFFFFF;

// Between a relayed stream as it came and the stream that its listener hears (RtpOut).
struct StreamMap {
  std::uint32_t ssrc = 0;              // of what is heard; 0: nothing is mapped
  std::uint32_t timestamp_offset = 0;  // heard minus received
  std::uint32_t newest_timestamp = 0;  // received, of audio
  std::uint16_t sequence_offset = 0;   // heard minus received
  std::uint16_t first_sequence = 0;    // received, when this mapping began
  bool made() const noexcept { return ssrc != 0; }
};

struct alignas(64) LegRx {
  IpAddress source;  // expected; absent: none yet
  bool present : 1 = false;
  bool receive : 1 = false;
  bool latch : 1 = false;       // SourcePolicy::Latch
  bool started : 1 = false;     // a valid packet came since the address was set
  bool goes_on : 1 = false;     // `map` continues what was heard before, by earlier numbers
  bool map_events : 1 = false;  // telephone-events change their clock on the way to the peer
  bool flows : 1 = false;       // audio is relayed: the packet that follows needs nothing but its numbers
  std::uint8_t payload_type = api::kNoPayloadType;
  std::uint8_t event_payload_type = api::kNoPayloadType;
  std::uint8_t noise_payload_type = api::kNoPayloadType;
  AudioPath path = AudioPath::None;  // of audio from this leg to its peer
  std::uint8_t codec_pair = 0;       // pair_between() this leg and its peer: what is booked for it
  std::uint16_t source_port = 0;
  std::uint16_t rtcp_port = 0;   // expected; 0: any, from the same address (latched legs)
  std::uint16_t pseudo_sum = 0;  // of source and local endpoint, as in UdpTemplate
  std::uint8_t clock_khz = 8;    // of the RTP time stamps: 8, 16, 48
  std::uint8_t reserved = 0;
  std::uint32_t peer = kNoLeg;
  SequenceTracker sequence;
  StreamMap map;  // with AudioPath::Relay and the G.711 laws

  std::uint32_t clock_hz() const noexcept { return clock_khz * 1000u; }
};
static_assert(sizeof(LegRx) == 64);

// How media of this leg's party goes on: towards the leg's peer. Taken from the peer whenever that changes.
struct alignas(64) LegOut {
  UdpTemplate path;  // not made: no peer, or the peer has no remote address yet
  std::uint8_t payload_type = api::kNoPayloadType;
  std::uint8_t event_payload_type = api::kNoPayloadType;
  std::uint8_t send = 0;
  std::uint8_t noise_payload_type = api::kNoPayloadType;
  NextHopIndex next_hop = kNoNextHop;  // the peer's LegCold::next_hop
};
static_assert(sizeof(LegOut) == 64);

// Every packet needs both; both are found by the index of the leg it came for, so both can be fetched at once.
struct Direction {
  LegRx rx;
  LegOut out;
};

// Read by commands, timers and rare packets only.
struct alignas(64) LegCold {
  std::uint32_t generation = 0;
  std::uint32_t media_timeout_ms = 0;
  std::uint32_t timeout_report = 0;  // Media::report_ when the silence was reported; 0: it was not
  std::uint16_t rtcp_send_port = 0;
  bool unreachable_told = false;       // of the party's address
  NextHopIndex next_hop = kNoNextHop;  // towards this leg's own party; held as long as it is here
  std::uint32_t old_ssrc = 0;          // the party's stream before the one that is heard now
  Instant latch_until{};               // Latch: when the address is final
  Instant quiet_since{};               // start of the silence, unless a packet came later
  Instant next_hop_retry{};
  Instant freed_at{};
};
static_assert(sizeof(LegCold) == 64);

// The counters of a leg's row, to be carried to another one.
using LegCounts = std::array<std::uint64_t, 16 + api::LegLatency::kBuckets>;

class LegTable {
 public:
  static std::size_t required_bytes(const EngineConfig& config) noexcept;
  LegTable(const EngineConfig& config, std::span<std::byte> memory, std::span<api::LegRow> rows);

  enum class Allocation : std::uint8_t { Ok, TableFull, PortsExhausted };
  // A free slot on that address, not in quarantine. The leg is not present yet.
  Allocation allocate(std::uint8_t local_address, Instant now, std::uint32_t& index) noexcept;
  void release(std::uint32_t index, Instant now) noexcept;
  // The leg goes on at another worker, as `id`. Its slot and port stay taken until vacate().
  void depart(std::uint32_t index, api::LegId id) noexcept;
  // The leg that departed from here under this id is gone; nothing happens when there is none.
  void vacate(api::LegId id, Instant now) noexcept;
  // Of a leg of any worker: an index of EngineConfig::local_addresses, when its own index is below slots().
  std::uint8_t address(api::LegId id) const noexcept { return ports_.address(id.index()); }

  LegCounts counts(std::uint32_t index) noexcept;
  void set_counts(std::uint32_t index, const LegCounts& counts) noexcept;

  // Index of the leg, or kNoLeg when the id is another worker's, stale or made up.
  std::uint32_t find(api::LegId id) const noexcept;
  api::LegId id(std::uint32_t index) const noexcept;
  Endpoint local(std::uint32_t index) const noexcept;

  // Fetch what a packet from the leg's party will touch: of the leg itself and, asked for when that has arrived, of its
  // peer. Inlined in any case: GCC takes a call that does nothing but prefetch for one without effect, and drops it.
  [[gnu::always_inline]] void prefetch(std::uint32_t index) const noexcept {
    __builtin_prefetch(&directions_[index].rx, 1);
    __builtin_prefetch(&directions_[index].out, 1);
    __builtin_prefetch(&rows_[index].rx_packets, 1);
  }
  [[gnu::always_inline]] void prefetch_peer(std::uint32_t index) const noexcept {
    const std::uint32_t peer = directions_[index].rx.peer;
    if (peer != kNoLeg) __builtin_prefetch(&rows_[peer].tx_packets, 1);
  }
  LegRx& rx(std::uint32_t index) noexcept { return directions_[index].rx; }
  LegOut& out(std::uint32_t index) noexcept { return directions_[index].out; }
  LegCold& cold(std::uint32_t index) noexcept { return cold_[index]; }
  // Of a leg: its id at the worker it came from. Of a slot without one: the leg's, at the worker it moved to. Absent: neither.
  api::LegId& elsewhere(std::uint32_t index) noexcept { return elsewhere_[index]; }
  bool departed(std::uint32_t index) const noexcept { return !present(index) && elsewhere_[index].present(); }
  // What the leg is. publish() after a change shows it to the control plane.
  api::LegInfo& info(std::uint32_t index) noexcept { return info_[index]; }
  void publish(std::uint32_t index) noexcept { api::write_leg(rows_[index], info_[index]); }
  api::LegRow& row(std::uint32_t index) noexcept { return rows_[index]; }
  const api::LegRow& row(std::uint32_t index) const noexcept { return rows_[index]; }
  std::uint32_t index(const api::LegRow& row) const noexcept { return static_cast<std::uint32_t>(&row - rows_.data()); }
  bool present(std::uint32_t index) const noexcept { return directions_[index].rx.present != 0; }
  std::uint32_t slots() const noexcept { return ports_.slots(); }
  std::uint32_t in_use() const noexcept { return in_use_; }

 private:
  // Free slots of one address, oldest first; a ring as large as the address has slots.
  struct FreeRing {
    std::uint32_t head = 0;
    std::uint32_t count = 0;
  };
  void free_slot(std::uint32_t index, Instant now) noexcept;
  std::uint32_t& ring_slot(std::uint8_t address, std::uint32_t position) noexcept;

  PortMap ports_;
  std::uint8_t worker_;
  std::uint32_t max_legs_;
  Duration quarantine_;
  std::vector<IpAddress> addresses_;
  std::span<api::LegRow> rows_;
  Direction* directions_ = nullptr;
  LegCold* cold_ = nullptr;
  api::LegInfo* info_ = nullptr;
  api::LegId* elsewhere_ = nullptr;
  std::uint32_t* free_ = nullptr;
  std::vector<FreeRing> rings_;
  std::uint32_t in_use_ = 0;
};

}  // namespace ifgw::engine
