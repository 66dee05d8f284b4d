// Media packets of one worker: from the party's address check to the rewritten frame. RTP (RFC 3550) and RTCP on the
// next port; RTCP on the RTP port is recognised too (RFC 5761). One direction is relayed, mapped between PCMU and PCMA
// (packet for packet, so packet time and jitter pass through), or transcoded (transcoder.h). What the listener hears is
// one stream for the life of its leg (rtp_out.h), whoever feeds it.
//
// Checksums: a relayed datagram keeps its UDP checksum, adjusted for what was rewritten (RFC 1624), so that damage on
// the way in is still found by the party. A transcoded one is verified first and gets a fresh one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codecs/base/fixed.h"
#include "codecs/wire/rtcp.h"
#include "codecs/wire/rtp.h"
#include "dataplane/api/counters.h"
#include "dataplane/engine/coder_pool.h"
#include "dataplane/engine/config.h"
#include "dataplane/engine/event_mapper.h"
#include "dataplane/engine/event_sink.h"
#include "dataplane/engine/frame_queue.h"
#include "dataplane/engine/headroom.h"
#include "dataplane/engine/leg_table.h"
#include "dataplane/engine/next_hops.h"
#include "dataplane/engine/packet.h"
#include "dataplane/engine/packet_source.h"
#include "dataplane/engine/rtcp_state.h"
#include "dataplane/engine/rtp_fixed.h"
#include "dataplane/engine/rtp_out.h"
#include "dataplane/engine/worker_message.h"

namespace ifgw::engine {

// Packets of one media() or limit() call that are prefetched together. Longer spans are cut.
inline constexpr std::size_t kMaxBurst = 64;
// A time stamp that goes back, or further ahead than any silence, is of a clock that was set anew.
inline constexpr std::uint32_t kMaxTimestampGap = 10 * 48'000;

class Media {
 public:
  // `memory`: for transcoders.
  Media(const EngineConfig& config, std::span<std::byte> memory, LegTable& legs, NextHops& next_hops, EventSink& events,
        api::WorkerBlock& block);

  // As Engine::begin_media() and the like.
  void begin(std::span<Packet* const> packets, Instant now) noexcept;
  Packet* shed(Instant now) noexcept;
  std::size_t frames_waiting() const noexcept { return frames_.size(); }
  bool next_is_heavy() const noexcept { return frames_.size() != 0 && frames_.heavy(); }
  WaitingFrame* next_frame(PacketSource& spare) noexcept;
  bool hurry(std::uint32_t leg) noexcept;
  bool hurried() const noexcept { return frames_.hurried() != 0; }
  void frame_took(Duration time) noexcept;
  void ports_took(Duration time) noexcept;
  // To the worker's counters.
  void publish_load() noexcept;

  // Visits the next `slots` slots: tells of silent legs, and sends the reports that are due, in packets from `spare`.
  // `unix_ns`: the time of day, in nanoseconds since 1970.
  void sweep(std::uint32_t slots, Instant now, std::uint64_t unix_ns, PacketSource& spare) noexcept;
  // From here on silence that was reported before is reported again.
  void forget_reports() noexcept { ++report_; }

  // Of memory beside the leg table's, for every slot.
  static std::size_t bytes_per_leg() noexcept { return sizeof(Coding) + sizeof(RtpOut) + sizeof(RtcpState) + sizeof(EventMapper); }

  // Takes over new parameters, validated by the caller. `fresh`: the leg was just added.
  void configure(std::uint32_t leg, const api::MediaParams& media, bool fresh, Instant now) noexcept;
  // Gives back what the leg holds elsewhere. To be called when it has no peer any more and is about to be released.
  void forget(std::uint32_t leg) noexcept;
  // Tells the leg's party that no more will come. False: there is no packet for it.
  bool say_bye(std::uint32_t leg, PacketSource& spare) noexcept;
  // The legs are no longer joined: gives back what prepare() made for that.
  void unprepare(std::uint32_t leg, std::uint32_t peer) noexcept;
  // Makes `peer` (or kNoLeg) the leg's peer and recomputes the way of its audio.
  void connect(std::uint32_t leg, std::uint32_t peer) noexcept;

  // Makes what audio needs between two legs of these parameters, before they are configured and connected; keeps what
  // fits already. False, and nothing changed: not possible, or no memory for it.
  bool prepare(std::uint32_t a, const api::MediaParams& at_a, std::uint32_t b, const api::MediaParams& at_b) noexcept;

