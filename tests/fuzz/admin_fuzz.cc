// Any request line gets exactly one response line, valid JSON, and leaves no call behind.
#include <cstdint>
#include <cstdlib>

#include "codecs/base/bytes.h"
#include "controlplane/admin/admin.h"
#include "tests/support/call_world.h"

namespace {

using namespace ifgw;

// A dataplane view without a dataplane.
struct NoView : core::DataplaneView {
  core::AttachState attach_state() const override { return {}; }
  std::vector<core::LegView> legs(std::size_t) const override { return std::vector<core::LegView>(1); }
  std::optional<core::LegView> leg(api::LegId) const override { return std::nullopt; }
  std::vector<core::WorkerView> workers() const override { return std::vector<core::WorkerView>(1); }
  std::vector<core::PortView> ports() const override { return std::vector<core::PortView>(1); }
  void list_sources(bool, std::size_t, SourcesDone done) override { done("", std::vector<core::SourceView>(1)); }
  void block_source(const IpAddress&, Duration, Done done) override { done(""); }
  void unblock_source(const IpAddress&, Done done) override { done("not blocked"); }
  void list_prefixes(PrefixesDone done) override { done("", std::vector<core::PrefixView>(1)); }
  void start_capture(const api::StartCapture&, Done done) override { done("no dataplane attached"); }
  void stop_capture(const api::StartCapture&, Done done) override { done(""); }
  std::uint64_t capture_lost(std::uint32_t, std::size_t) const override { return 0; }
  void exempt_prefix(const IpPrefix&, bool, Done done) override { done(""); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::CallWorld world;
  NoView view;
  admin::Admin admin{admin::AdminPorts{world.calls(), view, world.witness, "fuzz", from_ns(0), {}, {}, [] { return std::int64_t{0}; }}};
  int replies = 0;
  admin.handle(as_text({data, size}), admin::Operator{}, world.now, [&](const std::string& line) {
    ++replies;
    if (line.find('\n') != std::string::npos || !admin::Json::parse(line, nullptr, false).is_object()) std::abort();
  });
  if (replies != 1) std::abort();
  return 0;
}
