// DataplaneClient, the operator's half: reading counters, and asking and changing the limiter.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "controlplane/adapters/dataplane_client.h"

namespace ifgw::adapters {
namespace {

constexpr std::size_t kMaxPrefixRows = 4096;  // more than a dataplane has

constexpr std::string_view kTableFull = "the dataplane's table for this is full";

std::string text(core::MediaStatus status, const api::CommandDone& done) {
  if (status == core::MediaStatus::InvalidArgument && done.status == api::CommandStatus::NotFound) return "no such entry";
  if (status == core::MediaStatus::InvalidArgument && done.status == api::CommandStatus::Busy) return "its worker does another capture";
  if (status == core::MediaStatus::TableFull) return std::string{kTableFull};
  if (status == core::MediaStatus::InvalidArgument)
    return fmt::format("the dataplane refused a value (status {}, field at byte {})", static_cast<int>(done.status), done.value);
  return std::string(core::name(status));
}

template <std::size_t N>
std::string text_of(const std::array<char, N>& chars) {
  return {chars.data(), strnlen(chars.data(), N)};
}

}  // namespace

// A listing under way: worker after worker, page after page.
struct DataplaneClient::Listing {
  api::Command command;  // ListSources or ListPrefixes
  std::function<void(std::uint32_t worker, const api::Event& row)> take;
  std::function<bool()> enough;
  std::function<void(const std::string& error)> done;
  std::uint32_t worker = 0;
  std::uint32_t request_id = 0;  // of the command under way

