// Layer 1 for what the dataplane cannot see, SIP messages inside TCP and TLS connections, and for datagrams that it does not
// count because their port is none of its own. Exact, as there and with the same code: never more
// than so many messages of one IPv4 address or IPv6 /64 in any window, however many connections they come over. A prefix with a budget
// counts as one source; an exempt one is not counted.
//
// Sans-IO; one thread. Allocates at construction only.
#pragma once

#include <cstddef>
#include <vector>

#include "codecs/base/ip.h"
#include "codecs/base/time.h"
#include "codecs/base/window_limiter.h"

namespace ifgw::guard {

struct StreamLimiterSettings {
  WindowLimits limits;           // `block` is the dataplane's part
  std::size_t sources = 16'384;  // at once; 204 bytes each at 30 requests
  struct Budget {
    IpPrefix prefix;
    std::uint32_t requests = 0;  // 1..100000
    Duration window{};
  };
  std::vector<Budget> budgets;  // the longest prefix that covers a source counts, exemptions among them
  std::vector<IpPrefix> exemptions;
};

class StreamLimiter {
 public:
  StreamLimiter(const StreamLimiterSettings& settings, const HashKey& key);

  struct Decision {
    bool pass = true;
    bool first_refusal = false;  // since the last one that passed: worth a record
    std::uint32_t limit = 0;     // that was exceeded
  };
  // One message of `source`. `now` does not run backwards.
  Decision on_message(const IpAddress& source, Instant now);

  // Housekeeping; while it holds sources it wants to be called every second.
  void on_timer(Instant now);
  Instant next_deadline() const noexcept { return next_timer_; }

  std::uint64_t refused() const noexcept { return refused_; }

 private:
  struct Prefix {
    IpPrefix prefix;
    Duration window{};
    std::vector<Instant> admitted;  // a ring as long as the budget; empty: exempt
    std::size_t oldest = 0;
    bool told = false;
  };
  Prefix* covering(const IpAddress& source) noexcept;
  static Decision spend(Prefix& prefix, Instant now) noexcept;

  std::vector<std::byte> memory_;
  WindowLimiter sources_;
  std::vector<Prefix> prefixes_;  // longest first
  std::uint64_t refused_ = 0;
  Instant next_timer_ = kNever;
};

}  // namespace ifgw::guard
