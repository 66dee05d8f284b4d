// Responses as tables for people: columns in a stable order, numbers to the right, "-" for what was not measured.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace ifgw::cli {

using Json = nlohmann::ordered_json;

struct Column {
  std::string_view title;
  std::string_view pointer;  // JSON pointer within a row
};

// A cell: "-" for null and absent; numbers with a point have three digits after it at most; no control characters. What is
// longer than `longest` bytes ends in "...".
inline constexpr std::size_t kMaxCell = 100;
std::string cell(const Json& value, std::size_t longest = kMaxCell);
// The last column, which often explains, has room for 1000 bytes.
std::string table(const std::vector<Column>& columns, const Json& rows);
// Sections of keys and values: "dataplane" and below it "attached  true".
std::string sections(const Json& object);

}  // namespace ifgw::cli
