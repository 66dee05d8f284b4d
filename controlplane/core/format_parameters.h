// The parameters of a codec in a session description (a=fmtp) as values: what a party wants to receive. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/api/messages.h"

namespace ifgw::core {

// Of Opus, RFC 7587 section 6.1; annex_b of G.729, RFC 4856. Each party says its own.
struct FormatParameters {
  std::uint32_t max_bitrate_bps = 0;                           // maxaveragebitrate, 6000..510000; 0: not given
  std::uint16_t max_playback_rate_hz = api::kMaxPlaybackRate;  // maxplaybackrate, 8000..48000
  bool fec = false;                                            // useinbandfec
  bool dtx = false;                                            // usedtx
  bool cbr = false;                                            // cbr
  bool annex_b = true;                                         // annexb
  friend bool operator==(const FormatParameters&, const FormatParameters&) = default;
};

// What is not there, is unknown or makes no sense leaves the default; numbers beyond their range become its nearest end.
FormatParameters read_format_parameters(api::Codec codec, std::string_view fmtp);
// Empty: nothing to state. Only what differs from the default is stated, and always annexb, whose default few apply.
std::string write_format_parameters(api::Codec codec, const FormatParameters& parameters);
// What suits both: of a stream that one sends and the other hears.
FormatParameters narrowed(const FormatParameters& a, const FormatParameters& b, api::Codec codec) noexcept;

}  // namespace ifgw::core
