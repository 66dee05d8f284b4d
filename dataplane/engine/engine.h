// The dataplane's deciding half for one worker: classify, limit, relay and transcode media, obey commands. Sans-IO:
// packets and `now` in; rewritten packets, verdicts, events and counters out. No clock, lock, log; no allocation after
// construction.
//
// One poll iteration of a worker:
//   engine.classify(all)                  each packet now has kind and owner
//   hand packets of other owners over     (Media, SipUdp, SignallingTcp*, Fragment)
//   engine.begin_media(own Media)         -> Transmit, Drop, Kept or HandOver; Waits: a frame to transcode
//   engine.shed() until there is none     -> Drop
//   engine.limit(own signalling)          -> Up, Kernel or Drop
//   Exception                             -> the shell's policer and the exception port
//   engine.on_message() for what other workers tell, before the packets that they hand over with it
//   engine.on_command() for each command while accepts_commands(), engine.on_timer() when next_deadline() has come
//   engine.next_frame() when nothing else waits, then all of it again -> Transmit, Drop or Kept
// Before on_command() and on_message(): hurry(), and next_frame() while hurried().
//
// Commands about sources (SetLimits, SetPrefixLimit, BlockSource, UnblockSource, ExemptPrefix, ForgetPrefixes,
// ListSources, ListPrefixes) and StartCapture of a prefix go to every worker, because only the engines know which worker counts a source.
// BlockSource on a worker that does not count the source changes nothing; CommandDone::value is 1 where it took effect.
//
// Counting: the engine counts every drop it decides in WorkerBlock::drops (and LegRow::dropped where a leg is known),
// and limiter_*, legs_in_use, commands, invalid_messages; limiter events over their rate go into events_lost. Everything else in
// WorkerBlock is the shell's, also LegRow::inside (Packet::tx_leg names the row).
//
// Thread: one. Cost: see bench/micro.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/api/counters.h"
#include "dataplane/api/messages.h"
#include "dataplane/engine/capture.h"
#include "dataplane/engine/classifier.h"
#include "dataplane/engine/config.h"
#include "dataplane/engine/event_sink.h"
#include "dataplane/engine/leg_table.h"
#include "dataplane/engine/media.h"
#include "dataplane/engine/next_hops.h"
#include "dataplane/engine/packet.h"
#include "dataplane/engine/source_limiter.h"
#include "dataplane/engine/worker_message.h"

namespace ifgw::engine {

class Engine {
 public:
  // Whether this build and configuration bring the codec to any other; relaying it to itself works in any case.
  static bool can_transcode(api::Codec codec, const EngineConfig& config) noexcept;
  // `config` must have passed check_config(). Memory for legs, sources and prefix budgets; give it hugepages.
  static std::size_t required_bytes(const EngineConfig& config) noexcept;
  // How many LegRows (= possible leg indices) this configuration needs per worker.
  static std::uint32_t leg_rows(const EngineConfig& config) noexcept { return PortMap(config).slots(); }

  // How many legs there can be at once.
  static std::uint32_t max_legs(const EngineConfig& config) noexcept {
    return config.max_legs != 0 ? std::min(config.max_legs, leg_rows(config)) : leg_rows(config);
  }

  // All that a slot of the leg table costs here and in the counters, in bytes; the runtime adds its next hop.
  static std::size_t bytes_per_leg(const EngineConfig& config) noexcept;

  // `memory`: at least required_bytes(), aligned to 64, overwritten; `rows`: at least leg_rows(), cleared. Everything
  // handed in must outlive the engine. `peers`: without them legs do not move.
  Engine(const EngineConfig& config, std::span<std::byte> memory, std::span<api::LegRow> rows, api::WorkerBlock& block, NextHops& next_hops,
         EventSink& events, PeerWorkers* peers = nullptr);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Any packets. Those found Malformed are decided (Drop, counted).
  void classify(std::span<Packet> packets) noexcept;

