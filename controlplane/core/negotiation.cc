#include "controlplane/core/negotiation.h"

#include <algorithm>
#include <array>

namespace ifgw::core {
namespace {

namespace sdp = wire::sdp;

// In the order of api::Codec.
constexpr std::array<CodecTraits, api::kMaxCodec> kTraits{{
    {api::Codec::Pcmu, "PCMU", 1, sdp::kPcmuPayloadType},
    {api::Codec::Pcma, "PCMA", 1, sdp::kPcmaPayloadType},
    {api::Codec::G722, "G722", 1, sdp::kG722PayloadType},
    {api::Codec::G729, "G729", 1, sdp::kG729PayloadType},
    {api::Codec::Opus, "opus", 2, 96},
    {api::Codec::Speex8, "speex", 1, 97},
    {api::Codec::Speex16, "speex", 1, 98},
    {api::Codec::Gsm, "GSM", 1, sdp::kGsmPayloadType},
    {api::Codec::G726_16, "G726-16", 1, 104},
    {api::Codec::G726_24, "G726-24", 1, 105},
    {api::Codec::G726_32, "G726-32", 1, 106},
    {api::Codec::G726_40, "G726-40", 1, 107},
    {api::Codec::L16_8, "L16", 1, 108},
    {api::Codec::L16_16, "L16", 1, 109},
}};
constexpr std::uint32_t clock_of(const CodecTraits& t) noexcept { return api::facts(t.codec).rtp_clock_hz; }

constexpr std::size_t kMaxListed = 8;  // formats named in a refusal

bool means(const sdp::Format& f, const CodecTraits& t) noexcept {
  return f.clock_rate == clock_of(t) && f.channels == t.channels && sdp::same_encoding(f.encoding, t.encoding);
}

bool is_codec(const sdp::Format& f, const CodecTraits& t) noexcept { return usable_payload_type(f.payload_type) && means(f, t); }

bool is_telephone_event(const sdp::Format& f) noexcept { return sdp::same_encoding(f.encoding, "telephone-event"); }

// Events run in the clock of the audio (RFC 4733 section 2.1); many phones know them at 8000 Hz only, also beside Opus.
void choose_telephone_event(const sdp::Media& m, Agreement& agreement) noexcept {
  for (const std::uint32_t clock : {clock_of(traits(agreement.codec)), std::uint32_t{8000}}) {
    const auto event = std::find_if(m.formats.begin(), m.formats.end(), [clock](const sdp::Format& f) {
      return is_telephone_event(f) && usable_payload_type(f.payload_type) && f.clock_rate == clock;
    });
    if (event == m.formats.end()) continue;
    agreement.sent.telephone_event = event->payload_type;
    agreement.telephone_event_clock_hz = static_cast<std::uint16_t>(clock);
    return;
  }
}

bool is_comfort_noise(const sdp::Format& f) noexcept { return f.clock_rate == 8000 && sdp::same_encoding(f.encoding, "CN"); }

std::vector<PayloadMapping> mappings(const sdp::Media& m) {
  std::vector<PayloadMapping> said;
  said.reserve(m.formats.size());
  for (const sdp::Format& f : m.formats) {
    const auto codec = std::find_if(kTraits.begin(), kTraits.end(), [&](const CodecTraits& t) { return means(f, t); });
    const Payload payload = codec != kTraits.end()  ? payload_of(codec->codec)
                            : is_telephone_event(f) ? telephone_event_at(f.clock_rate)
                            : is_comfort_noise(f)   ? Payload::ComfortNoise
                                                    : Payload::Other;
    said.push_back({f.payload_type, payload});
  }
  return said;
}

bool needs_comfort_noise(api::Codec codec) noexcept { return api::facts(codec).needs_comfort_noise; }

void choose_comfort_noise(const sdp::Media& m, Agreement& agreement) noexcept {
  if (!needs_comfort_noise(agreement.codec)) return;
  for (const sdp::Format& f : m.formats) {
    if (!usable_payload_type(f.payload_type) || !is_comfort_noise(f)) continue;
    agreement.sent.comfort_noise = f.payload_type;
    return;
  }
}

bool plain_rtp(const sdp::Media& m) noexcept { return m.protocol == "RTP/AVP" || m.protocol == "RTP/AVPF"; }

Refusal refusal(std::string rule, std::string observed, std::string limit, std::string remedy) {
  return Refusal{488, "negotiation", std::move(rule), std::move(observed), std::move(limit), std::move(remedy), 0};
}

// Why a format with the name of a codec is not that codec; empty: it is, or has another name.
std::string difference(const sdp::Format& f, const CodecTraits& t) {
  if (!sdp::same_encoding(f.encoding, t.encoding)) return {};
  if (f.clock_rate != clock_of(t)) return "clock rate " + std::to_string(f.clock_rate) + ", not " + std::to_string(clock_of(t));
  if (f.channels != t.channels) return "channels: " + std::to_string(f.channels) + ", not " + std::to_string(t.channels);
  if (!usable_payload_type(f.payload_type)) return "payload type " + std::to_string(f.payload_type) + " is reserved, RFC 5761 section 4";
  return {};
}

// The formats of `m`, and what keeps each from being the one of `codecs` that it is named after.
std::string format_list(const sdp::Media& m, std::span<const api::Codec> codecs) {
  std::string text;
  std::size_t count = 0;
  for (const sdp::Format& f : m.formats) {
    if (is_telephone_event(f)) continue;
    if (count++ == kMaxListed) return text + ", ...";
    if (!text.empty()) text += ", ";
    text += f.encoding.empty() ? "type " + std::to_string(f.payload_type) : f.encoding + "/" + std::to_string(f.clock_rate);
    for (const api::Codec codec : codecs) {
      if (const std::string why = difference(f, traits(codec)); !why.empty()) text += " (" + why + ")";
    }
  }
  return text.empty() ? "nothing" : text;
}

// The longest the codec has within what is wanted; else its shortest. Of frames of 20 ms what is wanted is rounded up
// (RFC 5574 section 5.6).
std::uint8_t usable_ptime(const sdp::Media& m, api::Codec codec) noexcept {
  const unsigned frame = api::facts(codec).frame_ms;
  unsigned ptime = m.ptime_ms == 0 ? 20u : m.ptime_ms;
  if (frame > 10) ptime = (ptime + frame - 1) / frame * frame;
  if (m.maxptime_ms != 0) ptime = std::min<unsigned>(ptime, m.maxptime_ms);
  unsigned usable = std::clamp(ptime / 10 * 10, frame, 60u);
  while (usable > frame && !api::valid_ptime(codec, usable)) usable -= 10;
  return static_cast<std::uint8_t>(usable);
}

// What is agreed with the codec, by its format in the stream.
void settle_codec(const sdp::Media& m, const sdp::Format& f, api::Codec codec, Agreement& agreement) {
  agreement.codec = codec;
  agreement.sent.audio = f.payload_type;
  agreement.ptime_ms = usable_ptime(m, codec);
  agreement.wants = read_format_parameters(codec, f.fmtp);
  choose_telephone_event(m, agreement);
  choose_comfort_noise(m, agreement);
}

Layout layout_of(const sdp::Session& session, std::size_t audio) {
  Layout layout;
  layout.audio = audio;
  for (const sdp::Media& m : session.media) {
    layout.lines.push_back({m.type, m.protocol, m.formats.empty() ? m.tokens.front() : std::to_string(m.formats.front().payload_type)});
  }
  return layout;
}

std::optional<Refusal> address_refusal(const IpAddress& ip, const MediaPath& path) {
  const std::string remedy = "put the party's own address into the c= line";
  if (is_martian(ip)) return refusal("media-address-not-reachable", ip.text(), "a unicast address other than loopback", remedy);
  const bool advertised = std::any_of(path.advertised.begin(), path.advertised.end(), [&](const auto& a) { return a.second == ip; });
  if (advertised || std::find(path.ours.begin(), path.ours.end(), ip) != path.ours.end()) {
    return refusal("media-address-is-ours", ip.text(), "an address that is not the gateway's", remedy);
  }
  if (path.family != IpFamily::None && ip.family != path.family) {
    return refusal("media-address-family", ip.text(), path.family == IpFamily::V4 ? "IPv4 on this leg" : "IPv6 on this leg",
                   "use the IP version of the signalling, or set media_address of the route");
  }
  return std::nullopt;
}

// Address, ports and direction of the stream; the codec is chosen by the caller.
std::variant<Agreement, Refusal> read_stream(const sdp::Session& session, const sdp::Media& m, const MediaPath& path) {
  const sdp::Address* where = session.connection_of(m);
  if (where == nullptr) return refusal("no-connection-line", "no c= for the audio stream", "RFC 8866 section 5.7", "send a c= line");
  if (!where->ip.present()) {
    return refusal("media-address-is-a-name", where->host, "an IP address", "put an IP address into the c= line");
  }
  Agreement a;
  a.direction = session.direction_of(m);
  if (is_unspecified(where->ip)) {  // hold as RFC 2543 wrote it
    a.direction = sdp::make_direction(sdp::sends(a.direction), false);
    return a;
  }
  if (auto refused = address_refusal(where->ip, path)) return std::move(*refused);
  a.remote = Endpoint{where->ip, m.port};
  if (m.rtcp && m.rtcp->port != m.port + 1) a.rtcp_port = m.rtcp->port;
  a.rtcp_mux = m.rtcp_mux;
  if (a.rtcp_mux) a.rtcp_port = m.port;
  return a;
}

// Why the m-lines of an answer do not answer those of the offer (RFC 3264 section 6).
std::optional<Refusal> layout_refusal(const sdp::Session& answer, const Layout& offer) {
  if (answer.media.size() != offer.lines.size()) {
    return refusal("answer-m-line-count", std::to_string(answer.media.size()) + " m= lines",
                   "offered " + std::to_string(offer.lines.size()), "answer every m= line, and no other");
  }
  for (std::size_t i = 0; i < offer.lines.size(); ++i) {
    const MediaLine& offered = offer.lines[i];
    const sdp::Media& answered = answer.media[i];
    if (answered.type == offered.type && answered.protocol == offered.protocol) continue;
    return refusal("answer-m-line-differs", "answered " + answered.type + " " + answered.protocol,
                   "offered " + offered.type + " " + offered.protocol, "answer with the media type and transport of the offer");
  }
  return std::nullopt;
}

std::uint8_t offered_event_type(std::uint32_t clock) noexcept {
  return clock == 48'000 ? kTelephoneEvent48PayloadType : clock == 16'000 ? kTelephoneEvent16PayloadType : kTelephoneEventPayloadType;
}

// By which numbers the party answers: those of the offer.
PayloadTypes types_of_offer(const Agreement& answered, const Agreement* kept, const PayloadNumbers& numbers) noexcept {
  const auto offered = [&](Payload payload, std::uint8_t usual) {
    const std::uint8_t told = numbers.told(payload);
    return told == api::kNoPayloadType ? usual : told;
  };
  const std::uint32_t clock = answered.telephone_event_clock_hz;
  PayloadTypes types{offered(payload_of(answered.codec), traits(answered.codec).payload_type),
                     offered(telephone_event_at(clock), offered_event_type(clock)),
                     offered(Payload::ComfortNoise, kComfortNoisePayloadType)};
  if (kept != nullptr && kept->codec == answered.codec) types = kept->received;
  if (answered.sent.telephone_event == api::kNoPayloadType) types.telephone_event = api::kNoPayloadType;
  if (answered.sent.comfort_noise == api::kNoPayloadType) types.comfort_noise = api::kNoPayloadType;
  return types;
}

const sdp::Format* find_codec(const sdp::Media& m, const CodecTraits& t) noexcept {
  const auto it = std::find_if(m.formats.begin(), m.formats.end(), [&](const sdp::Format& f) { return is_codec(f, t); });
  return it == m.formats.end() ? nullptr : &*it;
}

sdp::Session skeleton(const Description& d, const Layout& layout) {
  sdp::Session session;
  session.origin.username = "ifgw";
  session.origin.session_id = std::to_string(d.session_id);
  session.origin.session_version = std::to_string(d.version);
  session.origin.address.ip = d.local.ip;
  session.name = "ifgw";
  session.connection = session.origin.address;
  for (std::size_t i = 0; i < layout.lines.size(); ++i) {
    sdp::Media m;
    m.type = layout.lines[i].type;
    m.protocol = layout.lines[i].protocol;
    if (i == layout.audio) {
      m.port = d.local.port;
      m.ptime_ms = d.ptime_ms;
      m.direction = d.direction;
    } else {
      m.tokens.push_back(layout.lines[i].format);
    }
    session.media.push_back(std::move(m));
  }
  return session;
}

void add_codec(sdp::Media& m, const CodecTraits& t, std::uint8_t payload_type, const FormatParameters& asked) {
  m.formats.push_back({payload_type, std::string{t.encoding}, clock_of(t), t.channels, write_format_parameters(t.codec, asked)});
}

void add_comfort_noise(sdp::Media& m, std::uint8_t payload_type) { m.formats.push_back({payload_type, "CN", 8000, 1, ""}); }

void add_telephone_event(sdp::Media& m, std::uint8_t payload_type, std::uint32_t clock_rate) {
  m.formats.push_back({payload_type, "telephone-event", clock_rate, 1, "0-15"});
}

}  // namespace

const CodecTraits& traits(api::Codec codec) noexcept {
  IFGW_CHECK(codec != api::Codec::None && static_cast<std::size_t>(codec) <= kTraits.size());
  return kTraits[static_cast<std::size_t>(codec) - 1];
}

std::optional<api::Codec> codec_named(std::string_view name) noexcept {
  for (const CodecTraits& t : kTraits) {
    if (sdp::same_encoding(api::facts(t.codec).name, name)) return t.codec;
  }
  return std::nullopt;
}

std::string codec_list(std::span<const api::Codec> codecs) {
  std::string text;
  for (const api::Codec codec : codecs) {
    if (!text.empty()) text += ", ";
    text += api::facts(codec).name;
  }
  return text.empty() ? "nothing" : text;
}

std::string every_codec() {
  std::array<api::Codec, kTraits.size()> all;
  std::transform(kTraits.begin(), kTraits.end(), all.begin(), [](const CodecTraits& t) { return t.codec; });
  return codec_list(all);
}

Layout Layout::one_audio() { return Layout{{{"audio", "RTP/AVP", ""}}, 0}; }

Negotiated read_offer(std::string_view text, std::span<const api::Codec> accepted, const MediaPath& path) {
  auto parsed = sdp::parse(text);
  if (!parsed.ok()) {
    return refusal("malformed-sdp", "line " + std::to_string(parsed.error().position) + ": " + parsed.error().message, "RFC 8866",
                   "correct that line");
  }
  const sdp::Session& session = *parsed;
  const auto it = std::find_if(session.media.begin(), session.media.end(),
                               [](const sdp::Media& m) { return m.type == "audio" && m.port != 0 && plain_rtp(m); });
  if (it == session.media.end()) {
    std::string lines;
    for (const sdp::Media& m : session.media)
      lines += (lines.empty() ? "" : ", ") + m.type + " " + m.protocol + (m.port == 0 ? " (port 0)" : "");
    return refusal("no-audio-stream", lines.empty() ? "no m= line" : lines.substr(0, 120), "one audio stream over RTP/AVP or RTP/AVPF",
                   "offer m=audio <port> RTP/AVP");
  }
  auto stream = read_stream(session, *it, path);
  if (auto* refused = std::get_if<Refusal>(&stream)) return std::move(*refused);
  Agreement agreement = std::get<Agreement>(stream);
  for (const api::Codec codec : accepted) {
    if (const sdp::Format* f = find_codec(*it, traits(codec))) {
      settle_codec(*it, *f, codec, agreement);
      agreement.received = agreement.sent;  // our answer repeats them
      return Understood{agreement, layout_of(session, static_cast<std::size_t>(it - session.media.begin())), mappings(*it)};
    }
  }
  const std::string list = codec_list(accepted);
  return refusal("no-common-codec", "offered " + format_list(*it, accepted), "accepted " + list, "offer one of " + list);
}

Negotiated read_answer(std::string_view text, std::span<const api::Codec> offered, const Layout& layout, const MediaPath& path,
                       const Agreement* kept, const PayloadNumbers& numbers) {
  auto parsed = sdp::parse(text);
  if (!parsed.ok()) {
    return refusal("malformed-sdp", "line " + std::to_string(parsed.error().position) + ": " + parsed.error().message, "RFC 8866",
                   "correct that line");
  }
  const sdp::Session& session = *parsed;
  if (auto refused = layout_refusal(session, layout)) return std::move(*refused);
  const sdp::Media& m = session.media[layout.audio];
  if (m.port == 0) return refusal("audio-refused", "port 0", "offered " + codec_list(offered), "accept the audio stream");
  auto stream = read_stream(session, m, path);
  if (auto* refused = std::get_if<Refusal>(&stream)) return std::move(*refused);
  Agreement agreement = std::get<Agreement>(stream);
  for (const sdp::Format& f : m.formats) {
    for (const api::Codec codec : offered) {
      if (!is_codec(f, traits(codec))) continue;
      settle_codec(m, f, codec, agreement);
      agreement.received = types_of_offer(agreement, kept, numbers);
      agreement.ambiguous = kept == nullptr && std::any_of(offered.begin(), offered.end(), [&](api::Codec other) {
                              return other != codec && find_codec(m, traits(other)) != nullptr;
                            });
      return Understood{agreement, layout, mappings(m)};
    }
  }
  return refusal("no-common-codec", "answered " + format_list(m, offered), "offered " + codec_list(offered), "answer with one of them");
}

std::string describe_agreed(const Description& d, const Layout& layout, const Agreement& agreement) {
  sdp::Session session = skeleton(d, layout);
  sdp::Media& m = session.media[layout.audio];
  const PayloadTypes& types = agreement.received;
  add_codec(m, traits(agreement.codec), types.audio, d.asked);
  if (d.comfort_noise && types.comfort_noise != api::kNoPayloadType) add_comfort_noise(m, types.comfort_noise);
  if (types.telephone_event != api::kNoPayloadType) add_telephone_event(m, types.telephone_event, agreement.telephone_event_clock_hz);
  m.rtcp_mux = agreement.rtcp_mux;
  return sdp::write(session);
}

void tell_agreed(const Agreement& agreement, PayloadNumbers& numbers) noexcept {
  const PayloadTypes& types = agreement.received;
  numbers.tell(types.audio, payload_of(agreement.codec));
  numbers.tell(types.comfort_noise, Payload::ComfortNoise);
  numbers.tell(types.telephone_event, telephone_event_at(agreement.telephone_event_clock_hz));
}

std::string describe_offer(const Description& d, const Layout& layout, std::span<const api::Codec> codecs, bool telephone_event,
                           PayloadNumbers& numbers) {
  sdp::Session session = skeleton(d, layout);
  sdp::Media& m = session.media[layout.audio];
  m.rtcp_mux = true;  // who does not know it uses two ports, which are there as well (RFC 5761 section 5.1.1)
  for (const api::Codec codec : codecs) add_codec(m, traits(codec), numbers.choose(payload_of(codec), traits(codec).payload_type), d.asked);
  if (d.comfort_noise && std::any_of(codecs.begin(), codecs.end(), needs_comfort_noise))
    add_comfort_noise(m, numbers.choose(Payload::ComfortNoise, kComfortNoisePayloadType));
  if (!telephone_event) return sdp::write(session);
  const auto runs_at = [&](std::uint32_t clock) {
    return std::any_of(codecs.begin(), codecs.end(), [clock](api::Codec codec) { return api::facts(codec).rtp_clock_hz == clock; });
  };
  for (const std::uint32_t clock : {48'000u, 16'000u, 8000u}) {
    if (clock == 8000 || runs_at(clock))
      add_telephone_event(m, numbers.choose(telephone_event_at(clock), offered_event_type(clock)), clock);
  }
  return sdp::write(session);
}

}  // namespace ifgw::core
