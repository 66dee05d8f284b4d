// Values of core and the dataplane as JSON rows. Keys carry their units; null is "not measured".
#pragma once

#include <nlohmann/json.hpp>

#include "codecs/base/time.h"
#include "controlplane/core/calls.h"
#include "controlplane/core/ports/dataplane_view.h"

namespace ifgw::admin {

using Json = nlohmann::ordered_json;

Json call_row(const core::Call& call, Instant now);
Json ended_row(const core::EndedCall& call, Instant now);
// `owner` and `party` when a call owns the leg.
Json leg_row(const core::LegView& leg, const core::Call* owner, core::Party party, bool adopted, Instant now);
Json worker_row(const core::WorkerView& worker, Instant now);
Json port_row(const core::PortView& port);
Json source_row(const core::SourceView& source, Instant now);
Json prefix_row(const core::PrefixView& prefix);
Json latency(const core::LatencyView& view);
// Both directions of a call, what its worker measured of the same pairs of codecs, and that worker's poll gap: rows of
// "what" and a latency(). `legs`: of caller and callee, as read; `worker`: the one that carries them.
Json call_latency_rows(const core::LegView& caller, const core::LegView& callee, const core::WorkerView& worker);
// A row per pair of codecs of the worker.
void add_pair_rows(const core::WorkerView& worker, Json& rows);
// A row per pair of codecs that it can run: what 20 ms of audio cost when the dataplane started, and now.
void add_cost_rows(const core::WorkerView& worker, Json& rows);
Json attach_state(const core::AttachState& state, Instant now);
// null: none is known to be in force.
Json source_limits(const core::AttachState& state);
// One row per drop reason, summed over workers, in the order of the contract; all when `all`, else those above zero.
Json drop_rows(const std::vector<core::WorkerView>& workers, bool all);

}  // namespace ifgw::admin
