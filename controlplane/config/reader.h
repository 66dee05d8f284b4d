// Typed reading of one table of a configuration: every value is checked for kind, unit and range, every key that nobody
// asked for is an error with the nearest known key. Problems are collected, so that an operator sees all of them at once.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codecs/base/ip.h"
#include "codecs/base/time.h"
#include "controlplane/config/document.h"

namespace ifgw::config {

inline constexpr std::size_t kMaxProblems = 100;

// Collects `file:line:column: key: message`, in the order of the file.
class Problems {
 public:
  explicit Problems(std::string_view file) : file_(file) {}
  void add(Position at, std::string_view key, const std::string& message);
  bool empty() const noexcept { return found_.empty(); }
  std::vector<std::string> lines() const;

 private:
  struct Found {
    Position at;
    std::string text;
  };
  std::string file_;
  std::vector<Found> found_;
};

class Reader {
 public:
  // `path` is the table's name in messages: "sip", "route[2]"; empty for the file itself.
  Reader(const Table& table, std::string path, Position at, Problems& problems)
      : table_(table), path_(std::move(path)), at_(at), problems_(problems) {}

  // Each leaves its target alone when the key is absent or wrong.
  void number(std::string_view key, std::int64_t min, std::int64_t max, std::string_view unit, std::int64_t& target);
  template <typename T>
  void number(std::string_view key, std::int64_t min, std::int64_t max, std::string_view unit, T& target) {
    auto value = static_cast<std::int64_t>(target);
    number(key, min, max, unit, value);
    target = static_cast<T>(value);
  }
  void flag(std::string_view key, bool& target);
  void text(std::string_view key, std::size_t max_bytes, std::string& target);
  // "500ms", "10s", "2m", "1h".
  void duration(std::string_view key, Duration min, Duration max, Duration& target);
  // "512B", "16KB" (1024), "2MB".
  void bytes(std::string_view key, std::size_t min, std::size_t max, std::size_t& target);
  // "192.0.2.1:5060", "[2001:db8::1]:5060".
  void endpoint(std::string_view key, std::optional<Endpoint>& target);
  // One, or a list of at most `max_count`.
  void endpoints(std::string_view key, std::size_t max_count, std::vector<Endpoint>& target);
  void address(std::string_view key, std::optional<IpAddress>& target);
  void prefix(std::string_view key, std::optional<IpPrefix>& target);
  // One of `names`; the target becomes its index.
  void choice(std::string_view key, std::span<const std::string_view> names, std::size_t& target);
  void texts(std::string_view key, std::size_t max_count, const std::function<void(const std::string&, Position)>& each);
  // "0660".
  void file_mode(std::string_view key, unsigned& target);
  void numbers(std::string_view key, std::int64_t min, std::int64_t max, std::size_t max_count, std::vector<std::int64_t>& target);

  // A sub-table; not called when absent.
  void table(std::string_view key, const std::function<void(Reader&)>& body);
  // [[key]]; at most `max_count`.
  void tables(std::string_view key, std::size_t max_count, const std::function<void(Reader&)>& body);

  void require(std::string_view key);
  bool has(std::string_view key) const noexcept { return find(key) != nullptr; }
  // Where a key's value stands; the table's own position when it is absent.
  Position where(std::string_view key) const noexcept;
  void problem(std::string_view key, const std::string& message) { problems_.add(where(key), name_of(key), message); }
  void problem_at(Position at, std::string_view key, const std::string& message) { problems_.add(at, name_of(key), message); }
  std::string name_of(std::string_view key) const;
  // Reports every key that was not asked for. Call it last.
  void finish();

 private:
  const Entry* find(std::string_view key) const noexcept;
  const Value* take(std::string_view key);
  const std::string* take_text(std::string_view key, std::string_view example);

  const Table& table_;
  std::string path_;
  Position at_;
  Problems& problems_;
  std::vector<std::string_view> known_;
};

// The name of `names` that differs least from `wrong`, when that is little enough to be a slip.
std::optional<std::string_view> nearest(std::string_view wrong, std::span<const std::string_view> names);
// "10s" -> 10 s; nullopt: no number, no unit or an unknown one, or beyond the type.
std::optional<Duration> parse_duration(std::string_view text) noexcept;
std::string duration_text(Duration d);
std::optional<std::size_t> parse_bytes(std::string_view text) noexcept;
// The first 60 bytes of a text, fit for a terminal.
std::string printable(std::string_view text);

}  // namespace ifgw::config
