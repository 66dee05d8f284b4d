// What systemd wants to know (sd_notify(3)), in twenty lines instead of a library.
#pragma once

#include <string_view>

namespace ifgw::control {

// "READY=1", "STOPPING=1", "STATUS=...". Nothing happens outside systemd. Waits while systemd's queue
// is full, as sd_notify(3) does: a READY that is lost would end the service.
void notify_systemd(std::string_view state) noexcept;

}  // namespace ifgw::control
