// Inside an answered call: hold, resume, codec and address changes. Each leg is answered by the gateway itself; the
// other party learns of a hold by an offer of ours, which is made again when it was refused (tools/docs/protocol/sdp.md).
#include "controlplane/core/calls.h"

namespace ifgw::core {
namespace {

constexpr unsigned kRefusals = 5;  // after so many of the same party in a row, only another re-negotiation makes us offer again
constexpr Duration kOfferAgainAfter = std::chrono::seconds{5};  // when the party did not say
constexpr Duration kLongestWait = std::chrono::minutes{1};      // who asks for more is not asked again without a reason

// A refusal for want of something that comes back by itself.
constexpr bool can_pass(int status) noexcept { return status == 491 || status == 500 || status == 503; }

}  // namespace

using wire::sdp::make_direction;
using wire::sdp::receives;
using wire::sdp::sends;

// What we do towards a party: send if it wants to receive and the other one wants to send, and the other way round.
Direction Calls::our_direction(const Call& call, Party party) const noexcept {
  const Direction mine = call.side(party).wish;
  const Direction far = call.side(other(party)).wish;
  return make_direction(receives(mine) && sends(far), sends(mine) && receives(far));
}

api::MediaParams Calls::media_params(const Call& call, Party party) const {
  const Side& side = call.side(party);
  const MediaSettings& settings = call.settings->media;
  const Direction direction = our_direction(call, party);
  api::MediaParams params;
  params.remote = side.agreed.remote;
  params.remote_rtcp_port = side.agreed.rtcp_port;
  params.codec = side.agreed.codec;
  params.payload_type = side.agreed.sent.audio;
  params.telephone_event_payload_type = side.agreed.sent.telephone_event;
  params.received_payload_type = side.agreed.received.audio;
  params.received_telephone_event_payload_type = side.agreed.received.telephone_event;
  if (side.noise_told) {
    params.comfort_noise_payload_type = side.agreed.sent.comfort_noise;
    params.received_comfort_noise_payload_type = side.agreed.received.comfort_noise;
  }
  params.telephone_event_clock_hz = side.agreed.telephone_event_clock_hz;
  params.ptime_ms = side.agreed.ptime_ms;
  params.receive = receives(direction) ? 1 : 0;
  params.send = sends(direction) ? 1 : 0;
  params.source_policy = settings.latching ? api::SourcePolicy::Latch : api::SourcePolicy::Strict;
  params.latch_window_ms =
      settings.latching ? static_cast<std::uint16_t>(settings.latch_window / std::chrono::milliseconds{1}) : std::uint16_t{0};
  params.dscp = settings.dscp;
  // Silence is a fault only when both have answered and nobody holds (many phones send nothing while they hold).
  const bool expect_media = call.answered && !call.held() && receives(direction);
  params.encoder = encoder_params(call, party);
  params.media_timeout_ms = expect_media ? static_cast<std::uint32_t>(settings.timeout / std::chrono::milliseconds{1}) : 0;
  return params;
}

// Towards the party: the operator's choice within what the party wants to receive.
api::EncoderParams Calls::encoder_params(const Call& call, Party party) const {
  const Side& side = call.side(party);
  const FormatParameters& wants = side.agreed.wants;
  const MediaSettings& settings = call.settings->media;
  api::EncoderParams params;
  // A party that was not asked for SID frames is not sent any either: the format parameter speaks of both directions.
  if (side.agreed.codec == api::Codec::G729) params.annex_b = settings.g729_annex_b && wants.annex_b && side.asked.annex_b ? 1 : 0;
  if (side.agreed.codec == api::Codec::Speex8 || side.agreed.codec == api::Codec::Speex16) {
    const SpeexParameters& speex = wants.speex;
    params.speex_quality =
        speex.preferred == SpeexParameters::kNone ? settings.speex.quality : speex_quality(side.agreed.codec, speex.preferred);
    if (speex.any) params.speex_rate = speex.rate;  // else it would make modes that were not named
  }
  if (side.agreed.codec != api::Codec::Opus) return params;
  params.bitrate_bps = settings.opus.bitrate_bps;
  params.max_bitrate_bps = wants.max_bitrate_bps;
  params.max_playback_rate_hz = wants.max_playback_rate_hz;
  params.complexity = settings.opus.complexity;
  params.expected_loss_percent = settings.opus.expected_loss_percent;
  params.fec = settings.opus.fec && wants.fec ? 1 : 0;
  params.dtx = settings.opus.dtx && wants.dtx ? 1 : 0;
  params.cbr = wants.cbr ? 1 : 0;
  return params;
}

// What the party shall send: the operator's choice and, of a codec that both sides speak and that is relayed therefore,
// what the other side wants.
FormatParameters Calls::asked_of(const Call& call, Party party) const {
  const MediaSettings& settings = call.settings->media;
  FormatParameters asked;
  asked.max_bitrate_bps = settings.opus.bitrate_bps;
  asked.fec = settings.opus.fec;
  asked.dtx = settings.opus.dtx;
  asked.annex_b = settings.g729_annex_b;
  const Agreement& far = call.side(other(party)).agreed;
  asked = narrowed(asked, far.wants, far.codec);
  const Agreement& near = call.side(party).agreed;
  if (near.codec == api::Codec::G729) asked.annex_b = asked.annex_b && near.wants.annex_b;
  return asked;
}

// Comfort noise of a party is accepted unless it would have to be transcoded only because the other side refuses it.
bool Calls::wants_noise(const Call& call, Party party) const {
  const Agreement& near = call.side(party).agreed;
  const Agreement& far = call.side(other(party)).agreed;
  if (!call.settings->media.comfort_noise || near.sent.comfort_noise == api::kNoPayloadType) return false;
  const auto law = [](api::Codec codec) { return codec == api::Codec::Pcmu || codec == api::Codec::Pcma; };
  const bool relayed = near.codec == far.codec || (law(near.codec) && law(far.codec));
  return !relayed || far.sent.comfort_noise != api::kNoPayloadType;
}

// What the next answer to the party, or offer within what was agreed, says.
void Calls::settle_asked(Call& call, Party party) const {
  call.side(party).asked = asked_of(call, party);
  call.side(party).noise_told = wants_noise(call, party);
}

// The route's codecs that this dataplane can run, in the route's order.
std::vector<api::Codec> Calls::codecs(const Call& call, Party party) const {
  const SideSettings& side = party == Party::Caller ? call.route->caller : call.route->callee;
  const std::uint32_t mask = ports_.media.codec_mask();
  std::vector<api::Codec> list;
  for (const api::Codec codec : side.codecs) {
    if ((mask >> static_cast<unsigned>(codec) & 1) != 0) list.push_back(codec);
  }
  return list;
}

MediaPath Calls::media_path(const Call& call, Party party) const {
  return {call.side(party).local.ip.family, ports_.media.local_addresses(), call.settings->media.advertised};
}

// The version grows when, and only when, the description differs from the last one (RFC 3264 section 8).
std::string Calls::description(Call& call, Party party, bool full_offer) {
  Side& side = call.side(party);
  side.told_before = side.told;
  side.asked_before = side.asked;
  side.noise_told_before = side.noise_told;
  side.told = our_direction(call, party);
  settle_asked(call, party);
  const std::uint8_t ptime_ms = side.agreed.codec == api::Codec::None ? std::uint8_t{20} : side.agreed.ptime_ms;
  Description d{side.advertised, side.session_id, side.version, side.told, ptime_ms, side.asked, side.noise_told};
  side.everything_told = full_offer || side.agreed.codec == api::Codec::None;
  const auto text = [&] {
    return side.everything_told ? describe_offer(d, side.layout, codecs(call, party), true, side.numbers)
                                : describe_agreed(d, side.layout, side.agreed);
  };
  if (!side.everything_told) tell_agreed(side.agreed, side.numbers);
  std::string result = text();
  const std::uint64_t hash = keyed_hash(result, key_);
  if (hash == side.described) return result;
  d.version = ++side.version;
  result = text();
  side.described = keyed_hash(result, key_);
  return result;
}

void Calls::refuse_update(Call& call, Party party, const Refusal& refusal, Instant now) {
  ++statistics_.renegotiations_refused;
  Details details{{"party", std::string{name(party)}}};
  add_refusal(details, refusal);
  (void)record(call, "UPDATE_REFUSED", Severity::Warn, call.side(party).leg, std::move(details), now);
  commands_.push_back(RefuseUpdate{call.side(party).leg, refusal.status, refusal.phrase()});
}

void Calls::renegotiate(Call& call, const Input& input, Instant now) {
  const Party party = input.party;
  Side& side = call.side(party);
  if (side.update_pending || side.offer_pending) {
    return refuse_update(
        call, party,
        Refusal{491, "negotiation", "another-offer-is-pending", "", "", "try again in a few seconds (RFC 3261 section 14.1)", 0}, now);
  }
  if (input.sdp->empty()) {  // an offer is asked for; its answer comes with the ACK
    side.offer_pending = true;
    ++statistics_.renegotiations;
    commands_.push_back(AnswerLeg{side.leg, description(call, party, true)});
    return;
  }
  Negotiated outcome = read_offer(*input.sdp, codecs(call, party), media_path(call, party));
  if (auto* refused = std::get_if<Refusal>(&outcome)) return refuse_update(call, party, *refused, now);
  auto& understood = std::get<Understood>(outcome);
  if (understood.layout.lines.size() < side.layout.lines.size()) {
    return refuse_update(call, party,
                         Refusal{488, "negotiation", "m-lines-removed", std::to_string(understood.layout.lines.size()) + " m= lines",
                                 "at least " + std::to_string(side.layout.lines.size()) + " (RFC 3264 section 8)", "keep every m= line", 0},
                         now);
  }
  side.agreed_before = side.agreed;
  side.wish_before = side.wish;
  side.agreed = understood.agreement;
  side.wish = understood.agreement.direction;
  side.layout = std::move(understood.layout);
  side.numbers.note(understood.said);
  side.update_pending = true;
  settle_asked(call, party);
  if (!request_update(call, party, RequestKind::Renegotiate, now)) finish_renegotiation(call, party, now);
}

// The dataplane has it: answer the party, then let the other side follow.
void Calls::finish_renegotiation(Call& call, Party party, Instant now) {
  Side& side = call.side(party);
  side.update_pending = false;
  side.offer_due = kNever;  // our answer says what the offer would have said
  call.side(Party::Caller).refusals = call.side(Party::Callee).refusals = 0;
  ++statistics_.renegotiations;
  (void)record(call, "UPDATED", Severity::Info, side.leg,
               {{"party", std::string{name(party)}},
                {"direction", std::string{wire::sdp::name(side.wish)}},
                {"codec", std::string{api::facts(side.agreed.codec).name}},
                {"media", side.agreed.remote.text()}},
               now);
  commands_.push_back(AnswerLeg{side.leg, description(call, party, false)});
  apply_wishes(call, party, now);
}

// `changed` has other wishes than before: state, the other leg's flags, and what the other party was told.
void Calls::apply_wishes(Call& call, Party changed, Instant now) {
  post(call, call.held() ? CallEvent::Held : CallEvent::Resumed);
  Side& far = call.side(other(changed));
  const bool free =
      far.signalling && !far.offer_pending && !far.update_pending && far.offer_due == kNever && far.agreed.codec != api::Codec::None;
  const bool tell = free && far.told != our_direction(call, other(changed));
  std::string offer = tell ? description(call, other(changed), false) : std::string{};
  for (const Party party : {changed, other(changed)}) (void)request_update(call, party, RequestKind::Refresh, now);
  if (!tell) return;
  far.offer_pending = true;
  commands_.push_back(UpdateLeg{far.leg, std::move(offer)});
}

// The party refused our offer, or its ACK brought no answer to one: it stands on what was agreed before.
void Calls::take_refusal(Call& call, const Input& input, bool narrowing, Instant now) {
  Side& side = call.side(input.party);
  const Direction refused = side.told;
  side.told = side.told_before;
  side.asked = side.asked_before;
  side.noise_told = side.noise_told_before;
  ++statistics_.offers_refused;
  const Duration wait = input.retry_after.value_or(kOfferAgainAfter);
  const bool again = can_pass(input.status) && wait <= kLongestWait && ++side.refusals < kRefusals;
  if (again) side.offer_due = now + wait;
  if (again && narrowing) side.agreed.ambiguous = true;
  (void)record(call, "OFFER_REFUSED", Severity::Warn, side.leg,
               {{"party", std::string{name(input.party)}},
                {"status", std::to_string(input.status)},
                {"direction", std::string{wire::sdp::name(refused)}},
                {"again", again ? "after " + std::to_string(wait / std::chrono::milliseconds{1}) + " ms" : "with the next change"}},
               now);
  (void)request_update(call, input.party, RequestKind::Refresh, now);
  // While the offer was out the other party may have changed its mind: this one was not refused yet.
  if (refused != our_direction(call, input.party)) apply_wishes(call, other(input.party), now);
}

// The answer to an offer of ours: to UpdateLeg, or in the ACK after an answer that was an offer.
void Calls::take_answer(Call& call, const Input& input, Instant now) {
  Side& side = call.side(input.party);
  if (!side.offer_pending) return;
  side.offer_pending = false;
  const bool narrowing = std::exchange(side.narrowing, false);
  const bool first = side.agreed.codec == api::Codec::None;
  if (input.sdp->empty() && !first) return take_refusal(call, input, narrowing, now);
  Negotiated outcome = input.sdp->empty()
                           ? Negotiated{Refusal{488, "negotiation", "ack-without-answer", "the ACK brought no answer to our offer",
                                                "RFC 3261 section 13.2.2.4", "answer the offer in the ACK", 0}}
                           : read_answer(*input.sdp, codecs(call, input.party), side.layout, media_path(call, input.party),
                                         side.everything_told ? nullptr : &side.agreed, side.numbers);
  if (auto* refused = std::get_if<Refusal>(&outcome)) {
    Details details{{"party", std::string{name(input.party)}}};
    add_refusal(details, *refused);
    (void)record(call, "ANSWER_UNUSABLE", Severity::Warn, side.leg, std::move(details), now);
    return refuse_later(call, of_answer(std::move(*refused), input.party));  // the party holds for agreed what we cannot do
  }
  const Direction offered_direction = side.told;
  side.refusals = 0;
  const auto& understood = std::get<Understood>(outcome);
  side.agreed = understood.agreement;
  side.numbers.note(understood.said);
  // Only an unrestricted offer shows what the party wants; the answer to a hold shows what the hold allowed.
  if (offered_direction == Direction::SendRecv) {
    side.wish = side.agreed.direction;
    side.told = our_direction(call, input.party);
  }
  apply_wishes(call, input.party, now);
  // While the offer was out the other party may have changed its mind.
  if (side.told != our_direction(call, input.party)) apply_wishes(call, other(input.party), now);
  keep_to_one_codec(call, input.party);
}

// The wait after a refusal is over: what then holds, where the party does not know it yet.
void Calls::offer_again(Call& call, Party party, Instant now) {
  apply_wishes(call, other(party), now);
  keep_to_one_codec(call, party);
}

// The second offer of RFC 3264 section 10.2. Until it is answered, packets of another codec than the one agreed are dropped.
void Calls::keep_to_one_codec(Call& call, Party party) {
  Side& side = call.side(party);
  if (!side.agreed.ambiguous || !side.signalling || side.offer_pending || side.update_pending || side.offer_due != kNever) return;
  side.agreed.ambiguous = false;  // asked once: who refuses for good goes on as it was
  side.offer_pending = side.narrowing = true;
  commands_.push_back(UpdateLeg{side.leg, description(call, party, false)});
}

void Calls::note_hold(Call& call, Instant now) {
  (void)record(call, "STATE_CHANGE", Severity::Info, LegKey{}, {{"state", std::string{name(call.state)}}}, now);
}

}  // namespace ifgw::core
