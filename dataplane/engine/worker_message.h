// What workers tell each other of legs that move from one to another (api::MoveLegs). Values, for rings between threads.
//
//   new worker   MoveLegs: takes two slots, Ask ->
//   old worker   <- Give, with all that the legs are: they are gone here, and their packets are handed over from now on
//                <- Deny: no such legs, or joined with others; they stay
//   new worker   RemoveLeg: Release ->, the port is free again
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "dataplane/api/messages.h"
#include "dataplane/engine/event_mapper.h"
#include "dataplane/engine/leg_table.h"
#include "dataplane/engine/rtcp_state.h"
#include "dataplane/engine/rtp_out.h"

namespace ifgw::engine {

// All of a leg but its transcoder and its next hop, which the new worker makes anew.
struct LegState {
  api::LegInfo info;  // ids as at the old worker
  LegRx rx;
  LegCold cold;
  RtpOut stream;
  RtcpState rtcp;
  EventMapper events;
  LegCounts counts{};
};

struct WorkerMessage {
  enum class Kind : std::uint8_t { Ask, Give, Deny, Release };
  Kind kind = Kind::Deny;
  std::uint8_t from = 0;             // worker
  std::uint8_t joined = 0;           // Give: 1: with each other
  std::array<api::LegId, 2> legs{};  // Ask: the old ids; Release: the first of them alone
  std::array<api::LegId, 2> as{};    // Ask: the new ones
  std::array<LegState, 2> states{};  // Give
};
static_assert(std::is_trivially_copyable_v<WorkerMessage> && sizeof(WorkerMessage) % 4 == 0);

// The other workers of the process. Called on this worker's thread, from inside on_command(), on_timer() and on_message().
class PeerWorkers {
 public:
  virtual ~PeerWorkers() = default;
  // Will reach that worker's Engine::on_message(), in order, and before any packet that is handed over to it later. False: no
  // room. There always is for an Ask, and for its answer: no more than one of each is under way between two workers.
  virtual bool tell(std::uint8_t worker, const WorkerMessage& message) noexcept = 0;
};

}  // namespace ifgw::engine
