#include "codecs/wire/sdp.h"

#include <algorithm>
#include <array>

namespace ifgw::wire::sdp {
namespace {

struct StaticRow {
  std::uint8_t payload_type;
  StaticType type;
};
constexpr std::array<StaticRow, 17> kStaticTypes{{
    {0, {"PCMU", 8000, 1}},
    {3, {"GSM", 8000, 1}},
    {4, {"G723", 8000, 1}},
    {5, {"DVI4", 8000, 1}},
    {6, {"DVI4", 16000, 1}},
    {7, {"LPC", 8000, 1}},
    {8, {"PCMA", 8000, 1}},
    {9, {"G722", 8000, 1}},
    {10, {"L16", 44100, 2}},
    {11, {"L16", 44100, 1}},
    {12, {"QCELP", 8000, 1}},
    {13, {"CN", 8000, 1}},
    {14, {"MPA", 90000, 1}},
    {15, {"G728", 8000, 1}},
    {16, {"DVI4", 11025, 1}},
    {17, {"DVI4", 22050, 1}},
    {18, {"G729", 8000, 1}},
}};

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

void append_text(std::string& out, std::string_view text) {
  for (const char c : text) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
}

void append_address(std::string& out, const Address& address) {
  const bool v6 = address.ip.present() ? address.ip.is_v6() : address.v6;
  out += v6 ? "IN IP6 " : "IN IP4 ";
  if (address.ip.present()) {
    out += address.ip.text();
  } else {
    append_text(out, address.host.empty() ? (v6 ? "::" : "0.0.0.0") : std::string_view{address.host});
  }
}

void append_attributes(std::string& out, const std::vector<Attribute>& attributes) {
  for (const Attribute& a : attributes) {
    out += "a=";
    append_text(out, a.name);
    if (a.has_value) {
      out += ':';
      append_text(out, a.value);
    }
    out += "\r\n";
  }
}

void append_direction(std::string& out, const std::optional<Direction>& direction) {
  if (direction) out.append("a=").append(name(*direction)).append("\r\n");
}

void append_format(std::string& out, const Format& f) {
  const std::string number = std::to_string(f.payload_type);
  if (!f.encoding.empty()) {
    out.append("a=rtpmap:").append(number).append(" ");
    append_text(out, f.encoding);
    out.append("/").append(std::to_string(f.clock_rate));
    if (f.channels != 1) out.append("/").append(std::to_string(f.channels));
    out += "\r\n";
  }
  if (!f.fmtp.empty()) {
    out.append("a=fmtp:").append(number).append(" ");
    append_text(out, f.fmtp);
    out += "\r\n";
  }
}

void append_media_line(std::string& out, const Media& m) {
  out += "m=";
  append_text(out, m.type);
  out.append(" ").append(std::to_string(m.port));
  if (m.port_count != 1) out.append("/").append(std::to_string(m.port_count));
  out += ' ';
  append_text(out, m.protocol);
  for (const std::string& token : m.tokens) {
    out += ' ';
    append_text(out, token);
  }
  for (const Format& f : m.formats) out.append(" ").append(std::to_string(f.payload_type));
  out += "\r\n";
}

void append_media(std::string& out, const Media& m) {
  append_media_line(out, m);
  if (m.connection) {
    out += "c=";
    append_address(out, *m.connection);
    out += "\r\n";
  }
  for (const Format& f : m.formats) append_format(out, f);
  if (m.ptime_ms != 0) out.append("a=ptime:").append(std::to_string(m.ptime_ms)).append("\r\n");
  if (m.maxptime_ms != 0) out.append("a=maxptime:").append(std::to_string(m.maxptime_ms)).append("\r\n");
  append_direction(out, m.direction);
  if (m.rtcp) {
    out.append("a=rtcp:").append(std::to_string(m.rtcp->port));
    if (m.rtcp->address) {
      out += ' ';
      append_address(out, *m.rtcp->address);
    }
    out += "\r\n";
  }
  if (m.rtcp_mux) out += "a=rtcp-mux\r\n";
  append_attributes(out, m.attributes);
}

}  // namespace

bool same_encoding(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<StaticType> static_payload_type(std::uint8_t payload_type) noexcept {
  for (const StaticRow& row : kStaticTypes) {
    if (row.payload_type == payload_type) return row.type;
  }
  return std::nullopt;
}

bool Media::is_rtp() const noexcept {
  return protocol == "RTP/AVP" || protocol == "RTP/AVPF" || protocol == "RTP/SAVP" || protocol == "RTP/SAVPF" ||
         protocol == "UDP/TLS/RTP/SAVP" || protocol == "UDP/TLS/RTP/SAVPF";
}

const Format* Media::find(std::uint8_t payload_type) const noexcept {
  for (const Format& f : formats) {
    if (f.payload_type == payload_type) return &f;
  }
  return nullptr;
}

const Address* Session::connection_of(const Media& m) const noexcept {
  if (m.connection) return &*m.connection;
  return connection ? &*connection : nullptr;
}

Direction Session::direction_of(const Media& m) const noexcept {
  if (m.direction) return *m.direction;
  return direction.value_or(Direction::SendRecv);
}

std::string write(const Session& session) {
  std::string out;
  out.reserve(256 + 256 * session.media.size());
  out += "v=0\r\no=";
  append_text(out, session.origin.username);
  out += ' ';
  append_text(out, session.origin.session_id);
  out += ' ';
  append_text(out, session.origin.session_version);
  out += ' ';
  append_address(out, session.origin.address);
  out += "\r\ns=";
  append_text(out, session.name.empty() ? std::string_view{"-"} : std::string_view{session.name});
  out += "\r\n";
  if (session.connection) {
    out += "c=";
    append_address(out, *session.connection);
    out += "\r\n";
  }
  out += "t=0 0\r\n";
  append_direction(out, session.direction);
  append_attributes(out, session.attributes);
  for (const Media& m : session.media) append_media(out, m);
  return out;
}

}  // namespace ifgw::wire::sdp
