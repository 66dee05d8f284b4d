#include "dataplane/engine/event_mapper.h"

#include <algorithm>

#include "codecs/base/check.h"

namespace ifgw::engine {
namespace {

constexpr std::uint64_t kSegment = kMaxEventDuration;
constexpr std::uint32_t kMaxLostSegments = 8;  // beyond: another event

}  // namespace

// The next segment of an event that goes on begins where the full one before it ended; some may be lost in between.
bool EventMapper::continues(std::uint32_t timestamp, bool marker, std::uint8_t code) const noexcept {
  if (!active_ || code != code_) return false;
  if (timestamp == segment_) return true;
  if (ended_ || marker) return false;
  const auto segment = static_cast<std::uint32_t>(kSegment * from_.audio / from_.event);
  const std::uint32_t ahead = timestamp - segment_;
  return ahead % segment == 0 && ahead / segment <= kMaxLostSegments;
}

void EventMapper::map(std::uint32_t timestamp, bool marker, const TelephoneEvent& event, std::uint32_t placed, std::size_t max_reports,
                      Reports& reports) noexcept {
  reports.clear();
  const bool first = !continues(timestamp, marker, event.code);
  if (first) {
    begin_ = timestamp;
    placed_ = placed;
    sent_ = 0;
    code_ = event.code;
    active_ = true;
    ended_ = false;
  }
  segment_ = timestamp;
  std::uint64_t total = whole_;
  if (!ended_) {
    const std::uint64_t received = std::uint64_t{timestamp - begin_} * from_.event / from_.audio + event.duration;
    total = std::max<std::uint64_t>(received * to_.event / from_.event, received != 0 ? 1 : 0);
  }
  if (event.end && !ended_) {
    ended_ = true;
    whole_ = total;
  }
  const auto report = [&](std::uint32_t segment, std::uint64_t duration, bool end) {
    const std::uint32_t at = placed_ + out_units(segment * kSegment);
    const TelephoneEvent sent{event.code, end, event.volume, static_cast<std::uint16_t>(duration)};
    IFGW_CHECK(reports.push_back({at, first && reports.size() == 0, sent}));
  };
  // Packets come in order, but a sender's durations may not grow.
  const auto segment = std::max(sent_, static_cast<std::uint32_t>(total == 0 ? 0 : (total - 1) / kSegment));
  const std::size_t full = std::min<std::size_t>(segment - sent_, max_reports == 1 ? (ended_ || first ? 0 : 1) : max_reports - 1);
  for (std::size_t i = full; i > 0; --i) report(segment - static_cast<std::uint32_t>(i), kSegment, false);
  sent_ = segment;
  if (reports.size() == max_reports) return;
  const std::uint64_t rest = total - std::min(total, segment * kSegment);
  report(segment, std::clamp<std::uint64_t>(rest, total != 0 ? 1 : 0, kSegment), ended_);
}

void EventMapper::scale(std::span<std::uint8_t> payload) const noexcept {
  std::uint64_t received = 0, sent = 0;
  for (; payload.size() >= kTelephoneEventBytes; payload = payload.subspan(kTelephoneEventBytes)) {
    TelephoneEvent event = read_telephone_event(payload.data());
    received += event.duration;
    const std::uint64_t until = received * to_.event / from_.event;
    event.duration = static_cast<std::uint16_t>(std::min(until - sent, kSegment));
    sent = until;
    write_telephone_event(payload.data(), event);
  }
}

}  // namespace ifgw::engine