  // A leg for another worker. Afterwards it is parted from its peer, forgotten and departs.
  void pack(std::uint32_t leg, LegState& state) noexcept;
  // Two legs of another worker, in slots just allocated; `joined`: with each other. False: they are not, for want of memory for
  // a transcoder.
  bool unpack(std::uint32_t a, const LegState& at_a, std::uint32_t b, const LegState& at_b, bool joined) noexcept;

  // Whether the worker has the time for two legs of these parameters, when they are joined or changed so.
  bool affords(std::uint32_t a, const api::MediaParams& at_a, std::uint32_t b, const api::MediaParams& at_b) noexcept;
  const Headroom& headroom() const noexcept { return headroom_; }

 private:
  // A packet that waits until the relays of its burst are done.
  struct Waiting {
    Packet* packet = nullptr;
    RtpHeader rtp;  // as received, to transcode; else as it will be sent
    FrameKind kind = FrameKind::Audio;
  };
  void wait(const Waiting& waiting) noexcept { IFGW_CHECK(waiting_.push_back(waiting)); }
  void receive(Packet& packet, Instant now) noexcept;
  void place_leg(std::uint32_t leg, const LegState& state) noexcept;
  [[gnu::cold]] void pass_on(Packet& packet) noexcept;
  void receive_rtp(Packet& packet, Instant now) noexcept;
  void receive_rtcp(Packet& packet, Instant now) noexcept;
  void receive_icmp(Packet& packet, Instant now) noexcept;
  // What every packet passes is inline: media.cc, where alone it is called.
  inline SequenceTracker::Order count_rtp(LegRx& rx, api::LegRow& row, std::uint32_t leg, const Packet& packet, const RtpHeader& rtp,
                                          bool audio, Instant now) noexcept;
  inline void count_packet(api::LegRow& row, const Packet& packet, std::int64_t expected, Instant now) noexcept;
  inline void count_jitter(api::LegRow& row, std::uint32_t clock_khz, std::uint32_t timestamp, SequenceTracker::Order order) noexcept;
  bool straggler(std::uint32_t leg, std::uint32_t ssrc, Instant now) noexcept;
  bool latch(const Packet& packet, const RtpHeader& rtp, Instant now) noexcept;
  void first_packet(const Packet& packet, const RtpHeader& rtp, Instant now) noexcept;
  // How far the party's stream has come.
  struct Received {
    std::uint16_t newest = 0;  // sequence number
    Instant at{};
  };
  Received received(std::uint32_t leg) noexcept {
    return {legs_.rx(leg).sequence.highest(), from_ns(static_cast<std::int64_t>(legs_.row(leg).last_rx_ns.get()))};
  }
  inline bool number(LegRx& rx, std::uint32_t leg, RtpHeader& rtp, SequenceTracker::Order order, const Received& before, bool audio,
                     Instant now) noexcept;
  bool place(std::uint32_t leg, RtpHeader& rtp, SequenceTracker::Order order, const Received& before, bool audio, Instant now) noexcept;
  void end_map(std::uint32_t leg, const Received& last) noexcept;
  inline bool relay_next(Packet& packet, Instant now) noexcept;
  inline void relay(Packet& packet, const LegRx& rx, const LegOut& out, const RtpFixed& before, const RtpFixed& after,
                    Instant now) noexcept;
  void queue(const Waiting& waiting, Instant now) noexcept;
  Packet* give_up(WaitingFrame& frame) noexcept;
  void map(const Waiting& waiting, Instant now) noexcept;
  void transcode(const Waiting& waiting, Instant now, PacketSource& spare) noexcept;
  unsigned send_frames(Packet& packet, RtpOut& stream, Instant now, PacketSource& spare) noexcept;
  void send_beside(Packet& packet, std::uint32_t leg, std::uint8_t payload_type, Bytes payload, std::uint32_t timestamp, bool marker,
                   Instant now) noexcept;
  Packet* complete_frame(Packet& packet, RtpOut& stream, Instant now, PacketSource& spare) noexcept;
  void transcoded_event(const Waiting& waiting, Instant now, PacketSource& spare) noexcept;
  void transcoded_noise(const Waiting& waiting, Instant now, PacketSource& spare) noexcept;
  void relayed_event(const Waiting& waiting, Instant now) noexcept;
  bool send_stream(Packet& packet, std::uint8_t payload_type, const Transcoder::Output& output, std::uint32_t ssrc, Instant now) noexcept;
  bool send_frame(Packet& packet, const UdpTemplate& path, std::uint16_t udp_checksum, const NextHop* hop) noexcept;
  void set_remote(std::uint32_t leg) noexcept;
  void watch(std::uint32_t leg, Instant now) noexcept;
  bool report_due(std::uint32_t leg, Instant now) noexcept;
  bool pass_bye(std::uint32_t leg, Instant now, PacketSource& spare) noexcept;

