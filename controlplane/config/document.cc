#include "controlplane/config/document.h"

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

}  // namespace

std::variant<Table, SyntaxError> parse_document(std::string_view text) {
  if (text.size() > kMaxFileBytes) return SyntaxError{{0, 0}, "file is longer than " + std::to_string(kMaxFileBytes) + " bytes"};
  toml::parse_result result = toml::parse(text);
  if (result.failed()) return SyntaxError{position_of(result.error().source()), std::string{result.error().description()}};
  return convert_table(result.table());
}

}  // namespace ifgw::config
