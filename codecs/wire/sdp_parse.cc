// The reading half of the SDP codec: one pass over the lines, one function per line type.
#include <algorithm>
#include <charconv>

#include "codecs/wire/sdp.h"

namespace ifgw::wire::sdp {
namespace {

// Whole text as an unsigned number of at most `max`.
template <typename T>
std::optional<T> number(std::string_view text, std::uint64_t max) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty() || value > max) return std::nullopt;
  return static_cast<T>(value);
}

bool is_digits(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 40 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// RFC 8866 section 9: token.
bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7F && std::string_view{"\"(),/:;<=>?@[\\]"}.find(c) == std::string_view::npos;
  });
}

// The next word; words are separated by one or more spaces (the grammar says one).
std::string_view word(std::string_view& rest) noexcept {
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  const std::size_t end = std::min(rest.find(' '), rest.size());
  const std::string_view result = rest.substr(0, end);
  rest.remove_prefix(end);
  return result;
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// "IN IP4 192.0.2.1", with an optional "/ttl" or "/count" of multicast that is dropped.
std::optional<Address> address(std::string_view& rest) {
  if (word(rest) != "IN") return std::nullopt;
  const std::string_view type = word(rest);
  if (type != "IP4" && type != "IP6") return std::nullopt;
  const std::string_view text = word(rest);
  const std::string_view host = text.substr(0, text.find('/'));
  if (host.empty() || host.size() > 255) return std::nullopt;
  Address result;
  result.v6 = type == "IP6";
  if (const auto ip = IpAddress::parse(host)) {
    if (ip->is_v6() != result.v6) return std::nullopt;
    result.ip = *ip;
  } else {
    if (!is_token(host)) return std::nullopt;
    result.host = std::string{host};
  }
  return result;
}

class Parser {
 public:
  Result<Session> run(std::string_view text) {
    if (text.size() > kMaxBytes) return Error{"longer than " + std::to_string(kMaxBytes) + " bytes", 0};
    while (!text.empty()) {
      if (++line_ > kMaxLines) return failure("more than " + std::to_string(kMaxLines) + " lines");
      const std::size_t end = text.find('\n');
      std::string_view line = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      if (line.empty() && text.empty()) break;  // a blank last line
      if (Status status = one_line(line); !status.ok()) return status.error();
    }
    if (line_ == 0) return failure("empty session description");
    if (!have_origin_) return failure("o= is missing");
    for (Media& m : session_.media) fill_static_types(m);
    return std::move(session_);
  }

 private:
  Error failure(std::string message) const { return Error{std::move(message), line_}; }

  Status one_line(std::string_view line) {
    if (line.size() > kMaxLineBytes) return failure("line longer than " + std::to_string(kMaxLineBytes) + " bytes");
    if (line.find('\r') != std::string_view::npos || line.find('\0') != std::string_view::npos) {
      return failure("carriage return or NUL inside a line");
    }
    if (line.size() < 2 || line[1] != '=') return failure("not of the form <letter>=<value>");
    const std::string_view value = line.substr(2);
    if (line_ == 1) return line[0] == 'v' && trimmed(value) == "0" ? Status{Success{}} : Status{failure("the first line is not v=0")};
    switch (line[0]) {
      case 'o': return origin(value);
      case 's':
        if (!trimmed(value).empty()) session_.name = std::string{trimmed(value)};
        return Success{};
      case 'c': return connection(value);
      case 'm': return media(value);
      case 'a': return attribute(value);
      case 'i':
      case 'u':
      case 'e':
      case 'p':
      case 'b':
      case 't':
      case 'r':
      case 'z':
      case 'k': return Success{};
      case 'v': return failure("second v= line");
      default:
        return failure(std::string{"unknown line type '"} + (line[0] > ' ' && line[0] < 0x7F ? line[0] : '?') + "' (RFC 8866 section 5)");
    }
  }

  Status origin(std::string_view value) {
    if (have_origin_) return failure("second o= line");
    Origin& o = session_.origin;
    o.username = std::string{word(value)};
    o.session_id = std::string{word(value)};
    o.session_version = std::string{word(value)};
    const auto where = address(value);
    if (o.username.empty() || !is_digits(o.session_id) || !is_digits(o.session_version) || !where || !trimmed(value).empty()) {
      return failure("o= is not <username> <sess-id> <sess-version> IN IP4|IP6 <address>");
    }
    o.address = *where;
    have_origin_ = true;
    return Success{};
  }

  Status connection(std::string_view value) {
    const auto where = address(value);
    if (!where || !trimmed(value).empty()) return failure("c= is not IN IP4|IP6 <address>");
    std::optional<Address>& target = in_media() ? session_.media.back().connection : session_.connection;
    if (!target) target = *where;  // further c= lines are layers of a multicast session: the first counts
    return Success{};
  }

  Status media(std::string_view value) {
    if (session_.media.size() == kMaxMedia) return failure("more than " + std::to_string(kMaxMedia) + " m= lines");
    Media m;
    m.type = std::string{word(value)};
    const std::string_view ports = word(value);
    const std::size_t slash = ports.find('/');
    const auto port = number<std::uint16_t>(ports.substr(0, slash), 65535);
    const auto count =
        slash == std::string_view::npos ? std::optional<std::uint16_t>{1} : number<std::uint16_t>(ports.substr(slash + 1), 65535);
    m.protocol = std::string{word(value)};
    if (!is_token(m.type) || !port || !count || *count == 0 || m.protocol.empty()) {
      return failure("m= is not <media> <port>[/<count>] <proto> <fmt> ...");
    }
    m.port = *port;
    m.port_count = *count;
    if (Status status = formats(m, value); !status.ok()) return status;
    session_.media.push_back(std::move(m));
    return Success{};
  }

  Status formats(Media& m, std::string_view rest) {
    const bool rtp = m.is_rtp();
    for (std::string_view token = word(rest); !token.empty(); token = word(rest)) {
      if (m.formats.size() + m.tokens.size() == kMaxFormats)
        return failure("more than " + std::to_string(kMaxFormats) + " formats in one m= line");
      if (!rtp) {
        m.tokens.emplace_back(token);
        continue;
      }
      const auto type = number<std::uint8_t>(token, 127);
      if (!type) return failure("payload type is not in 0..127");
      if (m.find(*type) != nullptr) continue;
      Format f;
      f.payload_type = *type;
      m.formats.push_back(std::move(f));
    }
    if (m.formats.empty() && m.tokens.empty()) return failure("m= line without formats");
    return Success{};
  }

  Status attribute(std::string_view value) {
    const std::size_t colon = value.find(':');
    const bool has_value = colon != std::string_view::npos;
    const std::string_view key = value.substr(0, colon);
    const std::string_view rest = has_value ? value.substr(colon + 1) : std::string_view{};
    if (!is_token(key)) return failure("attribute name is empty or not a token");
    if (!has_value) {
      if (const auto direction = direction_named(key)) {
        (in_media() ? session_.media.back().direction : session_.direction) = *direction;
        return Success{};
      }
    }
    if (in_media() && session_.media.back().is_rtp()) {
      Media& m = session_.media.back();
      if (key == "rtpmap" && has_value) return rtpmap(m, rest);
      if (key == "fmtp" && has_value) return fmtp(m, rest);
      if (key == "ptime" && has_value) return milliseconds(rest, m.ptime_ms, "ptime");
      if (key == "maxptime" && has_value) return milliseconds(rest, m.maxptime_ms, "maxptime");
      if (key == "rtcp" && has_value) return rtcp(m, rest);
      if (key == "rtcp-mux" && !has_value) {
        m.rtcp_mux = true;
        return Success{};
      }
    }
    std::vector<Attribute>& list = in_media() ? session_.media.back().attributes : session_.attributes;
    if (list.size() == kMaxAttributes) return failure("more than " + std::to_string(kMaxAttributes) + " attributes in one section");
    list.push_back(Attribute{std::string{key}, std::string{rest}, has_value});
    return Success{};
  }

  static std::optional<Direction> direction_named(std::string_view key) noexcept {
    for (const Direction d : {Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive}) {
      if (key == name(d)) return d;
    }
    return std::nullopt;
  }

  static Format* find_mutable(Media& m, std::uint8_t payload_type) noexcept {
    for (Format& f : m.formats) {
      if (f.payload_type == payload_type) return &f;
    }
    return nullptr;
  }

  Status rtpmap(Media& m, std::string_view rest) {
    const auto type = number<std::uint8_t>(word(rest), 127);
    const std::string_view map = trimmed(rest);
    const std::size_t first = map.find('/');
    const std::size_t second = first == std::string_view::npos ? first : map.find('/', first + 1);
    if (!type || first == std::string_view::npos) return failure("rtpmap is not <payload type> <encoding>/<clock rate>[/<channels>]");
    const std::string_view encoding = map.substr(0, first);
    const auto clock =
        number<std::uint32_t>(map.substr(first + 1, second == std::string_view::npos ? second : second - first - 1), 10'000'000);
    const auto channels =
        second == std::string_view::npos ? std::optional<std::uint16_t>{1} : number<std::uint16_t>(map.substr(second + 1), 255);
    if (!is_token(encoding) || encoding.size() > 64 || !clock || *clock == 0 || !channels || *channels == 0) {
      return failure("rtpmap names no encoding, or a clock rate or channel count out of range");
    }
    Format* f = find_mutable(m, *type);
    if (f == nullptr || !f->encoding.empty()) return Success{};  // of no format of this m-line, or said before
    f->encoding = std::string{encoding};
    f->clock_rate = *clock;
    f->channels = *channels;
    return Success{};
  }

  Status fmtp(Media& m, std::string_view rest) {
    const auto type = number<std::uint8_t>(word(rest), 127);
    if (!type) return failure("fmtp does not start with a payload type in 0..127");
    Format* f = find_mutable(m, *type);
    if (f != nullptr && f->fmtp.empty()) f->fmtp = std::string{trimmed(rest)};
    return Success{};
  }

  // "20" or "20.5": RFC 8866 section 6.4 allows a fraction, which is cut off.
  Status milliseconds(std::string_view rest, std::uint16_t& target, std::string_view what) {
    const std::string_view text = trimmed(rest);
    const std::size_t dot = text.find('.');
    const auto value = number<std::uint16_t>(text.substr(0, dot), 10'000);
    if (!value || *value == 0 || (dot != std::string_view::npos && !is_digits(text.substr(dot + 1)))) {
      return failure(std::string{what} + " is not in 1..10000 ms");
    }
    target = *value;
    return Success{};
  }

  Status rtcp(Media& m, std::string_view rest) {
    const auto port = number<std::uint16_t>(word(rest), 65535);
    if (!port || *port == 0) return failure("rtcp port is not in 1..65535 (RFC 3605)");
    RtcpAddress result;
    result.port = *port;
    if (!trimmed(rest).empty()) {
      result.address = address(rest);
      if (!result.address || !trimmed(rest).empty()) return failure("rtcp is not <port> [IN IP4|IP6 <address>] (RFC 3605)");
    }
    m.rtcp = result;
    return Success{};
  }

  static void fill_static_types(Media& m) {
    for (Format& f : m.formats) {
      if (!f.encoding.empty()) continue;
      const auto type = static_payload_type(f.payload_type);
      if (!type) continue;
      f.encoding = std::string{type->encoding};
      f.clock_rate = type->clock_rate;
      f.channels = type->channels;
    }
  }

  bool in_media() const noexcept { return !session_.media.empty(); }

  Session session_;
  std::size_t line_ = 0;
  bool have_origin_ = false;
};

}  // namespace

Result<Session> parse(std::string_view text) { return Parser{}.run(text); }

}  // namespace ifgw::wire::sdp
