// A configuration file as a tree of values with their positions: what toml++ read, without toml++. document.cc is the
// only file that includes it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "codecs/base/result.h"

namespace ifgw::config {

inline constexpr std::size_t kMaxFileBytes = 1024 * 1024;

// From 1; 0: unknown.
struct Position {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

struct Value;
struct Entry;

struct Table {
  std::vector<Entry> entries;  // by name
};
struct Array {
  std::vector<Value> values;
};
// A kind of value no setting has (number with a point, date). `text` names it.
struct Foreign {
  std::string_view text;
};

struct Value {
  Position position;
  std::variant<Table, Array, std::string, std::int64_t, bool, Foreign> data;
};
struct Entry {
  std::string key;
  Position position;  // of the key
  Value value;
};

struct SyntaxError {
  Position position;
  std::string message;
};

std::variant<Table, SyntaxError> parse_document(std::string_view text);

}  // namespace ifgw::config
