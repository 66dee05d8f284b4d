// One audit record as one line of JSON (tools/docs/protocol/audit.md). Pure.
#pragma once

#include <cstdint>
#include <string>

#include "codecs/base/time.h"
#include "controlplane/core/ports/witness.h"

namespace ifgw::witness {

inline constexpr std::size_t kMaxValueBytes = 1024;     // longer values are cut, and end in "..."
inline constexpr std::size_t kMaxMessageBytes = 16384;  // the value of a detail named "message"
inline constexpr std::size_t kMaxDetails = 32;          // more are left out; "details_cut" says how many

// `wall_ns`: nanoseconds since 1970, UTC. No line feed in the text nor at its end; always valid UTF-8 (other bytes
// become U+FFFD).
std::string json_record(const core::AuditRecord& record, std::uint64_t sequence, std::int64_t wall_ns, Instant now);

// "2026-11-21T09:15:02.123456Z"
std::string utc_text(std::int64_t wall_ns);

}  // namespace ifgw::witness
