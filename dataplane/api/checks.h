// What the control plane reads of a dataplane, checked before it is used: a row or an event that fails was not written by a
// dataplane of this contract. The other direction is checked by the engine (validate.h).
//
// Pure; any thread. Nothing allocates.
#pragma once

#include <cstdint>
#include <limits>

#include "dataplane/api/counters.h"

namespace ifgw::api {

inline bool valid(const IpAddress& address) noexcept { return is_well_formed(address); }  // absent is valid
inline bool given(const IpAddress& address) noexcept { return address.present() && valid(address); }

// Times and durations become signed 64-bit nanoseconds.
constexpr bool valid_ns(std::uint64_t ns) noexcept {
  return ns <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / 2;
}

constexpr bool valid(SourcePolicy policy) noexcept { return policy == SourcePolicy::Strict || policy == SourcePolicy::Latch; }

// Every enumeration is one of its values, every endpoint can be shown and compared.
inline bool valid(const LegInfo& leg) noexcept {
  const MediaParams& media = leg.media;
  return leg.id.present() && given(leg.local.ip) && valid(media.remote.ip) && valid(leg.current_remote.ip) &&
         static_cast<std::uint8_t>(media.codec) <= kMaxCodec && valid(media.source_policy) && media.encoder.speex_rate <= SpeexRate::Vad &&
         media.receive <= 1 && media.send <= 1 && valid_ns(leg.created_ns);
}

// The member that `type` names is read, no other.
inline bool valid(const Event& event) noexcept {
  switch (event.type) {
    case EventType::CommandDone: return event.command_done.status <= CommandStatus::Busy && valid(event.command_done.local.ip);
    case EventType::FirstPacket: return event.first_packet.leg.present() && given(event.first_packet.source.ip);
    case EventType::MediaTimeout: return event.media_timeout.leg.present() && valid_ns(event.media_timeout.silent_ns);
    case EventType::AddressChange:
      return event.address_change.leg.present() && valid(event.address_change.before.ip) && given(event.address_change.after.ip);
    case EventType::MediaUnreachable: {
      const MediaUnreachable& e = event.media_unreachable;
      return e.leg.present() && given(e.reporter) && given(e.remote.ip) && e.cause >= UnreachableCause::Network &&
             e.cause <= UnreachableCause::TimeExceeded;
    }
    case EventType::LimiterVerdict:
      return given(event.limiter_verdict.source) && event.limiter_verdict.verdict >= Verdict::Limited &&
             event.limiter_verdict.verdict <= Verdict::Released;
    case EventType::SourceRow:
      return given(event.source_row.source) && event.source_row.blocked <= 1 && valid_ns(event.source_row.blocked_until_ns);
    case EventType::PrefixRow: {
      const IpPrefix& prefix = event.prefix_row.prefix;
      return given(prefix.ip) && prefix.length <= (prefix.ip.is_v4() ? 32 : 128) && event.prefix_row.exempt <= 1;
    }
  }
  return false;
}

}  // namespace ifgw::api
