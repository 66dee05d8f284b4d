// Port: what the operator may see of the dataplane, change in its limiter and capture. Implemented by
// controlplane/adapters/dataplane_client from the mapped counters; read by admin/.
//
// Reads are snapshots taken when asked, on the event loop's thread. Numbers nobody measures are std::nullopt, and the
// CLI prints "-": never a zero that was not counted.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codecs/base/ip.h"
#include "codecs/base/time.h"
#include "dataplane/api/counters.h"
#include "dataplane/api/messages.h"

namespace ifgw::core {

struct AttachState {
  bool attached = false;
  std::string socket_path;
  std::string version;  // of the dataplane program; empty while detached
  std::uint32_t contract_version = 0;
  std::int64_t peer_pid = 0;
  Instant since{};                      // of attaching, or of losing it
  std::string last_error;               // why it is not attached; empty when it is
  std::uint32_t attaches = 0;           // since start
  std::uint64_t events_lost = 0;        // sequence gaps seen
  std::uint64_t invalid_messages = 0;   // ring elements and leg rows that failed our validation
  std::uint64_t commands_refused = 0;   // command ring full
  std::uint64_t datagrams_refused = 0;  // datagram ring (down) full
  std::vector<Endpoint> signalling;     // SIP/UDP endpoints the dataplane owns
  std::vector<IpAddress> media_addresses;
  std::optional<api::SetLimits> source_limits;  // of a source without a prefix: what every worker has in force
  std::uint32_t legs_capacity = 0;
  std::optional<Duration> dataplane_uptime;
  std::optional<bool> hugepages;
  std::optional<std::uint64_t> buffers;  // packet buffer pool
  std::optional<std::uint64_t> buffers_in_use;
};

// Quantiles of a histogram, nanoseconds; nullopt when it is empty. A quantile is its bucket's upper bound, or the maximum
// where that is less: never too good.
struct LatencyView {
  std::uint64_t count = 0;
  std::optional<std::uint64_t> p50_ns;
  std::optional<std::uint64_t> p90_ns;
  std::optional<std::uint64_t> p99_ns;
  std::optional<std::uint64_t> p999_ns;
  std::optional<std::uint64_t> max_ns;
};
// Of all of them together.
LatencyView summarise(std::span<const api::LatencyHistogram> histograms);
inline LatencyView summarise(const api::LatencyHistogram& histogram) { return summarise(std::span(&histogram, 1)); }

// A leg's, whose buckets are powers of two.
struct LegLatencyView {
  std::array<std::uint32_t, api::LegLatency::kBuckets> counts{};  // at most api::LegLatency::upper_bound() ns each
  std::uint32_t max_ns = 0;
};
LatencyView summarise(const LegLatencyView& leg);

struct LegView {
  api::LegInfo info;
  std::uint64_t rx_packets = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t tx_bytes = 0;
  std::uint64_t rx_rtcp = 0;
  std::uint64_t tx_rtcp = 0;
  std::uint64_t dropped = 0;
  std::uint64_t last_rx_ns = 0;  // 0: nothing yet
  std::uint64_t expected = 0;
  std::uint64_t reordered = 0;
  std::uint64_t unreachable = 0;  // ICMP errors about what was sent to the party
  std::uint64_t transcoded = 0;
  std::uint32_t jitter = 0;                        // of arrival, units of the RTP clock
  std::uint64_t rtt_ns = 0;                        // 0: not known
  std::optional<api::RemoteReport> remote_report;  // what the party says of what it hears
  LegLatencyView inside;                           // of what is sent to the party
};

// RTP of one directed pair of codecs through one worker.
struct PairView {
  std::uint8_t pair = 0;  // api::codec_pair() or recoded_pair()
  LatencyView inside;
};

struct WorkerView {
  unsigned worker = 0;
  std::string_view carries = "all";  // "light", "heavy": calls that it is set apart for
  std::uint64_t polls = 0;
  std::uint64_t busy_polls = 0;
  std::uint64_t sleeps = 0;
  std::uint64_t rx_packets = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t handed_over = 0;  // packets given to the worker that owns them
  std::uint64_t taken_over = 0;   // packets that other workers gave
  std::uint64_t exception_to_kernel = 0;
  std::uint64_t exception_from_kernel = 0;
  std::uint64_t datagrams_up = 0;
  std::uint64_t datagrams_down = 0;
  std::uint64_t commands = 0;
  std::uint64_t events = 0;
  std::uint64_t events_lost = 0;
  std::uint64_t invalid_messages = 0;
  std::uint64_t legs_in_use = 0;
  std::uint64_t limiter_sources = 0;
  std::uint64_t limiter_blocked = 0;
  std::uint64_t limiter_admitted = 0;
  std::uint64_t heartbeat_ns = 0;
  std::uint64_t load_booked_ppm = 0;  // of the worker's time, promised to calls
  std::uint64_t load_ports_ppm = 0;   // what of it is the way of their packets through the ports
  std::uint64_t load_limit_ppm = 0;   // 0: none
  std::uint64_t ports_cost_ns = 0;    // of a packet; 0: not known
  std::array<std::uint64_t, api::kDropReasonCount> drops{};
  LatencyView inside;           // of all pairs
  std::vector<PairView> pairs;  // those that had packets
  LatencyView poll_gap;
  std::array<std::uint64_t, api::kCodecPairs> cost_start_ns{};  // of 20 ms of audio, by api::codec_pair(); 0: not a pair that can be run
  std::array<std::uint64_t, api::kCodecPairs> cost_now_ns{};    // 0: not known
};
// Copies the counters of a mapped block. `cpu` stays unknown.
WorkerView snapshot(unsigned worker, const api::WorkerBlock& block);
LegView snapshot(const api::LegInfo& info, const api::LegRow& row);
// As operators and the audit trail see it: "1:17:3" is worker, index, generation; empty: no leg.
std::string text(api::LegId id);
std::optional<api::LegId> parse_leg(std::string_view text);

struct PortView {
  unsigned port = 0;
  std::string name;  // PCI address or vdev
  std::string driver;
  std::string mac;
  std::optional<bool> link_up;
  std::optional<std::uint32_t> speed_mbps;
  std::optional<unsigned> queues;
  std::optional<unsigned> mtu;
  std::optional<std::uint16_t> vlan;  // what the port counts is of the device, which ports of several VLANs share
  std::optional<bool> is_exception;   // the path to the kernel, not a NIC
  std::optional<std::uint64_t> rx_packets;
  std::optional<std::uint64_t> rx_bytes;
  std::optional<std::uint64_t> tx_packets;
  std::optional<std::uint64_t> tx_bytes;
  std::optional<std::uint64_t> rx_missed;  // the NIC had no descriptor
  std::optional<std::uint64_t> rx_errors;
  std::optional<std::uint64_t> tx_errors;
  std::optional<std::uint64_t> rx_no_buffer;
};

struct SourceView {
  IpAddress source;  // IPv6: the /64
  unsigned worker = 0;
  std::uint32_t in_window = 0;
  std::uint64_t refused = 0;
  bool blocked = false;
  std::uint64_t blocked_until_ns = 0;  // 0: until unblocked
};

// What the limiter does with the sources of a prefix, instead of counting each.
struct PrefixView {
  IpPrefix prefix;
  bool exempt = false;
  std::uint32_t requests = 0;  // one budget for all; 0: none
  Duration window{};
  std::uint64_t in_window = 0;  // admitted by the budget in the window that ends now
  std::uint64_t refused = 0;    // by the budget
};

class DataplaneView {
 public:
  // Called exactly once, from the event loop, never from inside the request. `error` is empty on success, else a line
  // for the operator.
  using Done = std::function<void(const std::string& error)>;
  using SourcesDone = std::function<void(const std::string& error, std::vector<SourceView> sources)>;
  using PrefixesDone = std::function<void(const std::string& error, std::vector<PrefixView> prefixes)>;

