// The control plane put together: protocol stack, calls, guard, witness, dataplane client, sockets, admin. Everything
// that decides is elsewhere; this moves messages between them, once per round of the event loop.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/adapters/admin_server.h"
#include "controlplane/adapters/dataplane_client.h"
#include "controlplane/adapters/event_loop.h"
#include "controlplane/adapters/file_sink.h"
#include "controlplane/adapters/log.h"
#include "controlplane/adapters/random.h"
#include "controlplane/adapters/sip_streams.h"
#include "controlplane/adapters/udp_socket.h"
#include "controlplane/admin/admin.h"
#include "controlplane/config/config.h"
#include "controlplane/core/calls.h"
#include "controlplane/guard/allow_all.h"
#include "controlplane/guard/stream_limiter.h"
#include "controlplane/sip/user_agent.h"
#include "controlplane/witness/witness_log.h"

namespace ifgw::control {

class Gateway {
 public:
  // Start order: witness, stack and calls, dataplane, listeners, admin socket. The first thing that cannot start is the
  // error; nothing was accepted from the network by then. The dataplane is asked here and answers in the loop; that it
  // does not is no error: it is logged, and asked again.
  static Result<std::unique_ptr<Gateway>> start(adapters::EventLoop& loop, config::Config config);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // The dataplane has answered, or is known not to: what can work works.
  bool ready() const noexcept { return dataplane_->settled(); }
  // No new calls, the others are ended; idle() tells when they have.
  void stop(Instant now);
  bool idle() const noexcept { return calls_->size() == 0; }
  // After a log rotation.
  void reopen_files();
  // "3 listeners, 2 routes, dataplane attached"
  std::string summary() const;

 private:
  // A sans-IO machine's deadline in the loop.
  template <typename Machine>
  struct Timer final : adapters::DeadlineSource {
    explicit Timer(Machine& m) : machine(m) {}
    Instant next_deadline() const override { return machine.next_deadline(); }
    void on_deadline(Instant now) override { machine.on_timer(now); }
    Machine& machine;
  };

  Gateway(adapters::EventLoop& loop, config::Config config, adapters::FileSink sink, adapters::RandomSource random);
  static std::int64_t wall_ns();  // nanoseconds since 1970
  void make_user_agent();
  void make_calls();
  void make_dataplane();
  void make_streams();
  Status listen();
  void warn_of_strange_listeners() const;
  Status open_admin();

  void pump(Instant now);
  bool pump_once(Instant now);
  void send(const sip::OutboundMessage& message, Instant now);
  Endpoint udp_local(const sip::OutboundMessage& message) const;
  bool send_udp(const sip::OutboundMessage& message, const Endpoint& local);
  void fail_later(std::uint64_t ticket);
  void on_datagram(const api::Datagram& datagram, Instant now);
  void on_udp(const Endpoint& source, const Endpoint& local, Bytes payload, Instant now);
  void record_wire(const sip::WireMessage& message, Instant now);
  bool within_budget(const Endpoint& source, std::string_view what, Instant now);
  void on_verdict(const api::LimiterVerdict& verdict, Instant now);
  admin::Json more_status() const;

  adapters::EventLoop& loop_;
  config::Config config_;
  Instant started_;
  adapters::RandomSource random_;
  adapters::FileSink sink_;
  witness::WitnessLog witness_log_;
  adapters::LoggedWitness witness_;
  guard::AllowAll guard_;
  guard::StreamLimiter stream_limiter_;
  Timer<guard::StreamLimiter> stream_limiter_timer_;
  std::uint64_t next_leg_ = 1;

  std::unique_ptr<sip::UserAgent> user_agent_;
  std::unique_ptr<adapters::DataplaneClient> dataplane_;
  std::unique_ptr<core::Calls> calls_;
  std::unique_ptr<adapters::SipStreams> streams_;
  std::vector<std::unique_ptr<adapters::UdpSocket>> udp_;
  std::optional<Timer<sip::UserAgent>> user_agent_timer_;
  std::optional<Timer<core::Calls>> calls_timer_;
  std::unique_ptr<admin::Admin> admin_;
  std::optional<Timer<admin::Captures>> captures_timer_;
  std::unique_ptr<adapters::AdminServer> admin_server_;
  sip::Outputs outputs_;
  std::uint64_t udp_ring_ = 0;    // datagrams sent through the dataplane
  std::uint64_t udp_kernel_ = 0;  // through the kernel's socket
  std::uint64_t udp_failed_ = 0;
  std::uint64_t udp_kernel_refused_ = 0;  // datagrams received by the kernel beyond a budget
};

}  // namespace ifgw::control
