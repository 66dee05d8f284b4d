#include "tools/ifgw/commands.h"

namespace ifgw::cli {
namespace {

const std::vector<Column> kCalls = {
    {"CALL", "/call"},   {"STATE", "/state"},   {"FROM", "/from"},         {"TO", "/to"},
    {"ROUTE", "/route"}, {"CODECS", "/codecs"}, {"SETUP ms", "/setup_ms"}, {"DURATION s", "/duration_s"},
    {"AGE s", "/age_s"}, {"WORKER", "/worker"}, {"TRACE", "/trace_id"},
};
const std::vector<Column> kEnded = {
    {"CALL", "/call"},
    {"FROM", "/from"},
    {"TO", "/to"},
    {"ROUTE", "/route"},
    {"SETUP ms", "/setup_ms"},
    {"DURATION s", "/duration_s"},
    {"ENDED s AGO", "/ended_s_ago"},
    {"END", "/end"},
    {"REMEDY", "/refusal/remedy"},
    {"TRACE", "/trace_id"},
};
const std::vector<Column> kLegs = {
    {"LEG", "/media_leg"},
    {"CALL", "/call"},
    {"PARTY", "/party"},
    {"CODEC", "/codec"},
    {"LOCAL", "/local"},
    {"REMOTE", "/remote"},
    {"RX", "/rx_packets"},
    {"TX", "/tx_packets"},
    {"LOST", "/lost"},
    {"JITTER ms", "/jitter_ms"},
    {"RTT ms", "/rtt_ms"},
    {"REORDERED", "/reordered"},
    {"UNREACHABLE", "/unreachable"},
    {"DROPPED", "/dropped"},
    {"TRANSCODED", "/transcoded"},
    {"INSIDE p50 us", "/inside/p50_us"},
    {"p99", "/inside/p99_us"},
    {"max", "/inside/max_us"},
    {"SILENT ms", "/silent_ms"},
    {"AGE s", "/age_s"},
};
const std::vector<Column> kSources = {
    {"SOURCE", "/source"},   {"WORKER", "/worker"},   {"IN WINDOW", "/in_window"},
    {"REFUSED", "/refused"}, {"BLOCKED", "/blocked"}, {"BLOCKED FOR s", "/blocked_for_s"},
};
const std::vector<Column> kPrefixes = {
    {"PREFIX", "/prefix"},     {"EXEMPT", "/exempt"},       {"BUDGET", "/requests"},
    {"WINDOW s", "/window_s"}, {"IN WINDOW", "/in_window"}, {"REFUSED", "/refused"},
};
const std::vector<Column> kWorkers = {
    {"WORKER", "/worker"},
    {"BUSY %", "/busy_percent"},
    {"BOOKED %", "/booked_percent"},
    {"PORTS ns", "/ports_ns"},
    {"CARRIES", "/carries"},
    {"RX", "/rx_packets"},
    {"TX", "/tx_packets"},
    {"LEGS", "/legs"},
    {"GIVEN", "/handed_over"},
    {"TAKEN", "/taken_over"},
    {"SIP UP", "/datagrams_up"},
    {"SIP DOWN", "/datagrams_down"},
    {"INSIDE p50 us", "/inside/p50_us"},
    {"p99", "/inside/p99_us"},
    {"p99.9", "/inside/p999_us"},
    {"max", "/inside/max_us"},
    {"GAP p99 us", "/poll_gap/p99_us"},
    {"max", "/poll_gap/max_us"},
    {"EVENTS LOST", "/events_lost"},
};
const std::vector<Column> kPairs = {
    {"WORKER", "/worker"},        {"FROM", "/from"},  {"TO", "/to"},      {"PATH", "/path"},     {"PACKETS", "/count"},
    {"INSIDE p50 us", "/p50_us"}, {"p90", "/p90_us"}, {"p99", "/p99_us"}, {"p99.9", "/p999_us"}, {"max", "/max_us"},
};
const std::vector<Column> kLatency = {
    {"INSIDE", "/what"}, {"CODECS", "/codecs"}, {"COUNT", "/count"},   {"p50 us", "/p50_us"},
    {"p90", "/p90_us"},  {"p99", "/p99_us"},    {"p99.9", "/p999_us"}, {"max", "/max_us"},
};
const std::vector<Column> kMatrix = {
    {"FROM", "/from"},
    {"TO", "/to"},
    {"PATH", "/path"},
    {"ns A PACKET", "/ns"},
    {"AT START", "/start_ns"},
    {"RUNNING", "/now_ns"},
    {"PORTS", "/ports_ns"},
    {"STREAMS A CORE (ENGINE ALONE)", "/streams"},
    {"WITH PORTS", "/streams_with_ports"},
    {"INSTRUCTIONS", "/instructions"},
};
const std::vector<Column> kPorts = {
    {"PORT", "/port"},         {"NAME", "/name"},        {"DRIVER", "/driver"},    {"KIND", "/kind"},        {"LINK", "/link_up"},
    {"Mbit/s", "/speed_mbps"}, {"MTU", "/mtu"},          {"VLAN", "/vlan"},        {"MAC", "/mac"},          {"RX", "/rx_packets"},
    {"TX", "/tx_packets"},     {"MISSED", "/rx_missed"}, {"RX ERR", "/rx_errors"}, {"TX ERR", "/tx_errors"}, {"NO BUFFER", "/rx_no_buffer"},
};
const std::vector<Column> kDrops = {{"PACKETS", "/packets"}, {"REASON", "/reason"}, {"MEANING", "/meaning"}};

// "PCMA > PCMU": caller and callee.
void add_codecs(Json& rows) {
  for (Json& row : rows) row["codecs"] = cell(row["caller"]["codec"]) + " > " + cell(row["callee"]["codec"]);
}

// What the sources that are listed are counted against.
std::string limits_line(const Json& limits) {
  if (!limits.is_object()) return {};
  std::string line = "each source: " + cell(limits["requests"]) + " requests in " + cell(limits["window_s"]) + " s";
  if (limits["block_s"] != 0) line += ", then blocked for " + cell(limits["block_s"]) + " s";
  return line + " (prefixes: ifgw pike show --prefixes)\n";
}

const std::vector<Column>* columns_of(std::string_view command, bool other) {
  if (command == "calls show") return other ? &kEnded : &kCalls;
  if (command == "legs show") return &kLegs;
  if (command == "pike show") return other ? &kPrefixes : &kSources;
  if (command == "calls latency") return &kLatency;
  if (command == "core show") return other ? &kPairs : &kWorkers;
  if (command == "codec matrix") return &kMatrix;
  if (command == "port show") return &kPorts;
  if (command == "drops show") return &kDrops;
  return nullptr;
}

}  // namespace

std::string show(std::string_view command, bool other, const Json& result) {
  const std::vector<Column>* columns = columns_of(command, other);
  if (columns == nullptr) return sections(result);
  Json rows = result.value("rows", Json::array());
  const std::string limits = limits_line(result.value("limits", Json{}));
  if (rows.empty()) return "nothing to show\n" + limits;
  if (columns == &kCalls) add_codecs(rows);
  std::string out = table(*columns, rows);
  const std::size_t total = result.value("total", rows.size());
  if (total > rows.size()) out += std::to_string(rows.size()) + " of " + std::to_string(total) + " shown (-n for more)\n";
  return out + limits;
}

}  // namespace ifgw::cli
