#include "controlplane/adapters/dataplane_client.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace ifgw::adapters {
namespace {

using namespace std::chrono_literals;
constexpr Duration kRetryInterval = 200ms;
constexpr Duration kAnswerTime = 1s;    // microseconds with a live dataplane; the rest is for a machine under load
constexpr int kDatagramsPerRound = 64;  // per worker, so that timers and other descriptors get their turn
constexpr std::size_t kCapturedPerRound = 64;
constexpr std::uint64_t kNsPerPpm = 20;  // of 20 ms: what a pair's cost is of
constexpr std::size_t kIpUdpBytesV4 = 28;
constexpr std::size_t kIpUdpBytesV6 = 48;

core::MediaStatus media_status(api::CommandStatus status) {
  switch (status) {
    case api::CommandStatus::Ok: return core::MediaStatus::Ok;
    case api::CommandStatus::UnknownLeg: return core::MediaStatus::UnknownLeg;
    case api::CommandStatus::TableFull: return core::MediaStatus::TableFull;
    case api::CommandStatus::PortsExhausted: return core::MediaStatus::PortsExhausted;
    case api::CommandStatus::NoTranscoder: return core::MediaStatus::NoTranscoder;
    case api::CommandStatus::NoHeadroom: return core::MediaStatus::NoHeadroom;
    default: return core::MediaStatus::InvalidArgument;
  }
}

}  // namespace

DataplaneClient::DataplaneClient(EventLoop& loop, DataplaneClientConfig config, DataplaneClientHandlers handlers)
    : loop_(loop), config_(std::move(config)), handlers_(std::move(handlers)) {
  state_.socket_path = config_.socket_path;
  loop_.add_source(*this);
  loop_.at_end_of_round([this](Instant now) { pump(now); });
}

DataplaneClient::~DataplaneClient() {
  loop_.remove_source(*this);
  end_attempt();
  if (!link_) return;
  loop_.remove_fd(link_->connection_fd());
  loop_.remove_fd(link_->doorbell_fd());
}

void DataplaneClient::start(Instant now) { begin_attach(now); }

void DataplaneClient::on_deadline(Instant now) {
  if (!attempt_) return begin_attach(now);
  const auto why = fmt::format("dataplane at {} did not answer within {} s: it hangs or is stopped, see its log or restart it",
                               config_.socket_path, kAnswerTime / 1s);
  fail_attach(why, now);
}

void DataplaneClient::begin_attach(Instant now) {
  auto begun = DataplaneAttach::begin(config_.socket_path);
  if (!begun) return fail_attach(begun.error().message, now);
  attempt_ = std::move(begun).value();
  answer_by_ = now + kAnswerTime;
  const Status added = loop_.add_fd(attempt_->fd(), EPOLLIN, [this](std::uint32_t, Instant at) { on_answer(at); });
  if (!added) fail_attach(added.error().message, now);
}

void DataplaneClient::on_answer(Instant now) {
  loop_.remove_fd(attempt_->fd());  // the link may take the descriptor over
  auto finished = attempt_->finish();
  if (!finished) return fail_attach(finished.error().message, now);
  adopt(std::move(finished).value(), now);
}

void DataplaneClient::end_attempt() noexcept {
  if (attempt_) loop_.remove_fd(attempt_->fd());
  attempt_.reset();
}

void DataplaneClient::fail_attach(const std::string& why, Instant now) {
  end_attempt();
  settled_ = true;
  if (state_.last_error != why) handlers_.on_report(why, false);
  state_.last_error = why;
  retry_at_ = now + kRetryInterval;
}

