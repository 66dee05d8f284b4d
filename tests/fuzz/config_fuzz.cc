// Any bytes are a configuration or a bounded, non-empty list of printable problems.
#include <cstdint>
#include <cstdlib>

#include "codecs/base/bytes.h"
#include "controlplane/config/config.h"
#include "controlplane/config/reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ifgw;
  const config::Loaded loaded = config::parse_config(as_text({data, size}), "fuzz");
  if (const auto* lines = std::get_if<std::vector<std::string>>(&loaded)) {
    if (lines->empty() || lines->size() > config::kMaxProblems) std::abort();
    return 0;
  }
  const auto& good = std::get<config::Config>(loaded);
  if (!good.calls || good.calls->routes.empty() || good.pike.requests == 0 || good.witness_file.empty()) std::abort();
  return 0;
}
