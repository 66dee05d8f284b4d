// The dataplane as core and the operator see it: attaches (and attaches again), turns requests into commands and
// events into answers, carries SIP datagrams. Implements core's ports over DataplaneLink.
//
// On the event loop's thread only. Nothing blocks; a dataplane that does not answer an attach is given up after a second
// and asked again.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codecs/base/bytes.h"
#include "controlplane/adapters/dataplane_attach.h"
#include "controlplane/adapters/dataplane_link.h"
#include "controlplane/adapters/event_loop.h"
#include "controlplane/core/ports/dataplane_view.h"
#include "controlplane/core/ports/media.h"

namespace ifgw::adapters {

// What the dataplane's limiter is told at every attach.
struct LimiterSettings {
  api::SetLimits limits;  // more requests than the dataplane can count are cut to what it can, and reported
  struct Budget {
    api::SetPrefixLimit limit;
    std::string name;  // for reports: 'prefix 10.0.0.0/8'
  };
  std::vector<Budget> budgets;  // the first ones get what room there is
  std::vector<IpPrefix> exemptions;
};

struct DataplaneClientConfig {
  std::string socket_path;
  LimiterSettings limiter;
  std::uint32_t heavy_workers = 0;  // bit n: worker n is set apart for heavy calls
};

// To whom it tells what. All are called from the event loop, never from inside a request.
struct DataplaneClientHandlers {
  std::function<void(const core::MediaEvent& event, Instant now)> on_media;
  std::function<void(const api::Datagram& datagram, Instant now)> on_datagram;  // reference good for the call
  std::function<void(const api::LimiterVerdict& verdict, Instant now)> on_verdict;
  std::function<void(std::uint32_t worker, const api::Captured& packet, Instant now)> on_captured;  // reference good for the call
  std::function<void(const std::string& line, bool good)> on_report;                                // attach, detach, refusals: for the log
};

class DataplaneClient final : public core::Media, public core::DataplaneView, private DeadlineSource {
 public:
  DataplaneClient(EventLoop& loop, DataplaneClientConfig config, DataplaneClientHandlers handlers);
  ~DataplaneClient() override;

  // Begins to attach, and does so again 200 ms after whatever went wrong (on_report says what).
  void start(Instant now);
  // The first attempt has ended: attached, refused, or not answered in time.
  bool settled() const noexcept { return settled_; }
  // What the attached dataplane said of itself, its counts in range; null: none is attached. Good until it is lost.
  const api::AttachReply* welcome() const noexcept { return link_ ? &link_->welcome() : nullptr; }

  // One SIP datagram through the ring. False: not attached, ring full (both counted), or it does not fit a packet of
  // this dataplane (fits()): use the kernel's socket.
  bool send_datagram(const Endpoint& local, const Endpoint& remote, Bytes payload, std::uint8_t dscp);
  bool fits(const Endpoint& remote, std::size_t bytes) const noexcept;
  // Whether a dataplane is attached that receives UDP for this endpoint, and counts what it receives.
  bool owns(const Endpoint& local) const noexcept;

  // core::Media
  bool attached() const override { return link_ != nullptr; }
  core::CallWeight weight(api::Codec a, api::Codec b) const override;
  std::uint8_t choose_worker(core::CallWeight weight) override;
  bool carries(std::uint8_t worker, core::CallWeight weight) const override { return roles_.carries(worker, weight); }
  bool has_headroom(std::uint8_t worker, api::Codec a, api::Codec b) const override;
  const std::vector<IpAddress>& local_addresses() const override { return local_addresses_; }
  std::uint32_t codec_mask() const override { return link_ ? link_->welcome().codec_mask : 0; }
  void add_leg(core::MediaRequestId request, std::uint8_t worker, const api::AddLeg& leg) override;
  void join_legs(core::MediaRequestId request, api::LegId a, api::LegId b) override;
  void update_leg(core::MediaRequestId request, api::LegId leg, const api::MediaParams& media) override;
  void remove_leg(core::MediaRequestId request, api::LegId leg) override;
  void move_legs(core::MediaRequestId request, std::uint8_t worker, api::LegId a, api::LegId b) override;

  // core::DataplaneView
  core::AttachState attach_state() const override;
  std::vector<core::LegView> legs(std::size_t limit) const override;
  std::optional<core::LegView> leg(api::LegId id) const override;
  std::vector<core::WorkerView> workers() const override;
  std::vector<core::PortView> ports() const override;
  void list_sources(bool blocked_only, std::size_t limit, SourcesDone done) override;
  void list_prefixes(PrefixesDone done) override;
  void block_source(const IpAddress& source, Duration duration, Done done) override;
  void unblock_source(const IpAddress& source, Done done) override;
  void exempt_prefix(const IpPrefix& prefix, bool exempt, Done done) override;
  void start_capture(const api::StartCapture& capture, Done done) override;
  void stop_capture(const api::StartCapture& capture, Done done) override;
  std::uint64_t capture_lost(std::uint32_t worker, std::size_t port) const override;

 private:
  // Answered once: with the worker's CommandDone, or with Lost or Detached.
  using Answer = std::function<void(core::MediaStatus status, const api::CommandDone& done)>;
  struct Pending {
    std::uint32_t request_id = 0;
    Answer answer;
  };
  struct Worker {
    std::deque<Pending> pending;  // in the order sent, which is the order of the answers
    std::uint64_t last_sequence = 0;
  };
  struct Listing;    // a list_sources or list_prefixes under way
  struct Broadcast;  // a change that every worker gets

  Instant next_deadline() const override { return link_ ? kNever : attempt_ ? answer_by_ : retry_at_; }
  void on_deadline(Instant now) override;
  void begin_attach(Instant now);
  void on_answer(Instant now);
  void end_attempt() noexcept;
  void fail_attach(const std::string& why, Instant now);
  void adopt(std::unique_ptr<DataplaneLink> link, Instant now);
  void detach(const std::string& why, Instant now);
  void configure_limiter();
  void assign_roles();
  void pump(Instant now);
  bool pump_worker(std::uint32_t worker, Instant now);
  bool pump_captured(std::uint32_t worker, std::size_t limit, Instant now);
  void on_event(std::uint32_t worker, const api::Event& event, Instant now);
  void on_done(std::uint32_t worker, const api::CommandDone& done);
  void on_row(std::uint32_t worker, std::uint32_t request_id, const api::Event& row);
  void on_gap(std::uint32_t worker, Instant now);
  void submit(std::uint32_t worker, api::Command command, Answer answer);
  void submit_media(core::MediaRequestId request, std::uint32_t worker, const api::Command& command);
  void broadcast(const api::Command& command, Done done);
  void submit_capture(const api::Command& command, api::LegId leg, Done done);
  void list(std::shared_ptr<Listing> listing);
  void list_next(const std::shared_ptr<Listing>& listing);
  std::vector<api::LegInfo> leg_table() const;

  EventLoop& loop_;
  DataplaneClientConfig config_;
  DataplaneClientHandlers handlers_;
  std::unique_ptr<DataplaneLink> link_;
  std::vector<Worker> workers_;
  core::WorkerRoles roles_;
  std::vector<IpAddress> local_addresses_;
  std::uint32_t next_request_id_ = 1;
  std::vector<std::shared_ptr<Listing>> listings_;
  std::optional<DataplaneAttach> attempt_;  // under way, until answer_by_
  Instant answer_by_ = kNever;
  Instant retry_at_ = kNever;
  bool settled_ = false;
  core::AttachState state_;
};

}  // namespace ifgw::adapters
