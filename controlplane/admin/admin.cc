#include "controlplane/admin/admin.h"

#include <array>

#include "controlplane/admin/request.h"

namespace ifgw::admin {
namespace {

constexpr std::uint64_t kMaxBlockSeconds = 86400;

}  // namespace

struct Admin::Command {
  std::string_view name;
  Handler handler;
};

const Admin::Command* Admin::find(std::string_view name) {
  static constexpr std::array<Command, 14> commands{{{"status", &Admin::status},
                                                     {"calls show", &Admin::calls_show},
                                                     {"calls kill", &Admin::calls_kill},
                                                     {"calls latency", &Admin::calls_latency},
                                                     {"legs show", &Admin::legs_show},
                                                     {"pike show", &Admin::pike_show},
                                                     {"pike block", &Admin::pike_block},
                                                     {"pike unblock", &Admin::pike_unblock},
                                                     {"pike exempt", &Admin::pike_exempt},
                                                     {"core show", &Admin::core_show},
                                                     {"port show", &Admin::port_show},
                                                     {"drops show", &Admin::drops_show},
                                                     {"capture start", &Admin::capture_start},
                                                     {"capture stop", &Admin::capture_stop}}};
  for (const Command& c : commands) {
    if (c.name == name) return &c;
  }
  return nullptr;
}

void Admin::handle(std::string_view line, const Operator& who, Instant now, const Reply& reply) {
  ++requests_;
  Request r{nullptr, "", Json::object(), who, now, reply};
  const Json request = Json::parse(line, nullptr, false);
  if (!request.is_object()) return r.refuse(kUsage, "the request is not one JSON object on one line");
  if (const auto id = request.find("id"); id != request.end() && (id->is_number() || id->is_string())) r.id = *id;
  if (const auto command = request.find("command"); command != request.end() && command->is_string())
    r.command = command->get<std::string>();
  if (const auto args = request.find("args"); args != request.end()) {
    if (!args->is_object()) return r.refuse(kUsage, "\"args\" is not an object");
    r.args = *args;
  }
  const Command* command = find(r.command);
  if (command == nullptr) return r.refuse(kUsage, "no such command: \"" + r.command.substr(0, 64) + "\"");
  (this->*command->handler)(r);
}

bool Admin::record_change(const Request& r, std::string_view what) {
  core::AuditRecord record;
  record.event = "ADMIN_CHANGE";
  record.details = {
      {"command", r.command}, {"args", std::string{what}}, {"uid", std::to_string(r.who.uid)}, {"pid", std::to_string(r.who.pid)}};
  if (ports_.witness.record(record, r.now)) return true;
  r.refuse(kFailed, "the change could not be recorded, so it was not made: check the witness file (ifgw status)");
  return false;
}

void Admin::status(const Request& r) {
  Json result;
  result["version"] = ports_.version;
  result["uptime_s"] = (r.now - ports_.started) / std::chrono::seconds{1};
  result["dataplane"] = attach_state(ports_.dataplane.attach_state(), r.now);
  Json calls;
  calls["active"] = ports_.calls.size();
  calls["adopted_legs"] = ports_.calls.adopted_legs();
  calls["setup"] = latency(core::summarise(ports_.calls.setup_times()));
  const core::CallStatistics& s = ports_.calls.statistics();
#define IFGW_CALL_FIELD(field, description) calls[#field] = s.field;
  IFGW_CALL_STATISTICS(IFGW_CALL_FIELD)
#undef IFGW_CALL_FIELD
  result["calls"] = std::move(calls);
  if (ports_.more_status) result.update(ports_.more_status());
  r.ok(std::move(result));
}

void Admin::calls_show(const Request& r) {
  Json rows = Json::array();
  if (r.flag("ended")) {
    const auto& ended = ports_.calls.ended();
    const std::size_t skip = ended.size() > r.limit() ? ended.size() - r.limit() : 0;
    for (std::size_t i = skip; i < ended.size(); ++i) rows.push_back(ended_row(ended[i], r.now));
    return r.ok({{"total", ended.size()}, {"rows", std::move(rows)}});
  }
  for (const core::Call* call : ports_.calls.list(r.limit())) rows.push_back(call_row(*call, r.now));
  r.ok({{"total", ports_.calls.size()}, {"rows", std::move(rows)}});
}

void Admin::calls_kill(const Request& r) {
  const auto call = r.number("call");
  if (!call) return r.refuse(kUsage, "\"call\" must be the number of a call (ifgw calls show)");
  if (ports_.calls.find(*call) == nullptr) return r.refuse(kFailed, "there is no call " + std::to_string(*call) + " (ifgw calls show)");
  if (!record_change(r, "call=" + std::to_string(*call))) return;
  (void)ports_.calls.kill(*call, "uid " + std::to_string(r.who.uid), r.now);
  r.ok({{"killed", *call}});
}

void Admin::calls_latency(const Request& r) {
  const auto number = r.number("call");
  if (!number) return r.refuse(kUsage, "\"call\" must be the number of a call (ifgw calls show)");
  const core::Call* call = ports_.calls.find(*number);
  if (call == nullptr) return r.refuse(kFailed, "there is no call " + std::to_string(*number) + " (ifgw calls show)");
  const auto caller = ports_.dataplane.leg(call->side(core::Party::Caller).media);
  const auto callee = ports_.dataplane.leg(call->side(core::Party::Callee).media);
  const std::vector<core::WorkerView> workers = ports_.dataplane.workers();
  if (!caller || !callee || call->worker >= workers.size())
    return r.refuse(kFailed, "call " + std::to_string(*number) + " has no media legs yet, or no longer (ifgw legs show)");
  Json rows = call_latency_rows(*caller, *callee, workers[call->worker]);
  r.ok({{"call", call->id}, {"trace_id", call->trace_id}, {"worker", call->worker}, {"total", rows.size()}, {"rows", std::move(rows)}});
}

void Admin::legs_show(const Request& r) {
  const std::vector<core::LegView> legs = ports_.dataplane.legs(r.limit());
  Json rows = Json::array();
  for (const core::LegView& leg : legs) {
    core::Party party{};
    const core::Call* owner = ports_.calls.call_of(leg.info.id, &party);
    rows.push_back(leg_row(leg, owner, party, ports_.calls.is_adopted(leg.info.id), r.now));
  }
  r.ok({{"total", legs.size()}, {"rows", std::move(rows)}});
}

void Admin::pike_show(const Request& r) {
  if (r.flag("prefixes")) {
    return ports_.dataplane.list_prefixes([r](const std::string& error, const std::vector<core::PrefixView>& prefixes) {
      if (!error.empty()) return r.refuse(kFailed, error);
      Json rows = Json::array();
      for (std::size_t i = 0; i < std::min(prefixes.size(), r.limit()); ++i) rows.push_back(prefix_row(prefixes[i]));
      r.ok({{"total", prefixes.size()}, {"rows", std::move(rows)}});
    });
  }
  Json limits = source_limits(ports_.dataplane.attach_state());
  ports_.dataplane.list_sources(r.flag("blocked"), r.limit(), [r, limits](const std::string& error, std::vector<core::SourceView> sources) {
    if (!error.empty()) return r.refuse(kFailed, error);
    Json rows = Json::array();
    for (const core::SourceView& s : sources) rows.push_back(source_row(s, r.now));
    r.ok({{"total", sources.size()}, {"rows", std::move(rows)}, {"limits", limits}});
  });
}

void Admin::pike_block(const Request& r) {
  const auto source = IpAddress::parse(r.text("source"));
  const std::uint64_t duration_s = r.number("duration_s").value_or(0);
  if (!source) return r.refuse(kUsage, "\"source\" must be an IP address");
  if (duration_s > kMaxBlockSeconds) return r.refuse(kUsage, "\"duration_s\" is not in 0..86400 s (0: until unblocked)");
  if (!record_change(r, "source=" + source->text() + " duration_s=" + std::to_string(duration_s))) return;
  ports_.dataplane.block_source(*source, std::chrono::seconds{duration_s}, [r, source](const std::string& error) {
    if (!error.empty()) return r.refuse(kFailed, error);
    r.ok({{"blocked", source->text()}});
  });
}

void Admin::pike_unblock(const Request& r) {
  const auto source = IpAddress::parse(r.text("source"));
  if (!source) return r.refuse(kUsage, "\"source\" must be an IP address (ifgw pike show)");
  if (!record_change(r, "source=" + source->text())) return;
  ports_.dataplane.unblock_source(*source, [r, source](const std::string& error) {
    if (!error.empty()) return r.refuse(kFailed, error);
    r.ok({{"unblocked", source->text()}});
  });
}

void Admin::pike_exempt(const Request& r) {
  const auto prefix = IpPrefix::parse(r.text("prefix"));
  const bool remove = r.flag("remove");
  if (!prefix) return r.refuse(kUsage, "\"prefix\" must be an address block like 192.0.2.0/24, host bits zero");
  if (!record_change(r, "prefix=" + prefix->text() + (remove ? " remove" : ""))) return;
  ports_.dataplane.exempt_prefix(*prefix, !remove, [r, prefix, remove](const std::string& error) {
    if (!error.empty()) return r.refuse(kFailed, error);
    r.ok({{remove ? "no_longer_exempt" : "exempt", prefix->text()}});
  });
}

void Admin::core_show(const Request& r) {
  Json rows = Json::array();
  for (const core::WorkerView& w : ports_.dataplane.workers()) {
    if (r.flag("pairs"))
      add_pair_rows(w, rows);
    else if (r.flag("costs"))
      add_cost_rows(w, rows);
    else
      rows.push_back(worker_row(w, r.now));
  }
  r.ok({{"total", rows.size()}, {"rows", std::move(rows)}});
}

void Admin::port_show(const Request& r) {
  Json rows = Json::array();
  for (const core::PortView& p : ports_.dataplane.ports()) rows.push_back(port_row(p));
  r.ok({{"total", rows.size()}, {"rows", std::move(rows)}});
}

void Admin::drops_show(const Request& r) {
  Json rows = drop_rows(ports_.dataplane.workers(), r.flag("all"));
  r.ok({{"total", rows.size()}, {"rows", std::move(rows)}});
}

}  // namespace ifgw::admin
