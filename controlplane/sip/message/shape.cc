#include "controlplane/sip/message/shape.h"

#include <algorithm>

#include "codecs/base/ip.h"
#include "controlplane/core/uri.h"
#include "controlplane/sip/text.h"

namespace ifgw::sip {
namespace {

constexpr std::size_t kMaxOtherUri = 2048;  // as core::split_uri() has it for ours

bool is_letter(char c) noexcept { return lower(c) >= 'a' && lower(c) <= 'z'; }
bool is_alnum(char c) noexcept { return is_letter(c) || is_digit(c); }
bool is_unreserved(char c) noexcept { return is_alnum(c) || std::string_view("-_.!~*'()").find(c) != std::string_view::npos; }

int hex(char c) noexcept {
  if (is_digit(c)) return c - '0';
  return lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}

// Characters of `also`, unreserved and escaped ones; false: there is another, or an escaped control character. Appends them unescaped.
bool unescape(std::string_view text, std::string_view also, std::string& to) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3 || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0) return false;
      c = static_cast<char>(hex(text[i + 1]) << 4 | hex(text[i + 2]));
      i += 2;
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
    } else if (!is_unreserved(c) && also.find(c) == std::string_view::npos) {
      return false;
    }
    to += c;
  }
  return true;
}

// A name whose last label is a number is an address, or nothing.
bool is_name(std::string_view host) noexcept {
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);
  const std::string_view last = core::last_label(host);
  return core::is_host_name(host) && !std::all_of(last.begin(), last.end(), is_digit);
}

}  // namespace

Result<Shape> shape_of_sip_uri(std::string_view uri) {
  const auto parts = core::split_uri(uri);
  if (!parts) return Error{"unreadable SIP URI"};
  Shape shape;
  shape.text = std::string(parts->scheme) + ":";
  const std::string_view after_scheme = uri.substr(parts->scheme.size() + 1);
  if (const std::size_t at = after_scheme.find('@'); at != std::string_view::npos) {
    const std::string_view password = after_scheme.substr(parts->user.size(), at - parts->user.size());
    std::string unused;
    if (parts->user.empty() || !unescape(parts->user, "&=+$,;?/", shape.user)) return Error{"user part of a SIP URI"};
    if (!password.empty() && !unescape(password.substr(1), "&=+$,", unused)) return Error{"password of a SIP URI"};
    shape.text += "user@";
  }
  const auto ip = IpAddress::parse(parts->host);
  const bool bracketed = parts->host.data()[-1] == '[';  // a scheme is before it at least
  if (bracketed ? !ip || !ip->is_v6() : !(ip && ip->is_v4()) && !is_name(parts->host)) return Error{"host of a SIP URI"};
  shape.host = std::string(parts->host);
  shape.text += "host.invalid";
  if (parts->port != 0) shape.text += ":" + std::to_string(parts->port);
  shape.text += parts->rest;
  return shape;
}

Result<Shape> shape_of_other_uri(std::string_view uri) {
  const std::size_t colon = uri.find(':');
  if (uri.size() > kMaxOtherUri || colon == std::string_view::npos || colon + 1 == uri.size()) return Error{"unreadable URI"};
  const std::string_view scheme = uri.substr(0, colon);
  const auto in_scheme = [](char c) { return is_alnum(c) || c == '+' || c == '-' || c == '.'; };
  std::string unused;
  if (scheme.empty() || !is_letter(scheme.front()) || !std::all_of(scheme.begin(), scheme.end(), in_scheme) ||
      !unescape(uri.substr(colon + 1), ";/?:@&=+$,", unused))
    return Error{"unreadable URI"};
  Shape shape;
  shape.text = "other:uri";
  return shape;
}

}  // namespace ifgw::sip
