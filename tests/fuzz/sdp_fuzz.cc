// What parses must survive being written and parsed again, unchanged.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "codecs/base/bytes.h"
#include "codecs/wire/sdp.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ifgw;
  const auto first = wire::sdp::parse(as_text({data, size}));
  if (!first.ok()) return 0;
  const std::string text = wire::sdp::write(*first);
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  if (text.size() > wire::sdp::kMaxBytes || lines > wire::sdp::kMaxLines) return 0;  // rtpmaps of static types were added
  const auto second = wire::sdp::parse(text);
  if (!second.ok() || !(*second == *first)) std::abort();
  return 0;
}
