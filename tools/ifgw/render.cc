#include "tools/ifgw/render.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace ifgw::cli {
namespace {

constexpr std::size_t kMaxLastCell = 1000;  // nothing stands to the right of it
constexpr std::string_view kGap = "  ";

std::string number_text(double value) {
  std::array<char, 64> text;
  const int length = std::snprintf(text.data(), text.size(), "%.3f", value);
  std::string result{text.data(), static_cast<std::size_t>(length)};
  while (result.back() == '0') result.pop_back();
  if (result.back() == '.') result.pop_back();
  return result;
}

void pad(std::string& out, const std::string& text, std::size_t width, bool right) {
  const std::string fill(width - text.size(), ' ');
  out += right ? fill + text : text + fill;
}

void end_line(std::string& out) {
  while (!out.empty() && out.back() == ' ') out.pop_back();
  out += '\n';
}

}  // namespace

std::string cell(const Json& value, std::size_t longest) {
  if (value.is_null()) return "-";
  if (value.is_number_float()) return number_text(value.get<double>());
  std::string text;
  if (value.is_string()) {
    text = value.get<std::string>();
  } else if (value.is_array()) {
    for (const Json& item : value) text += (text.empty() ? "" : ", ") + cell(item, longest);
  } else {
    text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  for (char& c : text) c = (c >= 0 && c < ' ') || c == 0x7F ? '?' : c;
  if (text.size() > longest) text = text.substr(0, longest - 3) + "...";
  return text.empty() ? "-" : text;
}

std::string table(const std::vector<Column>& columns, const Json& rows) {
  std::vector<std::vector<std::string>> cells;
  std::vector<std::size_t> widths;
  std::vector<bool> right(columns.size(), true);
  for (const Column& c : columns) widths.push_back(c.title.size());
  for (const Json& row : rows) {
    std::vector<std::string> line;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const Json::json_pointer pointer{std::string{columns[i].pointer}};
      const Json value = row.contains(pointer) ? row.at(pointer) : Json(nullptr);
      if (!value.is_number() && !value.is_null()) right[i] = false;
      line.push_back(cell(value, i + 1 == columns.size() ? kMaxLastCell : kMaxCell));
      widths[i] = std::max(widths[i], line.back().size());
    }
    cells.push_back(std::move(line));
  }
  std::string out;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i != 0) out += kGap;
    pad(out, std::string{columns[i].title}, widths[i], right[i] && !cells.empty());
  }
  end_line(out);
  for (const auto& line : cells) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (i != 0) out += kGap;
      pad(out, line[i], widths[i], right[i]);
    }
    end_line(out);
  }
  return out;
}

std::string sections(const Json& object) {
  std::size_t width = 0;
  std::vector<std::pair<std::string, const Json*>> lines;  // null: a heading
  const auto add = [&](const auto& self, const Json& level, const std::string& indent) -> void {
    for (const auto& [key, value] : level.items()) {
      lines.emplace_back(indent + key, value.is_object() ? nullptr : &value);
      width = std::max(width, lines.back().first.size());
      if (value.is_object()) self(self, value, indent + "  ");
    }
  };
  add(add, object, "");
  std::string out;
  for (const auto& [key, value] : lines) {
    pad(out, key, width, false);
    if (value != nullptr) out += std::string{kGap} + cell(*value, kMaxLastCell);
    end_line(out);
  }
  return out;
}

}  // namespace ifgw::cli
