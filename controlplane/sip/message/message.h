// A received SIP message that passed structure and grammar, as a self-contained value: its bytes, the pre-scan over
// them, and the decoded fields the user agent works with. Nothing of belle-sip is held.
//
// Absence is never silent: a header that is there but cannot be read fails the parse and is named in the error
// (belle-sip alone would drop it from the message).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codecs/base/result.h"
#include "controlplane/core/leg.h"
#include "controlplane/sip/message/uri.h"
#include "controlplane/sip/prescan.h"
#include "controlplane/sip/transport.h"

namespace ifgw::sip {

struct MessageLimits {
  std::size_t header_value_bytes = 4096;
};

class Message {
 public:
  // `bytes` is shared and kept. The error is a reason phrase for a 400 ("Bad Contact header").
  // Time: in proportion to the addresses in it, at most 19, and their length (sip_bench: ParseInvite, ParseDearestMessage).
  static Result<Message> parse(Wire bytes, const MessageLimits& limits = {});

  bool is_request() const noexcept { return scan_.start == StartLine::Request; }
  const PreScan& scan() const noexcept { return scan_; }  // method, status, Via, Call-ID, CSeq, tags, body, ...
  const Wire& bytes() const noexcept { return bytes_; }

  const Uri& request_uri() const noexcept { return request_uri_; }  // empty text when the scheme is not sip or sips
  const NameAddr& from() const noexcept { return from_; }
  const NameAddr& to() const noexcept { return to_; }
  // The first Contact; nullopt: none, or "*".
  const std::optional<NameAddr>& contact() const noexcept { return contact_; }
  // URIs of Record-Route with brackets and parameters as written, in the order of the message.
  const std::vector<std::string>& record_route() const noexcept { return record_route_; }

  // Values of a header by name, unfolded, one per field, in order. Compact forms are not expanded: meant for X-*.
  std::vector<std::string> values(std::string_view name) const;
  // Option tags of Require.
  std::vector<std::string> required() const;
  // Every X-* field as received.
  core::Headers extensions() const;
  // Value of the first Reason header, empty if none.
  std::string reason_header() const;

 private:
  Message() = default;
  Status decode_fields(const MessageLimits& limits);
  Status decode_field(const HeaderField& field);

  Wire bytes_;
  PreScan scan_;
  Uri request_uri_;
  NameAddr from_;
  NameAddr to_;
  std::optional<NameAddr> contact_;
  std::vector<std::string> record_route_;
};

}  // namespace ifgw::sip
