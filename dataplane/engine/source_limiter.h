// Who may send signalling, and how much of it: the exact window limiter per source, with exemptions, a budget per
// prefix (a trunk, a route's targets) and operator blocks. Order: an operator's block of the source, then the most
// specific prefix entry (exempt, or its budget), then the source's own window.
//
// Every source belongs to one worker: the one its prefix entry's hash names when it has a budget, else its own hash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codecs/base/window_limiter.h"
#include "dataplane/api/counters.h"
#include "dataplane/engine/config.h"
#include "dataplane/engine/event_sink.h"
#include "dataplane/engine/prefix_table.h"

namespace ifgw::engine {

class SourceLimiter {
 public:
  static std::size_t required_bytes(const EngineConfig& config) noexcept;
  SourceLimiter(const EngineConfig& config, std::span<std::byte> memory, EventSink& events);

  std::uint8_t owner(const IpAddress& source) const noexcept;

  // What a burst carries from one step to the next.
  struct Probe {
    IpAddress source;
    PrefixEntry* prefix = nullptr;
    WindowLimiter::Probe window;
  };
  void begin(const IpAddress& source, Probe& probe) noexcept;
  void locate(Probe& probe) noexcept;

  using Moment = WindowLimiter::Moment;
  Moment at(Instant now) noexcept { return window_.at(now); }

  struct Outcome {
    bool pass = false;
    api::DropReason reason = api::DropReason::SourceLimited;
  };
  // One request, datagram, fragment or connection attempt.
  Outcome check(const Probe& probe, Moment moment) noexcept;
  // Counts nothing: only refuses blocked sources.
  Outcome check_blocked(const Probe& probe, Moment moment) noexcept;

  // Commands; arguments as validated by the caller, values as in the contract.
  bool set_limits(const api::SetLimits& limits) noexcept;
  api::CommandStatus set_prefix_limit(const api::SetPrefixLimit& command) noexcept;
  api::CommandStatus exempt(const api::ExemptPrefix& command) noexcept;
  // Forgets the budgets and exemptions that an earlier client set and this one has not. Whether there were any.
  bool forget_prefixes() noexcept;
  // From here on budgets and exemptions there are count as an earlier client's.
  void on_client() noexcept { ++client_; }
  api::CommandStatus block(const IpAddress& source, std::uint64_t duration_ms, Instant now) noexcept;
  api::CommandStatus unblock(const IpAddress& source, Instant now) noexcept;
  // Up to 32 SourceRow events; returns the next cursor.
  std::uint64_t list(const api::ListSources& command, std::uint32_t request_id, Instant now) noexcept;
  // Up to 32 PrefixRow events; returns the next cursor.
  std::uint64_t list_prefixes(std::uint64_t cursor, std::uint32_t request_id, Instant now) noexcept;

  void on_timer(Instant now) noexcept;
  const WindowLimiter::Stats& stats() const noexcept { return window_.stats(); }
  std::uint64_t admitted() const noexcept { return admitted_; }
  std::uint64_t take_suppressed_events() noexcept;

 private:
  std::uint32_t in_window(const PrefixEntry& entry, Instant now) const noexcept;
  Outcome check_prefix(PrefixEntry& entry, Instant now) noexcept;
  bool find_stamps(std::uint32_t requests, std::uint32_t& first) noexcept;
  bool set_budget(const api::SetPrefixLimit& command) noexcept;
  bool resize(PrefixEntry& entry, std::uint32_t requests) noexcept;
  void report(const IpAddress& source, api::Verdict verdict, std::uint32_t requests, std::uint32_t limit, Instant now) noexcept;
  void drop_if_unused(PrefixEntry& entry) noexcept;

  std::uint8_t worker_;
  std::uint32_t worker_count_;
  HashKey hash_key_;
  EventSink& events_;
  std::span<std::int64_t> stamps_;  // admissions of prefixes with a budget, ns
  WindowLimiter window_;
  PrefixTable prefixes_;
  std::vector<PrefixEntry*> by_stamp_;  // scratch of find_stamps(), reserved at construction
  std::uint32_t client_ = 0;            // another number for every client
  std::uint64_t admitted_ = 0;
  std::uint32_t events_per_second_;
  std::uint32_t events_left_ = 0;
  std::int64_t events_second_ = -1;
  std::uint64_t suppressed_events_ = 0;
};

}  // namespace ifgw::engine
