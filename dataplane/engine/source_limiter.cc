#include "dataplane/engine/source_limiter.h"

#include <algorithm>

namespace ifgw::engine {
namespace {

constexpr std::size_t kListSlots = 16 * 1024;  // scanned per ListSources: about 50 us
constexpr std::int64_t kSecondNs = 1'000'000'000;
// A pass over the whole table takes about this many timer calls.
constexpr std::size_t kSweepCalls = 6000;

std::size_t window_bytes(const EngineConfig& config) noexcept {
  return WindowLimiter::required_bytes(config.limiter_sources, config.limiter_max_requests);
}

Duration milliseconds(std::uint64_t ms) noexcept { return std::chrono::milliseconds(static_cast<std::int64_t>(ms)); }

}  // namespace

std::size_t SourceLimiter::required_bytes(const EngineConfig& config) noexcept {
  return window_bytes(config) + (std::size_t{config.prefix_stamps} * sizeof(std::int64_t) + 63) / 64 * 64;
}

SourceLimiter::SourceLimiter(const EngineConfig& config, std::span<std::byte> memory, EventSink& events)
    : worker_(config.worker),
      worker_count_(config.worker_count),
      hash_key_(config.hash_key),
      events_(events),
      stamps_(reinterpret_cast<std::int64_t*>(memory.data() + window_bytes(config)), config.prefix_stamps),
      window_(memory.first(window_bytes(config)), config.limiter_sources, config.limiter_max_requests, config.hash_key),
      prefixes_(config.max_prefixes, config.hash_key),
      events_per_second_(config.verdict_events_per_second) {
  IFGW_CHECK(memory.size() >= required_bytes(config));
  by_stamp_.reserve(config.max_prefixes);
  IFGW_CHECK(set_limits(config.limits));
}

std::uint8_t SourceLimiter::owner(const IpAddress& source) const noexcept {
  if (worker_count_ == 1) return 0;
  const PrefixEntry* entry = prefixes_.find(source);
  // The middle bits: the table's sets are chosen by the others.
  const std::uint64_t hash =
      entry != nullptr && entry->requests != 0 && !entry->exempt ? entry->hash : keyed_hash(limiter_key(source), hash_key_);
  return static_cast<std::uint8_t>(((hash >> 16 & 0xFFFFFFFF) * worker_count_) >> 32);
}

void SourceLimiter::begin(const IpAddress& source, Probe& probe) noexcept {
  probe.source = source;
  probe.prefix = prefixes_.find(source);
  probe.window = window_.begin(limiter_key(source));
}

void SourceLimiter::locate(Probe& probe) noexcept { window_.locate(probe.window); }

SourceLimiter::Outcome SourceLimiter::check(const Probe& probe, Moment moment) noexcept {
  using Verdict = WindowLimiter::Verdict;
  const Instant now = moment.now();
  if (probe.prefix != nullptr && !window_.is_blocked(probe.window, moment, true)) {
    return check_prefix(*probe.prefix, now);
  }
  const WindowLimiter::Decision decision = window_.check(probe.window, moment);
  const std::uint32_t limit = window_.limits().requests;
  if (decision.block_ended) report(probe.source, api::Verdict::Released, 0, limit, now);
  if (decision.block_began) {
    report(probe.source, api::Verdict::Blocked, limit, limit, now);
  } else if (decision.first_refusal) {
    const bool blocked = decision.verdict == Verdict::Blocked;
    report(probe.source, blocked ? api::Verdict::Blocked : api::Verdict::Limited, blocked ? 0 : limit, limit, now);
  }
  switch (decision.verdict) {
    case Verdict::Admitted: ++admitted_; return {true, {}};
    case Verdict::Limited: return {false, api::DropReason::SourceLimited};
    case Verdict::Blocked: return {false, api::DropReason::SourceBlocked};
    case Verdict::Full: break;
  }
  return {false, api::DropReason::LimiterFull};
}

SourceLimiter::Outcome SourceLimiter::check_prefix(PrefixEntry& entry, Instant now) noexcept {
  if (entry.exempt) {
    ++admitted_;
    return {true, {}};
  }
  std::int64_t* ring = stamps_.data() + entry.first_stamp;
  const std::int64_t t = to_ns(now);
  if (entry.count == entry.requests) {
    if (t - ring[entry.head] < entry.window.count()) {
      if (!entry.told) report(entry.prefix.ip, api::Verdict::Limited, entry.requests, entry.requests, now);
      entry.told = true;
      ++entry.refused;
      return {false, api::DropReason::SourceLimited};
    }
    ring[entry.head] = t;
    entry.head = entry.head + 1 == entry.requests ? 0 : entry.head + 1;
  } else {
    ring[(entry.head + entry.count) % entry.requests] = t;
    ++entry.count;
  }
  entry.told = false;
  ++admitted_;
  return {true, {}};
}

SourceLimiter::Outcome SourceLimiter::check_blocked(const Probe& probe, Moment moment) noexcept {
  if (!window_.is_blocked(probe.window, moment, probe.prefix != nullptr)) return {true, {}};
  return {false, api::DropReason::SourceBlocked};
}

bool SourceLimiter::set_limits(const api::SetLimits& limits) noexcept {
  return window_.set_limits({limits.requests, milliseconds(limits.window_ms), milliseconds(limits.block_ms)});
}

// First fit among the rings in use. False: no gap is large enough.
bool SourceLimiter::find_stamps(std::uint32_t requests, std::uint32_t& first) noexcept {
  by_stamp_.clear();
  for (PrefixEntry& entry : prefixes_.entries()) {
    if (entry.used && entry.requests != 0) by_stamp_.push_back(&entry);
  }
  std::sort(by_stamp_.begin(), by_stamp_.end(), [](const auto* a, const auto* b) { return a->first_stamp < b->first_stamp; });
  std::uint32_t end = 0;
  for (const PrefixEntry* entry : by_stamp_) {
    if (entry->first_stamp - end >= requests) break;
    end = entry->first_stamp + entry->requests;
  }
  first = end;
  return stamps_.size() - end >= requests;
}

// Moves the newest admissions into a ring of another size, so that a change never forgives what was admitted.
bool SourceLimiter::resize(PrefixEntry& entry, std::uint32_t requests) noexcept {
  std::uint32_t first = 0;
  if (!find_stamps(requests, first)) return false;
  const std::uint32_t keep = std::min(entry.count, requests);
  for (std::uint32_t i = 0; i < keep; ++i) {
    const std::uint32_t from = (entry.head + entry.count - keep + i) % entry.requests;
    stamps_[first + i] = stamps_[entry.first_stamp + from];
  }
  entry.first_stamp = first;
  entry.requests = requests;
  entry.head = 0;
  entry.count = keep;
  return true;
}

api::CommandStatus SourceLimiter::set_prefix_limit(const api::SetPrefixLimit& command) noexcept {
  PrefixEntry* entry = prefixes_.exact(command.prefix);
  if (command.requests == 0) {
    if (entry == nullptr || entry->requests == 0) return api::CommandStatus::NotFound;
    entry->requests = entry->count = 0;
    drop_if_unused(*entry);
    return api::CommandStatus::Ok;
  }
  if (set_budget(command) || (forget_prefixes() && set_budget(command))) return api::CommandStatus::Ok;
  return api::CommandStatus::TableFull;
}

bool SourceLimiter::set_budget(const api::SetPrefixLimit& command) noexcept {
  PrefixEntry* entry = prefixes_.add(command.prefix);
  if (entry == nullptr) return false;
  if (entry->requests != command.requests && !resize(*entry, command.requests)) {
    drop_if_unused(*entry);
    return false;
  }
  entry->window = milliseconds(command.window_ms);
  entry->limit_client = client_;
  return true;
}

bool SourceLimiter::forget_prefixes() noexcept {
  bool any = false;
  for (PrefixEntry& entry : prefixes_.entries()) {
    if (entry.exempt && entry.exempt_client != client_) {
      entry.exempt = false;
      any = true;
    }
    if (entry.requests != 0 && entry.limit_client != client_) {
      entry.requests = entry.count = 0;
      any = true;
    }
  }
  if (any) prefixes_.remove_unused();
  return any;
}

void SourceLimiter::drop_if_unused(PrefixEntry& entry) noexcept {
  if (entry.requests == 0 && !entry.exempt) prefixes_.remove(entry);
}

api::CommandStatus SourceLimiter::exempt(const api::ExemptPrefix& command) noexcept {
  if (command.exempt == 0) {
    PrefixEntry* entry = prefixes_.exact(command.prefix);
    if (entry == nullptr || !entry->exempt) return api::CommandStatus::NotFound;
    entry->exempt = false;
    drop_if_unused(*entry);
    return api::CommandStatus::Ok;
  }
  PrefixEntry* entry = prefixes_.add(command.prefix);
  if (entry == nullptr && forget_prefixes()) entry = prefixes_.add(command.prefix);
  if (entry == nullptr) return api::CommandStatus::TableFull;
  entry->exempt = true;
  entry->exempt_client = client_;
  return api::CommandStatus::Ok;
}

api::CommandStatus SourceLimiter::block(const IpAddress& source, std::uint64_t duration_ms, Instant now) noexcept {
  const Instant until = duration_ms == 0 ? kNever : now + milliseconds(duration_ms);
  return window_.block(limiter_key(source), until, now) ? api::CommandStatus::Ok : api::CommandStatus::TableFull;
}

api::CommandStatus SourceLimiter::unblock(const IpAddress& source, Instant now) noexcept {
  const std::uint64_t key = limiter_key(source);
  const bool was_blocked = window_.is_blocked(window_.begin(key), window_.at(now));
  if (!window_.unblock(key)) return api::CommandStatus::NotFound;
  if (was_blocked) report(source, api::Verdict::Released, 0, window_.limits().requests, now);
  return api::CommandStatus::Ok;
}

std::uint64_t SourceLimiter::list(const api::ListSources& command, std::uint32_t request_id, Instant now) noexcept {
  std::size_t rows = 0;
  std::uint64_t cursor = command.cursor;
  std::size_t slots_left = kListSlots;
  // One row at a time, because rows that are filtered out do not count.
  while (rows < api::kMaxAnswerRows && slots_left > 0) {
    const std::uint64_t begin = cursor;
    cursor = window_.list(cursor, slots_left, 1, now, [&](const WindowLimiter::Row& row) {
      if (command.blocked_only != 0 && !row.blocked) return;
      api::Event event{};
      event.type = api::EventType::SourceRow;
      event.worker = worker_;
      event.time_ns = static_cast<std::uint64_t>(to_ns(now));
      event.source_row = api::SourceRow{};
      event.source_row.request_id = request_id;
      event.source_row.source = limiter_source(row.key);
      event.source_row.in_window = row.in_window;
      event.source_row.refused = row.refused;
      event.source_row.blocked = row.blocked ? 1 : 0;
      if (row.blocked && row.blocked_until != kNever) {
        event.source_row.blocked_until_ns = static_cast<std::uint64_t>(to_ns(row.blocked_until));
      }
      events_.on_event(event);
      ++rows;
    });
    if (cursor == 0) return 0;
    slots_left -= std::min<std::size_t>(slots_left, cursor - begin);
  }
  return cursor;
}

// Admissions are kept in order: those of the window are the newest.
std::uint32_t SourceLimiter::in_window(const PrefixEntry& entry, Instant now) const noexcept {
  std::uint32_t old = 0;
  std::uint32_t end = entry.count;
  while (old < end) {
    const std::uint32_t middle = old + (end - old) / 2;
    const std::int64_t stamp = stamps_[entry.first_stamp + (entry.head + middle) % entry.requests];
    if (to_ns(now) - stamp >= entry.window.count())
      old = middle + 1;
    else
      end = middle;
  }
  return entry.count - old;
}

std::uint64_t SourceLimiter::list_prefixes(std::uint64_t cursor, std::uint32_t request_id, Instant now) noexcept {
  const std::vector<PrefixEntry>& entries = prefixes_.entries();
  std::size_t rows = 0;
  for (; cursor < entries.size(); ++cursor) {
    const PrefixEntry& entry = entries[cursor];
    if (!entry.used) continue;
    if (rows++ == api::kMaxAnswerRows) return cursor;
    api::Event event{};
    event.type = api::EventType::PrefixRow;
    event.worker = worker_;
    event.time_ns = static_cast<std::uint64_t>(to_ns(now));
    event.prefix_row = api::PrefixRow{};
    event.prefix_row.request_id = request_id;
    event.prefix_row.prefix = entry.prefix;
    event.prefix_row.exempt = entry.exempt ? 1 : 0;
    event.prefix_row.requests = entry.requests;
    event.prefix_row.window_ms = static_cast<std::uint32_t>(entry.window / std::chrono::milliseconds{1});
    event.prefix_row.in_window = in_window(entry, now);
    event.prefix_row.refused = entry.refused;
    events_.on_event(event);
  }
  return 0;
}

void SourceLimiter::on_timer(Instant now) noexcept {
  const std::size_t sets = window_.slots() / WindowLimiter::kWays / kSweepCalls + 4;
  window_.maintain(sets, now,
                   [&](std::uint64_t key) { report(limiter_source(key), api::Verdict::Released, 0, window_.limits().requests, now); });
}

void SourceLimiter::report(const IpAddress& source, api::Verdict verdict, std::uint32_t requests, std::uint32_t limit,
                           Instant now) noexcept {
  const std::int64_t second = to_ns(now) / kSecondNs;
  if (second != events_second_) {
    events_second_ = second;
    events_left_ = events_per_second_;
  }
  if (events_left_ == 0) {
    ++suppressed_events_;
    return;
  }
  --events_left_;
  api::Event event{};
  event.type = api::EventType::LimiterVerdict;
  event.worker = worker_;
  event.time_ns = static_cast<std::uint64_t>(to_ns(now));
  // IPv6 sources are reported as their /64.
  event.limiter_verdict = {source.is_v6() ? mask(source, 64) : source, verdict, requests, limit};
  events_.on_event(event);
}

std::uint64_t SourceLimiter::take_suppressed_events() noexcept {
  const std::uint64_t taken = suppressed_events_;
  suppressed_events_ = 0;
  return taken;
}

}  // namespace ifgw::engine