void DataplaneClient::adopt(std::unique_ptr<DataplaneLink> link, Instant now) {
  attempt_.reset();
  settled_ = true;
  link_ = std::move(link);
  const api::AttachReply& welcome = link_->welcome();
  workers_ = std::vector<Worker>(welcome.workers);
  local_addresses_.assign(welcome.local_addresses.begin(), welcome.local_addresses.begin() + welcome.local_address_count);
  state_.attached = true;
  state_.last_error.clear();
  state_.contract_version = welcome.version;
  state_.peer_pid = static_cast<std::int64_t>(link_->process().pid.get());
  state_.since = now;
  ++state_.attaches;
  state_.media_addresses = local_addresses_;
  state_.legs_capacity = welcome.workers * welcome.legs_per_worker;
  state_.signalling.clear();
  for (const IpAddress& address : local_addresses_)
    for (std::uint32_t i = 0; i < welcome.signalling_port_count; ++i) state_.signalling.push_back({address, welcome.signalling_ports[i]});
  (void)loop_.add_fd(link_->connection_fd(), EPOLLIN | EPOLLRDHUP,
                     [this](std::uint32_t, Instant at) { detach("it closed the connection, or died", at); });
  (void)loop_.add_fd(link_->doorbell_fd(), EPOLLIN, [this](std::uint32_t, Instant) { link_->disarm(); });
  configure_limiter();
  assign_roles();
  handlers_.on_report(
      fmt::format("attached to the dataplane at {} (pid {}, {} workers)", config_.socket_path, state_.peer_pid, welcome.workers), true);
  loop_.defer([this](Instant at) { handlers_.on_media(core::MediaAttached{leg_table()}, at); });
}

void DataplaneClient::detach(const std::string& why, Instant now) {
  loop_.remove_fd(link_->connection_fd());
  loop_.remove_fd(link_->doorbell_fd());
  state_.invalid_messages += link_->invalid_messages();
  link_.reset();
  state_.attached = false;
  state_.source_limits.reset();
  state_.since = now;
  state_.last_error = "lost the dataplane: " + why;
  handlers_.on_report(state_.last_error, false);
  retry_at_ = now + kRetryInterval;
  std::vector<Worker> workers = std::exchange(workers_, {});
  for (Worker& worker : workers)
    for (Pending& pending : worker.pending) pending.answer(core::MediaStatus::Detached, {});
  local_addresses_.clear();
  handlers_.on_media(core::MediaDetached{}, now);
}

// Everything that waits, then the promise to be woken for the rest.
void DataplaneClient::pump(Instant now) {
  if (!link_) return;
  bool more = false;
  for (std::uint32_t w = 0; link_ && w < workers_.size(); ++w) more |= pump_worker(w, now);
  if (!link_) return;
  if (link_->corrupt()) return detach("it wrote an impossible ring index", now);
  if (more || !link_->arm()) loop_.defer([](Instant) {});  // no sleep: another round at once
}

bool DataplaneClient::pump_worker(std::uint32_t worker, Instant now) {
  std::array<api::Event, 32> events;
  std::size_t count = 0;
  while (link_ && (count = link_->receive(worker, events)) != 0)
    for (std::size_t i = 0; i < count; ++i) on_event(worker, events[i], now);
  int datagrams = 0;
  for (; link_ && datagrams < kDatagramsPerRound; ++datagrams) {
    const api::Datagram* datagram = link_->receive_datagram(worker);
    if (datagram == nullptr) break;
    handlers_.on_datagram(*datagram, now);
  }
  const bool more = pump_captured(worker, kCapturedPerRound, now);
  return more || datagrams == kDatagramsPerRound;
}

// False: there are no more.
bool DataplaneClient::pump_captured(std::uint32_t worker, std::size_t limit, Instant now) {
  for (std::size_t i = 0; link_ && i < limit; ++i) {
    const api::Captured* packet = link_->receive_captured(worker);
    if (packet == nullptr) return false;
    handlers_.on_captured(worker, *packet, now);
  }
  return link_ != nullptr;
}

