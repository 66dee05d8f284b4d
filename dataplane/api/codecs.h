// THE plane contract: the codecs it can name, and what both planes must know alike of each. One name is one sampling rate
// and one RTP clock, so that a codec is all there is to say of a stream.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ifgw::api {

// The dataplane says in Welcome which of them it can run. G.726 is packed as RFC 3551 section 4.5.4 has it, the first sample
// in the least significant bits; AAL2-G726-* is another codec, and not here.
enum class Codec : std::uint8_t {
  None = 0,
  Pcmu = 1,
  Pcma = 2,
  G722 = 3,
  G729 = 4,
  Opus = 5,
  Speex8 = 6,   // narrow band
  Speex16 = 7,  // wide band
  Gsm = 8,      // full rate
  G726_16 = 9,
  G726_24 = 10,
  G726_32 = 11,
  G726_40 = 12,
  L16_8 = 13,  // mono, as is the next; L16/44100 (payload types 10 and 11) is none of ours
  L16_16 = 14,
};
inline constexpr std::uint8_t kMaxCodec = 14;

struct CodecFacts {
  std::string_view name;       // for people: as in the session description, with its clock where it has several
  std::uint16_t rtp_clock_hz;  // of the time stamps; RFC 3551: G.722 says 8000
  std::uint8_t frame_ms;       // a packet holds whole multiples of it
  std::uint8_t max_ptime_ms;   // what fits a datagram of 1500 bytes
  bool needs_comfort_noise;    // has no noise of its own, and the clock of CN/8000 (RFC 3389)
};
inline constexpr std::array<CodecFacts, kMaxCodec + 1> kCodecFacts{{
    {"-", 8000, 10, 60, false},
    {"PCMU", 8000, 10, 60, true},
    {"PCMA", 8000, 10, 60, true},
    {"G722", 8000, 10, 60, true},
    {"G729", 8000, 10, 60, false},
    {"opus", 48'000, 10, 60, false},
    {"speex/8000", 8000, 20, 60, false},
    {"speex/16000", 16'000, 20, 60, false},
    {"GSM", 8000, 20, 60, true},
    {"G726-16", 8000, 10, 60, true},
    {"G726-24", 8000, 10, 60, true},
    {"G726-32", 8000, 10, 60, true},
    {"G726-40", 8000, 10, 60, true},
    {"L16/8000", 8000, 10, 60, true},
    {"L16/16000", 16'000, 10, 40, false},
}};
// `codec` is at most kMaxCodec.
constexpr const CodecFacts& facts(Codec codec) noexcept { return kCodecFacts[static_cast<std::size_t>(codec)]; }

// 10, 20, 30, 40 or 60, as the codec allows.
constexpr bool valid_ptime(Codec codec, unsigned ms) noexcept {
  const CodecFacts& f = facts(codec);
  return ms >= 10 && ms <= f.max_ptime_ms && ms % 10 == 0 && ms != 50 && ms % f.frame_ms == 0;
}

// Directed pairs of codecs as an index of counters; both must be at most kMaxCodec. One codec twice is a relay; from None stands
// for what stays in its codec and is decoded and encoded again all the same (recoded_pair()).
inline constexpr std::size_t kCodecPairs = std::size_t{kMaxCodec + 1} * (kMaxCodec + 1);
constexpr std::uint8_t codec_pair(Codec from, Codec to) noexcept {
  static_assert(kCodecPairs <= 256);
  return static_cast<std::uint8_t>(static_cast<std::uint8_t>(from) * (kMaxCodec + 1) + static_cast<std::uint8_t>(to));
}
constexpr std::uint8_t recoded_pair(Codec codec) noexcept { return codec_pair(Codec::None, codec); }
constexpr Codec pair_to(std::size_t pair) noexcept { return static_cast<Codec>(pair % (kMaxCodec + 1)); }
constexpr bool is_recoded(std::size_t pair) noexcept { return pair / (kMaxCodec + 1) == 0 && pair_to(pair) != Codec::None; }
constexpr Codec pair_from(std::size_t pair) noexcept {
  return is_recoded(pair) ? pair_to(pair) : static_cast<Codec>(pair / (kMaxCodec + 1));
}
// For people.
constexpr std::string_view path_name(std::size_t pair) noexcept {
  return pair_from(pair) == pair_to(pair) && !is_recoded(pair) ? "relay" : "transcode";
}

}  // namespace ifgw::api
