#include "tools/ifgw/matrix.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>

#include "dataplane/engine/pair_probe.h"

namespace ifgw::cli {
namespace {

constexpr double kPacketNs = 20e6;

std::uint64_t thread_cpu_ns() noexcept {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

// Instructions of this thread in user space, by the processor's counter (perf_event_open(2)).
class InstructionCounter {
 public:
  InstructionCounter() noexcept {
    perf_event_attr attributes{};
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.size = sizeof attributes;
    attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    fd_ = static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
  }
  ~InstructionCounter() {
    if (fd_ >= 0) close(fd_);
  }
  InstructionCounter(const InstructionCounter&) = delete;
  InstructionCounter& operator=(const InstructionCounter&) = delete;

  bool usable() const noexcept { return fd_ >= 0; }
  std::uint64_t get() const noexcept {
    std::uint64_t count = 0;
    return read(fd_, &count, sizeof count) == sizeof count ? count : 0;
  }

 private:
  int fd_ = -1;
};

const InstructionCounter* g_counter = nullptr;  // measure_pairs() takes a plain function

// Of all workers the most; null: nobody measured it.
Json dearest(const Json& costs, const Json& pair, const char* key) {
  Json most = nullptr;
  if (!costs.is_object()) return most;
  for (const Json& row : costs.value("rows", Json::array())) {
    const auto same = [&](const char* of) { return row.value(of, Json()) == pair[of]; };
    if (!same("from") || !same("to") || !same("path") || !row.value(key, Json()).is_number()) continue;
    if (most.is_null() || row[key] > most) most = row[key];
  }
  return most;
}

}  // namespace

Json codec_matrix(unsigned rounds, const Json& costs) {
  const engine::PairCosts ns = engine::measure_pairs(thread_cpu_ns, rounds);
  engine::PairCosts instructions{};
  const InstructionCounter counter;
  if (counter.usable()) {
    g_counter = &counter;
    instructions = engine::measure_pairs([]() noexcept { return g_counter->get(); }, 3);
    g_counter = nullptr;
  }
  Json rows = Json::array();
  for (std::size_t pair = 0; pair < ns.size(); ++pair) {
    if (ns[pair] <= 0) continue;
    Json row;
    row["from"] = api::facts(api::pair_from(pair)).name;
    row["to"] = api::facts(api::pair_to(pair)).name;
    row["path"] = api::path_name(pair);
    row["ns"] = static_cast<double>(static_cast<std::int64_t>(ns[pair] * 10)) / 10;
    for (const char* key : {"start_ns", "now_ns", "ports_ns"}) row[key] = dearest(costs, row, key);
    const auto streams = [](double packet_ns) { return static_cast<std::uint64_t>(kPacketNs / packet_ns); };
    row["streams"] = streams(ns[pair]);
    row["streams_with_ports"] = row["ports_ns"].is_null() ? Json(nullptr) : Json(streams(ns[pair] + row["ports_ns"].get<double>()));
    row["instructions"] = instructions[pair] > 0 ? Json(static_cast<std::uint64_t>(instructions[pair])) : Json(nullptr);
    rows.push_back(std::move(row));
  }
  return {{"total", rows.size()}, {"rows", std::move(rows)}};
}

std::optional<std::uint64_t> process_named(const std::filesystem::path& root, const std::string& name) {
  std::error_code error;
  for (std::filesystem::directory_iterator it{root / "proc", error}, end; !error && it != end; it.increment(error)) {
    const std::string folder = it->path().filename();
    std::uint64_t id = 0;
    const auto [rest, bad] = std::from_chars(folder.data(), folder.data() + folder.size(), id);
    if (bad != std::errc{} || rest != folder.data() + folder.size()) continue;
    std::string comm;
    if (std::getline(std::ifstream(it->path() / "comm"), comm) && comm == name) return id;
  }
  return std::nullopt;
}

}  // namespace ifgw::cli
