#include "controlplane/admin/views.h"

namespace ifgw::admin {
namespace {

template <typename T>
Json measured(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

double seconds(Duration d) { return static_cast<double>(d / std::chrono::milliseconds{1}) / 1000.0; }

Json codec_name(api::Codec codec) {
  return codec == api::Codec::None || static_cast<std::uint8_t>(codec) > api::kMaxCodec ? Json(nullptr)
                                                                                        : Json(std::string{api::facts(codec).name});
}

Json leg_id(api::LegId id) { return id.present() ? Json(core::text(id)) : Json(nullptr); }

Json endpoint(const Endpoint& e) { return e.present() ? Json(e.text()) : Json(nullptr); }

Json side(const core::Side& s) {
  Json row;
  row["leg"] = s.leg.value == 0 ? Json(nullptr) : Json(s.leg.value);
  row["media_leg"] = leg_id(s.media);
  row["codec"] = codec_name(s.agreed.codec);
  row["local"] = endpoint(s.advertised);
  row["remote"] = endpoint(s.agreed.remote);
  row["direction"] = wire::sdp::name(s.wish);
  return row;
}

Json codec_names(api::Codec from, api::Codec to) {
  const auto text = [](api::Codec codec) {
    const Json name = codec_name(codec);
    return name.is_null() ? std::string{"-"} : name.get<std::string>();
  };
  return text(from) + " > " + text(to);
}

// With the buckets themselves: packets that took at most `le_us`; null: longer than all of these.
Json leg_latency(const core::LegLatencyView& leg) {
  Json row = latency(core::summarise(leg));
  Json buckets = Json::array();
  for (unsigned b = 0; b < leg.counts.size(); ++b) {
    const std::uint64_t bound = api::LegLatency::upper_bound(b);
    buckets.push_back({{"le_us", bound == 0 ? Json(nullptr) : Json(static_cast<double>(bound) / 1000.0)}, {"packets", leg.counts[b]}});
  }
  row["buckets"] = std::move(buckets);
  return row;
}

Json refusal(const std::optional<core::Refusal>& r) {
  if (!r) return nullptr;
  return {{"status", r->status},     {"layer", r->layer}, {"rule", r->rule},
          {"observed", r->observed}, {"limit", r->limit}, {"remedy", r->remedy}};
}

}  // namespace

Json call_row(const core::Call& call, Instant now) {
  Json row;
  row["call"] = call.id;
  row["state"] = core::name(call.state);
  row["trace_id"] = call.trace_id;
  row["from"] = call.from;
  row["to"] = call.target.empty() ? call.request_uri : call.target;
  row["route"] = call.route == nullptr ? Json(nullptr) : Json(call.route->id);
  row["source"] = call.security.source.text();
  row["transport"] = call.security.transport;
  const bool connected = call.connected_at != Instant{};
  row["setup_ms"] = connected ? Json((call.connected_at - call.offered_at) / std::chrono::milliseconds{1}) : Json(nullptr);
  row["duration_s"] = connected ? Json(seconds(now - call.connected_at)) : Json(nullptr);
  row["age_s"] = seconds(now - call.offered_at);
  row["worker"] = call.worker;
  row["caller"] = side(call.side(core::Party::Caller));
  row["callee"] = side(call.side(core::Party::Callee));
  row["refusal"] = refusal(call.refusal);
  return row;
}

Json ended_row(const core::EndedCall& call, Instant now) {
  Json row;
  row["call"] = call.id;
  row["trace_id"] = call.trace_id;
  row["from"] = call.from;
  row["to"] = call.target;
  row["route"] = call.route.empty() ? Json(nullptr) : Json(call.route);
  row["ended_s_ago"] = seconds(now - call.ended_at);
  const bool connected = call.setup != Duration{} || call.duration != Duration{};
  row["setup_ms"] = connected ? Json(call.setup / std::chrono::milliseconds{1}) : Json(nullptr);
  row["duration_s"] = connected ? Json(seconds(call.duration)) : Json(nullptr);
  row["end"] = call.end_text;
  row["refusal"] = refusal(call.refusal);
  return row;
}

Json leg_row(const core::LegView& leg, const core::Call* owner, core::Party party, bool adopted, Instant now) {
  const api::LegInfo& info = leg.info;
  Json row;
  row["media_leg"] = leg_id(info.id);
  row["call"] = owner == nullptr ? Json(nullptr) : Json(owner->id);
  row["party"] = owner != nullptr ? Json(core::name(party)) : adopted ? Json("adopted") : Json(nullptr);
  row["codec"] = codec_name(info.media.codec);
  row["local"] = endpoint(info.local);
  row["remote"] = endpoint(info.current_remote.present() ? info.current_remote : info.media.remote);
  row["negotiated_remote"] = endpoint(info.media.remote);
  row["peer"] = leg_id(info.peer);
  row["rx_packets"] = leg.rx_packets;
  row["rx_bytes"] = leg.rx_bytes;
  row["tx_packets"] = leg.tx_packets;
  row["tx_bytes"] = leg.tx_bytes;
  row["lost"] = leg.expected > leg.rx_packets ? leg.expected - leg.rx_packets : 0;
  row["reordered"] = leg.reordered;
  row["unreachable"] = leg.unreachable;
  row["dropped"] = leg.dropped;
  row["transcoded"] = leg.transcoded;
  row["rx_rtcp"] = leg.rx_rtcp;
  row["tx_rtcp"] = leg.tx_rtcp;
  const double units_per_ms = api::facts(info.media.codec).rtp_clock_hz / 1000.0;
  row["jitter_ms"] = leg.rx_packets < 2 ? Json(nullptr) : Json(leg.jitter / units_per_ms);
  row["rtt_ms"] = leg.rtt_ns == 0 ? Json(nullptr) : Json(static_cast<double>(leg.rtt_ns) / 1e6);
  row["remote_lost"] = leg.remote_report ? Json(leg.remote_report->lost) : Json(nullptr);
  row["remote_jitter_ms"] = leg.remote_report ? Json(leg.remote_report->jitter / units_per_ms) : Json(nullptr);
  row["inside"] = leg_latency(leg.inside);
  row["silent_ms"] = leg.last_rx_ns == 0 ? Json(nullptr) : Json((to_ns(now) - static_cast<std::int64_t>(leg.last_rx_ns)) / 1'000'000);
  row["age_s"] = seconds(now - from_ns(static_cast<std::int64_t>(info.created_ns)));
  return row;
}

Json latency(const core::LatencyView& view) {
  const auto us = [](const std::optional<std::uint64_t>& ns) { return ns ? Json(static_cast<double>(*ns) / 1000.0) : Json(nullptr); };
  return {{"count", view.count},       {"p50_us", us(view.p50_ns)},   {"p90_us", us(view.p90_ns)},
          {"p99_us", us(view.p99_ns)}, {"p999_us", us(view.p999_ns)}, {"max_us", us(view.max_ns)}};
}

Json call_latency_rows(const core::LegView& caller, const core::LegView& callee, const core::WorkerView& worker) {
  Json rows = Json::array();
  const auto add = [&rows](std::string what, Json codecs, const core::LatencyView& view) {
    Json row;
    row["what"] = std::move(what);
    row["codecs"] = std::move(codecs);
    row.update(latency(view));
    rows.push_back(std::move(row));
  };
  const std::string here = "worker " + std::to_string(worker.worker);
  const std::array<std::pair<const core::LegView*, const core::LegView*>, 2> ways{{{&caller, &callee}, {&callee, &caller}}};
  for (const auto& [from, to] : ways)
    add(from == &caller ? "caller > callee" : "callee > caller", codec_names(from->info.media.codec, to->info.media.codec),
        core::summarise(to->inside));
  for (const auto& [from, to] : ways)
    for (const core::PairView& pair : worker.pairs) {
      const api::Codec in = api::pair_from(pair.pair), out = api::pair_to(pair.pair);
      if (in != from->info.media.codec || out != to->info.media.codec) continue;
      if (from == &callee && in == out) continue;  // its directions are of one pair
      add(here + (api::is_recoded(pair.pair) ? ", all calls that transcode it" : ", all calls"), codec_names(in, out), pair.inside);
    }
  add(here + ", poll gap", nullptr, worker.poll_gap);
  return rows;
}

void add_pair(std::size_t pair, Json& row) {
  row["from"] = codec_name(api::pair_from(pair));
  row["to"] = codec_name(api::pair_to(pair));
  row["path"] = api::path_name(pair);
}

void add_pair_rows(const core::WorkerView& worker, Json& rows) {
  for (const core::PairView& pair : worker.pairs) {
    Json row;
    row["worker"] = worker.worker;
    add_pair(pair.pair, row);
    row.update(latency(pair.inside));
    rows.push_back(std::move(row));
  }
}

Json ports_ns(const core::WorkerView& worker) { return worker.ports_cost_ns == 0 ? Json(nullptr) : Json(worker.ports_cost_ns); }

void add_cost_rows(const core::WorkerView& worker, Json& rows) {
  for (std::size_t pair = 0; pair < api::kCodecPairs; ++pair) {
    if (worker.cost_start_ns[pair] == 0) continue;
    Json row;
    row["worker"] = worker.worker;
    add_pair(pair, row);
    row["start_ns"] = worker.cost_start_ns[pair];
    row["now_ns"] = worker.cost_now_ns[pair] == 0 ? Json(nullptr) : Json(worker.cost_now_ns[pair]);
    row["ports_ns"] = ports_ns(worker);
    rows.push_back(std::move(row));
  }
}

Json worker_row(const core::WorkerView& w, Instant now) {
  Json row;
  row["worker"] = w.worker;
  row["carries"] = w.carries;
  row["polls"] = w.polls;
  // The CPU of a poll-mode core says nothing; this does.
  row["busy_percent"] = w.polls == 0 ? Json(nullptr) : Json(static_cast<double>(w.busy_polls * 10000 / w.polls) / 100.0);
  const auto percent = [](std::uint64_t ppm) { return static_cast<double>(ppm / 100) / 100.0; };
  row["booked_percent"] = percent(w.load_booked_ppm);
  row["booked_ports_percent"] = percent(w.load_ports_ppm);
  row["booked_limit_percent"] = w.load_limit_ppm == 0 ? Json(nullptr) : Json(percent(w.load_limit_ppm));
  row["ports_ns"] = ports_ns(w);
  row["sleeps"] = w.sleeps;
  row["rx_packets"] = w.rx_packets;
  row["tx_packets"] = w.tx_packets;
  row["legs"] = w.legs_in_use;
  row["handed_over"] = w.handed_over;
  row["taken_over"] = w.taken_over;
  row["datagrams_up"] = w.datagrams_up;
  row["datagrams_down"] = w.datagrams_down;
  row["exception_to_kernel"] = w.exception_to_kernel;
  row["exception_from_kernel"] = w.exception_from_kernel;
  row["commands"] = w.commands;
  row["events"] = w.events;
  row["events_lost"] = w.events_lost;
  row["invalid_messages"] = w.invalid_messages;
  row["heartbeat_ms_ago"] =
      w.heartbeat_ns == 0 ? Json(nullptr) : Json((to_ns(now) - static_cast<std::int64_t>(w.heartbeat_ns)) / 1'000'000);
  row["inside"] = latency(w.inside);
  row["poll_gap"] = latency(w.poll_gap);
  return row;
}

Json port_row(const core::PortView& p) {
  Json row;
  row["port"] = p.port;
  row["name"] = p.name;
  row["driver"] = p.driver;
  row["kind"] = p.is_exception ? Json(*p.is_exception ? "exception" : "network") : Json(nullptr);
  row["link_up"] = measured(p.link_up);
  row["speed_mbps"] = measured(p.speed_mbps);
  row["mtu"] = measured(p.mtu);
  row["vlan"] = measured(p.vlan);
  row["mac"] = p.mac;
  row["queues"] = measured(p.queues);
  row["rx_packets"] = measured(p.rx_packets);
  row["rx_bytes"] = measured(p.rx_bytes);
  row["tx_packets"] = measured(p.tx_packets);
  row["tx_bytes"] = measured(p.tx_bytes);
  row["rx_missed"] = measured(p.rx_missed);
  row["rx_errors"] = measured(p.rx_errors);
  row["tx_errors"] = measured(p.tx_errors);
  row["rx_no_buffer"] = measured(p.rx_no_buffer);
  return row;
}

Json source_row(const core::SourceView& s, Instant now) {
  Json row;
  row["source"] = s.source.text() + (s.source.is_v6() ? "/64" : "");
  row["worker"] = s.worker;
  row["in_window"] = s.in_window;
  row["refused"] = s.refused;
  row["blocked"] = s.blocked;
  const bool forever = s.blocked && s.blocked_until_ns == 0;
  row["blocked_for_s"] =
      !s.blocked || forever ? Json(nullptr) : Json(seconds(from_ns(static_cast<std::int64_t>(s.blocked_until_ns)) - now));
  row["until_unblocked"] = forever;
  return row;
}

Json prefix_row(const core::PrefixView& p) {
  Json row;
  row["prefix"] = p.prefix.text();
  row["exempt"] = p.exempt;
  const bool budget = p.requests != 0;
  row["requests"] = budget ? Json(p.requests) : Json(nullptr);
  row["window_s"] = budget ? Json(seconds(p.window)) : Json(nullptr);
  row["in_window"] = budget ? Json(p.in_window) : Json(nullptr);
  row["refused"] = budget ? Json(p.refused) : Json(nullptr);
  return row;
}

Json source_limits(const core::AttachState& s) {
  if (!s.source_limits) return nullptr;
  return {{"requests", s.source_limits->requests},
          {"window_s", s.source_limits->window_ms / 1e3},
          {"block_s", s.source_limits->block_ms / 1e3}};
}

Json attach_state(const core::AttachState& s, Instant now) {
  Json row;
  row["attached"] = s.attached;
  row["socket"] = s.socket_path;
  row["error"] = s.last_error.empty() ? Json(nullptr) : Json(s.last_error);
  row["since_s"] = s.since == Instant{} ? Json(nullptr) : Json(seconds(now - s.since));
  row["pid"] = s.attached ? Json(s.peer_pid) : Json(nullptr);
  row["version"] = s.version.empty() ? Json(nullptr) : Json(s.version);
  row["contract_version"] = s.contract_version;
  row["uptime_s"] = s.dataplane_uptime ? Json(seconds(*s.dataplane_uptime)) : Json(nullptr);
  row["hugepages"] = measured(s.hugepages);
  row["buffers"] = measured(s.buffers);
  row["buffers_in_use"] = measured(s.buffers_in_use);
  row["legs_capacity"] = s.legs_capacity;
  Json media = Json::array();
  for (const IpAddress& ip : s.media_addresses) media.push_back(ip.text());
  Json signalling = Json::array();
  for (const Endpoint& e : s.signalling) signalling.push_back(e.text());
  row["source_limits"] = source_limits(s);
  row["media_addresses"] = std::move(media);
  row["signalling"] = std::move(signalling);
  row["attaches"] = s.attaches;
  row["events_lost"] = s.events_lost;
  row["invalid_messages"] = s.invalid_messages;
  row["commands_refused"] = s.commands_refused;
  row["datagrams_refused"] = s.datagrams_refused;
  return row;
}

Json drop_rows(const std::vector<core::WorkerView>& workers, bool all) {
  Json rows = Json::array();
  for (std::size_t i = 0; i < api::kDropReasonCount; ++i) {
    std::uint64_t sum = 0;
    for (const core::WorkerView& w : workers) sum += w.drops[i];
    if (sum == 0 && !all) continue;
    rows.push_back({{"reason", api::kDropReasons[i].label}, {"packets", sum}, {"meaning", api::kDropReasons[i].text}});
  }
  return rows;
}

}  // namespace ifgw::admin
