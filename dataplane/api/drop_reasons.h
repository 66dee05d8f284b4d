// Why a packet was not passed on. Every dropped packet is counted under exactly one reason, and never logged.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ifgw::api {

enum class DropReason : std::uint8_t {
#define IFGW_DROP(name, label, text) name,
#include "dataplane/api/drop_reasons.def"
#undef IFGW_DROP
};

struct DropReasonInfo {
  std::string_view label;  // metric label and JSON key
  std::string_view text;   // for people
};

inline constexpr std::array kDropReasons = {
#define IFGW_DROP(name, label, text) DropReasonInfo{label, text},
#include "dataplane/api/drop_reasons.def"
#undef IFGW_DROP
};
inline constexpr std::size_t kDropReasonCount = kDropReasons.size();

constexpr const DropReasonInfo& info(DropReason reason) noexcept { return kDropReasons[static_cast<std::size_t>(reason)]; }

}  // namespace ifgw::api