  // At most kMaxBurst packets of kind Media that this worker owns. Each leaves with Transmit or Drop, rewritten in place (data
  // and length may move), with Kept, with HandOver when its leg has moved, or with Waits when it is a frame to be transcoded. `now`: when
  // they were received.
  void begin_media(std::span<Packet* const> packets, Instant now) noexcept { media_.begin(packets, now); }
  // To be called until nullptr, before the next begin_media() and from time to time while frames wait: a frame that is given up (Drop,
  // Overloaded). It has waited for longer than EngineConfig::late, or others need its place. Those that come last (next_frame()) are
  // those that wait so long. Telephone-events that do so come next instead, unless their stream is faster than its time. Valid until
  // the next begin_media(). `now`: at present.
  Packet* shed(Instant now) noexcept { return media_.shed(now); }
  std::size_t frames_waiting() const noexcept { return media_.frames_waiting(); }
  // The next frame is dear: other things should have their turn before it.
  bool next_is_heavy() const noexcept { return media_.next_is_heavy(); }
  // Transcodes the next frame: light ones before heavy ones, then those of the oldest stream first; a stream that sends audio faster than
  // its time comes behind all others. Its packet, with Transmit, Drop or Kept, and so those taken from `spare`; nullptr: none waits. Valid
  // until the next begin_media().
  WaitingFrame* next_frame(PacketSource& spare) noexcept { return media_.next_frame(spare); }
  // The frames of the legs that this will change come next; whether there are any. It must wait for them: call next_frame() while
  // hurried().
  bool hurry(const api::Command& command) noexcept;
  bool hurry(const WorkerMessage& message) noexcept;
  bool hurried() const noexcept { return media_.hurried(); }
  // How long next_frame() took, and what was done with its packets: what pairs of codecs cost is learned from it.
  void frame_took(Duration time) noexcept { media_.frame_took(time); }
  // How long one packet took to come out of a port's queue and to go into one: the same for what every direction costs beside its codecs.
  void ports_took(Duration time) noexcept { media_.ports_took(time); }
  // All of it at once, kMaxBurst packets at a time: for tools and tests. No frame waits before or afterwards.
  void media(std::span<Packet* const> packets, Instant now, PacketSource& spare) noexcept;

  // Packets of kind SipUdp, SignallingTcpSyn, SignallingTcp, Fragment that this worker owns. SipUdp leaves with Up (its
  // payload of 1..kMaxDatagramPayload bytes is at payload_offset, its UDP checksum was verified), a longer one and the others
  // with Kernel; refused ones with Drop.
  void limit(std::span<Packet* const> packets, Instant now) noexcept;

  // `next_hops`: not the table that media uses, which has an entry for every leg. Whom signalling answers, strangers
  // choose; they must not be able to take a leg's place.
  // Makes a frame of `payload_length` bytes of UDP payload that start at packet.data; headers go into the headroom.
  // Transmit, or Drop with the reason (counted): `local` is not a signalling endpoint of ours or a field is out of range
  // (invalid_messages is counted too), no next hop, no headroom, or longer than the MTU (OversizedDatagram: let the
  // kernel's socket send it in fragments).
  void build_datagram(Packet& packet, const api::DatagramHeader& header, NextHops& next_hops) noexcept;
  // Whether a datagram to `remote` fits one packet.
  bool fits_mtu(const Endpoint& remote, std::size_t payload_length) const noexcept;

  // Validates every field; answers by exactly one CommandDone (ListSources, ListPrefixes: rows before it).
  // `spare`: for what is said to a party whose leg is removed.
  void on_command(const api::Command& command, Instant now, PacketSource& spare) noexcept;
  // No: a MoveLegs waits for another worker's answer, or for the client to take ours, and on_command() must not be called. It
  // may be a few iterations.
  bool accepts_commands() const noexcept { return !moving_; }
  // From another worker of this process; trusted.
  void on_message(const WorkerMessage& message, Instant now) noexcept;

  // A client attached that has seen no event: what silence was reported is reported again, to it. Prefixes
  // there are become an earlier client's (ForgetPrefixes).
  void on_client() noexcept {
    if (moving_ && moving_->answer) moving_.reset();
    if (moving_) moving_->asked = false;
    media_.forget_reports();
    limiter_.on_client();
  }

  // Bounded work: media timeouts, RTCP reports (in packets from `spare`), block expiry, limiter housekeeping. `unix_ns`: the
  // time of day, in nanoseconds since 1970, for the reports.
  void on_timer(Instant now, std::uint64_t unix_ns, PacketSource& spare) noexcept;
  Instant next_deadline() const noexcept { return next_timer_; }

