// RTCP with a leg's party (RFC 3550 section 6): what was said and heard last. A plain value, written by one worker.
#pragma once

#include <cstdint>

#include "codecs/base/time.h"

namespace ifgw::engine {

struct RtcpState {
  Instant received_sr_at{};
  Instant sent_sr_at{};
  Instant next_report{};              // of ours, where streams are transcoded
  std::uint64_t stream_expected = 0;  // the row's counts when the party's stream began
  std::uint64_t stream_received = 0;
  std::uint64_t expected_before = 0;  // and, from there on, at our last report
  std::uint64_t received_before = 0;
  std::uint64_t sent_before = 0;
  std::uint32_t received_sr = 0;  // middle 32 bits of its NTP time: the party's last sender report
  std::uint32_t sent_sr = 0;      // and the last one sent to it
  // Whoever speaks to the party said BYE, after that many packets of ours (their lower half) and at that time (ms; 0: nobody did).
  std::uint32_t bye_packets = 0;
  std::uint32_t bye_ms = 0;
};

}  // namespace ifgw::engine
