#include "controlplane/core/ports/dataplane_view.h"

namespace ifgw::core {
namespace {

std::optional<std::uint64_t> quantile(const api::LatencyHistogram& histogram, std::uint64_t total, std::uint64_t per_mille) {
  if (total == 0) return std::nullopt;
  const std::uint64_t rank = (total * per_mille + 999) / 1000;
  const std::uint64_t maximum = histogram.maximum_ns.get();
  std::uint64_t seen = 0;
  for (unsigned b = 0; b < api::LatencyHistogram::kBuckets; ++b) {
    seen += histogram.counts[b].get();
    if (seen < rank) continue;
    const std::uint64_t bound = api::LatencyHistogram::upper_bound(b);
    return bound < maximum ? bound : maximum;
  }
  return maximum;
}

}  // namespace

LatencyView summarise(const api::LatencyHistogram& histogram) {
  LatencyView view;
  for (const api::Counter& count : histogram.counts) view.count += count.get();
  if (view.count == 0) return view;
  view.p50_ns = quantile(histogram, view.count, 500);
  view.p99_ns = quantile(histogram, view.count, 990);
  view.p999_ns = quantile(histogram, view.count, 999);
  view.max_ns = histogram.maximum_ns.get();
  return view;
}

WorkerView snapshot(unsigned worker, const api::WorkerBlock& block) {
  WorkerView view;
  view.worker = worker;
  view.polls = block.polls.get();
  view.busy_polls = block.busy_polls.get();
  view.sleeps = block.sleeps.get();
  view.rx_packets = block.rx_packets.get();
  view.tx_packets = block.tx_packets.get();
  view.exception_to_kernel = block.exception_to_kernel.get();
  view.exception_from_kernel = block.exception_from_kernel.get();
  view.datagrams_up = block.datagrams_up.get();
  view.datagrams_down = block.datagrams_down.get();
  view.commands = block.commands.get();
  view.events = block.events.get();
  view.events_lost = block.events_lost.get();
  view.invalid_messages = block.invalid_messages.get();
  view.legs_in_use = block.legs_in_use.get();
  view.limiter_sources = block.limiter_sources.get();
  view.limiter_blocked = block.limiter_blocked.get();
  view.limiter_admitted = block.limiter_admitted.get();
  view.heartbeat_ns = block.heartbeat_ns.get();
  for (std::size_t i = 0; i < view.drops.size(); ++i) view.drops[i] = block.drops[i].get();
  view.inside = summarise(block.inside);
  view.poll_gap = summarise(block.poll_gap);
  return view;
}

LegView snapshot(const api::LegInfo& info, const api::LegRow& row) {
  LegView view;
  view.info = info;
  view.rx_packets = row.rx_packets.get();
  view.rx_bytes = row.rx_bytes.get();
  view.tx_packets = row.tx_packets.get();
  view.tx_bytes = row.tx_bytes.get();
  view.rx_rtcp = row.rx_rtcp.get();
  view.tx_rtcp = row.tx_rtcp.get();
  view.dropped = row.dropped.get();
  view.last_rx_ns = row.last_rx_ns.get();
  view.expected = row.expected.get();
  view.reordered = row.reordered.get();
  view.transcoded = row.transcoded.get();
  view.inside_max_ns = row.inside_max_ns.get();
  view.jitter = api::jitter_units(row);
  view.rtt_ns = row.rtt_ns.get();
  view.remote_report = api::remote_report(row);
  return view;
}

std::string text(api::LegId id) {
  if (!id.present()) return {};
  return std::to_string(id.worker()) + ":" + std::to_string(id.index()) + ":" + std::to_string(id.generation());
}

}  // namespace ifgw::core
