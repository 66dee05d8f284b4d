// Anything as a SIP message: the pre-scan's views stay inside the bytes, and what it calls sound has its parts.
#include <cstdint>
#include <cstdlib>

#include "controlplane/sip/prescan.h"
#include "controlplane/sip/reply.h"

namespace {
bool inside(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ifgw;
  const Bytes bytes(data, size);
  const std::string_view text = as_text(bytes);
  const sip::PreScan scan = sip::prescan(bytes, size % 2 == 0);
  for (const std::string_view part : {scan.method, scan.request_uri, scan.version, scan.reason, scan.via.host, scan.via.branch, scan.from,
                                      scan.to, scan.from_tag, scan.to_tag, scan.call_id, scan.cseq_method, scan.headers, scan.body}) {
    if (!inside(part, text)) std::abort();
  }
  const std::string defect = sip::describe_defect(scan);
  if (!scan.answerable()) return 0;
  // A response to it is itself sound, whatever the request was, unless the request lacked what a response needs.
  sip::ResponseParts parts;
  parts.status = 400;
  parts.reason = defect;
  const std::string stem = sip::make_stem(scan, *Endpoint::parse("192.0.2.1:5060"), "tag");
  const std::string answer = sip::make_response(parts, stem);
  const sip::PreScan back = sip::prescan(as_bytes(answer));
  if (back.start != sip::StartLine::Response || back.status != 400) std::abort();
  if (scan.defect == sip::Defect::None && (back.defect != sip::Defect::None || back.call_id != scan.call_id || back.cseq != scan.cseq))
    std::abort();
  return 0;
}
