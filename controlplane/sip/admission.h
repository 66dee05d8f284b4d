// Who may begin a call now: a token bucket on new INVITEs and a bound on calls that are being set up. Decided from the
// pre-scan, before anything is parsed or remembered.
#pragma once

#include <algorithm>

#include "controlplane/sip/config.h"

namespace ifgw::sip {

class Admission {
 public:
  explicit Admission(const Limits& limits) : limits_(limits), tokens_ns_(depth()) {}

  void set_draining(bool draining) noexcept { draining_ = draining; }

  // True: admitted, and one token is spent. `in_flight`: calls offered to us and not yet answered.
  bool admit(std::size_t in_flight, Instant now) noexcept {
    if (draining_ || in_flight >= limits_.setups_in_flight) return false;
    if (limits_.setups_per_second == 0) return true;
    if (last_ != kNever && now > last_) tokens_ns_ = std::min(depth(), tokens_ns_ + (now - last_));
    if (last_ == kNever || now > last_) last_ = now;
    if (tokens_ns_ < cost()) return false;
    tokens_ns_ -= cost();
    return true;
  }

 private:
  // Tokens are counted in time: one INVITE costs the time in which the rate allows one.
  Duration cost() const noexcept { return Duration(std::chrono::seconds(1)) / limits_.setups_per_second; }
  Duration depth() const noexcept { return limits_.setups_per_second == 0 ? Duration{} : cost() * std::max(1u, limits_.setup_burst); }

  const Limits& limits_;
  Duration tokens_ns_;
  Instant last_ = kNever;
  bool draining_ = false;
};

}  // namespace ifgw::sip
