// Where the engine's events go. The runtime implements it over the event ring: it fills Event::sequence and counts
// what the ring could not take. Called on the worker's thread, from inside every Engine call; must not call back.
// False: nobody was told (no client, or its ring is full).
#pragma once

#include "dataplane/api/messages.h"

namespace ifgw::engine {

class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual bool on_event(const api::Event& event) noexcept = 0;
};

}  // namespace ifgw::engine
