// The admin protocol: one JSON object per line, both ways, over a Unix stream socket (tools/docs/protocol/admin.md).
//
//   request   {"id": 1, "command": "calls show", "args": {"limit": 100}}
//   response  {"id": 1, "ok": true, "result": {...}}   or   {"id": 1, "ok": false, "code": "usage", "error": "..."}
//
// Responses come in any order when several requests are under way; "id" is echoed as it was.
#pragma once

#include <cstddef>
#include <string_view>

namespace ifgw::admin {

inline constexpr std::string_view kDefaultSocket = "/run/ifgw/control.sock";
inline constexpr std::size_t kMaxRequestBytes = 16 * 1024;  // a longer line ends the connection
inline constexpr std::size_t kMaxRows = 10'000;             // of any table in one response
inline constexpr std::size_t kDefaultRows = 1000;

// "code" of a refused request.
inline constexpr std::string_view kUsage = "usage";    // no such command, or arguments that do not fit it
inline constexpr std::string_view kFailed = "failed";  // it was understood and did not work

}  // namespace ifgw::admin
