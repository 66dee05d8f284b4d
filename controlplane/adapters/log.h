// The log: lines on standard error for the journal. Lines about a call carry its trace id; they are made of its audit
// records, so that log and audit never disagree.
#pragma once

#include <string_view>

#include "controlplane/core/ports/witness.h"

namespace ifgw::adapters {

enum class LogSeverity { Debug, Info, Warning, Error };

// Call once at start, before any line. Lines below `least` are not written.
void start_log(LogSeverity least);
// Control characters in `text` become '?': it may hold bytes from the network. At most 500 lines a second are written; how
// many were left out is a line of the next second. From the event loop's thread only.
void log_line(LogSeverity severity, std::string_view text);

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