  std::uint64_t& cursor() noexcept {
    return command.type == api::CommandType::ListSources ? command.list_sources.cursor : command.list_prefixes.cursor;
  }
};

// A change on its way to every worker. A source is known to one of them only, so "not found" counts when all say it.
struct DataplaneClient::Broadcast {
  std::size_t left = 0;
  std::size_t not_found = 0;
  std::size_t workers = 0;
  std::string error;
  Done done;
};

core::AttachState DataplaneClient::attach_state() const {
  core::AttachState state = state_;
  if (!link_) return state;
  state.invalid_messages += link_->invalid_messages();
  const api::ProcessBlock& process = link_->process();
  state.version = text_of(process.version);
  state.dataplane_uptime = loop_.now() - from_ns(static_cast<std::int64_t>(process.started_ns.get()));
  state.hugepages = process.hugepages.get() != 0;
  state.buffers = process.mempool_size.get();
  state.buffers_in_use = process.mempool_in_use.get();
  return state;
}

std::vector<api::LegInfo> DataplaneClient::leg_table() const {
  std::vector<api::LegInfo> legs;
  for (std::uint32_t w = 0; link_ && w < workers_.size(); ++w)
    for (const api::LegRow& row : link_->legs(w))
      if (const auto info = link_->read(row)) legs.push_back(*info);
  return legs;
}

std::vector<core::LegView> DataplaneClient::legs(std::size_t limit) const {
  std::vector<core::LegView> views;
  for (std::uint32_t w = 0; link_ && w < workers_.size(); ++w)
    for (const api::LegRow& row : link_->legs(w)) {
      if (views.size() == limit) return views;
      if (const auto info = link_->read(row)) views.push_back(core::snapshot(*info, row));
    }
  return views;
}

std::optional<core::LegView> DataplaneClient::leg(api::LegId id) const {
  const api::LegRow* row = link_ ? link_->leg(id) : nullptr;
  const auto info = row == nullptr ? std::nullopt : link_->read(*row);
  if (!info || info->id != id) return std::nullopt;
  return core::snapshot(*info, *row);
}

std::vector<core::WorkerView> DataplaneClient::workers() const {
  std::vector<core::WorkerView> views;
  for (std::uint32_t w = 0; link_ && w < workers_.size(); ++w) {
    views.push_back(core::snapshot(w, link_->worker(w)));
    views.back().carries = !roles_.divided() ? "all" : roles_.is_heavy(static_cast<std::uint8_t>(w)) ? "heavy" : "light";
  }
  return views;
}

std::vector<core::PortView> DataplaneClient::ports() const {
  std::vector<core::PortView> views;
  if (!link_) return views;
  const auto count = std::min<std::uint64_t>(link_->process().port_count.get(), api::kMaxPorts * 2);
  for (std::size_t i = 0; i < count; ++i) {
    const api::PortBlock& block = link_->port(i);
    core::PortView& view = views.emplace_back();
    view.port = static_cast<unsigned>(i);
    view.name = text_of(block.name);
    view.driver = text_of(block.driver);
    for (const std::uint8_t byte : block.mac) view.mac += fmt::format("{}{:02x}", view.mac.empty() ? "" : ":", byte);
    view.is_exception = block.is_exception != 0;
    view.mtu = block.mtu;
    if (block.vlan != 0) view.vlan = block.vlan;
    // A tap that was moved to another namespace cannot be asked from here.
    if (block.is_exception == 0) view.link_up = block.link_up.get() != 0;
    view.queues = static_cast<unsigned>(workers_.size());
    view.rx_packets = block.rx_packets.get();
    view.rx_bytes = block.rx_bytes.get();
    view.tx_packets = block.tx_packets.get();
    view.tx_bytes = block.tx_bytes.get();
    view.rx_missed = block.rx_missed.get();
    view.rx_errors = block.rx_errors.get();
    view.tx_errors = block.tx_errors.get();
    view.rx_no_buffer = block.rx_no_buffer.get();
  }
  return views;
}

void DataplaneClient::broadcast(const api::Command& command, Done done) {
  const std::size_t workers = std::max<std::size_t>(workers_.size(), 1);  // detached: one answer that says so
  auto state = std::make_shared<Broadcast>(Broadcast{workers, 0, workers, {}, std::move(done)});
  for (std::uint32_t w = 0; w < workers; ++w)
    submit(w, command, [state](core::MediaStatus status, const api::CommandDone& answer) {
      const bool not_found = status == core::MediaStatus::InvalidArgument && answer.status == api::CommandStatus::NotFound;
      if (not_found)
        ++state->not_found;
      else if (status != core::MediaStatus::Ok && state->error.empty())
        state->error = text(status, answer);
      if (--state->left != 0) return;
      if (state->error.empty() && state->not_found == state->workers) state->error = "no such entry";
      state->done(state->error);
    });
}

// The configuration is the truth: what an earlier control plane or its operator left there goes, after ours has come.
void DataplaneClient::configure_limiter() {
  const auto complain = [this](std::string what, std::string when_full) -> Done {
    return [this, what = std::move(what), when_full = std::move(when_full)](const std::string& error) {
      if (!error.empty()) handlers_.on_report(fmt::format("[pike] {}: {}{}", what, error, error == kTableFull ? when_full : ""), false);
    };
  };
  api::Command command;
  command.type = api::CommandType::SetLimits;
  command.set_limits = config_.limiter.limits;
  if (const std::uint32_t most = link_->welcome().limiter_requests_max; command.set_limits.requests > most) {
    handlers_.on_report(fmt::format("[pike] requests {0} exceeds the dataplane's --limiter-max-requests {1}: {1} is in force there. "
                                    "Lower the one or raise the other",
                                    command.set_limits.requests, most),
                        false);
    command.set_limits.requests = most;
  }
  broadcast(command, [this, limits = command.set_limits, failed = complain("requests, window or block", "")](const std::string& error) {
    if (error.empty()) state_.source_limits = limits;
    failed(error);
  });
  for (const LimiterSettings::Budget& budget : config_.limiter.budgets) {
    command.type = api::CommandType::SetPrefixLimit;
    command.set_prefix_limit = budget.limit;
    broadcast(command, complain(fmt::format("{}, {} requests", budget.name, budget.limit.requests),
                                ", so its sources count as strangers. Raise the dataplane's --limiter-prefix-requests, or lower "
                                "the requests of prefixes and routes"));
  }
  for (const IpPrefix& prefix : config_.limiter.exemptions)
    exempt_prefix(prefix, true, complain("exempt " + prefix.text(), ", so its sources count as strangers. Join prefixes"));
  command.type = api::CommandType::ForgetPrefixes;
  broadcast(command, complain("prefixes of an earlier control plane", ""));
}

void DataplaneClient::list_sources(bool blocked_only, std::size_t limit, SourcesDone done) {
  auto listing = std::make_shared<Listing>();
  auto rows = std::make_shared<std::vector<core::SourceView>>();
  listing->command.type = api::CommandType::ListSources;
  listing->command.list_sources = {0, blocked_only ? std::uint8_t{1} : std::uint8_t{0}};
  listing->enough = [rows, limit] { return rows->size() >= limit; };
  listing->take = [rows, limit](std::uint32_t worker, const api::Event& event) {
    const api::SourceRow& row = event.source_row;
    if (rows->size() < limit) rows->push_back({row.source, worker, row.in_window, row.refused, row.blocked != 0, row.blocked_until_ns});
  };
  listing->done = [rows, done = std::move(done)](const std::string& error) { done(error, std::move(*rows)); };
  list(std::move(listing));
}

void DataplaneClient::list_prefixes(PrefixesDone done) {
  auto listing = std::make_shared<Listing>();
  auto rows = std::make_shared<std::map<IpPrefix, core::PrefixView>>();
  listing->command.type = api::CommandType::ListPrefixes;
  listing->command.list_prefixes = {};
  listing->enough = [] { return false; };
  // Every worker knows a prefix alike and counts its own part of what came.
  listing->take = [rows](std::uint32_t, const api::Event& event) {
    const api::PrefixRow& row = event.prefix_row;
    if (rows->size() == kMaxPrefixRows) return;
    core::PrefixView& view = (*rows)[row.prefix];
    view.prefix = row.prefix;
    view.exempt = row.exempt != 0;
    view.requests = row.requests;
    view.window = std::chrono::milliseconds{row.window_ms};
    view.in_window += row.in_window;
    view.refused += row.refused;
  };
  listing->done = [rows, done = std::move(done)](const std::string& error) {
    std::vector<core::PrefixView> views;
    for (const auto& [prefix, view] : *rows) views.push_back(view);
    done(error, std::move(views));
  };
  list(std::move(listing));
}

void DataplaneClient::list(std::shared_ptr<Listing> listing) {
  listings_.push_back(listing);
  list_next(listing);
}

void DataplaneClient::list_next(const std::shared_ptr<Listing>& listing) {
  listing->request_id = next_request_id_;  // the one submit() is about to give it
  submit(listing->worker, listing->command, [this, listing](core::MediaStatus status, const api::CommandDone& answer) {
    const bool failed = status != core::MediaStatus::Ok;
    listing->cursor() = answer.value;
    if (!failed && answer.value == 0) ++listing->worker;
    if (!failed && listing->worker < workers_.size() && !listing->enough()) return list_next(listing);
    std::erase(listings_, listing);
    listing->done(failed ? text(status, answer) : "");
  });
}

void DataplaneClient::on_row(std::uint32_t worker, std::uint32_t request_id, const api::Event& row) {
  for (const auto& listing : listings_)
    if (listing->request_id == request_id && listing->worker == worker) listing->take(worker, row);
}

void DataplaneClient::block_source(const IpAddress& source, Duration duration, Done done) {
  api::Command command;
  command.type = api::CommandType::BlockSource;
  command.block_source = {source, static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count())};
  broadcast(command, std::move(done));
}

