// Small pieces of SIP's lexical grammar (RFC 3261 section 25.1) over borrowed text. Nothing allocates except unfold().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ifgw::sip {

// Linear white space; CR and LF count because a folded value keeps its line breaks.
constexpr bool is_lws(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
// `token` characters.
bool is_token_char(char c) noexcept;
bool is_token(std::string_view text) noexcept;  // one or more of them

// Case-insensitive equality (ASCII).
bool same(std::string_view a, std::string_view b) noexcept;
bool starts_with_same(std::string_view text, std::string_view prefix) noexcept;
std::string_view trim(std::string_view text) noexcept;
// Decimal digits only, no sign, no overflow; nullopt otherwise.
std::optional<std::uint32_t> parse_u32(std::string_view text) noexcept;

// UTF-8 (RFC 3629) without control characters: C0, DEL and C1.
bool is_displayable(std::string_view text) noexcept;

// Every quoted string closes.
bool quotes_balanced(std::string_view text) noexcept;

// Position of the first `wanted` outside quoted strings and angle brackets, npos if none.
std::size_t find_outside(std::string_view text, char wanted, std::size_t from = 0) noexcept;
// The part of a comma-separated value up to the first top-level comma; `rest` gets what follows. Both trimmed.
std::string_view split_comma(std::string_view value, std::string_view& rest) noexcept;

// Value of header parameter `name` in "…;a=1;name=value;lr", quotes kept. `text` begins at or before the first ';'
// outside brackets. nullopt: absent; empty: present without value. `count`, when given, gets how often it occurs.
std::optional<std::string_view> parameter(std::string_view text, std::string_view name, int* count = nullptr) noexcept;

// Line folds become one space each (section 7.3.1).
std::string unfold(std::string_view value);
// `text` with control characters replaced by spaces: what is written into a header can never end that header.
void append_safe(std::string& to, std::string_view text);

}  // namespace ifgw::sip
