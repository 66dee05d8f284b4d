// Checks commands before anything believes them: the sender may be compromised, killed half-way, or of another build.
// Each function returns nothing when every field is in range, else the byte offset of the first bad field within the
// command's struct (what CommandDone::value reports).
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/api/messages.h"
#include "dataplane/engine/config.h"

namespace ifgw::engine {

using BadField = std::optional<std::uint64_t>;

// `local`: the leg's own address; the remote one must be of its family. Offsets are relative to MediaParams.
BadField check_media(const api::MediaParams& media, const IpAddress& local, const EngineConfig& config) noexcept;
BadField check_limits(const api::SetLimits& limits, const EngineConfig& config) noexcept;
BadField check_prefix(const IpPrefix& prefix) noexcept;  // relative to IpPrefix
BadField check_capture_command(const api::StartCapture& capture) noexcept;
// A single unicast address in its canonical form: unused bytes are zero.
bool valid_address(const IpAddress& address) noexcept;
bool valid_flag(std::uint8_t flag) noexcept;

}  // namespace ifgw::engine