void DataplaneClient::unblock_source(const IpAddress& source, Done done) {
  api::Command command;
  command.type = api::CommandType::UnblockSource;
  command.unblock_source = {source};
  broadcast(command, std::move(done));
}

void DataplaneClient::exempt_prefix(const IpPrefix& prefix, bool exempt, Done done) {
  api::Command command;
  command.type = api::CommandType::ExemptPrefix;
  command.exempt_prefix = {prefix, exempt ? std::uint8_t{1} : std::uint8_t{0}};
  broadcast(command, std::move(done));
}

// A leg's goes to the worker that has the leg, a prefix's to all.
void DataplaneClient::submit_capture(const api::Command& command, api::LegId leg, Done done) {
  if (!leg.present()) return broadcast(command, std::move(done));
  submit(leg.worker(), command, [done = std::move(done)](core::MediaStatus status, const api::CommandDone& answer) {
    done(status == core::MediaStatus::Ok ? std::string{} : text(status, answer));
  });
}

void DataplaneClient::start_capture(const api::StartCapture& capture, Done done) {
  api::Command command;
  command.type = api::CommandType::StartCapture;
  command.start_capture = capture;
  submit_capture(command, capture.leg, std::move(done));
}

void DataplaneClient::stop_capture(const api::StartCapture& capture, Done done) {
  api::Command command;
  command.type = api::CommandType::StopCapture;
  command.stop_capture = {capture.capture};
  submit_capture(command, capture.leg, [this, done = std::move(done)](const std::string& error) {
    // What was captured is in the rings before the answer is. No more than a ring holds: no worker adds to it any longer.
    for (std::uint32_t w = 0; link_ && w < workers_.size(); ++w) (void)pump_captured(w, link_->welcome().rings.captured, loop_.now());
    done(error);
  });
}

std::uint64_t DataplaneClient::capture_lost(std::uint32_t worker, std::size_t port) const {
  return link_ && worker < workers_.size() && port < api::kMaxPorts ? link_->worker(worker).capture_lost[port].get() : 0;
}

}  // namespace ifgw::adapters
