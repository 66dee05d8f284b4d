// The log: lines on standard error for the journal. Lines about a call carry its trace id; they are made of its audit
// records, so that log and audit never disagree.
//
// From the event loop's thread only. Writing waits for no reader: what a full pipe does not take is dropped and counted,
// and the next line that gets through is preceded by one that says how many are missing.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <string_view>

#include "controlplane/core/ports/witness.h"

namespace ifgw::adapters {

enum class LogSeverity { Debug, Info, Warning, Error };

// Monotonic since start_log().
struct LogStatistics {
  std::uint64_t left_out = 0;  // beyond 500 lines in a second
  std::uint64_t dropped = 0;   // nobody read
};

// Call once at start, before any line. Lines below `least` are not written. `fd` stays the caller's.
void start_log(LogSeverity least, int fd = STDERR_FILENO);
// Control characters in `text` become '?': it may hold bytes from the network. Cut after 2048 bytes. At most 500 lines a
// second are written; how many were left out is a line of the next second.
void log_line(LogSeverity severity, std::string_view text);
LogStatistics log_statistics() noexcept;

// A witness that also logs what it passes on.
class LoggedWitness : public core::Witness {
 public:
  explicit LoggedWitness(core::Witness& next) : next_(next) {}
  bool record(const core::AuditRecord& record, Instant now) override;

 private:
  core::Witness& next_;
  bool failing_ = false;
};

}  // namespace ifgw::adapters