  virtual ~DataplaneView() = default;
  virtual AttachState attach_state() const = 0;
  // At most `limit` legs.
  virtual std::vector<LegView> legs(std::size_t limit) const = 0;
  virtual std::optional<LegView> leg(api::LegId id) const = 0;
  virtual std::vector<WorkerView> workers() const = 0;
  virtual std::vector<PortView> ports() const = 0;

  // Limiter. Each change reaches every worker before Done is called. At most `limit` rows.
  virtual void list_sources(bool blocked_only, std::size_t limit, SourcesDone done) = 0;
  virtual void list_prefixes(PrefixesDone done) = 0;                                     // all of them, in order
  virtual void block_source(const IpAddress& source, Duration duration, Done done) = 0;  // zero: until unblocked
  virtual void unblock_source(const IpAddress& source, Done done) = 0;
  virtual void exempt_prefix(const IpPrefix& prefix, bool exempt, Done done) = 0;

  // Captures. The packets come by a handler of whoever made this; all that were captured have come when stop_capture() is
  // done, which is asked with what was started.
  virtual void start_capture(const api::StartCapture& capture, Done done) = 0;
  virtual void stop_capture(const api::StartCapture& capture, Done done) = 0;
  // Of packets that captures had no room for, since the dataplane's start. `port`: as in ports().
  virtual std::uint64_t capture_lost(std::uint32_t worker, std::size_t port) const = 0;
};

}  // namespace ifgw::core
