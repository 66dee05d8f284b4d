// Pre-scan: the structure of a SIP message and the few fields that find its transaction and dialog, straight from the
// bytes (RFC 3261 sections 7 and 20, compact names, line folding). No grammar of URIs, no allocation, 1-2 us.
//
// Everything in a PreScan points into the scanned bytes and lives as long as they do. Values keep their line folds;
// text.h treats these as white space. Line ends must be CRLF: a bare CR or LF in the header part is a defect.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "codecs/base/bytes.h"

namespace ifgw::sip {

enum class HeaderId : std::uint8_t {
  Other,
  Via,
  From,
  To,
  CallId,
  CSeq,
  Contact,
  ContentLength,
  ContentType,
  ContentEncoding,
  MaxForwards,
  Route,
  RecordRoute,
  Require,
  Supported,
  Reason,
  RetryAfter,
};
HeaderId header_id(std::string_view name) noexcept;

struct HeaderField {
  HeaderId id = HeaderId::Other;
  std::string_view name;
  std::string_view value;  // trimmed, folds kept
};

// Walks the header fields of PreScan::headers in order.
class HeaderWalker {
 public:
  explicit HeaderWalker(std::string_view headers) noexcept : rest_(headers) {}
  // False at the end, and for good at a line that is no header field (malformed() then).
  bool next(HeaderField& field) noexcept;
  bool malformed() const noexcept { return malformed_; }

 private:
  std::string_view rest_;
  bool malformed_ = false;
};

enum class StartLine : std::uint8_t { None, Request, Response };

enum class Defect : std::uint8_t {
  None,
  StartLineSyntax,  // begins like SIP, but method, URI or status code is wrong
  Version,          // not SIP/2.0
  LineSyntax,       // a header line without name or colon, a bare CR or LF, no blank line at the end
  Missing,          // `defect_header` is mandatory
  Duplicate,        // `defect_header` may occur once
  Value,            // `defect_header` cannot be read
  ContentLength,    // larger than what arrived
  TooManyHeaders,
};

struct TopVia {
  std::string_view transport;  // "UDP"
  std::string_view host;       // IPv6 keeps its brackets
  std::uint16_t port = 0;      // 0: none given
  std::string_view branch;     // without the parameter name
  std::string_view maddr;
  std::string_view received;
  bool rport = false;             // the parameter is there
  std::uint16_t rport_value = 0;  // 0: without value
};

// 128 header fields: four times what is seen in the field.
inline constexpr std::size_t kMaxHeaderFields = 128;

struct PreScan {
  StartLine start = StartLine::None;  // None: not SIP at all; nothing else is set
  Defect defect = Defect::None;       // the first one found; what could be read is set all the same
  std::string_view defect_header;

  std::string_view method;       // request: of the start line; response: of CSeq
  std::string_view request_uri;  // request
  std::string_view version;      // "SIP/2.0"
  int status = 0;                // response: 100..699
  std::string_view reason;       // response

  TopVia via;
  bool more_vias = false;             // there is a Via below the top one
  std::string_view from, to;          // whole values
  std::string_view from_tag, to_tag;  // empty: none
  std::string_view call_id;
  std::uint32_t cseq = 0;
  std::string_view cseq_method;
  std::string_view content_type;      // empty: none
  std::string_view content_encoding;  // empty: none
  std::optional<std::uint32_t> content_length;
  std::optional<std::uint32_t> max_forwards;

  std::string_view headers;  // from after the start line up to the blank line
  std::string_view body;     // as long as Content-Length says; without one, all that follows

  // Enough to send a response: a top Via with a branch or host to answer to.
  bool answerable() const noexcept { return start == StartLine::Request && !via.host.empty() && !via.transport.empty(); }
};

// Never fails; says what is wrong in `defect`. `stream`: a missing Content-Length is a defect (section 18.3).
PreScan prescan(Bytes message, bool stream = false) noexcept;

// One Via value ("SIP/2.0/UDP host:port;params"). False when it cannot be read.
bool scan_via(std::string_view value, TopVia& via) noexcept;

// "Missing Call-ID header", "Bad CSeq header": a reason phrase for the 400.
std::string describe_defect(const PreScan& scan);

// Offset of the byte after the blank line that ends the header part, npos when it has not arrived.
std::size_t find_body(std::string_view text, std::size_t from = 0) noexcept;

}  // namespace ifgw::sip
