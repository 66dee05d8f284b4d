// Stage media: RTP and RTCP of this worker's legs, through the engine, to tx.
#pragma once

#include "dataplane/nodes/packets.h"
#include "dataplane/nodes/tx.h"

namespace ifgw::nodes {

// `packets`: kind Media, owned by this worker, received at `now`. Every buffer is sent or freed.
inline void media(engine::Engine& engine, const PacketList& packets, Instant now, Tx& tx) noexcept {
  if (packets.empty()) return;
  engine.media(packets.all(), now);
  for (engine::Packet* packet : packets.all()) {
    rte_mbuf* buffer = settle(*packet);
    if (packet->verdict != engine::PacketVerdict::Transmit) {
      rte_pktmbuf_free(buffer);
      continue;
    }
    const bool rtp = packet->tx_leg != engine::kNoLegRow;
    tx.add(buffer, packet->tx_port, rtp ? now : kNever, rtp ? &engine.row(packet->tx_leg) : nullptr);
  }
}

}  // namespace ifgw::nodes
