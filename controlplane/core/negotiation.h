// Offer and answer (RFC 3264) for one audio stream: what a party's session description means to the gateway, and what
// ours says. Pure functions over text and values.
//
// The gateway anchors media, so each leg is negotiated by itself: the codec of one leg never depends on the other's
// (the dataplane transcodes). Other m-lines are refused by port 0.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "codecs/base/ip.h"
#include "codecs/wire/sdp.h"
#include "controlplane/core/format_parameters.h"
#include "controlplane/core/payload_numbers.h"
#include "controlplane/core/refusal.h"
#include "dataplane/api/messages.h"

namespace ifgw::core {

using wire::sdp::Direction;

// How a codec is written in a session description; its clock is api::CodecFacts::rtp_clock_hz.
struct CodecTraits {
  api::Codec codec;
  std::string_view encoding;
  std::uint16_t channels;
  std::uint8_t payload_type;  // static, or the one we offer where nothing else has it
};
const CodecTraits& traits(api::Codec codec) noexcept;                   // any but None
std::optional<api::Codec> codec_named(std::string_view name) noexcept;  // CodecFacts::name, without case
std::string codec_list(std::span<const api::Codec> codecs);             // "PCMA, PCMU"
std::string every_codec();                                              // all there are

inline constexpr std::uint8_t kTelephoneEventPayloadType = 101;    // telephone-event/8000
inline constexpr std::uint8_t kTelephoneEvent48PayloadType = 102;  // telephone-event/48000, beside Opus
inline constexpr std::uint8_t kTelephoneEvent16PayloadType = 103;  // telephone-event/16000, beside wide-band Speex and L16

inline constexpr std::uint8_t kComfortNoisePayloadType = 13;  // RFC 3389

struct PayloadTypes {
  std::uint8_t audio = api::kNoPayloadType;
  std::uint8_t telephone_event = api::kNoPayloadType;
  std::uint8_t comfort_noise = api::kNoPayloadType;  // that the party knows; with codecs without a noise of their own
  friend bool operator==(const PayloadTypes&, const PayloadTypes&) = default;
};

// What was agreed with one party about its stream. Trivially small; the leg's MediaParams are made of it.
struct Agreement {
  api::Codec codec = api::Codec::None;
  PayloadTypes sent;      // to the party: those of its description
  PayloadTypes received;  // from it: those of ours (RFC 3264 sections 5.1, 6.1). What has none in `sent` has none here
  std::uint16_t telephone_event_clock_hz = 8000;
  bool ambiguous = false;  // the party answered with further codecs of our offer, and may send any of them
  std::uint8_t ptime_ms = 20;
  std::uint16_t rtcp_port = 0;                // 0: port + 1
  bool rtcp_mux = false;                      // RTCP on the RTP port, both ways (RFC 5761); then rtcp_port is that port
  Endpoint remote;                            // absent: nowhere to send to (c=0.0.0.0)
  Direction direction = Direction::SendRecv;  // the party's view
  FormatParameters wants;                     // of the codec: what the party wants to receive
  friend bool operator==(const Agreement&, const Agreement&) = default;
};

// The m-lines of a session, which may never shrink or change their order (RFC 3264 section 8).
struct MediaLine {
  std::string type;
  std::string protocol;
  std::string format;  // of a refused line: the first one of the offer
};
struct Layout {
  std::vector<MediaLine> lines;
  std::size_t audio = 0;  // index of the line we use
  static Layout one_audio();
};

struct Understood {
  Agreement agreement;
  Layout layout;
  std::vector<PayloadMapping> said;  // every format of the stream: for the side's PayloadNumbers
};
using Negotiated = std::variant<Understood, Refusal>;

// Which addresses of a party media of a leg can go to; the dataplane refuses all others.
struct MediaPath {
  IpFamily family = IpFamily::None;                               // of the address the leg receives on; None: not known yet, either will do
  std::span<const IpAddress> ours{};                              // where the dataplane receives: media to ourselves would loop
  std::span<const std::pair<IpAddress, IpAddress>> advertised{};  // MediaSettings::advertised: leads back to us as well
};

// A party's offer: the first of `accepted` (our order) that it holds. The refusal (488) names what was offered and what
// is accepted. Accepted streams: the first audio line with a port, RTP/AVP or RTP/AVPF.
Negotiated read_offer(std::string_view sdp, std::span<const api::Codec> accepted, const MediaPath& path);
// A party's answer to an offer of ours with `offered` and `layout`: the first codec of the answer that we offered. Every
// m-line has to answer its own (RFC 3264 section 6). `kept`: what describe_agreed() offered; without, it was describe_offer(),
// which told `numbers`.
Negotiated read_answer(std::string_view sdp, std::span<const api::Codec> offered, const Layout& layout, const MediaPath& path,
                       const Agreement* kept = nullptr, const PayloadNumbers& numbers = {});

// Our side of the session towards one party.
struct Description {
  Endpoint local;  // where we receive: the advertised address
  std::uint64_t session_id = 0;
  std::uint32_t version = 1;
  Direction direction = Direction::SendRecv;  // our view
  std::uint8_t ptime_ms = 20;
  FormatParameters asked = {};  // what we want to receive
  bool comfort_noise = false;   // offered, or accepted where the party knows it
};
// An answer, or a new offer within what was agreed. It tells agreement.received.
std::string describe_agreed(const Description& d, const Layout& layout, const Agreement& agreement);
// An offer of every codec in `codecs`, in that order, by the numbers that `numbers` has or is given for them.
std::string describe_offer(const Description& d, const Layout& layout, std::span<const api::Codec> codecs, bool telephone_event,
                           PayloadNumbers& numbers);
// What describe_agreed() tells.
void tell_agreed(const Agreement& agreement, PayloadNumbers& numbers) noexcept;

}  // namespace ifgw::core
