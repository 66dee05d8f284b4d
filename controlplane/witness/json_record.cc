#include "controlplane/witness/json_record.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace ifgw::witness {
namespace {

using Json = nlohmann::ordered_json;

std::string bounded(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::string{text};
  // Not within a UTF-8 sequence.
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0) == 0x80) --limit;
  return std::string{text.substr(0, limit)} + "...";
}

std::string_view severity_name(core::Severity s) noexcept {
  switch (s) {
    case core::Severity::Info: return "INFO";
    case core::Severity::Warn: return "WARN";
    case core::Severity::Alert: return "ALERT";
    case core::Severity::Critical: return "CRITICAL";
  }
  return "?";
}

Json security_json(const core::SecurityContext& s) {
  Json json;
  json["source"] = s.source.text();
  json["local"] = s.local.text();
  json["transport"] = bounded(s.transport, 16);
  if (!s.tls_version.empty()) json["tls_version"] = bounded(s.tls_version, 32);
  if (!s.cipher_suite.empty()) json["cipher_suite"] = bounded(s.cipher_suite, 64);
  return json;
}

}  // namespace

std::string utc_text(std::int64_t wall_ns) {
  constexpr std::int64_t kDay = 86400;
  std::int64_t seconds = wall_ns / 1'000'000'000;
  const std::int64_t micros = wall_ns % 1'000'000'000 / 1000;
  const std::int64_t days = seconds / kDay;
  seconds %= kDay;
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{days}}};
  std::array<char, 48> text;
  const int length = std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", static_cast<int>(date.year()),
                                   static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), static_cast<int>(seconds / 3600),
                                   static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60), static_cast<int>(micros));
  return {text.data(), static_cast<std::size_t>(length)};
}

std::string json_record(const core::AuditRecord& record, std::uint64_t sequence, std::int64_t wall_ns, Instant now) {
  Json json;
  json["seq"] = sequence;
  json["time"] = utc_text(wall_ns);
  json["mono_ns"] = to_ns(now);
  json["event"] = bounded(record.event, 64);
  json["severity"] = severity_name(record.severity);
  json["trace_id"] = bounded(record.trace_id, 128);
  if (record.call != 0) json["call"] = record.call;
  if (record.leg != 0) json["leg"] = record.leg;
  if (record.security != nullptr) json["security"] = security_json(*record.security);
  Json details = Json::object();
  std::size_t count = 0;
  for (const auto& [key, value] : record.details) {
    if (count++ == kMaxDetails) break;
    details[bounded(key, 64)] = bounded(value, key == "message" ? kMaxMessageBytes : kMaxValueBytes);
  }
  if (record.details.size() > kMaxDetails) json["details_cut"] = record.details.size() - kMaxDetails;
  if (!details.empty()) json["details"] = std::move(details);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace ifgw::witness
