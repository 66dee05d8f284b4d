#include "controlplane/config/reader.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace ifgw::config {
namespace {

struct TimeUnit {
  std::string_view name;
  Duration length;
};
constexpr std::array<TimeUnit, 4> kTimeUnits{{
    {"ms", std::chrono::milliseconds{1}},
    {"s", std::chrono::seconds{1}},
    {"m", std::chrono::minutes{1}},
    {"h", std::chrono::hours{1}},
}};

// Splits "10s" into 10 and "s".
std::optional<std::uint64_t> leading_number(std::string_view text, std::string_view& unit) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  unit = text.substr(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

std::string kind_of(const Value& value) {
  struct Name {
    std::string operator()(const Table&) const { return "a table"; }
    std::string operator()(const Array&) const { return "a list"; }
    std::string operator()(const std::string&) const { return "a text"; }
    std::string operator()(std::int64_t) const { return "a number"; }
    std::string operator()(bool) const { return "true or false"; }
    std::string operator()(const Foreign& f) const { return "a " + std::string{f.text}; }
  };
  return std::visit(Name{}, value.data);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, 60)) result += c >= ' ' && c < 0x7F ? c : '?';
  return text.size() > 60 ? result + "..." : result;
}

// ---- problems ----------------------------------------------------------------------------------------------------

void Problems::add(Position at, std::string_view key, const std::string& message) {
  if (found_.size() == kMaxProblems) return;
  std::string text = file_;
  if (at.line != 0) text += ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
  if (!key.empty()) text.append(": ").append(key);
  text += ": " + message;
  for (char& c : text) c = (c >= 0 && c < ' ') || c == 0x7F ? '?' : c;  // it goes to a terminal
  found_.push_back(Found{at, std::move(text)});
}

std::vector<std::string> Problems::lines() const {
  std::vector<Found> sorted = found_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Found& a, const Found& b) {
    return a.at.line != b.at.line ? a.at.line < b.at.line : a.at.column < b.at.column;
  });
  std::vector<std::string> result;
  for (Found& f : sorted) result.push_back(std::move(f.text));
  return result;
}

// ---- units -------------------------------------------------------------------------------------------------------

std::optional<Duration> parse_duration(std::string_view text) noexcept {
  std::string_view unit;
  const auto value = leading_number(text, unit);
  if (!value) return std::nullopt;
  for (const TimeUnit& u : kTimeUnits) {
    if (u.name != unit) continue;
    if (*value > static_cast<std::uint64_t>(Duration::max() / u.length)) return std::nullopt;
    return u.length * static_cast<std::int64_t>(*value);
  }
  return std::nullopt;
}

std::string duration_text(Duration d) {
  for (std::size_t i = kTimeUnits.size(); i-- > 0;) {
    const TimeUnit& u = kTimeUnits[i];
    if (d % u.length == Duration::zero() && d >= u.length) return std::to_string(d / u.length) + std::string{u.name};
  }
  return d == Duration::zero() ? "0s" : std::to_string(d.count()) + "ns";
}

std::optional<std::size_t> parse_bytes(std::string_view text) noexcept {
  std::string_view unit;
  const auto value = leading_number(text, unit);
  if (!value) return std::nullopt;
  const std::size_t factor = unit == "B" ? 1 : unit == "KB" ? 1024 : unit == "MB" ? 1024 * 1024 : 0;
  if (factor == 0 || *value > SIZE_MAX / factor) return std::nullopt;
  return *value * factor;
}

std::optional<std::string_view> nearest(std::string_view wrong, std::span<const std::string_view> names) {
  std::optional<std::string_view> best;
  std::size_t best_distance = 3;  // two slips at most
  if (wrong.size() > 64) return best;
  for (const std::string_view name : names) {
    const std::size_t distance = edit_distance(wrong, name);
    if (distance < best_distance && distance < name.size()) {
      best = name;
      best_distance = distance;
    }
  }
  return best;
}

// ---- the table ---------------------------------------------------------------------------------------------------

const Entry* Reader::find(std::string_view key) const noexcept {
  for (const Entry& e : table_.entries) {
    if (e.key == key) return &e;
  }
  return nullptr;
}

const Value* Reader::take(std::string_view key) {
  known_.push_back(key);
  const Entry* entry = find(key);
  return entry == nullptr ? nullptr : &entry->value;
}

const std::string* Reader::take_text(std::string_view key, std::string_view example) {
  const Value* value = take(key);
  if (value == nullptr) return nullptr;
  const auto* text = std::get_if<std::string>(&value->data);
  if (text == nullptr) problem(key, "is " + kind_of(*value) + ", must be a text like \"" + std::string{example} + "\"");
  return text;
}

