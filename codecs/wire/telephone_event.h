// Named telephone events in RTP (RFC 4733 section 2.3): four bytes an event, bytes <-> values. A payload holds one event,
// or several that follow each other without a pause (section 2.5.1.5).
#pragma once

#include <cstddef>
#include <cstdint>

#include "codecs/base/bytes.h"

namespace ifgw {

inline constexpr std::size_t kTelephoneEventBytes = 4;
inline constexpr std::uint16_t kMaxEventDuration = 0xFFFF;

struct TelephoneEvent {
  std::uint8_t code = 0;  // 0..9, 10 *, 11 #, 12..15 A..D; others in the IANA registry
  bool end = false;
  std::uint8_t volume = 0;     // 0..63: power in -dBm0; of tones other than DTMF without meaning
  std::uint16_t duration = 0;  // so far, in units of the RTP clock of the payload type; 0: a state, without duration
  friend bool operator==(const TelephoneEvent&, const TelephoneEvent&) = default;
};

// Whole events, at least one.
constexpr bool valid_telephone_events(std::size_t payload_bytes) noexcept {
  return payload_bytes != 0 && payload_bytes % kTelephoneEventBytes == 0;
}

// `at`: kTelephoneEventBytes. The reserved bit is ignored, and written as 0 (section 2.3.3).
inline TelephoneEvent read_telephone_event(const std::uint8_t* at) noexcept {
  return {at[0], (at[1] & 0x80) != 0, static_cast<std::uint8_t>(at[1] & 0x3F), load_be16(at + 2)};
}
inline void write_telephone_event(std::uint8_t* at, const TelephoneEvent& event) noexcept {
  at[0] = event.code;
  at[1] = static_cast<std::uint8_t>((event.end ? 0x80 : 0) | (event.volume & 0x3F));
  store_be16(at + 2, event.duration);
}

}  // namespace ifgw
