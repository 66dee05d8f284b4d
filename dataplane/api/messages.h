// THE plane contract, part 1: the values that cross the rings.
//
// Every message is a trivially copyable value of fixed size without pointers. The receiver treats each as hostile
// input: it validates every field before use (an invalid one is answered or counted, never trusted, never fatal),
// because the sender may be compromised, killed half-way, or of another build.
//
// Commands go down (control plane to one dataplane worker), events come up. Each command carries a request id and is
// answered by exactly one CommandDone event, in order, unless the event ring overflowed (then EventHeader::sequence
// shows a gap, and the control plane re-reads the leg table). Flags are bytes, not bool: a bool of value 7 would be
// undefined behaviour, and the peer may send one. Who owns what: a leg belongs to the worker that its id
// names; commands about it go to that worker's ring. MoveLegs gives it to another worker, under a new id. Times are nanoseconds of
// CLOCK_MONOTONIC.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "codecs/base/ip.h"
#include "dataplane/api/codecs.h"
#include "dataplane/api/drop_reasons.h"

namespace ifgw::api {

// Raised by any change to a layout or to the meaning of a field in this folder. The handshake refuses a mismatch.
inline constexpr std::uint32_t kContractVersion = 10;

// Network ports of a dataplane, at most.
inline constexpr std::size_t kMaxPorts = 8;

// worker (8 bits) | table index (24) | generation (32). A leg id is never reused while a stale copy of it could still
// be believed: the generation changes each time the index is given to a new leg. 0 is "no leg".
struct LegId {
  std::uint64_t value = 0;

