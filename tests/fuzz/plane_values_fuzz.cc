// What a control plane reads of a dataplane that is none: any bytes for events and for rows of the leg table. Those that pass the check
// can be shown and reckoned with.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "controlplane/core/ports/dataplane_view.h"
#include "dataplane/api/checks.h"

namespace {

using namespace ifgw;

void show(const IpAddress& address) {
  const std::string text = address.text();
  const auto back = IpAddress::parse(text);
  if (address.present() ? !back || *back != address : back.has_value()) std::abort();
}

void show(const api::Event& event) {
  switch (event.type) {
    case api::EventType::CommandDone: return show(event.command_done.local.ip);
    case api::EventType::FirstPacket: return show(event.first_packet.source.ip);
    case api::EventType::MediaTimeout: (void)from_ns(static_cast<std::int64_t>(event.media_timeout.silent_ns)); return;
    case api::EventType::AddressChange: show(event.address_change.before.ip); return show(event.address_change.after.ip);
    case api::EventType::MediaUnreachable: show(event.media_unreachable.reporter); return show(event.media_unreachable.remote.ip);
    case api::EventType::LimiterVerdict: return show(event.limiter_verdict.source);
    case api::EventType::SourceRow: return show(event.source_row.source);
    case api::EventType::PrefixRow: {
      const IpPrefix& prefix = event.prefix_row.prefix;
      if (IpPrefix::parse(prefix.text()).has_value() && !prefix.contains(prefix.ip)) std::abort();
      return;
    }
  }
  std::abort();  // of no type, and valid
}

void show(const api::LegInfo& info, const api::LegRow& row) {
  const core::LegView view = core::snapshot(info, row);
  if (core::parse_leg(core::text(view.info.id)) != view.info.id) std::abort();
  show(info.local.ip);
  show(info.media.remote.ip);
  show(info.current_remote.ip);
  (void)api::facts(info.media.codec);
  (void)api::jitter_units(row);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool rows = *data % 2 != 0;
  ++data, --size;
  if (rows) {
    auto row = std::make_unique<api::LegRow>();
    for (; size >= sizeof(api::LegRow); data += sizeof(api::LegRow), size -= sizeof(api::LegRow)) {
      std::memcpy(static_cast<void*>(row.get()), data, sizeof(api::LegRow));
      const auto info = api::read_leg(*row, 3);
      if (info && api::valid(*info)) show(*info, *row);
    }
    return 0;
  }
  for (; size >= sizeof(api::Event); data += sizeof(api::Event), size -= sizeof(api::Event)) {
    api::Event event;
    std::memcpy(static_cast<void*>(&event), data, sizeof event);
    if (api::valid(event)) show(event);
  }
  return 0;
}
