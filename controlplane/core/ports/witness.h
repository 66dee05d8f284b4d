// Port: what happened. Implemented by witness/ (IF.witness). Every step of a call and every refusal is one record,
// written before the answer leaves.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codecs/base/time.h"
#include "controlplane/core/leg.h"

namespace ifgw::core {

enum class Severity : std::uint8_t { Info, Warn, Alert, Critical };

struct AuditRecord {
  std::string_view event;  // from the closed set in tools/docs/protocol/audit.md: "INVITE", "CONNECTED", ...
  Severity severity = Severity::Info;
  std::string trace_id;
  std::uint64_t call = 0;  // 0: not about a call
  std::uint64_t leg = 0;
  const SecurityContext* security = nullptr;  // when a party is involved
  std::vector<std::pair<std::string_view, std::string>> details;
};

class Witness {
 public:
  virtual ~Witness() = default;
  // False when the record could not be kept (disk full); the caller decides what that means for the call.
  virtual bool record(const AuditRecord& record, Instant now) = 0;
};

}  // namespace ifgw::core
