#include "dataplane/runtime/eal_profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace ifgw::runtime {
namespace {

bool has(const EalProfile& profile, const std::string& arg) {
  return std::find(profile.args.begin(), profile.args.end(), arg) != profile.args.end();
}

TEST(EalProfile, TakesHugePagesWhenThereAreEnough) {
  const auto profile = choose_eal_profile({MemoryChoice::Auto, 100, {}}, {100, 0});
  ASSERT_TRUE(profile);
  EXPECT_TRUE(profile->hugepages);
  EXPECT_TRUE(has(*profile, "--in-memory"));
  EXPECT_TRUE(has(*profile, "--no-pci"));
}

TEST(EalProfile, GoesWithoutWhenThereAreTooFewAndSaysWhy) {
  const auto profile = choose_eal_profile({MemoryChoice::Auto, 100, {}}, {98, 0});
  ASSERT_TRUE(profile);
  EXPECT_FALSE(profile->hugepages);
  EXPECT_TRUE(has(*profile, "--no-huge"));
  EXPECT_FALSE(has(*profile, "--in-memory")) << "DPDK 22.11 refuses the two together";
  EXPECT_NE(profile->reason.find("100 MB needed, 98 MB of huge pages free"), std::string::npos) << profile->reason;
}

TEST(EalProfile, DemandedHugePagesThatAreMissingAreAnErrorWithTheRemedy) {
  const auto profile = choose_eal_profile({MemoryChoice::HugePages, 101, {}}, {0, 0});
  ASSERT_FALSE(profile);
  EXPECT_NE(profile.error().message.find("vm.nr_hugepages=52"), std::string::npos) << profile.error().message;
}

TEST(EalProfile, LooksAtThePciBusOnlyForNamedDevices) {
  const auto profile = choose_eal_profile({MemoryChoice::None, 10, {"0000:17:00.0"}}, {0, 0});
  ASSERT_TRUE(profile);
  EXPECT_TRUE(has(*profile, "0000:17:00.0"));
  EXPECT_FALSE(has(*profile, "--no-pci"));
}

TEST(HugePages, AreCountedFromSysfsInBothSizes) {
  const auto root = std::filesystem::temp_directory_path() / ("ifgw-sysfs-" + std::to_string(getpid()));
  for (const auto& [size, pages] : {std::pair{"2048kB", 5}, {"1048576kB", 2}}) {
    const auto folder = root / "kernel/mm/hugepages" / (std::string("hugepages-") + size);
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "free_hugepages") << pages << "\n";
  }
  const HugePageSupply supply = read_huge_page_supply(root);
  EXPECT_EQ(supply.free_mb_2m, 10u);
  EXPECT_EQ(supply.free_mb_1g, 2048u);
  std::filesystem::remove_all(root);
  EXPECT_EQ(read_huge_page_supply(root).free_mb_2m, 0u) << "a kernel without huge pages";
}

}  // namespace
}  // namespace ifgw::runtime