  static constexpr LegId make(std::uint8_t worker, std::uint32_t index, std::uint32_t generation) noexcept {
    return {std::uint64_t{worker} << 56 | std::uint64_t{index & 0xFFFFFF} << 32 | generation};
  }
  constexpr bool present() const noexcept { return value != 0; }
  constexpr std::uint8_t worker() const noexcept { return static_cast<std::uint8_t>(value >> 56); }
  constexpr std::uint32_t index() const noexcept { return static_cast<std::uint32_t>(value >> 32) & 0xFFFFFF; }
  constexpr std::uint32_t generation() const noexcept { return static_cast<std::uint32_t>(value); }
  friend constexpr auto operator<=>(LegId, LegId) = default;
};

// Chosen by the control plane to find its call again after a restart; opaque to the dataplane.
using CallTag = std::array<std::uint8_t, 16>;

enum class SourcePolicy : std::uint8_t {
  Strict = 1,  // only the remote address of the session description
  Latch = 2,   // the first valid RTP packet within latch_window_ms after add or update decides, then strict
};

inline constexpr std::uint8_t kNoPayloadType = 0xFF;

// How many bits Speex takes (RFC 5574 section 4.1.1, vbr).
enum class SpeexRate : std::uint8_t {
  Constant = 0,
  Variable = 1,
  Vad = 2,  // constant, but little for silence
};

// How audio is encoded for the party: what the operator chose, within what the party said it wants to receive (RFC 7587
// section 6.1; RFC 4856, audio/G729; RFC 5574 section 4.1.1). Used where audio is transcoded; a codec reads what concerns it.
struct EncoderParams {
  std::uint32_t bitrate_bps = 0;                // Opus: 6000..128000; 0: by the sampling rate (audio::OpusSettings)
  std::uint32_t max_bitrate_bps = 0;            // Opus: the most the party takes on average, 6000..510000; 0: it did not say
  std::uint16_t max_playback_rate_hz = 48'000;  // Opus: 8000..48000; no wider audio than the party can play
  std::uint8_t complexity = 5;                  // Opus: 0..10
  std::uint8_t expected_loss_percent = 0;       // Opus: 0..100; what FEC protects against
  std::uint8_t fec = 0;                         // Opus: 1: in-band FEC
  std::uint8_t dtx = 0;                         // Opus: 1: silence is not sent
  std::uint8_t cbr = 0;                         // Opus: 1: constant bit rate
  std::uint8_t annex_b = 0;                     // G.729: 1: SID frames pass on this leg, both ways; 0: none is sent to the party
  std::uint8_t speex_quality = 8;               // Speex: 0..10, of libspeex; sets the mode
  SpeexRate speex_rate = SpeexRate::Constant;   // Speex
  friend bool operator==(const EncoderParams&, const EncoderParams&) = default;
};
inline constexpr std::uint32_t kMinOpusBitrate = 6000;
inline constexpr std::uint32_t kMaxOpusBitrate = 128'000;         // that we send at
inline constexpr std::uint32_t kMaxOpusReceiveBitrate = 510'000;  // that a party may name
inline constexpr std::uint16_t kMinPlaybackRate = 8000;
inline constexpr std::uint16_t kMaxPlaybackRate = 48'000;
inline constexpr std::uint8_t kMaxComplexity = 10;
inline constexpr std::uint8_t kMaxSpeexQuality = 10;

// What one side of a call agreed on. Direction flags are from the gateway's point of view. A party may want other payload types
// than it sends: each side is sent the numbers of its own description (RFC 3264 sections 5.1, 6.1).
struct MediaParams {
  Endpoint remote;                     // where this leg's party wants RTP; absent until known
  std::uint16_t remote_rtcp_port = 0;  // 0: remote.port + 1 (RFC 3550 section 11)
  Codec codec = Codec::None;
  std::uint8_t payload_type = kNoPayloadType;  // sent to the party: 0..127; 64..95 are refused (RFC 5761 section 4)
  std::uint8_t telephone_event_payload_type = kNoPayloadType;
  std::uint8_t ptime_ms = 20;  // what we send: 10, 20, 30, 40 or 60, as valid_ptime() says
  std::uint8_t receive = 1;    // 1: packets from the party are accepted; 0: not (hold)
  std::uint8_t send = 1;       // 1: packets are sent to the party; 0: not
  SourcePolicy source_policy = SourcePolicy::Strict;
  std::uint8_t dscp = 46;              // 0..63 (RFC 4594: EF for telephony)
  std::uint16_t latch_window_ms = 0;   // 1..60000 with Latch
  std::uint32_t media_timeout_ms = 0;  // 0: never; else 1000..86400000 without a valid packet
  EncoderParams encoder;
  std::uint8_t comfort_noise_payload_type = kNoPayloadType;  // RFC 3389, clock 8000; where CodecFacts::needs_comfort_noise
  std::uint8_t received_payload_type = kNoPayloadType;       // of what the party sends; kNoPayloadType: as sent to it
  std::uint16_t telephone_event_clock_hz = 8000;             // 8000, 16000 or 48000: of the events' durations; time stamps follow the audio
  std::uint8_t received_telephone_event_payload_type = kNoPayloadType;  // where telephone_event_payload_type is given; as above
  std::uint8_t received_comfort_noise_payload_type = kNoPayloadType;    // where comfort_noise_payload_type is given; as above
  friend bool operator==(const MediaParams&, const MediaParams&) = default;
};

// The payload types by which the party sends.
constexpr std::uint8_t received_audio(const MediaParams& m) noexcept {
  return m.received_payload_type != kNoPayloadType ? m.received_payload_type : m.payload_type;
}
constexpr std::uint8_t received_events(const MediaParams& m) noexcept {
  return m.received_telephone_event_payload_type != kNoPayloadType ? m.received_telephone_event_payload_type
                                                                   : m.telephone_event_payload_type;
}
constexpr std::uint8_t received_noise(const MediaParams& m) noexcept {
  return m.received_comfort_noise_payload_type != kNoPayloadType ? m.received_comfort_noise_payload_type : m.comfort_noise_payload_type;
}

enum class CommandType : std::uint8_t {
  AddLeg = 1,
  JoinLegs = 2,
  UpdateLeg = 3,
  RemoveLeg = 4,
  SetLimits = 5,
  SetPrefixLimit = 6,
  BlockSource = 7,
  UnblockSource = 8,
  ExemptPrefix = 9,
  ListSources = 10,
  ForgetPrefixes = 11,
  ListPrefixes = 12,
  MoveLegs = 13,
  StartCapture = 14,
  StopCapture = 15,
};

struct AddLeg {
  CallTag tag{};
  std::uint8_t local_address = 0;  // index into Welcome::local_addresses
  MediaParams media;
};
struct JoinLegs {
  LegId a;
  LegId b;  // absent: part a from its peer
};
struct UpdateLeg {
  LegId leg;
  MediaParams media;
};
// To the worker that shall have them: takes two legs of another worker over, joined with each other or with nobody. They keep
// their local endpoints, addresses, streams and counters, and get new ids: CommandDone::leg is a's, CommandDone::value b's.
// Packets still come to the worker whose ports they are, and are handed over by ring. A leg that was moved stays. Commands
// behind this one wait until the other worker has answered: an iteration of each. The old ids name nothing afterwards;
// after an error both legs are as they were, but for NoTranscoder: moved, and joined no more.
struct MoveLegs {
  LegId a;
  LegId b;
};
struct RemoveLeg {
  LegId leg;
};
// Never more than `requests` of one source in any window of `window_ms`. A source that goes on while it is over its
// budget is blocked for `block_ms`, counted from its last packet over the budget (0: no blocked state, only the window).
struct SetLimits {
  std::uint32_t requests = 30;       // 1..the capacity the dataplane was started with
  std::uint32_t window_ms = 10'000;  // 100..600000
  std::uint32_t block_ms = 0;        // 0..86400000
};
// One budget for a whole prefix (a trunk, a route's targets), instead of the per-source one. requests 0 removes it.
struct SetPrefixLimit {
  IpPrefix prefix;
  std::uint32_t requests = 0;      // 0..1000000; all prefixes together are bounded by the dataplane's configuration
  std::uint32_t window_ms = 1000;  // 100..600000
};
struct BlockSource {
  IpAddress source;
  std::uint64_t duration_ms = 0;  // 0: until unblocked; ..864000000 (ten days)
};
// Also forgets the source's window, so that it starts with a full budget.
struct UnblockSource {
  IpAddress source;
};
// Sources in the prefix are counted but never refused. `exempt` 0 takes the exemption back.
struct ExemptPrefix {
  IpPrefix prefix;
  std::uint8_t exempt = 1;  // 0 or 1
};
// ForgetPrefixes has no fields: it forgets the prefix limits and exemptions of earlier clients, all that this one has not
// set itself since it attached. Sent after the client's own, so that what both have in common is in force throughout and
// keeps its window. When there is no room for a client's own prefix before that, those of earlier clients make it.

// Answered by up to kMaxAnswerRows SourceRow events, then CommandDone whose `value` is the next cursor (0: done). Start
// with 0.
inline constexpr std::size_t kMaxAnswerRows = 32;
struct ListSources {
  std::uint64_t cursor = 0;
  std::uint8_t blocked_only = 0;  // 0 or 1
};
// The same for prefixes, with PrefixRow events. Every worker has every prefix, and counts what it saw of it.
struct ListPrefixes {
  std::uint64_t cursor = 0;
};

// Copies of packets go up as Captured: those of one leg (RTP and RTCP, to and from its ports), or those that come from and go
// to the addresses of a prefix. Until StopCapture, `duration_ms`, the leg's end or the client's, whichever is first. A worker
// does one capture at a time. A leg's goes to the leg's worker, a prefix's to every worker.
inline constexpr std::uint32_t kMaxCaptureMs = 3'600'000;
struct StartCapture {
  std::uint32_t capture = 0;      // its number, chosen by the client; not 0
  std::uint32_t duration_ms = 0;  // 1..kMaxCaptureMs
  LegId leg;                      // absent with a prefix
  IpPrefix source;                // absent with a leg
  std::uint8_t headers_only = 1;  // 1: of RTP the fixed header and the CSRC list, of RTCP its first 8 bytes, of all else no payload
};
// NotFound when that capture is over already. All that was captured is in the ring before the answer is.
struct StopCapture {
  std::uint32_t capture = 0;
};

// By how many events a command is answered at the most. It waits in its ring until there is room for them.
inline constexpr std::size_t kMaxAnswerEvents = kMaxAnswerRows + 1;

struct Command {
  Command() noexcept : raw{} {}