Position Reader::where(std::string_view key) const noexcept {
  const Entry* entry = find(key);
  return entry == nullptr ? at_ : entry->value.position;
}

std::string Reader::name_of(std::string_view key) const {
  return path_.empty() || key.empty() ? path_ + std::string{key} : path_ + "." + std::string{key};
}

void Reader::require(std::string_view key) {
  if (find(key) == nullptr) problems_.add(at_, name_of(key), "is missing");
}

void Reader::finish() {
  for (const Entry& e : table_.entries) {
    if (std::find(known_.begin(), known_.end(), e.key) != known_.end()) continue;
    const auto guess = nearest(e.key, known_);
    problems_.add(e.position, name_of(printable(e.key)),
                  guess ? "unknown key, did you mean \"" + std::string{*guess} + "\"?" : "unknown key");
  }
}

// ---- values ------------------------------------------------------------------------------------------------------

void Reader::number(std::string_view key, std::int64_t min, std::int64_t max, std::string_view unit, std::int64_t& target) {
  const Value* value = take(key);
  if (value == nullptr) return;
  const std::string range = std::to_string(min) + ".." + std::to_string(max) + (unit.empty() ? "" : " " + std::string{unit});
  const auto* n = std::get_if<std::int64_t>(&value->data);
  if (n == nullptr) return problem(key, "is " + kind_of(*value) + ", must be a number in " + range);
  if (*n < min || *n > max) return problem(key, "value " + std::to_string(*n) + " is not in " + range);
  target = *n;
}

void Reader::flag(std::string_view key, bool& target) {
  const Value* value = take(key);
  if (value == nullptr) return;
  const auto* b = std::get_if<bool>(&value->data);
  if (b == nullptr) return problem(key, "is " + kind_of(*value) + ", must be true or false");
  target = *b;
}

void Reader::text(std::string_view key, std::size_t max_bytes, std::string& target) {
  const std::string* text = take_text(key, "...");
  if (text == nullptr) return;
  const bool control = std::any_of(text->begin(), text->end(), [](char c) { return (c >= 0 && c < ' ') || c == 0x7F; });
  if (text->empty() || text->size() > max_bytes || control) {
    return problem(key, "must have 1.." + std::to_string(max_bytes) + " bytes and no control characters");
  }
  target = *text;
}

void Reader::duration(std::string_view key, Duration min, Duration max, Duration& target) {
  const std::string* text = take_text(key, duration_text(target));
  if (text == nullptr) return;
  const auto value = parse_duration(*text);
  if (!value) return problem(key, "value \"" + printable(*text) + "\" is no duration: a whole number with ms, s, m or h, like \"10s\"");
  if (*value < min || *value > max) {
    return problem(key, "value " + printable(*text) + " is not in " + duration_text(min) + ".." + duration_text(max));
  }
  target = *value;
}

void Reader::bytes(std::string_view key, std::size_t min, std::size_t max, std::size_t& target) {
  const std::string* text = take_text(key, "16KB");
  if (text == nullptr) return;
  const auto value = parse_bytes(*text);
  if (!value) return problem(key, "value \"" + printable(*text) + "\" is no size: a whole number with B, KB or MB, like \"16KB\"");
  if (*value < min || *value > max) {
    return problem(key, "value " + printable(*text) + " is not in " + std::to_string(min) + ".." + std::to_string(max) + " B");
  }
  target = *value;
}

void Reader::endpoints(std::string_view key, std::size_t max_count, std::vector<Endpoint>& target) {
  const Entry* entry = find(key);
  if (entry == nullptr || !std::holds_alternative<Array>(entry->value.data)) {
    std::optional<Endpoint> one;
    endpoint(key, one);
    if (one) target.push_back(*one);
    return;
  }
  texts(key, max_count, [&](const std::string& text, Position at) {
    const auto value = Endpoint::parse(text);
    if (value && value->port != 0) return target.push_back(*value);
    problem_at(at, key, "value \"" + printable(text) + "\" is no address with a port in 1..65535, like \"192.0.2.1:5060\"");
  });
}

void Reader::endpoint(std::string_view key, std::optional<Endpoint>& target) {
  const std::string* text = take_text(key, "192.0.2.1:5060");
  if (text == nullptr) return;
  const auto value = Endpoint::parse(*text);
  if (!value || value->port == 0) {
    return problem(
        key, "value \"" + printable(*text) + "\" is no address with a port in 1..65535, like \"192.0.2.1:5060\" or \"[2001:db8::1]:5060\"");
  }
  target = *value;
}

