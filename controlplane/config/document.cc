#include "controlplane/config/document.h"

// toml++ 3.3 asserts, and in an NDEBUG build assumes, that the file starts a key with a key's character ("[#sip]" ends the
// process). Without its assertions the parser reports that as the syntax error it is; the fuzz target watches over it.
#undef NDEBUG
#define TOML_ASSERT(expression) static_cast<void>(0)
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <algorithm>

namespace ifgw::config {
namespace {

Position position_of(const toml::source_region& source) noexcept { return {source.begin.line, source.begin.column}; }

Value convert(const toml::node& node);

Table convert_table(const toml::table& table) {
  Table result;
  for (const auto& [key, node] : table) {
    result.entries.push_back(Entry{std::string{key.str()}, position_of(key.source()), convert(node)});
  }
  return result;
}

Value convert(const toml::node& node) {
  Value value{position_of(node.source()), Foreign{"value"}};
  if (const auto* table = node.as_table()) {
    value.data = convert_table(*table);
  } else if (const auto* array = node.as_array()) {
    Array result;
    for (const toml::node& item : *array) result.values.push_back(convert(item));
    value.data = std::move(result);
  } else if (const auto* text = node.as_string()) {
    value.data = text->get();
  } else if (const auto* number = node.as_integer()) {
    value.data = number->get();
  } else if (const auto* flag = node.as_boolean()) {
    value.data = flag->get();
  } else if (node.is_floating_point()) {
    value.data = Foreign{"number with a point"};
  } else {
    value.data = Foreign{"date or time"};
  }
  return value;
}

// Where a line's comment starts: at a '#' before which every quote was closed; the line's end when there is none.
std::size_t comment_start(std::string_view line) noexcept {
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (quote == 0 && line[i] == '#') return i;
    if (quote == 0 && (line[i] == '"' || line[i] == '\'')) {
      quote = line[i];
    } else if (quote == line[i]) {
      quote = 0;
    }
  }
  return line.size();
}

// toml++ 3.3 runs into undefined behaviour on letters like U+01FE anywhere. No setting needs one, so they are blanked in
// comments and refused elsewhere.
std::variant<std::string, SyntaxError> to_ascii(std::string_view text) {
  std::string result{text};
  std::uint32_t line_number = 1;
  for (std::size_t start = 0; start < result.size(); ++line_number) {
    const std::size_t end = std::min(result.find('\n', start), result.size());
    const std::size_t comment = comment_start(std::string_view{result}.substr(start, end - start));
    for (std::size_t i = start; i < end; ++i) {
      if (static_cast<unsigned char>(result[i]) < 0x80) continue;
      const auto column = static_cast<std::uint32_t>(i - start + 1);
      if (i - start < comment) return SyntaxError{{line_number, column}, "only ASCII characters may stand outside comments"};
      result[i] = '?';
    }
    start = end + 1;
  }
  return result;
}

}  // namespace

std::variant<Table, SyntaxError> parse_document(std::string_view text) {
  if (text.size() > kMaxFileBytes) return SyntaxError{{0, 0}, "file is longer than " + std::to_string(kMaxFileBytes) + " bytes"};
  auto ascii = to_ascii(text);
  if (auto* error = std::get_if<SyntaxError>(&ascii)) return std::move(*error);
  toml::parse_result result = toml::parse(std::get<std::string>(ascii));
  if (result.failed()) return SyntaxError{position_of(result.error().source()), std::string{result.error().description()}};
  return convert_table(result.table());
}

}  // namespace ifgw::config
