#include "controlplane/core/ports/dataplane_view.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace ifgw::core {
namespace {

// `bound(b)`: the largest value of bucket b, or less than it; at most `maximum`.
template <typename Counts, typename Bound>
LatencyView quantiles(const Counts& counts, std::uint64_t maximum, Bound bound) {
  LatencyView view;
  for (const auto count : counts) view.count += count;
  if (view.count == 0) return view;
  const auto quantile = [&](std::uint64_t per_mille) {
    const std::uint64_t rank = (view.count * per_mille + 999) / 1000;
    std::uint64_t seen = 0;
    for (unsigned b = 0; b < counts.size(); ++b) {
      seen += counts[b];
      if (seen >= rank) return std::min(bound(b), maximum);
    }
    return maximum;
  };
  view.p50_ns = quantile(500);
  view.p90_ns = quantile(900);
  view.p99_ns = quantile(990);
  view.p999_ns = quantile(999);
  view.max_ns = maximum;
  return view;
}

}  // namespace

LatencyView summarise(std::span<const api::LatencyHistogram> histograms) {
  std::array<std::uint64_t, api::LatencyHistogram::kBuckets> counts{};
  std::uint64_t maximum = 0;
  for (const api::LatencyHistogram& histogram : histograms) {
    for (std::size_t b = 0; b < counts.size(); ++b) counts[b] += histogram.counts[b].get();
    maximum = std::max(maximum, histogram.maximum_ns.get());
  }
  return quantiles(counts, maximum, api::LatencyHistogram::upper_bound);
}

LatencyView summarise(const LegLatencyView& leg) {
  return quantiles(leg.counts, leg.max_ns, [&](unsigned b) {
    const std::uint64_t bound = api::LegLatency::upper_bound(b);
    return bound != 0 ? bound : leg.max_ns;
  });
}

WorkerView snapshot(unsigned worker, const api::WorkerBlock& block) {
  WorkerView view;
  view.worker = worker;
  view.polls = block.polls.get();
  view.busy_polls = block.busy_polls.get();
  view.sleeps = block.sleeps.get();
  view.rx_packets = block.rx_packets.get();
  view.tx_packets = block.tx_packets.get();
  view.handed_over = block.handed_over.get();
  view.taken_over = block.taken_over.get();
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
  view.load_booked_ppm = block.load_booked_ppm.get();
  view.load_ports_ppm = block.load_ports_ppm.get();
  view.load_limit_ppm = block.load_limit_ppm.get();
  view.ports_cost_ns = block.ports_cost_now_ns.get();
  for (std::size_t pair = 0; pair < api::kCodecPairs; ++pair) {
    view.cost_start_ns[pair] = block.pair_cost_ns[pair].get();
    view.cost_now_ns[pair] = block.pair_cost_now_ns[pair].get();
  }
  for (std::size_t i = 0; i < view.drops.size(); ++i) view.drops[i] = block.drops[i].get();
  view.inside = summarise(block.inside);
  for (std::size_t pair = 0; pair < block.inside.size(); ++pair)
    if (LatencyView inside = summarise(block.inside[pair]); inside.count != 0)
      view.pairs.push_back({static_cast<std::uint8_t>(pair), inside});
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
  view.unreachable = row.unreachable.get();
  view.transcoded = row.transcoded.get();
  for (std::size_t b = 0; b < view.inside.counts.size(); ++b) view.inside.counts[b] = row.inside.counts[b].get();
  view.inside.max_ns = row.inside.maximum_ns.get();
  view.jitter = api::jitter_units(row);
  view.rtt_ns = row.rtt_ns.get();
  view.remote_report = api::remote_report(row);
  return view;
}

std::string text(api::LegId id) {
  if (!id.present()) return {};
  return std::to_string(id.worker()) + ":" + std::to_string(id.index()) + ":" + std::to_string(id.generation());
}

std::optional<api::LegId> parse_leg(std::string_view text) {
  std::array<std::uint32_t, 3> numbers{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i != 0 && (at == end || *at++ != ':')) return std::nullopt;
    const auto parsed = std::from_chars(at, end, numbers[i]);
    if (parsed.ec != std::errc{}) return std::nullopt;
    at = parsed.ptr;
  }
  if (at != end || numbers[0] > 0xFF || numbers[1] > 0xFFFFFF) return std::nullopt;
  const api::LegId id = api::LegId::make(static_cast<std::uint8_t>(numbers[0]), numbers[1], numbers[2]);
  return id.present() ? std::optional(id) : std::nullopt;
}

}  // namespace ifgw::core
