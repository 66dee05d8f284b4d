// The bells between a worker and its client, made anew for every attach. The client is hostile: whatever it does with
// its end, ringing and silencing here never blocks, never makes a client's descriptor ours to close, and never fails in
// a way that matters. A ring that is lost costs a late wake-up, as every sleep is bounded.
//
// They differ, because each direction has another weakness. O_NONBLOCK of an eventfd belongs to both sides, so a client
// can make us wait in a write to it; RWF_NOWAIT, which only reads know, is ours alone. A socket has an end for each side,
// but whoever receives from it may be sent a descriptor whose closing takes minutes (a TCP socket with SO_LINGER). So
// the dataplane reads eventfds and writes to sockets, and never the other way round.
#pragma once

#include "codecs/base/result.h"
#include "dataplane/runtime/fd.h"

namespace ifgw::runtime {

// Client to worker: an eventfd. The client writes it; the dataplane only waits on it and silences it.
Result<Fd> make_worker_doorbell();
// Any thread. Afterwards it is not readable until it is rung again.
void silence(int worker_doorbell) noexcept;

// Worker to client: the two ends of a datagram socket pair. Nothing can be sent to our end.
struct ClientDoorbell {
  Fd ours;
  Fd theirs;
};
Result<ClientDoorbell> make_client_doorbell();
// Any thread. One that is full has been rung.
void ring(int client_doorbell) noexcept;

}  // namespace ifgw::runtime