void DataplaneClient::on_event(std::uint32_t worker, const api::Event& event, Instant now) {
  const std::uint64_t expected = workers_[worker].last_sequence + 1;
  workers_[worker].last_sequence = event.sequence;
  if (event.sequence != expected) on_gap(worker, now);
  switch (event.type) {
    case api::EventType::CommandDone: return on_done(worker, event.command_done);
    case api::EventType::FirstPacket:
      return handlers_.on_media(core::MediaFirstPacket{event.first_packet.leg, event.first_packet.source}, now);
    case api::EventType::MediaTimeout:
      return handlers_.on_media(
          core::MediaTimedOut{event.media_timeout.leg, Duration(static_cast<std::int64_t>(event.media_timeout.silent_ns))}, now);
    case api::EventType::AddressChange:
      return handlers_.on_media(
          core::MediaAddressChanged{event.address_change.leg, event.address_change.before, event.address_change.after}, now);
    case api::EventType::MediaUnreachable: {
      const api::MediaUnreachable& e = event.media_unreachable;
      return handlers_.on_media(core::MediaUnreachable{e.leg, e.reporter, e.remote, e.cause, e.mtu}, now);
    }
    case api::EventType::LimiterVerdict: return handlers_.on_verdict(event.limiter_verdict, now);
    case api::EventType::SourceRow: return on_row(worker, event.source_row.request_id, event);
    case api::EventType::PrefixRow: return on_row(worker, event.prefix_row.request_id, event);
  }
}

// Answers come in the order of the requests: one that was passed over is lost.
void DataplaneClient::on_done(std::uint32_t worker, const api::CommandDone& done) {
  std::deque<Pending>& pending = workers_[worker].pending;
  const auto at = std::find_if(pending.begin(), pending.end(), [&](const Pending& p) { return p.request_id == done.request_id; });
  if (at == pending.end()) {
    ++state_.invalid_messages;
    return;
  }
  std::vector<Pending> answered(std::make_move_iterator(pending.begin()), std::make_move_iterator(at + 1));
  pending.erase(pending.begin(), at + 1);
  for (std::size_t i = 0; i + 1 < answered.size(); ++i) answered[i].answer(core::MediaStatus::Lost, {});
  answered.back().answer(media_status(done.status), done);
}

void DataplaneClient::on_gap(std::uint32_t worker, Instant now) {
  ++state_.events_lost;
  handlers_.on_report("events of the dataplane were lost: reading its leg table anew", false);
  // An answer may have been among them. One more command whose answer is known to come settles all before it.
  api::Command command;
  command.type = api::CommandType::ListSources;
  command.list_sources.blocked_only = 1;
  submit(worker, command, [](core::MediaStatus, const api::CommandDone&) {});
  handlers_.on_media(core::MediaResync{leg_table()}, now);
}

void DataplaneClient::submit(std::uint32_t worker, api::Command command, Answer answer) {
  const bool attached = link_ && worker < workers_.size();
  command.request_id = next_request_id_++;
  if (attached && link_->send(worker, command)) {
    workers_[worker].pending.push_back({command.request_id, std::move(answer)});
    return;
  }
  if (attached) ++state_.commands_refused;
  const core::MediaStatus status = attached ? core::MediaStatus::Overloaded : core::MediaStatus::Detached;
  loop_.defer([answer = std::move(answer), status](Instant) { answer(status, {}); });
}

void DataplaneClient::submit_media(core::MediaRequestId request, std::uint32_t worker, const api::Command& command) {
  submit(worker, command, [this, request](core::MediaStatus status, const api::CommandDone& done) {
    const api::LegId other = done.command == api::CommandType::MoveLegs ? api::LegId{done.value} : api::LegId{};
    handlers_.on_media(core::MediaDone{request, status, done.leg, done.local, other}, loop_.now());
  });
}

void DataplaneClient::assign_roles() {
  const auto workers = static_cast<std::uint32_t>(workers_.size());
  const std::uint32_t wanted = config_.heavy_workers;
  roles_ = core::WorkerRoles(wanted, workers);
  if (wanted == 0) return;
  if (workers < core::kMaxWorkers && wanted >> workers != 0)
    handlers_.on_report(fmt::format("[media] heavy_workers names workers that this dataplane does not have: it has 0..{}", workers - 1),
                        false);
  if (!roles_.divided())
    handlers_.on_report("[media] heavy_workers leaves no worker for one kind of calls: every worker carries every call", false);
}