  CommandType type{};
  std::uint32_t request_id = 0;  // echoed in CommandDone
  union {
    AddLeg add_leg;
    JoinLegs join_legs;
    UpdateLeg update_leg;
    RemoveLeg remove_leg;
    MoveLegs move_legs;
    SetLimits set_limits;
    SetPrefixLimit set_prefix_limit;
    BlockSource block_source;
    UnblockSource unblock_source;
    ExemptPrefix exempt_prefix;
    ListSources list_sources;
    ListPrefixes list_prefixes;
    StartCapture start_capture;
    StopCapture stop_capture;
    std::array<std::uint8_t, 112> raw;
  };
};

enum class CommandStatus : std::uint8_t {
  Ok = 0,
  InvalidArgument = 1,  // a field out of its range; `value` is the byte offset of the field within the command's struct
  UnknownLeg = 2,       // no such leg, or an older generation of it
  TableFull = 3,        // legs, prefixes, exemptions or blocks are at their bound
  PortsExhausted = 4,   // no free RTP/RTCP port pair on that local address
  NoTranscoder = 5,     // no memory left for the transcoder that the legs need
  NotFound = 6,         // unblock or un-exempt of something that is not there
  UnknownCommand = 7,
  NoHeadroom = 8,  // the worker's time is promised to other calls (WorkerBlock::load_booked_ppm)
  Busy = 9,        // the worker does another capture
};

enum class EventType : std::uint8_t {
  CommandDone = 1,
  FirstPacket = 2,
  MediaTimeout = 3,
  AddressChange = 4,
  LimiterVerdict = 5,
  SourceRow = 6,
  PrefixRow = 7,
  MediaUnreachable = 8,
};

struct CommandDone {
  std::uint32_t request_id = 0;
  CommandType command{};
  CommandStatus status{};
  LegId leg;       // AddLeg, MoveLegs: the new leg; else the leg named
  Endpoint local;  // AddLeg: where the party shall send RTP (RTCP at port + 1)
  std::uint64_t value = 0;
};
struct FirstPacket {
  LegId leg;
  Endpoint source;
};
// The leg received nothing valid for its media_timeout. It stays until it is removed; the event is not repeated
// before media came again, but for a client that attaches later, and when the ring had no room for it.
struct MediaTimeout {
  LegId leg;
  std::uint64_t silent_ns = 0;
};
// Latching settled on, or moved to, another address than the session description gave.
struct AddressChange {
  LegId leg;
  Endpoint before;
  Endpoint after;
};
enum class UnreachableCause : std::uint8_t { Network = 1, Host, Protocol, Port, Prohibited, TooBig, TimeExceeded };
// A router, or the party's host, says that what is sent to the leg's party does not arrive. Once for each address of the
// party; the row counts all. Anyone who knows both addresses and ports can forge it: a hint, not a fact.
struct MediaUnreachable {
  LegId leg;
  IpAddress reporter;
  Endpoint remote;
  UnreachableCause cause{};
  std::uint32_t mtu = 0;  // TooBig: bytes of an IP packet that the path takes; 0: not told
};
enum class Verdict : std::uint8_t { Limited = 1, Blocked = 2, Released = 3 };
// First refusal of a source, its becoming blocked, or its release; not one event per packet.
struct LimiterVerdict {
  IpAddress source;  // IPv6: the /64
  Verdict verdict{};
  std::uint32_t requests = 0;  // in the current window
  std::uint32_t limit = 0;
};
struct SourceRow {
  std::uint32_t request_id = 0;  // of the ListSources it answers
  IpAddress source;              // IPv6: the /64
  std::uint32_t in_window = 0;   // requests admitted in the window that ends now
  std::uint64_t refused = 0;
  std::uint8_t blocked = 0;
  std::uint64_t blocked_until_ns = 0;  // 0: until unblocked
};
struct PrefixRow {
  std::uint32_t request_id = 0;  // of the ListPrefixes it answers
  IpPrefix prefix;
  std::uint8_t exempt = 0;
  std::uint32_t requests = 0;  // the budget; 0: none
  std::uint32_t window_ms = 0;
  std::uint32_t in_window = 0;  // requests admitted by the budget in the window that ends now
  std::uint64_t refused = 0;    // by the budget
};

struct Event {
  Event() noexcept : raw{} {}

