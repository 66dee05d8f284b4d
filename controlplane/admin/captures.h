// Captures that operators have asked for, sans-IO: from the packets that the dataplane hands up to the bytes of a pcapng file,
// bounded in time and size, for a reader that may be slow or go. What a reader has no room for is lost and counted.
//
// Begin and end of each are witness records; one whose begin cannot be recorded is not made.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codecs/base/ip.h"
#include "codecs/base/time.h"
#include "controlplane/core/ports/dataplane_view.h"
#include "controlplane/core/ports/witness.h"

namespace ifgw::admin {

// Who asks, as the kernel says.
struct Operator {
  std::uint32_t uid = 0;
  std::int32_t pid = 0;
  std::uint64_t connection = 0;  // of the admin socket
};

// What an operator may capture. [capture] of the configuration.
struct CapturePolicy {
  bool enabled = true;
  bool payload = false;              // false: headers only, whatever is asked for
  std::uint32_t max_seconds = 3600;  // 1..3600
  std::uint64_t max_bytes = 100U << 20;
};

inline constexpr std::uint32_t kDefaultCaptureSeconds = 30;
inline constexpr std::uint64_t kDefaultCaptureBytes = 10U << 20;
inline constexpr std::uint64_t kMinCaptureBytes = 4096;  // room for the file's own blocks
inline constexpr std::uint64_t kMaxCaptureBytes = std::uint64_t{1} << 30;
inline constexpr std::size_t kMaxUnreadBytes = 1U << 20;  // waiting for one reader
inline constexpr std::size_t kCaptureChunk = 24 * 1024;   // of the file, given to the reader at once

struct CaptureRequest {
  api::LegId leg;  // one of the two
  IpPrefix source;
  std::optional<std::uint64_t> seconds;  // absent: the default, or the policy's bound when that is less
  std::optional<std::uint64_t> bytes;    // of the file; likewise
  bool headers_only = false;
  std::uint64_t call = 0;  // that owns the leg, for the record; 0: none
  std::string trace_id;
};

struct CaptureSummary {
  std::string_view end;  // why it ended: one of the rules in tools/docs/protocol/audit.md
  bool payload = false;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;        // of the file
  std::uint64_t lost_ring = 0;    // the control plane did not keep up with the worker
  std::uint64_t lost_reader = 0;  // the reader did not keep up with the control plane
  double seconds = 0;
};

// Who reads the file as it grows. Called from the event loop; either refused, once, or data and then the end, once.
struct CaptureReader {
  std::function<void(std::string_view bytes)> on_data;
  std::function<void(const CaptureSummary& summary)> on_end;
  std::function<void(bool usage, const std::string& error)> on_refused;
  std::function<std::size_t()> unread_bytes;  // given and not taken yet
};

struct CapturePorts {
  core::DataplaneView& dataplane;
  core::Witness& witness;
  CapturePolicy policy;
  std::function<std::int64_t()> clock_offset_ns;  // from the monotonic clock to the time of day, which counts from 1970
  std::string hardware;                           // for the file: what this machine is
  std::string os;
  std::string application;
};

class Captures {
 public:
  explicit Captures(CapturePorts ports);
  ~Captures();

  void start(const CaptureRequest& request, const Operator& who, CaptureReader reader, Instant now);
  // False: there is none of that connection. The reader is told when it has ended.
  bool stop(std::uint64_t connection, Instant now);
  // The reader is gone: nothing is told to it any more.
  void on_disconnected(std::uint64_t connection, Instant now);
  void on_captured(std::uint32_t worker, const api::Captured& packet, Instant now);
  void on_dataplane_lost(Instant now);
  // The gateway stops: all end now, without waiting for the dataplane.
  void shutdown(Instant now);

  // Gives readers what has been captured since. At the end of each round.
  void flush();
  Instant next_deadline() const noexcept;
  void on_timer(Instant now);

  std::size_t active() const noexcept { return sessions_.size(); }

 private:
  struct Session;
  std::string refusal(const CaptureRequest& request, std::uint64_t seconds, std::uint64_t bytes) const;
  const Session* holder(api::LegId leg) const;
  bool record_start(const Session& session, Instant now);
  void record_end(const Session& session, const CaptureSummary& summary, Instant now);
  void on_started(std::uint32_t number, const std::string& error, Instant now);
  void open_file(Session& session);
  void end(Session& session, std::string_view why, Instant now);
  void finish(std::uint32_t number, Instant now);
  Session* find(std::uint32_t number);

  CapturePorts ports_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::uint32_t next_number_ = 1;
};

}  // namespace ifgw::admin
