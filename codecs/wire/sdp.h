// Session descriptions (RFC 8866): text <-> values. What an offer or an answer means is not decided here
// (controlplane/core/negotiation).
//
// parse() takes hostile bytes: every count and length is bounded, lines end in CRLF or LF. Errors carry the line number
// (from 1) as position. Attributes this codec does not interpret are kept in order, so that a description can be
// passed on. Interpreted: rtpmap, fmtp, ptime, maxptime, the four directions, rtcp (RFC 3605), rtcp-mux (RFC 5761).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codecs/base/ip.h"
#include "codecs/base/result.h"

namespace ifgw::wire::sdp {

inline constexpr std::size_t kMaxBytes = 16 * 1024;
inline constexpr std::size_t kMaxLines = 512;
inline constexpr std::size_t kMaxLineBytes = 2048;
inline constexpr std::size_t kMaxMedia = 16;
inline constexpr std::size_t kMaxFormats = 64;      // per m-line
inline constexpr std::size_t kMaxAttributes = 128;  // per section, interpreted ones not counted

// From the describing party's point of view (RFC 3264 section 5.1).
enum class Direction : std::uint8_t { SendRecv, SendOnly, RecvOnly, Inactive };

constexpr bool sends(Direction d) noexcept { return d == Direction::SendRecv || d == Direction::SendOnly; }
constexpr bool receives(Direction d) noexcept { return d == Direction::SendRecv || d == Direction::RecvOnly; }
constexpr Direction make_direction(bool send, bool receive) noexcept {
  return send ? (receive ? Direction::SendRecv : Direction::SendOnly) : (receive ? Direction::RecvOnly : Direction::Inactive);
}
constexpr std::string_view name(Direction d) noexcept {
  switch (d) {
    case Direction::SendRecv: return "sendrecv";
    case Direction::SendOnly: return "sendonly";
    case Direction::RecvOnly: return "recvonly";
    case Direction::Inactive: return "inactive";
  }
  return "?";
}

struct Attribute {
  std::string name;
  std::string value;  // after the colon
  bool has_value = false;
  friend bool operator==(const Attribute&, const Attribute&) = default;
};

// c=, and the address part of o=. A host name is kept as text and leaves `ip` absent.
struct Address {
  IpAddress ip;
  std::string host;  // only when it is not an address; then `v6` says which kind was named
  bool v6 = false;
  friend bool operator==(const Address&, const Address&) = default;
};

struct Origin {
  std::string username = "-";
  std::string session_id = "0";       // digits
  std::string session_version = "0";  // digits
  Address address;
  friend bool operator==(const Origin&, const Origin&) = default;
};

// One RTP payload type of an m-line. `encoding` is empty for a dynamic type without rtpmap.
struct Format {
  std::uint8_t payload_type = 0;  // 0..127
  std::string encoding;           // as written; compare with same_encoding()
  std::uint32_t clock_rate = 0;   // Hz
  std::uint16_t channels = 1;
  std::string fmtp;  // parameters after the payload type; empty: none
  friend bool operator==(const Format&, const Format&) = default;
};

struct RtcpAddress {
  std::uint16_t port = 0;
  std::optional<Address> address;
  friend bool operator==(const RtcpAddress&, const RtcpAddress&) = default;
};

struct Media {
  std::string type;        // "audio", "video", "application", ...
  std::uint16_t port = 0;  // 0: refused or disabled (RFC 3264 section 5.1)
  std::uint16_t port_count = 1;
  std::string protocol;             // "RTP/AVP", ...
  std::vector<std::string> tokens;  // formats as written; for RTP profiles `formats` holds them instead
  std::vector<Format> formats;      // RTP profiles only, in order of preference
  std::optional<Address> connection;
  std::optional<Direction> direction;  // absent: the session's
  std::uint16_t ptime_ms = 0;          // 0: not given
  std::uint16_t maxptime_ms = 0;       // 0: not given
  std::optional<RtcpAddress> rtcp;
  bool rtcp_mux = false;
  std::vector<Attribute> attributes;
  friend bool operator==(const Media&, const Media&) = default;

  bool is_rtp() const noexcept;  // protocol is one of the RTP profiles
  const Format* find(std::uint8_t payload_type) const noexcept;
};

struct Session {
  Origin origin;
  std::string name = "-";
  std::optional<Address> connection;
  std::optional<Direction> direction;
  std::vector<Attribute> attributes;
  std::vector<Media> media;
  friend bool operator==(const Session&, const Session&) = default;

  // What holds for a media section of this session: its own line, else the session's, else the default.
  const Address* connection_of(const Media& m) const noexcept;  // nullptr: none, which RFC 8866 section 5.7 forbids
  Direction direction_of(const Media& m) const noexcept;
};

// Lines i=, u=, e=, p=, b=, t=, r=, z=, k= are accepted and forgotten: a gateway re-originates the session.
Result<Session> parse(std::string_view text);

// CRLF line ends, "t=0 0". Carriage returns, line feeds and NULs inside values become spaces.
std::string write(const Session& session);

// Encoding names compare without case (RFC 8866 section 6.6).
bool same_encoding(std::string_view a, std::string_view b) noexcept;

// The static payload types of RFC 3551 table 4 (audio). nullopt: dynamic, reserved or unassigned.
struct StaticType {
  std::string_view encoding;
  std::uint32_t clock_rate;
  std::uint16_t channels;
};
std::optional<StaticType> static_payload_type(std::uint8_t payload_type) noexcept;

inline constexpr std::uint8_t kPcmuPayloadType = 0;
inline constexpr std::uint8_t kGsmPayloadType = 3;
inline constexpr std::uint8_t kPcmaPayloadType = 8;
inline constexpr std::uint8_t kG722PayloadType = 9;  // clock 8000 although sampled at 16000 (RFC 3551 section 4.5.2)
inline constexpr std::uint8_t kG729PayloadType = 18;

}  // namespace ifgw::wire::sdp
