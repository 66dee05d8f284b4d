// The part of Media where a direction becomes a stream of its own: frames through a transcoder, telephone-events beside it.
#include <algorithm>
#include <array>

#include "dataplane/engine/media.h"

namespace ifgw::engine {
namespace {

constexpr std::size_t kRtpBytes = 12;
// One burst more always finds room.
constexpr std::size_t kMostWaiting = FrameQueue::kCapacity - kMaxBurst;
// A stream that is so far ahead of the time it stands for is greedy, until it is half as far: more than a network holds back for a moment.
constexpr Duration kAhead = std::chrono::seconds(1);
constexpr unsigned kMostOfAStream = 64;
constexpr unsigned kMostOfAGreedyStream = 16;

void write_rtp(std::uint8_t* at, const Transcoder::Output& output, std::uint8_t payload_type, std::uint32_t ssrc) noexcept {
  at[0] = 0x80;  // version 2; no padding, extension or CSRC: those were the other stream's
  at[1] = static_cast<std::uint8_t>((output.marker ? 0x80 : 0) | payload_type);
  store_be16(at + 2, output.sequence);
  store_be32(at + 4, output.timestamp);
  store_be32(at + 8, ssrc);
}

}  // namespace

// Takes the packet over, with its buffer, unless too many of its stream wait.
void Media::queue(const Waiting& waiting, Instant now) noexcept {
  const std::uint32_t leg = waiting.packet->leg_index;
  Coding& coding = coding_[leg];
  FrameRank rank{coding.is_greedy != 0, headroom_.heavy(legs_.rx(leg).codec_pair), coding.born};
  const Duration ahead = coding.paid_until - now;
  if (rank.greedy ? ahead <= kAhead / 2 : ahead > kAhead) {
    rank.greedy = !rank.greedy;
    coding.is_greedy = rank.greedy ? 1 : 0;
    if (coding.waiting != 0) frames_.rank_again(leg, rank);  // a stream's packets keep their order
  }
  if (coding.waiting >= (rank.greedy ? kMostOfAGreedyStream : kMostOfAStream)) return drop(*waiting.packet, api::DropReason::Overloaded);
  ++coding.waiting;
  waiting.packet->verdict = PacketVerdict::Waits;
  frames_.add({*waiting.packet, waiting.rtp, waiting.kind, now}, rank);
}

// A packet stands for as much time as frames were made of it.
void Media::charge(Coding& coding, Instant received) noexcept {
  constexpr std::int64_t kPaidNsPerMs = 800'000;  // of 1'000'000: clocks differ
  const std::int64_t ms = std::max<std::int64_t>(std::int64_t{made_} * coding.settings.ptime_ms, 1);
  coding.paid_until = std::max(coding.paid_until, received) + Duration(ms * kPaidNsPerMs);
}

Packet* Media::shed(Instant now) noexcept {
  for (const WaitingFrame* longest; (longest = frames_.longest()) != nullptr && now - longest->received > late_;) {
    const bool flood = coding_[longest->packet.leg_index].is_greedy != 0;
    if (longest->kind != FrameKind::Event || flood) return give_up(frames_.take_longest());
    frames_.hurry_longest();
  }
  return frames_.size() > kMostWaiting ? give_up(frames_.take_last()) : nullptr;
}

Packet* Media::give_up(WaitingFrame& frame) noexcept {
  --coding_[frame.packet.leg_index].waiting;
  drop(frame.packet, api::DropReason::Overloaded);
  return &frame.packet;
}

WaitingFrame* Media::next_frame(PacketSource& spare) noexcept {
  if (frames_.size() == 0) return nullptr;
  WaitingFrame& frame = frames_.take();
  Coding& coding = coding_[frame.packet.leg_index];
  --coding.waiting;
  const Waiting waiting{&frame.packet, frame.rtp, frame.kind};
  timed_ = {};
  made_ = 0;
  if (frame.kind == FrameKind::Event)
    transcoded_event(waiting, frame.received, spare);
  else if (frame.kind == FrameKind::Noise)
    transcoded_noise(waiting, frame.received, spare);
  else
    transcode(waiting, frame.received, spare);
  charge(coding, frame.received);
  return &frame;
}

bool Media::hurry(std::uint32_t leg) noexcept {
  if (leg == kNoLeg) return false;
  const auto one = [this](std::uint32_t of) { return of != kNoLeg && coding_[of].waiting != 0 && frames_.hurry(of); };
  const bool own = one(leg);
  return one(legs_.rx(leg).peer) || own;
}

void Media::transcode(const Waiting& waiting, Instant now, PacketSource& spare) noexcept {
  Packet& packet = *waiting.packet;
  const std::uint32_t leg = packet.leg_index;
  Coding& coding = coding_[leg];
  Transcoder& coder = *coding.coder;
  RtpOut& stream = streams_[legs_.rx(leg).peer];
  if (!udp_checksum_ok(packet)) return drop(packet, api::DropReason::BadChecksum);
  const std::span<const std::uint8_t> payload{packet.data + packet.payload_offset + waiting.rtp.payload_offset, waiting.rtp.payload_length};
  follow(coding, waiting.rtp.ssrc);
  const Transcoder::Input in{waiting.rtp.sequence, waiting.rtp.timestamp, waiting.rtp.marker, payload};
  switch (waiting.kind == FrameKind::Noise ? coder.take_noise(in, stream, now) : coder.take(in, stream, now)) {
    case Transcoder::Intake::Taken: break;
    case Transcoder::Intake::Late: return drop(packet, api::DropReason::OutOfSequence);
    case Transcoder::Intake::BadPayload:
      // What was lost before it may have completed a frame.
      if (send_frames(packet, stream, now, spare) == 0) return drop(packet, api::DropReason::BadPayload);
      return count_drop(packet, api::DropReason::BadPayload);
  }
  // One frame in, one as long out: its time is what the pair costs.
  if (send_frames(packet, stream, now, spare) == 1 && coder.even()) timed_ = {legs_.rx(leg).codec_pair, coding.settings.ptime_ms};
}

// What the leg's coder has: the first frame in the packet, whose payload is in it by now, the others in spare ones. How many.
unsigned Media::send_frames(Packet& packet, RtpOut& stream, Instant now, PacketSource& spare) noexcept {
  const std::uint32_t leg = packet.leg_index;
  const LegOut& out = legs_.out(leg);
  packet.verdict = PacketVerdict::Kept;
  Packet* target = &packet;
  std::array<std::uint8_t, audio::kMaxPayloadBytes> frame;
  const std::size_t room = std::min<std::size_t>(frame.size(), mtu_ - out.path.size() - kRtpBytes);
  Transcoder::Output output;
  const std::uint64_t not_made = coding_[leg].coder->statistics().not_made;
  unsigned frames = 0;
  for (; coding_[leg].coder->next({frame.data(), room}, stream, now, output); ++frames) {
    if (target == nullptr) target = spare.take();
    if (target == nullptr || payload_room(*target) < kRtpBytes + output.size) {
      block_.drops[static_cast<std::size_t>(api::DropReason::NoBuffer)].add(1);
      continue;
    }
    std::copy_n(frame.data(), output.size, target->data + target->payload_offset + kRtpBytes);
    target->leg_index = leg;
    const std::uint8_t payload_type = output.noise ? out.noise_payload_type : out.payload_type;
    if (send_stream(*target, payload_type, output, stream.ssrc(), now)) legs_.row(legs_.rx(leg).peer).transcoded.add(1);
    target = nullptr;
  }
  made_ += frames;
  for (std::uint64_t n = coding_[leg].coder->statistics().not_made - not_made; n > 0; --n)
    count_drop(packet, api::DropReason::OversizedDatagram);
  return frames;
}

void Media::frame_took(Duration time) noexcept {
  if (timed_.ptime_ms == 0) return;
  const std::int64_t of_20_ms = std::clamp<std::int64_t>(time.count() * 20 / timed_.ptime_ms, 0, 1'000'000'000);
  if (!headroom_.took(timed_.pair, static_cast<std::uint32_t>(of_20_ms))) return;
  block_.pair_cost_now_ns[timed_.pair].set(headroom_.cost(timed_.pair).now_ns());
  publish_load();
}

void Media::ports_took(Duration time) noexcept {
  if (!headroom_.ports_took(static_cast<std::uint32_t>(std::clamp<std::int64_t>(time.count(), 0, 1'000'000'000)))) return;
  block_.ports_cost_now_ns.set(headroom_.ports_ns());
  publish_load();
}

void Media::publish_load() noexcept {
  block_.load_booked_ppm.set(headroom_.booked_ppm());
  block_.load_ports_ppm.set(headroom_.booked_ports_ppm());
}

// Another SSRC is another stream.
void Media::follow(Coding& coding, std::uint32_t ssrc) noexcept {
  if (ssrc == coding.ssrc) return;
  coding.coder->restart();
  coding.ssrc = ssrc;
}

// The payload is in place, 12 bytes behind payload_offset.
bool Media::send_stream(Packet& packet, std::uint8_t payload_type, const Transcoder::Output& output, std::uint32_t ssrc,
                        Instant now) noexcept {
  const LegOut& out = legs_.out(packet.leg_index);
  std::uint8_t* rtp = packet.data + packet.payload_offset;
  write_rtp(rtp, output, payload_type, ssrc);
  set_payload_length(packet, kRtpBytes + output.size);
  if (!send_frame(packet, out.path, fresh_udp_checksum(out.path, udp_payload(packet)), next_hop(packet.leg_index, now))) return false;
  count_sent(packet, legs_.rx(packet.leg_index));
  return true;
}

bool Media::prepare(std::uint32_t a, const api::MediaParams& at_a, std::uint32_t b, const api::MediaParams& at_b) noexcept {
  Coding forth;
  Coding back;
  if (!make_coding(a, at_a, b, at_b, forth) || !make_coding(b, at_b, a, at_a, back)) return false;
  for (auto& [leg, made] : {std::pair<std::uint32_t, Coding&>(a, forth), std::pair<std::uint32_t, Coding&>(b, back)})
    if (made.coder != nullptr || made.peer == kNoLeg) coding_[leg] = std::move(made);
  return true;
}

void Media::unprepare(std::uint32_t leg, std::uint32_t peer) noexcept {
  if (coding_[leg].peer == peer) coding_[leg] = Coding{};
  if (coding_[peer].peer == leg) coding_[peer] = Coding{};
}

// False: there is no way between them. `made` has no peer where nothing is needed, and no coder where the one that is
// there, made for the same two legs, will do: a hold or a new address must not begin the stream anew.
bool Media::make_coding(std::uint32_t leg, const api::MediaParams& from, std::uint32_t peer, const api::MediaParams& to,
                        Coding& made) noexcept {
  if (path_between(from, to) != AudioPath::Transcode) return true;
  made.peer = peer;
  made.settings = {codec_settings(from.codec), encoder_settings(to), to.ptime_ms, to.comfort_noise_payload_type != api::kNoPayloadType};
  const Coding& there = coding_[leg];
  if (there.coder != nullptr && there.peer == peer && there.settings == made.settings) return true;
  made.coder = pool_.make(made.settings);
  made.born = ++coders_made_ & 0x7FFF'FFFF'FFFF;
  return made.coder != nullptr;
}

}  // namespace ifgw::engine
