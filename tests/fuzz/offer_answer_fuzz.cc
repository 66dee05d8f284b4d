// An offer we accept gets an answer that a party can parse, with as many m-lines, and that answers our own offer too.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "codecs/base/bytes.h"
#include "controlplane/core/negotiation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ifgw;
  const std::vector<api::Codec> codecs = {api::Codec::Pcma, api::Codec::Pcmu, api::Codec::G722, api::Codec::G729, api::Codec::Opus};
  const std::vector<IpAddress> ours = {*IpAddress::parse("198.51.100.1")};
  const core::MediaPath path{IpFamily::None, ours};
  const core::Negotiated outcome = core::read_offer(as_text({data, size}), codecs, path);
  if (const auto* refused = std::get_if<core::Refusal>(&outcome)) {
    if (refused->status != 488 || refused->rule.empty()) std::abort();
    return 0;
  }
  const auto& understood = std::get<core::Understood>(outcome);
  const core::Agreement& a = understood.agreement;
  if (a.codec == api::Codec::None || a.sent.audio > 127 || a.ptime_ms < 10 || a.ptime_ms > 60 || a.ptime_ms % 10 != 0) std::abort();
  if (a.remote.present() && (is_martian(a.remote.ip) || a.remote.ip == ours[0] || a.remote.port == 0)) std::abort();
  const core::Description d{*Endpoint::parse("198.51.100.1:20000"), 1, 1, core::Direction::SendRecv, a.ptime_ms};
  const std::string answer = core::describe_agreed(d, understood.layout, a);
  const auto parsed = wire::sdp::parse(answer);
  if (!parsed.ok() || parsed->media.size() != understood.layout.lines.size()) std::abort();
  const core::Negotiated back = core::read_answer(answer, codecs, understood.layout, {});
  if (const auto* same = std::get_if<core::Understood>(&back);
      same == nullptr || same->agreement.codec != a.codec || same->agreement.sent.audio != a.sent.audio)
    std::abort();
  return 0;
}