core::CallWeight DataplaneClient::weight(api::Codec a, api::Codec b) const {
  if (!link_ || !roles_.divided()) return core::CallWeight::Light;
  const api::WorkerBlock& block = link_->worker(0);  // all were told the same at start
  const bool heavy =
      std::max(block.pair_cost_ns[api::codec_pair(a, b)].get(), block.pair_cost_ns[api::codec_pair(b, a)].get()) >= api::kHeavyCostNs;
  return heavy ? core::CallWeight::Heavy : core::CallWeight::Light;
}

std::uint8_t DataplaneClient::choose_worker(core::CallWeight weight) {
  if (!link_) return 0;
  return roles_.choose(weight, [this](std::uint8_t w) {
    const api::WorkerBlock& block = link_->worker(w);
    return core::WorkerLoad{block.load_booked_ppm.get(), block.legs_in_use.get()};
  });
}

bool DataplaneClient::has_headroom(std::uint8_t worker, api::Codec a, api::Codec b) const {
  if (!link_ || worker >= workers_.size()) return true;
  const api::WorkerBlock& block = link_->worker(worker);
  const std::uint64_t limit = block.load_limit_ppm.get(), ports = 2 * block.ports_cost_now_ns.get() / kNsPerPpm;
  if (limit == 0) return true;
  if (a == b) return block.load_ports_ppm.get() + ports <= limit;
  const auto of = [&block](std::uint8_t pair) {
    const std::uint64_t now = block.pair_cost_now_ns[pair].get();
    return now != 0 ? now : block.pair_cost_ns[pair].get();
  };
  const std::uint64_t cost = of(api::codec_pair(a, b)) + of(api::codec_pair(b, a));
  return block.load_booked_ppm.get() + cost / kNsPerPpm + ports <= limit;
}

void DataplaneClient::add_leg(core::MediaRequestId request, std::uint8_t worker, const api::AddLeg& leg) {
  api::Command command;
  command.type = api::CommandType::AddLeg;
  command.add_leg = leg;
  submit_media(request, worker, command);
}

void DataplaneClient::join_legs(core::MediaRequestId request, api::LegId a, api::LegId b) {
  api::Command command;
  command.type = api::CommandType::JoinLegs;
  command.join_legs = {a, b};
  submit_media(request, a.worker(), command);
}

void DataplaneClient::update_leg(core::MediaRequestId request, api::LegId leg, const api::MediaParams& media) {
  api::Command command;
  command.type = api::CommandType::UpdateLeg;
  command.update_leg = {leg, media};
  submit_media(request, leg.worker(), command);
}

void DataplaneClient::remove_leg(core::MediaRequestId request, api::LegId leg) {
  api::Command command;
  command.type = api::CommandType::RemoveLeg;
  command.remove_leg = {leg};
  submit_media(request, leg.worker(), command);
}

void DataplaneClient::move_legs(core::MediaRequestId request, std::uint8_t worker, api::LegId a, api::LegId b) {
  api::Command command;
  command.type = api::CommandType::MoveLegs;
  command.move_legs = {a, b};
  submit_media(request, worker, command);
}

bool DataplaneClient::fits(const Endpoint& remote, std::size_t bytes) const noexcept {
  const std::size_t headers = remote.ip.is_v6() ? kIpUdpBytesV6 : kIpUdpBytesV4;
  return link_ && bytes + headers <= link_->welcome().mtu && bytes <= api::kMaxDatagramPayload;
}

bool DataplaneClient::owns(const Endpoint& local) const noexcept {
  return link_ && std::find(state_.signalling.begin(), state_.signalling.end(), local) != state_.signalling.end();
}

bool DataplaneClient::send_datagram(const Endpoint& local, const Endpoint& remote, Bytes payload, std::uint8_t dscp) {
  if (!fits(remote, payload.size())) return false;
  api::DatagramHeader header;
  header.local = local;
  header.remote = remote;
  header.dscp = dscp;
  // Always the same worker for one peer, so that messages to it stay in order.
  const std::uint32_t worker = (remote.port + remote.ip.bytes[3] + remote.ip.bytes[15]) % static_cast<std::uint32_t>(workers_.size());
  if (link_->send_datagram(worker, header, payload)) return true;
  ++state_.datagrams_refused;
  return false;
}

}  // namespace ifgw::adapters
