// Port: media legs in the dataplane, as the call sees them. Implemented by controlplane/adapters/dataplane_client.
//
// Requests are asynchronous and never block. Each is answered by exactly one MediaDone with its request id, handed to
// core (Calls::on_media) from the event loop and never from inside the request itself; also when the dataplane goes
// away (Detached) or its command ring is full (Overloaded). Answers of one worker come in the order of the requests.
// Everything happens on the event loop's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "codecs/base/ip.h"
#include "codecs/base/time.h"
#include "controlplane/core/worker_roles.h"
#include "dataplane/api/messages.h"

namespace ifgw::core {

// Chosen by core, unique among the requests under way; 0 is never used.
using MediaRequestId = std::uint64_t;

enum class MediaStatus : std::uint8_t {
  Ok,
  TableFull,        // legs at their bound -> 503
  PortsExhausted,   // no free port pair on that address -> 503
  NoTranscoder,     // the dataplane has no memory left for one (--transcoding-mb) -> 503
  NoHeadroom,       // the worker's time is promised to other calls -> 503
  InvalidArgument,  // a field out of range: a defect of ours, or a client of another contract
  UnknownLeg,       // gone already
  Overloaded,       // command ring full -> 503
  Detached,         // no dataplane -> 503
  Lost,             // the answer was lost when the event ring overflowed; a MediaResync follows
};

constexpr std::string_view name(MediaStatus status) noexcept {
  switch (status) {
    case MediaStatus::Ok: return "ok";
    case MediaStatus::TableFull: return "leg table full";
    case MediaStatus::PortsExhausted: return "media ports exhausted";
    case MediaStatus::NoTranscoder: return "no memory for a transcoder";
    case MediaStatus::NoHeadroom: return "no time left on the worker for these codecs";
    case MediaStatus::InvalidArgument: return "invalid argument";
    case MediaStatus::UnknownLeg: return "unknown leg";
    case MediaStatus::Overloaded: return "dataplane overloaded";
    case MediaStatus::Detached: return "no dataplane attached";
    case MediaStatus::Lost: return "answer of the dataplane lost";
  }
  return "?";
}

// ---- events: dataplane -> core -----------------------------------------------------------------------------------

struct MediaDone {
  MediaRequestId request = 0;
  MediaStatus status = MediaStatus::Ok;
  api::LegId leg;      // add: the new leg; move: the first one's new id; else the leg named
  Endpoint local;      // add: where the party shall send RTP
  api::LegId other{};  // move: the second one's new id
};
struct MediaFirstPacket {
  api::LegId leg;
  Endpoint source;
};
struct MediaTimedOut {
  api::LegId leg;
  Duration silent{};
};
struct MediaAddressChanged {
  api::LegId leg;
  Endpoint before;
  Endpoint after;
};
// Somebody on the way, or the party's host, says that what is sent there does not arrive. Told once an address.
struct MediaUnreachable {
  api::LegId leg;
  IpAddress reporter;
  Endpoint remote;
  api::UnreachableCause cause{};
  std::uint32_t mtu = 0;  // TooBig: what the path takes; 0: not told
};
constexpr std::string_view name(api::UnreachableCause cause) noexcept {
  switch (cause) {
    case api::UnreachableCause::Network: return "network-unreachable";
    case api::UnreachableCause::Host: return "host-unreachable";
    case api::UnreachableCause::Protocol: return "protocol-unreachable";
    case api::UnreachableCause::Port: return "port-unreachable";
    case api::UnreachableCause::Prohibited: return "prohibited";
    case api::UnreachableCause::TooBig: return "packet-too-big";
    case api::UnreachableCause::TimeExceeded: return "time-exceeded";
  }
  return "unknown";  // a later dataplane's
}
// A dataplane is there. `legs` are the ones it already had: they belong to an earlier control plane.
struct MediaAttached {
  std::vector<api::LegInfo> legs;
};
// The dataplane went away and its legs with it. Requests under way have been answered with Detached before.
struct MediaDetached {};
// Events were lost (a gap in the sequence): `legs` is the leg table as it is now.
struct MediaResync {
  std::vector<api::LegInfo> legs;
};
using MediaEvent = std::variant<MediaDone, MediaFirstPacket, MediaTimedOut, MediaAddressChanged, MediaUnreachable, MediaAttached,
                                MediaDetached, MediaResync>;

// ---- requests: core -> dataplane ---------------------------------------------------------------------------------

class Media {
 public:
  virtual ~Media() = default;

  virtual bool attached() const = 0;
  // Whether that worker has the time for a call between these codecs, as it looks now; the dataplane decides when legs are
  // joined. True when detached.
  virtual bool has_headroom(std::uint8_t worker, api::Codec a, api::Codec b) const = 0;
  // Of a call between these codecs, by what the dataplane measured. Light where no workers are set apart for heavy ones.
  virtual CallWeight weight(api::Codec a, api::Codec b) const = 0;
  // The worker that should carry the next call of this weight (both legs of a call go to one worker). 0 when detached.
  virtual std::uint8_t choose_worker(CallWeight weight) = 0;
  // Whether calls of this weight may be on that worker.
  virtual bool carries(std::uint8_t worker, CallWeight weight) const = 0;
  // Addresses media may be received on, in the order of Welcome::local_addresses; the index is AddLeg::local_address.
  virtual const std::vector<IpAddress>& local_addresses() const = 0;
  // Bit n: api::Codec n can be run. 0 when detached.
  virtual std::uint32_t codec_mask() const = 0;

  virtual void add_leg(MediaRequestId request, std::uint8_t worker, const api::AddLeg& leg) = 0;
  // `b` absent: part a from its peer.
  virtual void join_legs(MediaRequestId request, api::LegId a, api::LegId b) = 0;
  virtual void update_leg(MediaRequestId request, api::LegId leg, const api::MediaParams& media) = 0;
  virtual void remove_leg(MediaRequestId request, api::LegId leg) = 0;
  // Both to `worker`, which is not theirs, with endpoints and streams as they are; joined with each other, or not. No other request
  // about them may be under way. Answered with their new ids, also with NoTranscoder: then they have moved, and are not joined.
  virtual void move_legs(MediaRequestId request, std::uint8_t worker, api::LegId a, api::LegId b) = 0;
};

}  // namespace ifgw::core
