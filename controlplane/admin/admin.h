// The operator's commands, sans-IO: one request line in, one response line out, now or later; a capture's file comes in lines
// before its response.
//
// Every command that changes something is a witness record (ADMIN_CHANGE, with the operator's uid) before it is done;
// when that cannot be kept, nothing is changed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "controlplane/admin/captures.h"
#include "controlplane/admin/protocol.h"
#include "controlplane/admin/views.h"
#include "controlplane/core/calls.h"
#include "controlplane/core/ports/dataplane_view.h"
#include "controlplane/core/ports/witness.h"

namespace ifgw::admin {

struct AdminPorts {
  core::Calls& calls;
  core::DataplaneView& dataplane;
  core::Witness& witness;
  std::string version;  // of the control plane
  Instant started{};
  std::function<Json()> more_status;  // further sections of `status`: listeners, SIP, witness; may be empty
  CapturePolicy capture = {};
  std::function<std::int64_t()> clock_offset_ns = {};                      // as CapturePorts; needed where captures are allowed
  std::function<std::size_t(std::uint64_t connection)> unsent_bytes = {};  // of responses, that wait for their reader; may be empty
  std::string hardware = {};                                               // of this machine, for the files of captures
  std::string os = {};
};

class Admin {
 public:
  // Called exactly once per request with the response, without its line feed; by a capture with lines of data before that.
  using Reply = std::function<void(std::string line)>;

  explicit Admin(AdminPorts ports)
      : ports_(std::move(ports)),
        captures_({ports_.dataplane, ports_.witness, ports_.capture, ports_.clock_offset_ns, ports_.hardware, ports_.os,
                   "ifgw " + ports_.version}) {}

  // `line` may be anything. `reply` may be called before this returns, or later from the event loop; the Admin outlives it.
  void handle(std::string_view line, const Operator& who, Instant now, const Reply& reply);

  // The connection is gone; what was asked over it and lasts ends.
  void on_disconnected(std::uint64_t connection, Instant now) { captures_.on_disconnected(connection, now); }

  Captures& captures() noexcept { return captures_; }
  std::uint64_t requests() const noexcept { return requests_; }

 private:
  struct Request;
  using Handler = void (Admin::*)(const Request&);
  struct Command;
  static const Command* find(std::string_view name);

  void status(const Request& r);
  void calls_show(const Request& r);
  void calls_kill(const Request& r);
  void calls_latency(const Request& r);
  void legs_show(const Request& r);
  void pike_show(const Request& r);
  void pike_block(const Request& r);
  void pike_unblock(const Request& r);
  void pike_exempt(const Request& r);
  void core_show(const Request& r);
  void port_show(const Request& r);
  void drops_show(const Request& r);
  void capture_start(const Request& r);
  void capture_stop(const Request& r);
  // False, and answered, when the record could not be kept.
  bool record_change(const Request& r, std::string_view what);

  AdminPorts ports_;
  Captures captures_;
  std::uint64_t requests_ = 0;
};

}  // namespace ifgw::admin
