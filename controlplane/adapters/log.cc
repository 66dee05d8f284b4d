#include "controlplane/adapters/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <string>
#include <utility>

#include "controlplane/adapters/event_loop.h"

namespace ifgw::adapters {
namespace {

constexpr std::size_t kMaxLine = 2048;
constexpr unsigned kLinesPerSecond = 500;  // writing blocks the event loop: a flood of events must not become one of lines

spdlog::level::level_enum level_of(LogSeverity severity) {
  switch (severity) {
    case LogSeverity::Debug: return spdlog::level::debug;
    case LogSeverity::Info: return spdlog::level::info;
    case LogSeverity::Warning: return spdlog::level::warn;
    case LogSeverity::Error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

LogSeverity severity_of(core::Severity severity) {
  switch (severity) {
    case core::Severity::Info: return LogSeverity::Info;
    case core::Severity::Warn: return LogSeverity::Warning;
    case core::Severity::Alert:
    case core::Severity::Critical: return LogSeverity::Error;
  }
  return LogSeverity::Info;
}

// Whether this second still has a line to give; tells how many the last full second swallowed.
bool take_line(unsigned& swallowed) {
  static Instant second{};
  static unsigned used = 0;
  static unsigned lost = 0;
  const Instant now = read_clock();
  if (now - second >= std::chrono::seconds{1}) {
    second = now;
    used = 0;
    swallowed = std::exchange(lost, 0);
  }
  if (used < kLinesPerSecond) return ++used, true;
  ++lost;
  return false;
}

}  // namespace

void start_log(LogSeverity least) {
  auto logger = spdlog::stderr_logger_st("ifgw");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%fZ %^%L%$ %v", spdlog::pattern_time_type::utc);
  logger->set_level(level_of(least));
  spdlog::set_default_logger(std::move(logger));
}

void log_line(LogSeverity severity, std::string_view text) {
  spdlog::logger* logger = spdlog::default_logger_raw();
  if (!logger->should_log(level_of(severity))) return;
  unsigned swallowed = 0;
  if (!take_line(swallowed)) return;
  if (swallowed != 0) logger->warn("log: {} lines were left out (more than {} in a second)", swallowed, kLinesPerSecond);
  std::string line{text.substr(0, kMaxLine)};
  for (char& c : line) c = (c >= 0 && c < ' ') || c == 0x7F ? '?' : c;
  logger->log(level_of(severity), std::string_view{line});
}

bool LoggedWitness::record(const core::AuditRecord& record, Instant now) {
  const bool kept = next_.record(record, now);
  if (!kept && !failing_) log_line(LogSeverity::Error, "witness: audit records cannot be written; calls are refused until they can");
  if (kept && failing_) log_line(LogSeverity::Warning, "witness: audit records are written again");
  failing_ = !kept;
  const LogSeverity severity = severity_of(record.severity);
  if (!spdlog::default_logger_raw()->should_log(level_of(severity))) return kept;
  std::string line{record.event};
  line += " trace=" + (record.trace_id.empty() ? std::string{"-"} : record.trace_id);
  if (record.call != 0) line += " call=" + std::to_string(record.call);
  if (record.leg != 0) line += " leg=" + std::to_string(record.leg);
  for (const auto& [key, value] : record.details) {
    if (key != "message" && !value.empty()) line.append(" ").append(key).append("=").append(value);
  }
  log_line(severity, line);
  return kept;
}

}  // namespace ifgw::adapters
