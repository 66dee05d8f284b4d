// IFGW_CHECK: programmer errors. A check that fails means this program is wrong, never that its input is:
// no byte from the network and no line of a configuration may reach one.
//
// A failing check calls the handler below and aborts. It is on in every build; it costs one predictable branch.
#pragma once

namespace ifgw {

// Told about a failed check before the process aborts. `expression`, `file` are literals. Must not throw.
// The pure archives print nothing themselves; each main() installs a handler that does.
using CheckHandler = void (*)(const char* expression, const char* file, int line) noexcept;

// Any thread; not synchronised with failing checks: call it once at start. nullptr restores "no report".
void set_check_handler(CheckHandler handler) noexcept;

[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace ifgw

#define IFGW_CHECK(expression) \
  (__builtin_expect(static_cast<bool>(expression), 1) ? static_cast<void>(0) : ::ifgw::check_failed(#expression, __FILE__, __LINE__))
