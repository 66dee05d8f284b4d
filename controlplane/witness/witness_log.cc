#include "controlplane/witness/witness_log.h"

#include "controlplane/witness/json_record.h"

namespace ifgw::witness {

bool WitnessLog::record(const core::AuditRecord& record, Instant now) {
  const bool kept = sink_.append(json_record(record, ++sequence_, wall_ns_(), now));
  if (kept) ++kept_;
  return kept;
}

}  // namespace ifgw::witness
