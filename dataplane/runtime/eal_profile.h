// How DPDK's environment layer is started: with huge pages, or without. Two profiles are needed because DPDK 22.11
// refuses --in-memory together with --no-huge. Both run beside any number of other DPDK processes and leave no files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codecs/base/result.h"

namespace ifgw::runtime {

enum class MemoryChoice : std::uint8_t { Auto, HugePages, None };

struct EalRequest {
  MemoryChoice memory = MemoryChoice::Auto;
  std::uint32_t memory_mb = 0;             // what the process needs for packet buffers and tables
  std::vector<std::string> pci_addresses;  // devices to probe; none: the PCI bus is not looked at
};

struct EalProfile {
  bool hugepages = false;
  std::string reason;             // one line for the log: what was chosen, and why
  std::vector<std::string> args;  // for rte_eal_init, without argv[0]
};

// What the host offers; read_huge_page_supply fills it, a test makes one up.
struct HugePageSupply {
  std::uint64_t free_mb_2m = 0;
  std::uint64_t free_mb_1g = 0;
};
// `sysfs` is "/sys" but in tests.
HugePageSupply read_huge_page_supply(const std::string& sysfs);

// Pure. An error when huge pages were demanded and are not there; it says how to get them.
Result<EalProfile> choose_eal_profile(const EalRequest& request, const HugePageSupply& supply);

// Once per process, from the main thread. An error carries DPDK's reason.
Status start_eal(const EalProfile& profile);

}  // namespace ifgw::runtime
