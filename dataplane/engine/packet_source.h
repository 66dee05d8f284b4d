// Buffers for packets that nobody received: one packet in may make several packets out (60 ms in, 10 ms out), and a timer
// makes reports.
#pragma once

#include "dataplane/engine/packet.h"

namespace ifgw::engine {

class PacketSource {
 public:
  virtual ~PacketSource() = default;
  // An empty packet: `length` 0, room before and after `data`. It is sent if its verdict says so in the end, behind the
  // packet it is made from. Null when there is none left. Called on the worker's thread, from inside Engine::next_frame(),
  // on_timer() and on_command().
  virtual Packet* take() noexcept = 0;
};

}  // namespace ifgw::engine
