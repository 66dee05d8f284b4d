// The part of Media that is a leg on its way to another worker.
#include "dataplane/engine/media.h"

namespace ifgw::engine {

void Media::pack(std::uint32_t leg, LegState& state) noexcept {
  state = {legs_.info(leg), legs_.rx(leg), legs_.cold(leg), streams_[leg], rtcp_[leg], event_mappers_[leg], legs_.counts(leg)};
}

bool Media::unpack(std::uint32_t a, const LegState& at_a, std::uint32_t b, const LegState& at_b, bool joined) noexcept {
  place_leg(a, at_a);
  place_leg(b, at_b);
  const bool stay_joined = joined && prepare(a, at_a.info.media, b, at_b.info.media);
  for (const auto& [leg, peer] : {std::pair{a, b}, std::pair{b, a}}) {
    LegRx& rx = legs_.rx(leg);
    rx.peer = stay_joined ? peer : kNoLeg;  // before connect(), for which nothing has changed then: the mapping stays
    if (stay_joined) continue;
    rx.path = AudioPath::None;
    rx.map = StreamMap{};
  }
  for (const std::uint32_t leg : {a, b}) set_remote(leg);
  connect(a, legs_.rx(a).peer);
  connect(b, legs_.rx(b).peer);
  return stay_joined == joined;
}

void Media::place_leg(std::uint32_t leg, const LegState& state) noexcept {
  api::LegInfo& info = legs_.info(leg);
  const api::LegId id = info.id;
  info = state.info;
  info.id = id;
  info.peer = api::LegId{};
  legs_.rx(leg) = state.rx;
  legs_.rx(leg).codec_pair = 0;  // nothing is booked for it here yet
  LegCold& cold = legs_.cold(leg);
  const std::uint32_t generation = cold.generation;
  cold = state.cold;
  cold.generation = generation;
  cold.next_hop = kNoNextHop;
  cold.next_hop_retry = Instant{};
  cold.timeout_report = 0;
  legs_.elsewhere(leg) = state.info.id;
  streams_[leg] = state.stream;
  rtcp_[leg] = state.rtcp;
  event_mappers_[leg] = state.events;
  legs_.set_counts(leg, state.counts);
}

// A packet for a slot without a leg: its leg may have moved.
void Media::pass_on(Packet& packet) noexcept {
  const api::LegId elsewhere = legs_.elsewhere(packet.leg_index);
  if (!elsewhere.present()) return drop(packet, api::DropReason::UnknownMediaPort);
  packet.owner = elsewhere.worker();
  packet.leg_index = elsewhere.index();
  packet.verdict = PacketVerdict::HandOver;
}

}  // namespace ifgw::engine
