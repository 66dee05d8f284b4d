// Gateway: what it tells of itself, to the witness and to operators.
#include <sys/utsname.h>

#include "controlplane/main/gateway.h"
#include "controlplane/main/version.h"

namespace ifgw::control {

Status Gateway::open_admin() {
  utsname machine{};
  (void)uname(&machine);
  const config::Capture& c = config_.capture;
  admin::AdminPorts ports{*calls_, *dataplane_, witness_, std::string{kVersion}, started_, [this] { return more_status(); }};
  ports.capture = {c.enabled, c.payload, c.max_seconds, c.max_bytes};
  ports.clock_offset_ns = [] { return wall_ns() - to_ns(adapters::read_clock()); };
  ports.unsent_bytes = [this](std::uint64_t client) { return admin_server_ ? admin_server_->unsent_bytes(client) : 0; };
  ports.hardware = machine.machine;
  ports.os = std::string{machine.sysname} + " " + machine.release;
  admin_ = std::make_unique<admin::Admin>(std::move(ports));
  captures_timer_.emplace(admin_->captures());
  loop_.add_source(*captures_timer_);
  auto server = adapters::AdminServer::open(loop_, {config_.admin_socket, config_.admin_mode, config_.admin_uids}, *admin_);
  if (!server.ok()) return server.error();
  admin_server_ = std::move(server).value();
  return Success{};
}

void Gateway::on_verdict(const api::LimiterVerdict& verdict, Instant now) {
  core::AuditRecord record;
  record.event = verdict.verdict == api::Verdict::Released ? "RATE_LIMIT_RELEASED" : "RATE_LIMIT_EXCEEDED";
  record.severity = verdict.verdict == api::Verdict::Released ? core::Severity::Info : core::Severity::Warn;
  record.details = {{"layer", "pike"},
                    {"source", verdict.source.text()},
                    {"verdict", verdict.verdict == api::Verdict::Limited   ? "limited"
                                : verdict.verdict == api::Verdict::Blocked ? "blocked"
                                                                           : "released"},
                    {"observed", std::to_string(verdict.requests)},
                    {"limit", std::to_string(verdict.limit)}};
  (void)witness_.record(record, now);
}

admin::Json Gateway::more_status() const {
  admin::Json sip;
  const sip::Occupancy occupancy = user_agent_->occupancy();
  sip["client_transactions"] = occupancy.client_transactions;
  sip["server_transactions"] = occupancy.server_transactions;
  sip["legs"] = occupancy.legs;
  sip["setups_in_flight"] = occupancy.setups_in_flight;
  const sip::Statistics& s = user_agent_->statistics();
#define IFGW_SIP_FIELD(field, description) sip[#field] = s.field;
  IFGW_SIP_STATISTICS(IFGW_SIP_FIELD)
#undef IFGW_SIP_FIELD
  std::uint64_t kernel_received = 0;
  for (const auto& socket : udp_) kernel_received += socket->received();
  sip["udp_sent_dataplane"] = udp_ring_;
  sip["udp_sent_kernel"] = udp_kernel_;
  sip["udp_received_kernel"] = kernel_received;
  sip["udp_refused_kernel"] = udp_kernel_refused_;
  sip["udp_send_failures"] = udp_failed_;
  sip["connections"] = streams_->connections();
  sip["connections_refused_total"] = streams_->statistics().refused_total;
  sip["connections_refused_source"] = streams_->statistics().refused_source;
  sip["accept_failures"] = streams_->accept_failures();
  sip["stream_messages_refused"] = streams_->statistics().refused_messages;
  admin::Json witness;
  witness["file"] = sink_.path();
  witness["records_kept"] = witness_log_.kept();
  witness["records_lost"] = witness_log_.lost();
  witness["error"] = sink_.last_error().empty() ? admin::Json(nullptr) : admin::Json(sink_.last_error());
  const adapters::LogStatistics lines = adapters::log_statistics();
  admin::Json log;
  log["lines_left_out"] = lines.left_out;
  log["lines_dropped"] = lines.dropped;
  return {{"guard", {{"rule", guard::AllowAll::kRule}}}, {"sip", std::move(sip)}, {"witness", std::move(witness)}, {"log", std::move(log)}};
}

}  // namespace ifgw::control
