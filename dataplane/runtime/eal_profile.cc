#include "dataplane/runtime/eal_profile.h"

#include <rte_eal.h>
#include <rte_errno.h>

#include <filesystem>
#include <fstream>

namespace ifgw::runtime {
namespace {

std::uint64_t free_pages(const std::string& sysfs, const char* size) {
  std::ifstream in(sysfs + "/kernel/mm/hugepages/hugepages-" + size + "/free_hugepages");
  std::uint64_t pages = 0;
  return in >> pages ? pages : 0;
}

}  // namespace

HugePageSupply read_huge_page_supply(const std::string& sysfs) {
  return {free_pages(sysfs, "2048kB") * 2, free_pages(sysfs, "1048576kB") * 1024};
}

Result<EalProfile> choose_eal_profile(const EalRequest& request, const HugePageSupply& supply) {
  const std::uint64_t free_mb = supply.free_mb_2m + supply.free_mb_1g;
  const std::string need = std::to_string(request.memory_mb) + " MB needed, " + std::to_string(free_mb) + " MB of huge pages free";
  const bool enough = free_mb >= request.memory_mb;
  if (request.memory == MemoryChoice::HugePages && !enough)
    return Error{"--memory hugepages: " + need +
                 ". Reserve them: sysctl vm.nr_hugepages=" + std::to_string((request.memory_mb + 1) / 2 + 1) + ", or use --memory none"};
  EalProfile profile;
  profile.hugepages = request.memory != MemoryChoice::None && enough;
  if (profile.hugepages) {
    profile.reason = "huge pages: " + need;
    profile.args = {"--in-memory"};
  } else {
    profile.reason = "ordinary pages: " +
                     (request.memory == MemoryChoice::None ? std::string("--memory none") : need + " (packets cost about twice as much)");
    profile.args = {"--no-huge", "--no-shconf"};
  }
  profile.args.insert(profile.args.end(), {"-m", std::to_string(request.memory_mb), "--no-telemetry", "--lcores", "0"});
  // Errors only; and of the tap driver nothing, because it reports as an error that this kernel cannot offload flows,
  // which we do not ask for. Named twice: for drivers loaded later DPDK 22.11 applies these options in reverse.
  for (const char* level : {"pmd.net.tap:1", "*:4", "pmd.net.tap:1"}) profile.args.push_back(std::string("--log-level=") + level);
  if (request.pci_addresses.empty()) profile.args.emplace_back("--no-pci");
  for (const std::string& address : request.pci_addresses) profile.args.insert(profile.args.end(), {"-a", address});
  return profile;
}

Status start_eal(const EalProfile& profile) {
  std::vector<std::string> storage{"ifgw-dataplane"};
  storage.insert(storage.end(), profile.args.begin(), profile.args.end());
  std::vector<char*> argv;
  for (std::string& arg : storage) argv.push_back(arg.data());
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) >= 0) return Success{};
  std::string line;
  for (const std::string& arg : profile.args) line += " " + arg;
  return Error{"DPDK did not start (" + std::string(rte_strerror(rte_errno)) + "), arguments:" + line +
               ". Run \"ifgw doctor\" for what this host lacks"};
}

}  // namespace ifgw::runtime
