// The parameters of a codec in a session description (a=fmtp) as values: what a party wants to receive. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/api/messages.h"

namespace ifgw::core {

// Of Speex, RFC 5574 section 4.1.1. The modes of narrow band are 1..8, those of wide band 0..10.
struct SpeexParameters {
  static constexpr std::uint8_t kNone = 0xFF;
  std::uint16_t modes = 0;                         // bit n: mode n is named
  std::uint8_t preferred = kNone;                  // the one named first; kNone: any was, or nothing
  bool any = true;                                 // modes that are not named will do as well
  api::SpeexRate rate = api::SpeexRate::Constant;  // vbr
  friend bool operator==(const SpeexParameters&, const SpeexParameters&) = default;
};

// Of Opus, RFC 7587 section 6.1; annex_b of G.729, RFC 4856. Each party says its own.
struct FormatParameters {
  std::uint32_t max_bitrate_bps = 0;                           // maxaveragebitrate, 6000..510000; 0: not given
  std::uint16_t max_playback_rate_hz = api::kMaxPlaybackRate;  // maxplaybackrate, 8000..48000
  bool fec = false;                                            // useinbandfec
  bool dtx = false;                                            // usedtx
  bool cbr = false;                                            // cbr
  bool annex_b = true;                                         // annexb
  SpeexParameters speex = {};                                  // of one of the two
  api::Codec speex_codec = api::Codec::None;                   // of this one; None: as the defaults
  friend bool operator==(const FormatParameters&, const FormatParameters&) = default;
};

// What is not there, is unknown or makes no sense leaves the default; numbers beyond their range become its nearest end.
FormatParameters read_format_parameters(api::Codec codec, std::string_view fmtp);
// Empty: nothing to state. Only what differs from the default is stated, and always annexb, whose default few apply.
std::string write_format_parameters(api::Codec codec, const FormatParameters& parameters);
// The quality of libspeex that makes `mode`, which the codec (one of the two) has.
std::uint8_t speex_quality(api::Codec codec, std::uint8_t mode) noexcept;
// What suits both: of a stream that one sends and the other hears.
FormatParameters narrowed(const FormatParameters& a, const FormatParameters& b, api::Codec codec) noexcept;

}  // namespace ifgw::core