  using Rtcp = RtcpState;
  void hear_reports(std::uint32_t leg, Bytes compound, Instant now) noexcept;
  std::uint32_t extended_highest(std::uint32_t leg) noexcept;
  void translate(std::uint32_t leg, Bytes compound, ByteWriter& out, Instant now) noexcept;
  void write_cname(std::uint32_t leg, ByteWriter& out) noexcept;
  RtcpReportBlock report_on(std::uint32_t leg, Instant now) noexcept;
  bool report(std::uint32_t leg, Instant now, std::uint64_t unix_ns, PacketSource& spare) noexcept;
  void send_rtcp(Packet& packet, std::uint32_t to, Bytes compound) noexcept;

  void connect_events(std::uint32_t leg, std::uint32_t peer) noexcept;
  // A direction that is transcoded.
  struct Coding {
    CoderPool::Coder coder;
    TranscoderSettings settings;
    std::uint32_t peer = kNoLeg;      // the leg it was made for
    std::uint32_t ssrc = 0;           // of the stream that is decoded
    Instant paid_until{};             // by the frames that were made, at four fifths of their time
    std::uint64_t born : 47 = 0;      // rises from one coder to the next
    std::uint64_t waiting : 16 = 0;   // frames of it
    std::uint64_t is_greedy : 1 = 0;  // they come behind all others
  };
  void charge(Coding& coding, Instant received) noexcept;
  void follow(Coding& coding, std::uint32_t ssrc) noexcept;
  bool make_coding(std::uint32_t leg, const api::MediaParams& from, std::uint32_t peer, const api::MediaParams& to, Coding& made) noexcept;
  // Makes the way from the leg to its peer anew.
  void set_out(std::uint32_t leg) noexcept;
  // Towards the leg's peer.
  const NextHop* next_hop(std::uint32_t leg, Instant now) noexcept {
    const LegOut& out = legs_.out(leg);
    const auto table = next_hops_.table();
    return __builtin_expect(out.next_hop < table.size() && table[out.next_hop].usable != 0, 1) ? &table[out.next_hop]
                                                                                               : resolve_next_hop(leg, now);
  }
  const NextHop* resolve_next_hop(std::uint32_t leg, Instant now) noexcept;
  // Towards the leg's own party, joined or not; null: not known.
  const NextHop* own_hop(std::uint32_t leg) noexcept {
    const NextHopIndex index = legs_.cold(leg).next_hop;
    const auto table = next_hops_.table();
    return index < table.size() && table[index].usable != 0 ? &table[index] : nullptr;
  }
  // `rx`: of packet.leg_index.
  void count_sent(Packet& packet, const LegRx& rx) noexcept {
    api::LegRow& row = legs_.row(rx.peer);
    packet.tx_leg = rx.peer;
    packet.codec_pair = rx.codec_pair;
    row.tx_packets.add(1);
    row.tx_bytes.add(packet.payload_length);
  }
  void drop(Packet& packet, api::DropReason reason) noexcept;
  void count_drop(const Packet& packet, api::DropReason reason) noexcept;
  api::Event event(api::EventType type, Instant now) const noexcept;

  LegTable& legs_;
  NextHops& next_hops_;
  EventSink& events_;
  api::WorkerBlock& block_;
  std::uint8_t worker_;
  std::uint16_t mtu_;
  std::uint32_t sweep_at_ = 0;
  std::uint32_t report_ = 1;  // another number for every client
  FixedVector<Waiting, kMaxBurst> waiting_;
  FrameQueue frames_;  // to be transcoded
  Headroom headroom_;
  struct {
    std::uint8_t pair = 0;
    std::uint8_t ptime_ms = 0;  // 0: what the frame took tells nothing
  } timed_;                     // the frame that next_frame() gave back
  unsigned made_ = 0;           // frames of its packet
  Duration late_;
  CoderPool pool_;
  std::vector<Coding> coding_;   // by the leg whose party speaks
  std::vector<RtpOut> streams_;  // by the leg whose party listens
  std::vector<Rtcp> rtcp_;
  std::vector<EventMapper> event_mappers_;  // by the leg whose party sends
  std::uint32_t arrival_ = 0;               // of this burst, in units of an 8 kHz clock
  HashKey key_;
  std::uint64_t legs_made_ = 0;
  std::uint64_t coders_made_ = 0;
};

}  // namespace ifgw::engine
