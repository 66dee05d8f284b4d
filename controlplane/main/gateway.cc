#include "controlplane/main/gateway.h"

#include <time.h>

#include <algorithm>

#include "controlplane/adapters/destination_check.h"
#include "controlplane/adapters/listener_check.h"
#include "controlplane/adapters/socket_address.h"
#include "controlplane/config/advertised.h"
#include "controlplane/main/version.h"

namespace ifgw::control {
namespace {

using adapters::log_line;
using adapters::LogSeverity;

constexpr std::uint8_t kSignallingDscp = 24;  // CS3 (RFC 4594)
constexpr int kPumpRounds = 16;               // then the loop's other work gets its turn

std::string host_text(const IpAddress& ip) { return ip.is_v6() ? "[" + ip.text() + "]" : ip.text(); }

// Of the call that a line of the log is about; empty: of none.
std::string trace_of(const sip::Wire& trace_id) { return trace_id ? " trace=" + *trace_id : std::string{}; }

sip::AdvertisedAddress advertise(sip::Transport transport, const Endpoint& local, const std::string& host) {
  sip::AdvertisedAddress address;
  address.transport = transport;
  address.host = host.empty() || !config::stands_for(host, local.ip.family) ? host_text(local.ip) : host;
  address.port = local.port;
  address.local = local;
  return address;
}

guard::StreamLimiterSettings stream_limits(const config::Pike& pike) {
  guard::StreamLimiterSettings settings;
  settings.limits.requests = pike.requests;
  settings.limits.window = pike.window;
  for (const config::PrefixLimit& p : pike.prefixes) settings.budgets.push_back({p.prefix, p.requests, p.window});
  settings.exemptions = pike.exempt;
  return settings;
}

adapters::LimiterSettings limiter_settings(const config::Pike& pike) {
  const auto ms = [](Duration d) { return static_cast<std::uint32_t>(d / std::chrono::milliseconds{1}); };
  adapters::LimiterSettings settings;
  settings.limits = api::SetLimits{pike.requests, ms(pike.window), ms(pike.block)};
  // Those of route targets first: should the dataplane have no room for all, calls still get through.
  for (const bool of_route : {true, false}) {
    for (const config::PrefixLimit& p : pike.prefixes) {
      if (p.route.empty() == of_route) continue;
      std::string name = "prefix " + p.prefix.text() + (of_route ? " (target of route \"" + p.route + "\")" : "");
      settings.budgets.push_back({{p.prefix, p.requests, ms(p.window)}, std::move(name)});
    }
  }
  settings.exemptions = pike.exempt;
  return settings;
}

}  // namespace

Gateway::Gateway(adapters::EventLoop& loop, config::Config config, adapters::FileSink sink, adapters::RandomSource random)
    : loop_(loop),
      config_(std::move(config)),
      started_(loop.now()),
      random_(std::move(random)),
      sink_(std::move(sink)),
      witness_log_(sink_, wall_ns),
      witness_(witness_log_),
      stream_limiter_(stream_limits(config_.pike), random_.hash_key()),
      stream_limiter_timer_(stream_limiter_) {
  loop_.add_source(stream_limiter_timer_);
}

std::int64_t Gateway::wall_ns() {
  timespec t{};
  (void)clock_gettime(CLOCK_REALTIME, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

Gateway::~Gateway() {
  if (user_agent_timer_) loop_.remove_source(*user_agent_timer_);
  if (calls_timer_) loop_.remove_source(*calls_timer_);
  if (captures_timer_) loop_.remove_source(*captures_timer_);
  loop_.remove_source(stream_limiter_timer_);
  admin_server_.reset();
  (void)sink_.sync();
}

Result<std::unique_ptr<Gateway>> Gateway::start(adapters::EventLoop& loop, config::Config config) {
  auto random = adapters::RandomSource::create();
  if (!random.ok()) return random.error();
  auto sink = adapters::FileSink::open(config.witness_file);
  if (!sink.ok()) return Error{"[witness] file " + sink.error().message};
  std::unique_ptr<Gateway> self{new Gateway(loop, std::move(config), std::move(sink).value(), std::move(random).value())};
  core::AuditRecord record;
  record.event = "STARTED";
  record.details = {{"version", std::string{kVersion}}};
  if (!self->witness_.record(record, loop.now()))
    return Error{"[witness] file " + self->sink_.last_error() + ": free space or change the path"};
  log_line(LogSeverity::Warning, guard::AllowAll::kWarning);
  self->make_user_agent();
  self->make_dataplane();
  self->make_calls();
  self->make_streams();
  self->dataplane_->start(loop.now());
  if (Status status = self->listen(); !status.ok()) return status.error();
  if (Status status = self->open_admin(); !status.ok()) return status.error();
  Gateway* raw = self.get();
  loop.at_end_of_round([raw](Instant now) { raw->pump(now); });
  return self;
}

void Gateway::make_user_agent() {
  const config::Sip& s = config_.sip;
  sip::UserAgentConfig ua;
  for (const Endpoint& e : s.udp) ua.addresses.push_back(advertise(sip::Transport::Udp, e, s.advertised));
  for (const Endpoint& e : s.tcp) ua.addresses.push_back(advertise(sip::Transport::Tcp, e, s.advertised));
  for (const Endpoint& e : s.tls) ua.addresses.push_back(advertise(sip::Transport::Tls, e, s.advertised));
  ua.timers = sip::TimerConfig{s.t1, s.t2, s.t4};
  const config::SipLimits& l = config_.sip_limits;
  ua.limits.transactions = l.transactions;
  ua.limits.legs = l.legs;
  ua.limits.setups_in_flight = l.setups_in_flight;
  ua.limits.setups_per_second = l.setups_per_second;
  ua.limits.setup_burst = l.setup_burst;
  ua.limits.message_bytes = l.message_bytes;
  ua.limits.retry_after_s = config_.calls->limits.retry_after_s;
  sip::Randomness randomness;
  randomness.hash_key = random_.hash_key();
  randomness.random = [this] { return random_.next(); };
  randomness.next_leg = [this] { return core::LegKey{next_leg_++}; };
  user_agent_ = std::make_unique<sip::UserAgent>(std::move(ua), std::move(randomness));
  user_agent_timer_.emplace(*user_agent_);
  loop_.add_source(*user_agent_timer_);
}

void Gateway::make_dataplane() {
  adapters::DataplaneClientHandlers handlers;
  handlers.on_media = [this](const core::MediaEvent& event, Instant now) {
    if (std::holds_alternative<core::MediaAttached>(event)) warn_of_strange_listeners();
    if (std::holds_alternative<core::MediaDetached>(event) && admin_) admin_->captures().on_dataplane_lost(now);
    calls_->on_media(event, now);
  };
  handlers.on_datagram = [this](const api::Datagram& datagram, Instant now) { on_datagram(datagram, now); };
  handlers.on_verdict = [this](const api::LimiterVerdict& verdict, Instant now) { on_verdict(verdict, now); };
  handlers.on_captured = [this](std::uint32_t worker, const api::Captured& packet, Instant now) {
    if (admin_) admin_->captures().on_captured(worker, packet, now);
  };
  handlers.on_report = [](const std::string& line, bool good) {
    log_line(good ? LogSeverity::Info : LogSeverity::Warning, "dataplane: " + line);
  };
  dataplane_ = std::make_unique<adapters::DataplaneClient>(
      loop_, adapters::DataplaneClientConfig{config_.dataplane_socket, limiter_settings(config_.pike), config_.heavy_workers},
      std::move(handlers));
}

void Gateway::make_calls() {
  core::CallPorts ports{guard_, *dataplane_, witness_, [this] { return core::LegKey{next_leg_++}; }, dataplane_.get()};
  calls_ = std::make_unique<core::Calls>(config_.calls, std::move(ports), random_.hash_key());
  guard_.set_on_decision(
      [this](std::uint64_t call, const core::Decision& decision, Instant now) { calls_->on_decision(call, decision, now); });
  calls_timer_.emplace(*calls_);
  loop_.add_source(*calls_timer_);
}

void Gateway::make_streams() {
  const config::Sip& s = config_.sip;
  adapters::SipStreamsConfig streams;
  streams.connections = s.max_connections;
  streams.connections_per_source = s.max_connections_per_source;
  streams.connection.idle = s.connection_idle;
  streams.connection.message_bytes = config_.sip_limits.message_bytes;
  streams.tls.certificate_file = s.tls_certificate;
  streams.tls.key_file = s.tls_key;
  streams.tls.ca_file = s.tls_ca;
  streams.tls.require_client_certificate = s.tls_client_certificate;
  streams.tls.verify_server = s.tls_verify;
  for (const auto& [endpoint, tls_name] : s.tls_names) streams.server_names[endpoint] = tls_name;
  adapters::SipStreams::Handlers handlers;
  handlers.on_message = [this](const sip::InboundMessage& message, Instant now) { user_agent_->on_message(message, now); };
  handlers.message_filter = [this](const Endpoint& source, sip::Transport, Instant now) {
    return within_budget(source, "messages in connections", now);
  };
  handlers.in_use = [this](sip::ConnectionId id) { return user_agent_->uses_connection(id); };
  handlers.on_send_failed = [this](std::uint64_t ticket, Instant now) { user_agent_->on_send_failed(ticket, now); };
  handlers.on_end = [](const Endpoint& peer, sip::Transport transport, const std::string& reason,
                       const std::vector<adapters::Undelivered>& undelivered) {
    const std::string what = std::string{sip::transport_name(transport)} + " " + peer.text() + ": " + reason;
    if (undelivered.empty()) return log_line(LogSeverity::Debug, what);
    for (const adapters::Undelivered& message : undelivered)
      log_line(LogSeverity::Warning, "a message could not be delivered: " + what + trace_of(message.trace_id));
  };
  handlers.on_refused = [](const std::string& line) { log_line(LogSeverity::Warning, line); };
  streams_ = std::make_unique<adapters::SipStreams>(loop_, std::move(streams), std::move(handlers));
}

Status Gateway::listen() {
  for (const Endpoint& local : config_.sip.udp) {
    auto socket = adapters::UdpSocket::open(
        loop_, local, [this](const Endpoint& source, const Endpoint& at, Bytes payload, Instant now) { on_udp(source, at, payload, now); });
    if (!socket.ok()) return Error{"[sip] udp: " + socket.error().message};
    udp_.push_back(std::move(socket).value());
  }
  for (const Endpoint& local : config_.sip.tcp) {
    if (Status status = streams_->listen(sip::Transport::Tcp, local); !status.ok()) return Error{"[sip] tcp: " + status.error().message};
  }
  for (const Endpoint& local : config_.sip.tls) {
    if (Status status = streams_->listen(sip::Transport::Tls, local); !status.ok()) return Error{"[sip] tls: " + status.error().message};
  }
  return Success{};
}

// Listeners are bound before their address is there, as the dataplane brings it up: whether they are of use shows only once
// a dataplane is attached.
void Gateway::warn_of_strange_listeners() const {
  const api::AttachReply* plane = dataplane_->welcome();
  if (plane == nullptr) return;
  for (const std::string& line : adapters::listener_complaints(config_.sip, *plane, adapters::is_here))
    log_line(LogSeverity::Warning, line);
}

void Gateway::stop(Instant now) {
  user_agent_->set_draining(true);
  admin_->captures().shutdown(now);
  calls_->stop(now);
}

void Gateway::reopen_files() {
  if (Status status = sink_.reopen(); !status.ok()) log_line(LogSeverity::Error, "witness: " + status.error().message);
}

std::string Gateway::summary() const {
  const std::size_t listeners = config_.sip.udp.size() + config_.sip.tcp.size() + config_.sip.tls.size();
  return std::to_string(listeners) + " listeners, " + std::to_string(config_.calls->routes.size()) + " routes, dataplane " +
         (dataplane_->attached() ? "attached" : "not attached yet");
}

// ---- messages ----------------------------------------------------------------------------------------------------

void Gateway::pump(Instant now) {
  admin_->captures().flush();
  for (int round = 0; round < kPumpRounds; ++round) {
    if (!pump_once(now)) return;
  }
  loop_.defer([](Instant) {});  // there is more: do not sleep
}

// Commands down, then what the stack makes of everything: audit first, then the network, then the call.
bool Gateway::pump_once(Instant now) {
  const std::vector<core::LegCommand> commands = calls_->take_commands();
  for (const core::LegCommand& command : commands) user_agent_->on_command(command, now);
  user_agent_->drain(outputs_);
  if (config_.witness_messages) {
    for (const sip::WireMessage& message : outputs_.wire) record_wire(message, now);
  }
  for (const sip::OutboundMessage& message : outputs_.messages) send(message, now);
  for (const core::LegEvent& event : outputs_.events) calls_->on_leg(event, now);
  return !commands.empty() || !outputs_.messages.empty() || !outputs_.events.empty();
}

void Gateway::send(const sip::OutboundMessage& message, Instant now) {
  if (message.transport != sip::Transport::Udp) return streams_->send(message, now);
  const Endpoint local = udp_local(message);
  const std::string_view fault =
      dataplane_->owns(local) ? adapters::destination_fault(local, message.destination, dataplane_->local_addresses()) : std::string_view{};
  if (fault.empty() && send_udp(message, local)) return;
  ++udp_failed_;
  if (message.is_request && !fault.empty()) {
    log_line(LogSeverity::Warning, "a SIP request to " + message.destination.text() + ", which the party's Contact or the route names, " +
                                       "cannot be sent: " + std::string{fault} + trace_of(message.trace_id));
  }
  if (message.ticket != 0) fail_later(message.ticket);
}

// What the user agent named, else the first listener of the destination's IP version; absent: there is none.
Endpoint Gateway::udp_local(const sip::OutboundMessage& message) const {
  if (message.local.present()) return message.local;
  const auto& all = config_.sip.udp;
  const auto it = std::find_if(all.begin(), all.end(), [&](const Endpoint& e) { return e.ip.family == message.destination.ip.family; });
  return it != all.end() ? *it : Endpoint{};
}

// Through the dataplane when it owns the address and the datagram fits a packet, else through the kernel.
bool Gateway::send_udp(const sip::OutboundMessage& message, const Endpoint& local) {
  const Bytes bytes = as_bytes(*message.bytes);
  if (dataplane_->owns(local) && dataplane_->fits(message.destination, bytes.size()) &&
      dataplane_->send_datagram(local, message.destination, bytes, kSignallingDscp)) {
    ++udp_ring_;
    return true;
  }
  for (const auto& socket : udp_) {
    if (socket->local() != local) continue;
    ++udp_kernel_;
    return socket->send(message.destination, Endpoint{}, bytes);
  }
  for (const auto& socket : udp_) {  // one that listens on every address
    if (socket->local().port != local.port || socket->local().ip.family != local.ip.family) continue;
    ++udp_kernel_;
    return socket->send(message.destination, local, bytes);
  }
  return false;
}

void Gateway::fail_later(std::uint64_t ticket) {
  loop_.defer([this, ticket](Instant now) { user_agent_->on_send_failed(ticket, now); });
}

void Gateway::on_datagram(const api::Datagram& datagram, Instant now) {
  sip::InboundMessage message;
  message.transport = sip::Transport::Udp;
  message.source = datagram.header.remote;
  message.local = datagram.header.local;
  message.bytes = Bytes{datagram.payload.data(), datagram.header.length};
  user_agent_->on_message(message, now);
}

// What the kernel received. Where the dataplane receives too it has counted all of it: it left fragments to the kernel.
void Gateway::on_udp(const Endpoint& source, const Endpoint& local, Bytes payload, Instant now) {
  if (!dataplane_->owns(local) && !within_budget(source, "datagrams by the kernel", now)) {
    ++udp_kernel_refused_;
    return;
  }
  sip::InboundMessage message;
  message.transport = sip::Transport::Udp;
  message.source = source;
  message.local = local;
  message.bytes = payload;
  user_agent_->on_message(message, now);
}

void Gateway::record_wire(const sip::WireMessage& m, Instant now) {
  core::AuditRecord record;
  record.event = m.sent ? "SIP_SENT" : "SIP_RECEIVED";
  record.trace_id = m.trace_id;
  record.leg = m.leg.value;
  record.details = {{"method", m.method},
                    {"status", m.status == 0 ? std::string{} : std::to_string(m.status)},
                    {"transport", std::string{sip::transport_name(m.transport)}},
                    {"local", m.local.text()},
                    {"peer", m.peer.text()},
                    {"call_id", m.call_id},
                    {"retransmission", m.retransmission ? "yes" : "no"},
                    {"message", *m.bytes}};
  (void)witness_log_.record(record, now);  // not into the log
}

// What the dataplane does not count; `what` is for the record. Where sources are to be blocked, the dataplane does so.
bool Gateway::within_budget(const Endpoint& source, std::string_view what, Instant now) {
  const guard::StreamLimiter::Decision decision = stream_limiter_.on_message(source.ip, now);
  if (decision.pass) return true;
  if (!decision.first_refusal) return false;
  core::AuditRecord record;
  record.event = "RATE_LIMIT_EXCEEDED";
  record.severity = core::Severity::Warn;
  const bool block = config_.pike.block != Duration::zero();
  record.details = {{"layer", "pike"},
                    {"source", source.ip.text()},
                    {"verdict", block ? "blocked" : "limited"},
                    {"observed", std::to_string(decision.limit + 1) + " " + std::string{what}},
                    {"limit", std::to_string(decision.limit)}};
  (void)witness_.record(record, now);
  if (!block) return false;
  dataplane_->block_source(source.ip, config_.pike.block, [](const std::string& error) {
    if (!error.empty()) log_line(LogSeverity::Warning, "a source could not be blocked: " + error);
  });
  return false;
}

}  // namespace ifgw::control
