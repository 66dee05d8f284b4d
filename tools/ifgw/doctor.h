// Is this machine fit to run the gateway? Each check is a function of a root folder with /proc and /sys below it, so
// that a test can hand it a made one, and of two facts that no file tells.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ifgw::cli {

enum class Health { Ok, Warn, Fail };

struct Finding {
  std::string check;  // "hugepages"
  Health health = Health::Ok;
  std::string seen;  // what there is
  std::string fix;   // one line; empty when there is nothing to do
};

struct Machine {
  std::filesystem::path root = "/";
  std::optional<bool> clock_synchronised;  // adjtimex(2); absent: could not be asked
};

std::vector<Finding> check_privileges(const Machine& m);
std::vector<Finding> check_hugepages(const Machine& m);
std::vector<Finding> check_iommu(const Machine& m);
std::vector<Finding> check_network_cards(const Machine& m);
std::vector<Finding> check_numa(const Machine& m);
std::vector<Finding> check_isolated_cores(const Machine& m);
std::vector<Finding> check_clock(const Machine& m);
std::vector<Finding> check_locked_memory(const Machine& m);
std::vector<Finding> check_ports(const Machine& m);
std::vector<Finding> check_modules(const Machine& m);

// All of them, in this order.
std::vector<Finding> examine(const Machine& m);
// What adjtimex(2) says of this machine.
std::optional<bool> clock_is_synchronised();

}  // namespace ifgw::cli
