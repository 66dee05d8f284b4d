#include "controlplane/admin/captures.h"

#include <algorithm>

#include "codecs/wire/pcapng.h"
#include "dataplane/api/region.h"

namespace ifgw::admin {
namespace {

namespace pcapng = wire::pcapng;

constexpr std::string_view kBytes = "bytes";
constexpr Duration kLegCheck = std::chrono::milliseconds{100};  // how late the end of a leg is seen
constexpr Duration kWorkerGrace = std::chrono::seconds{5};      // workers give up by themselves if we do not end it in time

std::string what_of(const api::StartCapture& command) {
  return command.leg.present() ? "leg " + core::text(command.leg) : "source " + command.source.text();
}

std::string comment_of(const api::CapturedHeader& header) {
  std::string comment;
  if (header.leg.present()) comment = "leg " + core::text(header.leg);
  if (header.dropped == 0) return comment;
  const api::DropReasonInfo& reason = api::info(header.drop);
  return comment.append(comment.empty() ? "" : "; ").append("dropped: ").append(reason.label).append(": ").append(reason.text);
}

}  // namespace

struct Captures::Session {
  enum class State : std::uint8_t { Starting, Running, Stopping };
  // A network port, which is an interface of the file.
  struct Interface {
    std::uint64_t packets = 0;
    std::uint64_t lost = 0;
    std::uint64_t lost_since = 0;  // the last packet that was kept
  };

  api::StartCapture command;
  Operator who;
  CaptureReader reader;
  std::uint32_t seconds = 0;
  std::uint64_t max_bytes = 0;
  std::uint64_t call = 0;
  std::string trace_id;
  State state = State::Starting;
  std::string_view why;  // it is to end; empty: it is not
  bool disconnected = false;
  Instant started{};
  Instant until = kNever;
  Instant leg_check = kNever;
  std::int64_t clock_offset_ns = 0;  // as it was at the start
  std::vector<Interface> interfaces;
  std::array<std::array<std::uint64_t, api::kMaxPorts>, api::kMaxWorkers> lost_seen{};  // api::WorkerBlock::capture_lost
  CaptureSummary sum;
  std::string unsent;

  std::uint64_t wall_ns(Instant at) const { return static_cast<std::uint64_t>(to_ns(at) + clock_offset_ns); }
  bool concerns(std::uint32_t worker) const { return !command.leg.present() || command.leg.worker() == worker; }
  std::size_t tail_bytes() const { return interfaces.size() * pcapng::kStatisticsBytes; }
  void append(const auto& write) {
    const std::size_t before = unsent.size();
    write(unsent);
    sum.bytes += unsent.size() - before;
  }
  // Packets of the port that the worker had lost in all when it said so.
  void lost_at(std::uint32_t worker, std::size_t port, std::uint64_t total) {
    if (worker >= lost_seen.size() || port >= interfaces.size()) return;
    std::uint64_t& seen = lost_seen[worker][port];
    if (total <= seen) return;
    sum.lost_ring += total - seen;
    interfaces[port].lost += total - seen;
    interfaces[port].lost_since += total - seen;
    seen = total;
  }
  void send() {
    if (!disconnected && !unsent.empty()) reader.on_data(unsent);
    unsent.clear();
  }
};

Captures::Captures(CapturePorts ports) : ports_(std::move(ports)) {}
Captures::~Captures() = default;

Captures::Session* Captures::find(std::uint32_t number) {
  const auto at = std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& s) { return s->command.capture == number; });
  return at == sessions_.end() ? nullptr : at->get();
}

// Whose capture is in the way of one of that leg, or (absent) of a source, which takes all workers.
const Captures::Session* Captures::holder(api::LegId leg) const {
  for (const auto& session : sessions_) {
    const api::LegId theirs = session->command.leg;
    if (!leg.present() || !theirs.present() || leg.worker() == theirs.worker()) return session.get();
  }
  return nullptr;
}

