#include "controlplane/sip/text.h"

#include <array>
#include <charconv>

namespace ifgw::sip {
namespace {

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (unsigned c = '0'; c <= '9'; ++c) table[c] = true;
  for (unsigned c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (unsigned c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (const char c : {'-', '.', '!', '%', '*', '_', '+', '`', '\'', '~'}) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr auto kTokenTable = make_token_table();

// Index after the quoted string that opens at `open`; the end of the text when it does not close.
std::size_t skip_quoted(std::string_view text, std::size_t open) noexcept {
  for (std::size_t i = open + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return text.size();
}

}  // namespace

bool is_token_char(char c) noexcept { return kTokenTable[static_cast<unsigned char>(c)]; }

bool is_token(std::string_view text) noexcept {
  for (const char c : text) {
    if (!is_token_char(c)) return false;
  }
  return !text.empty();
}

bool same(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

bool starts_with_same(std::string_view text, std::string_view prefix) noexcept {
  return text.size() >= prefix.size() && same(text.substr(0, prefix.size()), prefix);
}

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && is_lws(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_lws(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<std::uint32_t> parse_u32(std::string_view text) noexcept {
  std::uint32_t value = 0;
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_displayable(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i++]);
    if (first < 0x20 || first == 0x7F) return false;
    if (first < 0x80) continue;
    const unsigned more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4 || text.size() - i < more) return false;
    char32_t code = first & (0x3Fu >> more);
    for (unsigned n = 0; n < more; ++n) {
      const auto next = static_cast<unsigned char>(text[i++]);
      if ((next & 0xC0) != 0x80) return false;
      code = code << 6 | (next & 0x3F);
    }
    constexpr char32_t kLeast[] = {0xA0, 0x800, 0x10000};  // below: C1, or longer than it has to be
    if (code < kLeast[more - 1] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
  }
  return true;
}

bool quotes_balanced(std::string_view text) noexcept {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    }
  }
  return !quoted;
}

std::size_t find_outside(std::string_view text, char wanted, std::size_t from) noexcept {
  bool in_angle = false;
  for (std::size_t i = from; i < text.size(); ++i) {
    const char c = text[i];
    if (!in_angle && c == wanted) return i;
    if (c == '"' && !in_angle) {
      i = skip_quoted(text, i) - 1;
    } else if (c == '<') {
      in_angle = true;
    } else if (c == '>') {
      in_angle = false;
    }
  }
  return std::string_view::npos;
}

std::string_view split_comma(std::string_view value, std::string_view& rest) noexcept {
  const std::size_t comma = find_outside(value, ',');
  rest = comma == std::string_view::npos ? std::string_view{} : trim(value.substr(comma + 1));
  return trim(value.substr(0, comma));
}

std::optional<std::string_view> parameter(std::string_view text, std::string_view name, int* count) noexcept {
  std::optional<std::string_view> found;
  int seen = 0;
  std::size_t at = find_outside(text, ';');
  while (at != std::string_view::npos) {
    const std::size_t next = find_outside(text, ';', at + 1);
    const std::string_view one = text.substr(at + 1, next == std::string_view::npos ? next : next - at - 1);
    const std::size_t equals = one.find('=');
    if (same(trim(one.substr(0, equals)), name)) {
      if (++seen == 1) found = equals == std::string_view::npos ? std::string_view{} : trim(one.substr(equals + 1));
    }
    at = next;
  }
  if (count != nullptr) *count = seen;
  return found;
}

std::string unfold(std::string_view value) {
  std::string out;
  out.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '\r' && value[i] != '\n') {
      out.push_back(value[i]);
      continue;
    }
    while (i + 1 < value.size() && is_lws(value[i + 1])) ++i;
    out.push_back(' ');
  }
  return out;
}

void append_safe(std::string& to, std::string_view text) {
  for (const char c : text) to.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c);
}

}  // namespace ifgw::sip