  EventType type{};
  std::uint8_t worker = 0;
  std::uint64_t sequence = 0;  // per worker and attach, from 1; a gap means events were lost: re-read the leg table
  std::uint64_t time_ns = 0;
  union {
    CommandDone command_done;
    FirstPacket first_packet;
    MediaTimeout media_timeout;
    AddressChange address_change;
    MediaUnreachable media_unreachable;
    LimiterVerdict limiter_verdict;
    SourceRow source_row;
    PrefixRow prefix_row;
    std::array<std::uint8_t, 96> raw;
  };
};

// One UDP datagram to or from a signalling port. Up: `local` is where it arrived, `remote` who sent it.
// Down: `local` must be one of the dataplane's signalling endpoints, `remote` the destination.
inline constexpr std::size_t kDatagramSlotBytes = 2048;
struct DatagramHeader {
  Endpoint local;
  Endpoint remote;
  std::uint64_t time_ns = 0;  // up: when the burst was received
  std::uint16_t length = 0;   // of the payload, 1..kMaxDatagramPayload
  std::uint8_t dscp = 0;      // down: 0..63
};
inline constexpr std::size_t kMaxDatagramPayload = kDatagramSlotBytes - sizeof(DatagramHeader);
struct Datagram {
  DatagramHeader header;
  std::array<std::uint8_t, kMaxDatagramPayload> payload;
};

// A packet that a capture took: what it was on the wire (Inbound: as received; Outbound: as sent), or its first bytes.
enum class CaptureDirection : std::uint8_t { Inbound = 1, Outbound = 2 };
inline constexpr std::size_t kCapturedSlotBytes = 2048;
struct CapturedHeader {
  std::uint64_t time_ns = 0;  // Inbound: when the burst was received; Outbound: when it was handed to the port
  std::uint64_t lost = 0;     // WorkerBlock::capture_lost of that port, until this packet
  LegId leg;                  // whose port it came to or left from; absent: none
  std::uint32_t capture = 0;  // StartCapture::capture
  std::uint16_t length = 0;   // of what follows, from the Ethernet header on; at most kMaxCapturedBytes
  std::uint16_t original_length = 0;
  std::uint8_t port = 0;  // network port, in the order of the PortBlocks
  CaptureDirection direction{};
  std::uint8_t dropped = 0;  // 1: it was not passed on, for the reason `drop`
  DropReason drop{};
};
inline constexpr std::size_t kMaxCapturedBytes = kCapturedSlotBytes - sizeof(CapturedHeader);
struct Captured {
  CapturedHeader header;
  std::array<std::uint8_t, kMaxCapturedBytes> bytes;
};

static_assert(sizeof(Command) <= 128 && std::is_trivially_copyable_v<Command>);
static_assert(sizeof(Event) <= 128 && std::is_trivially_copyable_v<Event>);
static_assert(sizeof(Datagram) == kDatagramSlotBytes && std::is_trivially_copyable_v<Datagram>);
static_assert(sizeof(Captured) == kCapturedSlotBytes && std::is_trivially_copyable_v<Captured>);

}  // namespace ifgw::api