// Of what policy forbids; empty: nothing.
std::string Captures::refusal(const CaptureRequest& request, std::uint64_t seconds, std::uint64_t bytes) const {
  const auto outside = [](const char* name, std::uint64_t value, std::uint64_t low, std::uint64_t high, const char* unit) {
    return std::string{"\""} + name + "\": " + std::to_string(value) + " is not in " + std::to_string(low) + ".." + std::to_string(high) +
           " " + unit + " ([capture] max_" + name + ")";
  };
  if (request.leg.present() == request.source.ip.present())
    return "give either \"leg\" (ifgw legs show) or \"source\", an address or a prefix like 192.0.2.0/24, host bits zero";
  if (seconds < 1 || seconds > ports_.policy.max_seconds) return outside("seconds", seconds, 1, ports_.policy.max_seconds, "s");
  if (bytes < kMinCaptureBytes || bytes > ports_.policy.max_bytes)
    return outside("bytes", bytes, kMinCaptureBytes, ports_.policy.max_bytes, "bytes");
  return {};
}

void Captures::start(const CaptureRequest& request, const Operator& who, CaptureReader reader, Instant now) {
  const CapturePolicy& policy = ports_.policy;
  const std::uint64_t seconds = request.seconds.value_or(std::min(kDefaultCaptureSeconds, policy.max_seconds));
  const std::uint64_t bytes = request.bytes.value_or(std::min(kDefaultCaptureBytes, policy.max_bytes));
  if (!policy.enabled) return reader.on_refused(false, "captures are not allowed here ([capture] enabled)");
  if (const std::string error = refusal(request, seconds, bytes); !error.empty()) return reader.on_refused(true, error);
  if (request.leg.present() && !ports_.dataplane.leg(request.leg))
    return reader.on_refused(false, "there is no leg " + core::text(request.leg) + " (ifgw legs show)");
  if (const Session* other = holder(request.leg)) {
    return reader.on_refused(false, "uid " + std::to_string(other->who.uid) + " (pid " + std::to_string(other->who.pid) + ") captures " +
                                        what_of(other->command) + ": a worker does one capture at a time");
  }
  auto session = std::make_unique<Session>();
  session->command.capture = next_number_++;
  session->command.leg = request.leg;
  session->command.source = request.source;
  session->command.duration_ms = static_cast<std::uint32_t>(std::min<std::uint64_t>(
      seconds * 1000 + static_cast<std::uint64_t>(kWorkerGrace / std::chrono::milliseconds{1}), api::kMaxCaptureMs));
  session->command.headers_only = !policy.payload || request.headers_only ? 1 : 0;
  session->sum.payload = session->command.headers_only == 0;
  session->who = who;
  session->seconds = static_cast<std::uint32_t>(seconds);
  session->max_bytes = bytes;
  session->call = request.call;
  session->trace_id = request.trace_id;
  session->started = now;
  if (!record_start(*session, now))
    return reader.on_refused(false, "the capture could not be recorded, so it was not made: check the witness file (ifgw status)");
  session->reader = std::move(reader);
  open_file(*session);
  const api::StartCapture command = session->command;
  sessions_.push_back(std::move(session));
  ports_.dataplane.start_capture(command,
                                 [this, number = command.capture, now](const std::string& error) { on_started(number, error, now); });
}

// The head of the file, and what is counted from.
void Captures::open_file(Session& session) {
  session.clock_offset_ns = ports_.clock_offset_ns();
  session.append([&](std::string& out) {
    const std::string comment = what_of(session.command) + (session.sum.payload ? ", whole packets" : ", headers only");
    pcapng::write_section({ports_.hardware, ports_.os, ports_.application, comment}, out);
  });
  for (const core::PortView& port : ports_.dataplane.ports()) {
    if (port.is_exception.value_or(false) || session.interfaces.size() == api::kMaxPorts) continue;
    session.interfaces.emplace_back();
    session.append([&](std::string& out) { pcapng::write_interface({port.name, api::kMaxCapturedBytes}, out); });
  }
  for (std::uint32_t w = 0; w < session.lost_seen.size(); ++w)
    for (std::size_t p = 0; p < api::kMaxPorts; ++p) session.lost_seen[w][p] = ports_.dataplane.capture_lost(w, p);
}

