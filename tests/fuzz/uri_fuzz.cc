// Parts of a URI lie inside it; a target made from one is itself a URI with the route's host.
#include <cstdint>
#include <cstdlib>

#include "codecs/base/bytes.h"
#include "controlplane/core/routing.h"
#include "controlplane/core/uri.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ifgw;
  const std::string_view text = as_text({data, size});
  const auto parts = core::split_uri(text);
  if (!parts) return 0;
  (void)parts->endpoint();
  core::Route route;
  route.target = "sip:{user}@192.0.2.7:5070;transport=tcp";
  const std::string target = core::target_uri(route, text);
  const auto back = core::split_uri(target);
  if (!back || back->host != "192.0.2.7" || back->port != 5070 || back->rest != ";transport=tcp") std::abort();
  return 0;
}
