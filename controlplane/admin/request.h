// One request of the admin protocol, and how it is answered. Private to Admin.
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "controlplane/admin/admin.h"

namespace ifgw::admin {

struct Admin::Request {
  static std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

  Json id;
  std::string command;
  Json args;
  Operator who;
  Instant now;
  Reply reply;

  void ok(Json result) const { reply(dump({{"id", id}, {"ok", true}, {"result", std::move(result)}})); }
  void refuse(std::string_view code, const std::string& error) const {
    reply(dump({{"id", id}, {"ok", false}, {"code", code}, {"error", error}}));
  }
  // Arguments of the wrong kind read as absent; the handlers say what they need.
  std::optional<std::uint64_t> number(const char* key) const {
    const auto it = args.find(key);
    if (it == args.end() || !it->is_number_unsigned()) return std::nullopt;
    return it->get<std::uint64_t>();
  }
  std::string text(const char* key) const {
    const auto it = args.find(key);
    return it != args.end() && it->is_string() ? it->get<std::string>().substr(0, 256) : std::string{};
  }
  bool flag(const char* key) const {
    const auto it = args.find(key);
    return it != args.end() && it->is_boolean() && it->get<bool>();
  }
  std::size_t limit() const { return std::min<std::size_t>(number("limit").value_or(kDefaultRows), kMaxRows); }
};

}  // namespace ifgw::admin