void Captures::on_started(std::uint32_t number, const std::string& error, Instant now) {
  Session* session = find(number);
  if (session == nullptr) return;  // shut down meanwhile
  if (!error.empty()) {
    // Some workers may have begun.
    ports_.dataplane.stop_capture(session->command, [](const std::string&) {});
    session->sum.end = "refused-by-dataplane";
    record_end(*session, session->sum, now);
    const CaptureReader reader = session->disconnected ? CaptureReader{} : std::move(session->reader);
    std::erase_if(sessions_, [&](const auto& s) { return s.get() == session; });
    if (reader.on_refused) reader.on_refused(false, "the dataplane refused the capture: " + error);
    return;
  }
  session->state = Session::State::Running;
  session->until = session->started + std::chrono::seconds{session->seconds};
  if (session->command.leg.present()) session->leg_check = now + kLegCheck;
  if (!session->why.empty()) end(*session, session->why, now);
}

void Captures::on_captured(std::uint32_t worker, const api::Captured& packet, Instant now) {
  const api::CapturedHeader& header = packet.header;
  Session* session = find(header.capture);
  if (session == nullptr || header.port >= session->interfaces.size()) return;
  Session::Interface& interface = session->interfaces[header.port];
  session->lost_at(worker, header.port, header.lost);
  if (session->why == kBytes) return;  // behind the bound
  const std::string comment = comment_of(header);
  pcapng::Packet block;
  block.interface = header.port;
  block.time_ns = session->wall_ns(from_ns(static_cast<std::int64_t>(header.time_ns)));
  block.original_length = header.original_length;
  block.data = Bytes{packet.bytes}.first(header.length);
  block.direction = header.direction == api::CaptureDirection::Inbound ? pcapng::Direction::Inbound : pcapng::Direction::Outbound;
  block.lost_before = interface.lost_since;
  block.comment = comment;
  const std::size_t size = pcapng::packet_bytes(block);
  if (session->sum.bytes + size + session->tail_bytes() > session->max_bytes) return end(*session, kBytes, now);
  if (session->disconnected || session->unsent.size() + session->reader.unread_bytes() + size > kMaxUnreadBytes) {
    ++session->sum.lost_reader;
    ++interface.lost;
    ++interface.lost_since;
    return;
  }
  session->append([&](std::string& out) { pcapng::write_packet(block, out); });
  interface.lost_since = 0;
  ++interface.packets;
  ++session->sum.packets;
  if (session->unsent.size() >= kCaptureChunk) session->send();
}

bool Captures::stop(std::uint64_t connection, Instant now) {
  bool any = false;
  for (const auto& session : sessions_) {
    if (session->who.connection != connection || session->disconnected) continue;
    any = true;
    end(*session, "stopped", now);
  }
  return any;
}

void Captures::on_disconnected(std::uint64_t connection, Instant now) {
  for (const auto& session : sessions_) {
    if (session->who.connection != connection) continue;
    session->disconnected = true;
    end(*session, "reader-gone", now);
  }
}

void Captures::on_dataplane_lost(Instant now) {
  std::vector<std::uint32_t> numbers;
  for (const auto& session : sessions_) {
    session->why = "dataplane-lost";
    numbers.push_back(session->command.capture);
  }
  for (const std::uint32_t number : numbers) finish(number, now);
}

void Captures::shutdown(Instant now) {
  std::vector<std::uint32_t> numbers;
  for (const auto& session : sessions_) {
    session->why = "gateway-is-stopping";
    numbers.push_back(session->command.capture);
    ports_.dataplane.stop_capture(session->command, [](const std::string&) {});
  }
  for (const std::uint32_t number : numbers) finish(number, now);
}