void Reader::address(std::string_view key, std::optional<IpAddress>& target) {
  const std::string* text = take_text(key, "192.0.2.1");
  if (text == nullptr) return;
  const auto value = IpAddress::parse(*text);
  if (!value) return problem(key, "value \"" + printable(*text) + "\" is no IP address");
  target = *value;
}

void Reader::prefix(std::string_view key, std::optional<IpPrefix>& target) {
  const std::string* text = take_text(key, "192.0.2.0/24");
  if (text == nullptr) return;
  const auto value = IpPrefix::parse(*text);
  if (!value) return problem(key, "value \"" + printable(*text) + "\" is no prefix like \"192.0.2.0/24\" (host bits zero)");
  target = *value;
}

void Reader::choice(std::string_view key, std::span<const std::string_view> names, std::size_t& target) {
  const std::string* text = take_text(key, names.front());
  if (text == nullptr) return;
  const auto it = std::find(names.begin(), names.end(), *text);
  if (it != names.end()) {
    target = static_cast<std::size_t>(it - names.begin());
    return;
  }
  std::string list;
  for (const std::string_view name : names) list.append(list.empty() ? "" : ", ").append(name);
  problem(key, "value \"" + printable(*text) + "\" is none of " + list);
}

void Reader::texts(std::string_view key, std::size_t max_count, const std::function<void(const std::string&, Position)>& each) {
  const Value* value = take(key);
  if (value == nullptr) return;
  const auto* array = std::get_if<Array>(&value->data);
  if (array == nullptr || array->values.empty() || array->values.size() > max_count) {
    return problem(key, "must be a list of 1.." + std::to_string(max_count) + " texts");
  }
  for (const Value& item : array->values) {
    if (const auto* text = std::get_if<std::string>(&item.data)) {
      each(*text, item.position);
    } else {
      problem_at(item.position, key, "holds " + kind_of(item) + ", must hold texts");
    }
  }
}

void Reader::numbers(std::string_view key, std::int64_t min, std::int64_t max, std::size_t max_count, std::vector<std::int64_t>& target) {
  const Value* value = take(key);
  if (value == nullptr) return;
  const auto* array = std::get_if<Array>(&value->data);
  if (array == nullptr || array->values.size() > max_count)
    return problem(key, "must be a list of at most " + std::to_string(max_count) + " numbers");
  target.clear();
  for (const Value& item : array->values) {
    const auto* n = std::get_if<std::int64_t>(&item.data);
    if (n == nullptr || *n < min || *n > max) {
      problem_at(item.position, key, "must hold numbers in " + std::to_string(min) + ".." + std::to_string(max));
    } else {
      target.push_back(*n);
    }
  }
}

void Reader::file_mode(std::string_view key, unsigned& target) {
  const std::string* text = take_text(key, "0660");
  if (text == nullptr) return;
  unsigned value = 0;
  const char* end = text->data() + text->size();
  const auto parsed = std::from_chars(text->data(), end, value, 8);
  if (text->size() < 3 || parsed.ec != std::errc{} || parsed.ptr != end || value > 0777 || (value & 0007) != 0) {
    return problem(key, "value \"" + printable(*text) + "\" is no octal mode in 0000..0770 without rights for others, like \"0660\"");
  }
  target = value;
}

// ---- tables ------------------------------------------------------------------------------------------------------

void Reader::table(std::string_view key, const std::function<void(Reader&)>& body) {
  const Value* value = take(key);
  if (value == nullptr) return;
  const auto* sub = std::get_if<Table>(&value->data);
  if (sub == nullptr) return problem(key, "is " + kind_of(*value) + ", must be a table: [" + name_of(key) + "]");
  Reader reader{*sub, name_of(key), value->position, problems_};
  body(reader);
  reader.finish();
}

void Reader::tables(std::string_view key, std::size_t max_count, const std::function<void(Reader&)>& body) {
  const Value* value = take(key);
  if (value == nullptr) return;
  const auto* array = std::get_if<Array>(&value->data);
  if (array == nullptr) return problem(key, "is " + kind_of(*value) + ", must be tables: [[" + name_of(key) + "]]");
  if (array->values.size() > max_count) {
    return problem(key, std::to_string(array->values.size()) + " tables are not in 0.." + std::to_string(max_count));
  }
  std::size_t index = 0;
  for (const Value& item : array->values) {
    const std::string name = name_of(key) + "[" + std::to_string(++index) + "]";
    const auto* sub = std::get_if<Table>(&item.data);
    if (sub == nullptr) {
      problems_.add(item.position, name, "is " + kind_of(item) + ", must be a table");
      continue;
    }
    Reader reader{*sub, name, item.position, problems_};
    body(reader);
    reader.finish();
  }
}

}  // namespace ifgw::config