  // A capture: whether there is one, and what it takes of a frame as it is on the wire. False: nothing; else all of `header`
  // is set that the frame tells: leg, capture, length (from the frame's beginning), original_length, direction. `leg`: index of
  // the frame's leg where the caller knows it; of one that has moved here, the port says nothing.
  bool capturing() const noexcept { return capture_.on(); }
  bool capture(Bytes frame, api::CaptureDirection direction, std::uint32_t leg, api::CapturedHeader& header) const noexcept;
  // The worker that the packet's leg has moved to captures it.
  bool captured_elsewhere(const Packet& packet) const noexcept {
    return packet.kind == PacketKind::Media && legs_.departed(packet.leg_index);
  }
  void end_capture() noexcept { capture_.end(); }
  // Ends it when its time is over or its leg is gone.
  void check_capture(Instant now) noexcept;

  // The receiving or sending leg's row, for the shell's latency counters.
  api::LegRow& row(std::uint32_t index) noexcept { return legs_.row(index); }
  std::uint32_t leg_of(const api::LegRow& row) const noexcept { return legs_.index(row); }

 private:
  struct Answer {
    api::CommandStatus status = api::CommandStatus::Ok;
    std::uint64_t value = 0;
    api::LegId leg;
    Endpoint local;
  };
  static Answer bad_field(std::uint64_t offset) noexcept { return {api::CommandStatus::InvalidArgument, offset, {}, {}}; }
  Answer dispatch(const api::Command& command, Instant now, PacketSource& spare) noexcept;
  Answer add_leg(const api::AddLeg& command, Instant now) noexcept;
  Answer join_legs(const api::JoinLegs& command) noexcept;
  Answer update_leg(const api::UpdateLeg& command, Instant now) noexcept;
  Answer remove_leg(const api::RemoveLeg& command, Instant now, PacketSource& spare) noexcept;
  Answer move_legs(const api::MoveLegs& command, std::uint32_t request_id, Instant now) noexcept;
  void give_legs(const WorkerMessage& ask) noexcept;
  void end_move(const WorkerMessage& answer, Instant now) noexcept;
  void tell_moved(Instant now) noexcept;
  void release_home(api::LegId home) noexcept;
  WorkerMessage release_message(api::LegId home) const noexcept;
  bool done(std::uint32_t request_id, api::CommandType type, const Answer& answer, Instant now) noexcept;
  Answer set_limits(const api::SetLimits& command) noexcept;
  Answer set_prefix_limit(const api::SetPrefixLimit& command) noexcept;
  Answer exempt_prefix(const api::ExemptPrefix& command) noexcept;
  Answer block_source(const api::BlockSource& command, Instant now) noexcept;
  Answer unblock_source(const api::UnblockSource& command, Instant now) noexcept;
  Answer list_sources(const api::ListSources& command, std::uint32_t request_id, Instant now) noexcept;
  Answer start_capture(const api::StartCapture& command, Instant now) noexcept;
  Answer stop_capture(const api::StopCapture& command) noexcept;
  void part(std::uint32_t leg, std::uint32_t for_the_sake_of = kNoLeg) noexcept;
  void limit_burst(std::span<Packet* const> packets, Instant now) noexcept;
  void decide_signalling(Packet& packet, const SourceLimiter::Probe& probe, SourceLimiter::Moment moment) noexcept;
  void drop(Packet& packet, api::DropReason reason) noexcept;
  void arm(Instant now) noexcept;
  void publish_limiter() noexcept;
  void publish_legs() noexcept {
    block_.legs_in_use.set(legs_.in_use());
    media_.publish_load();
  }

  EngineConfig config_;
  api::WorkerBlock& block_;
  NextHops& next_hops_;
  EventSink& events_;
  LegTable legs_;
  SourceLimiter limiter_;
  Classifier classifier_;
  Media media_;
  Capture capture_;
  // A MoveLegs under way: the slots that wait for its legs, then what the client has not been told yet.
  struct Moving {
    std::uint32_t request_id = 0;
    std::uint32_t a = kNoLeg;
    std::uint32_t b = kNoLeg;
    bool asked = true;  // the client that asked is still there
    std::optional<Answer> answer;
  };
  PeerWorkers* peers_;
  std::optional<Moving> moving_;
  std::vector<api::LegId> unreleased_;  // homes whose workers have not been told yet; room for every leg
  Instant next_timer_ = kNever;
};

}  // namespace ifgw::engine
