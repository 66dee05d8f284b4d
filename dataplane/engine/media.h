// Media packets of one worker: from the party's address check to the rewritten frame. RTP (RFC 3550) and RTCP on the
// next port; RTCP on the RTP port is recognised too (RFC 5761). One direction is relayed, mapped between PCMU and PCMA
// (sequence numbers, time stamps and SSRC of both pass through unchanged, so ptime and jitter do as well), or transcoded,
// which makes a stream of its own (transcoder.h).
//
// Checksums: a relayed datagram keeps its UDP checksum, adjusted for what was rewritten (RFC 1624), so that damage on
// the way in is still found by the party. A transcoded one is verified first and gets a fresh one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codecs/base/fixed.h"
#include "codecs/wire/rtp.h"
#include "dataplane/api/counters.h"
#include "dataplane/engine/coder_pool.h"
#include "dataplane/engine/config.h"
#include "dataplane/engine/event_sink.h"
#include "dataplane/engine/frame_order.h"
#include "dataplane/engine/headroom.h"
#include "dataplane/engine/leg_table.h"
#include "dataplane/engine/next_hops.h"
#include "dataplane/engine/packet.h"
#include "dataplane/engine/packet_source.h"
#include "dataplane/engine/rtp_out.h"

namespace ifgw::engine {

// Packets of one media() or limit() call that are prefetched together. Longer spans are cut.
inline constexpr std::size_t kMaxBurst = 64;

class Media {
 public:
  // `memory`: for transcoders.
  Media(const EngineConfig& config, std::span<std::byte> memory, LegTable& legs, NextHops& next_hops, EventSink& events,
        api::WorkerBlock& block);

  // As Engine::begin_media() and the like.
  void begin(std::span<Packet* const> packets, Instant now) noexcept;
  std::size_t frames_waiting() const noexcept { return order_.waiting(); }
  bool next_is_heavy() const noexcept { return order_.waiting() != 0 && order_.heavy(); }
  Packet* next_frame(const FrameTime& time, PacketSource& spare) noexcept;

  // Reports silent legs; visits the next `slots` slots.
  void sweep(std::uint32_t slots, Instant now) noexcept;
  // From here on silence that was reported before is reported again.
  void forget_reports() noexcept { ++report_; }

  // Of memory beside the leg table's, for every slot.
  static std::size_t bytes_per_leg() noexcept { return sizeof(Coding) + sizeof(RtpOut); }

  // Takes over new parameters, validated by the caller. `fresh`: the leg was just added.
  void configure(std::uint32_t leg, const api::MediaParams& media, bool fresh, Instant now) noexcept;
  // Gives back what the leg holds elsewhere. To be called when it has no peer any more and is about to be released.
  void forget(std::uint32_t leg) noexcept;
  // The legs are no longer joined: gives back what prepare() made for that.
  void unprepare(std::uint32_t leg, std::uint32_t peer) noexcept;
  // Makes `peer` (or kNoLeg) the leg's peer and recomputes the way of its audio.
  void connect(std::uint32_t leg, std::uint32_t peer) noexcept;

  // Makes what audio needs between two legs of these parameters, before they are configured and connected; keeps what
  // fits already. False, and nothing changed: not possible, or no memory for it.
  bool prepare(std::uint32_t a, const api::MediaParams& at_a, std::uint32_t b, const api::MediaParams& at_b) noexcept;

  // Whether the worker has the time for two legs of these codecs, when they are joined or changed so.
  bool affords(std::uint32_t a, api::Codec at_a, std::uint32_t b, api::Codec at_b) noexcept;
  const Headroom& headroom() const noexcept { return headroom_; }

 private:
  // A frame that waits until the relays of its burst are done.
  struct Waiting {
    Packet* packet = nullptr;
    RtpHeader rtp;
    bool audio = true;  // else a telephone-event beside transcoded audio: its number comes from the same row
  };
  void receive(Packet& packet, Instant now) noexcept;
  void receive_rtp(Packet& packet, Instant now) noexcept;
  void receive_rtcp(Packet& packet, Instant now) noexcept;
  void count_rtp(std::uint32_t leg, const Packet& packet, const RtpHeader& rtp, Instant now) noexcept;
  bool latch(const Packet& packet, const RtpHeader& rtp, Instant now) noexcept;
  void first_packet(const Packet& packet, Instant now) noexcept;
  void relay(Packet& packet, std::uint8_t payload_type, Instant now) noexcept;
  void map(const Waiting& waiting, Instant now) noexcept;
  void transcode(const Waiting& waiting, Instant now, PacketSource& spare) noexcept;
  void transcoded_event(const Waiting& waiting, Instant now) noexcept;
  bool send_stream(Packet& packet, std::uint8_t payload_type, const Transcoder::Output& output, std::uint32_t ssrc, Instant now) noexcept;
  bool write_frame(Packet& packet, const UdpTemplate& path, std::uint16_t udp_checksum, Instant now) noexcept;
  void set_remote(std::uint32_t leg) noexcept;
  // A direction that is transcoded.
  struct Coding {
    CoderPool::Coder coder;
    TranscoderSettings settings;
    std::uint32_t peer = kNoLeg;  // the leg it was made for
    std::uint32_t ssrc = 0;       // of the stream that is decoded now
    std::uint32_t old_ssrc = 0;   // and of the one before
    bool started = false;
    std::uint64_t born = 0;  // rises from one coder to the next
    Instant last{};
  };
  bool follow(Coding& coding, std::uint32_t ssrc, Instant now) noexcept;
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
  void count_sent(Packet& packet, std::uint32_t to) noexcept {
    legs_.row(to).tx_packets.add(1);
    legs_.row(to).tx_bytes.add(packet.payload_length);
    packet.tx_leg = to;
    packet.codec_pair = legs_.rx(packet.leg_index).codec_pair;
  }
  void drop(Packet& packet, api::DropReason reason) noexcept;
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
  FrameOrder<kMaxBurst> order_;  // of those that are to be transcoded
  Headroom headroom_;
  Duration late_;
  CoderPool pool_;
  std::vector<Coding> coding_;   // by the leg whose party speaks
  std::vector<RtpOut> streams_;  // by the leg whose party listens
  HashKey key_;
  std::uint64_t legs_made_ = 0;
  std::uint64_t coders_made_ = 0;
};

}  // namespace ifgw::engine
