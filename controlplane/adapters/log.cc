#include "controlplane/adapters/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>
#include <utility>

#include "controlplane/adapters/event_loop.h"
#include "controlplane/adapters/line_writer.h"

namespace ifgw::adapters {
namespace {

constexpr std::size_t kMaxLine = 2048;
constexpr unsigned kLinesPerSecond = 500;  // a flood of events must not become one of lines

LogStatistics statistics;

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

class WriterSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit WriterSink(int fd) : writer_(fd) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (unreported_ != 0) {
      const std::string text = "log: " + std::to_string(unreported_) + " lines dropped: nobody read them in time";
      if (put({message.time, {}, message.logger_name, spdlog::level::warn, text})) unreported_ = 0;
    }
    if (unreported_ == 0 && put(message)) return;
    ++unreported_;
    ++statistics.dropped;
  }
  void flush_() override {}
  bool put(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    return writer_.write({line.data(), line.size()});
  }

  LineWriter writer_;
  std::uint64_t unreported_ = 0;
};

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
  ++statistics.left_out;
  return false;
}

}  // namespace

void start_log(LogSeverity least, int fd) {
  statistics = {};
  auto logger = std::make_shared<spdlog::logger>("ifgw", std::make_shared<WriterSink>(fd));
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

LogStatistics log_statistics() noexcept { return statistics; }

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
