// The rare half of Media: taking over parameters, joining, watching for silence.
#include <algorithm>
#include <utility>

#include "codecs/base/check.h"
#include "dataplane/engine/media.h"

namespace ifgw::engine {
namespace {

constexpr Duration kFirstReport = std::chrono::milliseconds(2500);  // RFC 3550 section 6.2

std::uint16_t rtcp_port_after(const Endpoint& rtp, std::uint16_t given) noexcept {
  return given != 0 ? given : static_cast<std::uint16_t>(rtp.port + 1);
}

}  // namespace

void Media::configure(std::uint32_t leg, const api::MediaParams& media, bool fresh, Instant now) noexcept {
  LegRx& rx = legs_.rx(leg);
  LegCold& cold = legs_.cold(leg);
  api::LegInfo& info = legs_.info(leg);
  const bool moved = fresh || info.media.remote != media.remote || info.media.remote_rtcp_port != media.remote_rtcp_port;
  // An address that was learned stays when the description did not change it (a re-INVITE for hold must not cut a
  // party behind a NAT off), unless learning is no longer allowed.
  const bool strict = media.source_policy == api::SourcePolicy::Strict;
  const bool take_address = moved || (strict && info.current_remote != media.remote);
  info.media = media;
  if (fresh) {
    const std::uint64_t numbers = keyed_hash(legs_.id(leg).value, key_);
    const std::uint64_t more = keyed_hash(++legs_made_, key_);
    const auto ssrc = std::max(static_cast<std::uint32_t>(numbers), std::uint32_t{1});  // 0 is none here
    rtcp_[leg] = Rtcp{};
    rtcp_[leg].next_report = now + kFirstReport;
    streams_[leg] = RtpOut(ssrc, static_cast<std::uint16_t>(numbers >> 32), static_cast<std::uint32_t>(more));
  }
  if (take_address) info.current_remote = media.remote;

  rx.flows = false;
  rx.receive = media.receive;
  rx.latch = strict ? 0 : 1;
  rx.payload_type = api::received_audio(media);
  rx.event_payload_type = api::received_events(media);
  rx.noise_payload_type = api::received_noise(media);
  cold.media_timeout_ms = media.media_timeout_ms;
  cold.timeout_report = 0;
  cold.quiet_since = now;
  cold.latch_until = strict ? now : now + std::chrono::milliseconds(media.latch_window_ms);
  if (take_address) {
    rx.started = 0;
    cold.rtcp_send_port = media.remote.present() ? rtcp_port_after(media.remote, media.remote_rtcp_port) : std::uint16_t{0};
    rx.rtcp_port = strict ? cold.rtcp_send_port : std::uint16_t{0};
  }
  set_remote(leg);
  legs_.publish(leg);
}

void Media::forget(std::uint32_t leg) noexcept {
  LegCold& cold = legs_.cold(leg);
  if (cold.next_hop != kNoNextHop) next_hops_.release(cold.next_hop);
  cold.next_hop = kNoNextHop;
}

// Where packets come from, and go to from the peer. Also asks for the next hop, so that it is known when the first
// packet comes.
void Media::set_remote(std::uint32_t leg) noexcept {
  const api::LegInfo& info = legs_.info(leg);
  const Endpoint& remote = info.current_remote;
  LegRx& rx = legs_.rx(leg);
  if (rx.source != remote.ip || rx.source_port != remote.port) legs_.cold(leg).unreachable_told = false;
  rx.source = remote.ip;
  rx.source_port = remote.port;
  // The sum does not care which end is which.
  rx.pseudo_sum = remote.present() ? make_udp_template(info.local, remote, info.media.dscp).pseudo_sum : std::uint16_t{0};
  forget(leg);
  if (remote.present()) legs_.cold(leg).next_hop = next_hops_.acquire(remote.ip);
  if (rx.peer != kNoLeg) set_out(rx.peer);
}

void Media::set_out(std::uint32_t leg) noexcept {
  LegOut& out = legs_.out(leg);
  out = LegOut{};
  legs_.rx(leg).flows = false;
  const std::uint32_t peer = legs_.rx(leg).peer;
  if (peer == kNoLeg) return;
  const api::LegInfo& to = legs_.info(peer);
  out.payload_type = to.media.payload_type;
  out.event_payload_type = to.media.telephone_event_payload_type;
  out.noise_payload_type = to.media.comfort_noise_payload_type;
  out.send = to.media.send;
  if (!to.current_remote.present()) return;
  out.path = make_udp_template(to.local, to.current_remote, to.media.dscp);
  out.next_hop = legs_.cold(peer).next_hop;
}

void Media::connect(std::uint32_t leg, std::uint32_t peer) noexcept {
  LegRx& rx = legs_.rx(leg);
  api::LegInfo& info = legs_.info(leg);
  const AudioPath path = peer == kNoLeg ? AudioPath::None : path_between(info.media, legs_.info(peer).media);
  // What comes while nothing is sent must not be a gap in what is.
  const bool flows = peer != kNoLeg && rx.receive != 0 && legs_.info(peer).media.send != 0;
  if (peer != rx.peer || path != rx.path || !flows) end_map(leg, received(leg));
  if (!flows && coding_[leg].coder != nullptr) coding_[leg].coder->restart();
  rx.peer = peer;
  rx.path = path;
  rx.clock_khz = static_cast<std::uint8_t>(api::facts(info.media.codec).rtp_clock_hz / 1000);
  set_out(leg);
  const std::uint8_t pair = peer == kNoLeg ? std::uint8_t{0} : pair_between(info.media, legs_.info(peer).media);
  headroom_.rebook(std::exchange(rx.codec_pair, pair), pair);
  connect_events(leg, peer);
  info.peer = peer == kNoLeg ? api::LegId{} : legs_.id(peer);
  legs_.publish(leg);
}

bool Media::affords(std::uint32_t a, const api::MediaParams& at_a, std::uint32_t b, const api::MediaParams& at_b) noexcept {
  Headroom::Call freed, added;
  for (const auto& [leg, other] : {std::pair{a, b}, std::pair{b, a}}) {
    const std::uint32_t peer = legs_.rx(leg).peer;
    headroom_.add(freed, legs_.rx(leg).codec_pair);
    if (peer != kNoLeg && peer != other) headroom_.add(freed, legs_.rx(peer).codec_pair);
  }
  headroom_.add(added, pair_between(at_a, at_b));
  headroom_.add(added, pair_between(at_b, at_a));
  return headroom_.fits(freed, added, path_between(at_a, at_b) != AudioPath::Transcode);
}

void Media::connect_events(std::uint32_t leg, std::uint32_t peer) noexcept {
  legs_.rx(leg).map_events = false;
  if (peer == kNoLeg) return;
  const auto clocks = [](const api::MediaParams& media) {
    return EventMapper::Clocks{api::facts(media.codec).rtp_clock_hz, media.telephone_event_clock_hz};
  };
  const EventMapper::Clocks from = clocks(legs_.info(leg).media), to = clocks(legs_.info(peer).media);
  legs_.rx(leg).map_events = from.event != to.event;
  // A hold or a new address in the middle of an event does not begin it anew.
  EventMapper& mapper = event_mappers_[leg];
  if (mapper.from() != from || mapper.to() != to) mapper = EventMapper(from, to);
}

void Media::sweep(std::uint32_t slots, Instant now, std::uint64_t unix_ns, PacketSource& spare) noexcept {
  for (; slots > 0; --slots) {
    const std::uint32_t leg = sweep_at_;
    if (legs_.present(leg)) {
      watch(leg, now);
      if (report_due(leg, now) && !report(leg, now, unix_ns, spare)) return;
      if (!pass_bye(leg, now, spare)) return;
    }
    sweep_at_ = sweep_at_ + 1 < legs_.slots() ? sweep_at_ + 1 : 0;
  }
}

// A party without an address (yet, or on hold as RFC 2543 wrote it) is told nothing.
bool Media::report_due(std::uint32_t leg, Instant now) noexcept {
  return legs_.rx(leg).path == AudioPath::Transcode && now >= rtcp_[leg].next_report && legs_.info(leg).current_remote.present();
}

void Media::watch(std::uint32_t leg, Instant now) noexcept {
  LegCold& cold = legs_.cold(leg);
  // On hold by our side nothing is expected.
  if (cold.media_timeout_ms == 0 || legs_.rx(leg).receive == 0) return;
  const Duration silent = now - std::max(received(leg).at, cold.quiet_since);
  if (silent < std::chrono::milliseconds(cold.media_timeout_ms)) {
    cold.timeout_report = 0;
    return;
  }
  if (cold.timeout_report == report_) return;
  api::Event timeout = event(api::EventType::MediaTimeout, now);
  timeout.media_timeout = {legs_.id(leg), static_cast<std::uint64_t>(silent.count())};
  if (events_.on_event(timeout)) cold.timeout_report = report_;
}

}  // namespace ifgw::engine