// Once the dataplane has said all. One that has not begun yet ends when it has.
void Captures::end(Session& session, std::string_view why, Instant now) {
  if (session.why.empty()) session.why = why;
  if (session.state != Session::State::Running) return;
  session.state = Session::State::Stopping;
  session.until = session.leg_check = kNever;
  ports_.dataplane.stop_capture(session.command,
                                [this, number = session.command.capture, now](const std::string&) { finish(number, now); });
}

void Captures::finish(std::uint32_t number, Instant now) {
  Session* session = find(number);
  if (session == nullptr) return;
  for (std::uint32_t w = 0; w < session->lost_seen.size(); ++w)
    for (std::size_t p = 0; session->concerns(w) && p < api::kMaxPorts; ++p) session->lost_at(w, p, ports_.dataplane.capture_lost(w, p));
  session->sum.end = session->why;
  session->sum.seconds = std::chrono::duration<double>(now - session->started).count();
  for (std::uint32_t i = 0; i < session->interfaces.size(); ++i) {
    const Session::Interface& interface = session->interfaces[i];
    session->append([&](std::string& out) {
      pcapng::write_statistics({i, session->wall_ns(session->started), session->wall_ns(now), interface.packets + interface.lost,
                                interface.lost, interface.packets},
                               out);
    });
  }
  session->send();
  record_end(*session, session->sum, now);
  const std::unique_ptr<Session> ended = [&] {
    const auto at = std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& s) { return s.get() == session; });
    std::unique_ptr<Session> taken = std::move(*at);
    sessions_.erase(at);
    return taken;
  }();
  if (!ended->disconnected) ended->reader.on_end(ended->sum);
}

void Captures::flush() {
  for (const auto& session : sessions_) session->send();
}

Instant Captures::next_deadline() const noexcept {
  Instant next = kNever;
  for (const auto& session : sessions_) next = std::min({next, session->until, session->leg_check});
  return next;
}

void Captures::on_timer(Instant now) {
  for (const auto& session : sessions_) {
    if (session->state != Session::State::Running) continue;
    if (now >= session->until) {
      end(*session, "time", now);
    } else if (now >= session->leg_check) {
      session->leg_check = now + kLegCheck;
      if (!ports_.dataplane.leg(session->command.leg)) end(*session, "leg-gone", now);
    }
  }
}

bool Captures::record_start(const Session& session, Instant now) {
  core::AuditRecord record;
  record.event = "CAPTURE_STARTED";
  record.call = session.call;
  record.trace_id = session.trace_id;
  record.details = {{"capture", std::to_string(session.command.capture)},
                    {"of", what_of(session.command)},
                    {"payload", session.sum.payload ? "full" : "headers"},
                    {"seconds", std::to_string(session.seconds)},
                    {"bytes", std::to_string(session.max_bytes)},
                    {"uid", std::to_string(session.who.uid)},
                    {"pid", std::to_string(session.who.pid)}};
  return ports_.witness.record(record, now);
}

void Captures::record_end(const Session& session, const CaptureSummary& summary, Instant now) {
  core::AuditRecord record;
  record.event = "CAPTURE_ENDED";
  record.call = session.call;
  record.trace_id = session.trace_id;
  record.details = {{"capture", std::to_string(session.command.capture)},
                    {"of", what_of(session.command)},
                    {"rule", std::string{summary.end}},
                    {"packets", std::to_string(summary.packets)},
                    {"lost", std::to_string(summary.lost_ring + summary.lost_reader)},
                    {"bytes", std::to_string(summary.bytes)},
                    {"uid", std::to_string(session.who.uid)},
                    {"pid", std::to_string(session.who.pid)}};
  (void)ports_.witness.record(record, now);
}

}  // namespace ifgw::admin
