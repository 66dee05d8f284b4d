#include "dataplane/engine/leg_table.h"

#include <limits>

#include "codecs/base/check.h"

namespace ifgw::engine {
namespace {

// Before every real instant, and far enough from the type's end to add to.
constexpr Instant kLongAgo = from_ns(std::numeric_limits<std::int64_t>::min() / 2);

template <typename T>
std::size_t array_bytes(std::uint32_t count) noexcept {
  return (std::size_t{count} * sizeof(T) + 63) / 64 * 64;
}

// Makes `count` values at `at` and moves it behind them.
template <typename T>
T* place(std::byte*& at, std::uint32_t count) noexcept {
  T* values = new (at) T[count]{};
  at += array_bytes<T>(count);
  return values;
}

// Every counter of a row, each time in the same order.
template <typename Each>
void each_counter(api::LegRow& row, const Each& each) noexcept {
  for (api::Counter* counter : {&row.rx_packets, &row.rx_bytes, &row.rx_rtcp, &row.dropped, &row.last_rx_ns, &row.expected, &row.reordered,
                                &row.jitter, &row.rtt_ns, &row.remote_report, &row.tx_packets, &row.tx_bytes, &row.tx_rtcp}) {
    each(*counter);
  }
  each(row.unreachable);
  each(row.transcoded);
  for (api::Counter32& counter : row.inside.counts) each(counter);
  each(row.inside.maximum_ns);
}

}  // namespace

std::size_t LegTable::required_bytes(const EngineConfig& config) noexcept {
  const std::uint32_t slots = PortMap(config).slots();
  return array_bytes<Direction>(slots) + array_bytes<LegCold>(slots) + array_bytes<api::LegInfo>(slots) + array_bytes<api::LegId>(slots) +
         array_bytes<std::uint32_t>(slots);
}

LegTable::LegTable(const EngineConfig& config, std::span<std::byte> memory, std::span<api::LegRow> rows)
    : ports_(config),
      worker_(config.worker),
      max_legs_(config.max_legs != 0 ? config.max_legs : ports_.slots()),
      quarantine_(config.port_quarantine),
      addresses_(config.local_addresses),
      rows_(rows),
      rings_(ports_.addresses) {
  IFGW_CHECK(memory.size() >= required_bytes(config) && rows.size() >= slots());
  IFGW_CHECK(reinterpret_cast<std::uintptr_t>(memory.data()) % 64 == 0);
  std::byte* at = memory.data();
  directions_ = place<Direction>(at, slots());
  cold_ = place<LegCold>(at, slots());
  info_ = place<api::LegInfo>(at, slots());
  elsewhere_ = place<api::LegId>(at, slots());
  free_ = place<std::uint32_t>(at, slots());
  for (std::uint32_t index = 0; index < slots(); ++index) {
    cold_[index].generation = config.first_generation - 1;
    cold_[index].freed_at = kLongAgo;
    if (ports_.port(worker_, index) == 0) continue;
    FreeRing& ring = rings_[ports_.address(index)];
    ring_slot(ports_.address(index), ring.count++) = index;
  }
}

std::uint32_t& LegTable::ring_slot(std::uint8_t address, std::uint32_t position) noexcept {
  const std::uint32_t at = (rings_[address].head + position) % ports_.pairs_per_worker;
  return free_[address * ports_.pairs_per_worker + at];
}

LegTable::Allocation LegTable::allocate(std::uint8_t local_address, Instant now, std::uint32_t& index) noexcept {
  if (in_use_ >= max_legs_) return Allocation::TableFull;
  FreeRing& ring = rings_[local_address];
  if (ring.count == 0) return Allocation::PortsExhausted;
  const std::uint32_t oldest = ring_slot(local_address, 0);
  if (now < cold_[oldest].freed_at + quarantine_) return Allocation::PortsExhausted;
  ring.head = (ring.head + 1) % ports_.pairs_per_worker;
  --ring.count;
  ++in_use_;
  index = oldest;
  directions_[index] = Direction{};
  std::uint32_t generation = cold_[index].generation + 1;
  if (generation == 0) generation = 1;
  cold_[index] = LegCold{};
  cold_[index].generation = generation;
  info_[index] = api::LegInfo{};
  info_[index].id = id(index);
  info_[index].local = local(index);
  each_counter(rows_[index], [](auto& counter) { counter.set(0); });
  directions_[index].rx.present = 1;
  return Allocation::Ok;
}

void LegTable::release(std::uint32_t index, Instant now) noexcept {
  IFGW_CHECK(present(index));
  directions_[index] = Direction{};
  info_[index] = api::LegInfo{};
  publish(index);
  --in_use_;
  free_slot(index, now);
}

void LegTable::free_slot(std::uint32_t index, Instant now) noexcept {
  cold_[index].freed_at = now;
  elsewhere_[index] = api::LegId{};
  const std::uint8_t address = ports_.address(index);
  ring_slot(address, rings_[address].count++) = index;
}

void LegTable::depart(std::uint32_t index, api::LegId id) noexcept {
  IFGW_CHECK(present(index));
  directions_[index] = Direction{};
  info_[index] = api::LegInfo{};
  publish(index);
  --in_use_;
  elsewhere_[index] = id;
}

void LegTable::vacate(api::LegId id, Instant now) noexcept {
  const std::uint32_t index = id.index();
  if (id.worker() != worker_ || index >= slots() || present(index)) return;
  if (cold_[index].generation == id.generation() && elsewhere_[index].present()) free_slot(index, now);
}

LegCounts LegTable::counts(std::uint32_t index) noexcept {
  LegCounts counts{};
  std::size_t i = 0;
  each_counter(rows_[index], [&](auto& counter) { counts[i++] = counter.get(); });
  IFGW_CHECK(i == counts.size());
  return counts;
}

void LegTable::set_counts(std::uint32_t index, const LegCounts& counts) noexcept {
  std::size_t i = 0;
  each_counter(rows_[index], [&](auto& counter) { counter.set(static_cast<decltype(counter.get())>(counts[i++])); });
}

std::uint32_t LegTable::find(api::LegId id) const noexcept {
  const std::uint32_t index = id.index();
  if (!id.present() || id.worker() != worker_ || index >= slots()) return kNoLeg;
  return present(index) && cold_[index].generation == id.generation() ? index : kNoLeg;
}

api::LegId LegTable::id(std::uint32_t index) const noexcept { return api::LegId::make(worker_, index, cold_[index].generation); }

Endpoint LegTable::local(std::uint32_t index) const noexcept { return {addresses_[ports_.address(index)], ports_.port(worker_, index)}; }

}  // namespace ifgw::engine
