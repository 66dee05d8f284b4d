#include "tools/ifgw/doctor.h"

#include <sys/timex.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>

namespace ifgw::cli {
namespace {

namespace fs = std::filesystem;

struct SipPort {
  const char* protocol;
  std::uint16_t number;
};
constexpr std::array<SipPort, 3> kSipPorts{{{"udp", 5060}, {"tcp", 5060}, {"tcp", 5061}}};

// The text of a small file without its last line feed; empty when there is none.
std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::vector<fs::path> children(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it{folder, error}, end; !error && it != end; it.increment(error)) found.push_back(it->path());
  std::sort(found.begin(), found.end());
  return found;
}

std::uint64_t number_of(const std::string& text, int base = 10) {
  std::uint64_t value = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

// "Name:  value" of a /proc status file.
std::string field(const std::string& text, const std::string& name) {
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(name, 0) != 0) continue;
    const std::size_t start = line.find_first_not_of(" \t", name.size());
    return start == std::string::npos ? std::string{} : line.substr(start);
  }
  return {};
}

// "0-3,8": how many numbers that names.
std::size_t count_of_list(const std::string& list) {
  std::size_t count = 0;
  std::istringstream parts{list};
  for (std::string part; std::getline(parts, part, ',');) {
    const std::size_t dash = part.find('-');
    const std::uint64_t first = number_of(part.substr(0, dash));
    const std::uint64_t last = dash == std::string::npos ? first : number_of(part.substr(dash + 1));
    if (last >= first && last - first < 100'000) count += static_cast<std::size_t>(last - first + 1);
  }
  return count;
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// Whether a row of a /proc/net table has that local port, in state `state` (empty: any).
bool is_bound(const fs::path& table, const std::string& state, std::uint16_t port) {
  std::istringstream lines{text_of(table)};
  std::string line;
  std::getline(lines, line);  // titles
  while (std::getline(lines, line)) {
    std::istringstream words{line};
    std::string slot, local, remote, st;
    words >> slot >> local >> remote >> st;
    const std::size_t colon = local.rfind(':');
    if (colon == std::string::npos || (!state.empty() && st != state)) continue;
    if (number_of(local.substr(colon + 1), 16) == port) return true;
  }
  return false;
}

std::string driver_of(const fs::path& device) {
  std::error_code error;
  const fs::path link = fs::read_symlink(device / "driver", error);
  return error ? std::string{} : link.filename().string();
}

}  // namespace

std::vector<Finding> check_privileges(const Machine& m) {
  constexpr std::array<std::pair<unsigned, const char*>, 4> needed{
      {{12, "CAP_NET_ADMIN"}, {13, "CAP_NET_RAW"}, {14, "CAP_IPC_LOCK"}, {21, "CAP_SYS_ADMIN"}}};
  const std::uint64_t effective = number_of(field(text_of(m.root / "proc/self/status"), "CapEff:"), 16);
  std::string missing;
  for (const auto& [bit, name] : needed) {
    if ((effective >> bit & 1) == 0) missing.append(missing.empty() ? "" : ", ").append(name);
  }
  if (missing.empty()) return {{"privileges", Health::Ok, "enough to start the dataplane", ""}};
  return {{"privileges", Health::Warn, "this user lacks " + missing, "start ifgw-dataplane as root; it drops what it does not need"}};
}

std::vector<Finding> check_hugepages(const Machine& m) {
  std::uint64_t total = 0;
  std::uint64_t free_pages = 0;
  std::string seen;
  for (const fs::path& size : children(m.root / "sys/kernel/mm/hugepages")) {
    const std::uint64_t here = number_of(text_of(size / "nr_hugepages"));
    const std::uint64_t unused = number_of(text_of(size / "free_hugepages"));
    total += here;
    free_pages += unused;
    if (here != 0)
      seen += (seen.empty() ? "" : ", ") + std::to_string(here) + " of " + size.filename().string().substr(10) + " (" +
              std::to_string(unused) + " free)";
  }
  const std::string fix = "sysctl -w vm.nr_hugepages=512 (and /etc/sysctl.d/ to keep it); without, the slower no-huge profile is used";
  if (total == 0) return {{"hugepages", Health::Warn, "none reserved", fix}};
  if (free_pages == 0) return {{"hugepages", Health::Warn, seen, "all are in use: reserve more, or end their user; " + fix}};
  return {{"hugepages", Health::Ok, seen, ""}};
}

std::vector<Finding> check_iommu(const Machine& m) {
  if (!children(m.root / "sys/kernel/iommu_groups").empty()) return {{"iommu", Health::Ok, "on", ""}};
  return {{"iommu", Health::Warn, "off",
           "boot with intel_iommu=on iommu=pt (or amd_iommu=on), needed by vfio-pci; af_packet and af_xdp ports work without"}};
}

std::vector<Finding> check_network_cards(const Machine& m) {
  std::vector<Finding> findings;
  for (const fs::path& device : children(m.root / "sys/bus/pci/devices")) {
    if (text_of(device / "class").rfind("0x0200", 0) != 0) continue;
    const std::string address = device.filename().string();
    const std::string driver = driver_of(device);
    const bool bound = driver == "vfio-pci" || driver == "mlx5_core";  // mlx5 shares its device with the kernel
    Finding f{"nic " + address, bound ? Health::Ok : Health::Warn, driver.empty() ? "no driver" : "driver " + driver, ""};
    if (!bound) f.fix = "for full speed: dpdk-devbind.py --bind=vfio-pci " + address + "; or use it as it is with a net_af_xdp port";
    findings.push_back(std::move(f));
  }
  if (findings.empty()) findings.push_back({"nic", Health::Warn, "no PCI network card", "use net_af_packet, net_af_xdp or net_tap ports"});
  return findings;
}

std::vector<Finding> check_numa(const Machine& m) {
  const std::string online = text_of(m.root / "sys/devices/system/node/online");
  const std::size_t nodes = std::max<std::size_t>(count_of_list(online), 1);
  if (nodes == 1) return {{"numa", Health::Ok, "one node", ""}};
  std::string cards;
  for (const fs::path& device : children(m.root / "sys/bus/pci/devices")) {
    if (text_of(device / "class").rfind("0x0200", 0) != 0) continue;
    cards += (cards.empty() ? "" : ", ") + device.filename().string() + " on node " + text_of(device / "numa_node");
  }
  return {{"numa", Health::Warn, std::to_string(nodes) + " nodes" + (cards.empty() ? "" : "; " + cards),
           "give the dataplane cores and hugepages of the node its network card is on"}};
}

std::vector<Finding> check_isolated_cores(const Machine& m) {
  const fs::path cpu = m.root / "sys/devices/system/cpu";
  const std::string isolated = text_of(cpu / "isolated");
  const std::size_t online = count_of_list(text_of(cpu / "online"));
  if (!isolated.empty()) return {{"isolated cores", Health::Ok, isolated + " of " + std::to_string(online), ""}};
  if (online < 2)
    return {{"isolated cores", Health::Warn, "one core only", "media and signalling share it: use a machine with two cores or more"}};
  const std::string others = online == 2 ? "1" : "1-" + std::to_string(online - 1);
  return {{"isolated cores", Health::Warn, "none of " + std::to_string(online),
           "boot with isolcpus=" + others + " nohz_full=" + others + " and give these to the dataplane"}};
}

std::vector<Finding> check_clock(const Machine& m) {
  std::vector<Finding> findings;
  const std::string source = text_of(m.root / "sys/devices/system/clocksource/clocksource0/current_clocksource");
  const bool fast = source == "tsc" || source == "kvm-clock" || source == "arch_sys_counter";
  findings.push_back({"clock source", fast ? Health::Ok : Health::Warn, source.empty() ? "unknown" : source,
                      fast ? "" : "boot with clocksource=tsc tsc=reliable, if the hardware's is: reading others takes microseconds"});
  if (!m.clock_synchronised) {
    findings.push_back({"time", Health::Warn, "could not be asked", "check with timedatectl"});
  } else {
    findings.push_back({"time", *m.clock_synchronised ? Health::Ok : Health::Warn,
                        *m.clock_synchronised ? "synchronised" : "not synchronised",
                        *m.clock_synchronised ? "" : "apt install chrony: audit records need the right time"});
  }
  return findings;
}

std::vector<Finding> check_locked_memory(const Machine& m) {
  const std::string limit = field(text_of(m.root / "proc/self/limits"), "Max locked memory");
  const std::string soft = limit.substr(0, limit.find(' '));
  constexpr std::uint64_t kEnough = std::uint64_t{512} * 1024 * 1024;
  if (soft == "unlimited" || number_of(soft) >= kEnough) return {{"locked memory", Health::Ok, soft, ""}};
  return {{"locked memory", Health::Warn, soft.empty() ? "unknown" : soft + " bytes",
           "ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit (not needed as root)"}};
}

std::vector<Finding> check_ports(const Machine& m) {
  std::vector<Finding> findings;
  for (const SipPort& port : kSipPorts) {
    const bool tcp = port.protocol[0] == 't';
    const std::string listening = tcp ? "0A" : "";
    const std::string table = port.protocol;
    const bool used = is_bound(m.root / "proc/net" / table, listening, port.number) ||
                      is_bound(m.root / "proc/net" / (table + "6"), listening, port.number);
    findings.push_back({table + " port " + std::to_string(port.number), used ? Health::Warn : Health::Ok, used ? "in use" : "free",
                        used ? std::string{"who: ss -"} + (tcp ? "t" : "u") + "lnp sport = :" + std::to_string(port.number) +
                                   " (fine when it is ifgw-controlplane)"
                             : ""});
  }
  return findings;
}

std::vector<Finding> check_modules(const Machine& m) {
  std::vector<Finding> findings;
  const bool tun = is_there(m.root / "dev/net/tun") || is_there(m.root / "sys/module/tun");
  findings.push_back(
      {"tun", tun ? Health::Ok : Health::Fail, tun ? "there" : "missing", tun ? "" : "modprobe tun: the exception port needs it"});
  const bool vfio = is_there(m.root / "sys/module/vfio_pci");
  findings.push_back({"vfio-pci", vfio ? Health::Ok : Health::Warn, vfio ? "there" : "missing",
                      vfio ? "" : "modprobe vfio-pci, for network cards bound to DPDK"});
  return findings;
}

std::vector<Finding> examine(const Machine& m) {
  std::vector<Finding> all;
  for (const auto check : {check_privileges, check_hugepages, check_iommu, check_network_cards, check_numa, check_isolated_cores,
                           check_clock, check_locked_memory, check_ports, check_modules}) {
    std::vector<Finding> found = check(m);
    std::move(found.begin(), found.end(), std::back_inserter(all));
  }
  return all;
}

std::optional<bool> clock_is_synchronised() {
  timex state{};
  const int result = adjtimex(&state);
  if (result < 0) return std::nullopt;
  return result != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

}  // namespace ifgw::cli
