// telephone-events (RFC 4733) from one leg to the other where their clocks differ: durations, and the segments of an
// event that is longer than a duration can say (section 2.5.1.3). A packet is told where it begins in the stream that is
// sent; all packets of an event stand on the place of its first.
//
// 8 -> 48 kHz: an event over 1.365 s becomes several segments. 48 -> 8 kHz: segments become one event again, up to 8.19 s.
// The packet that first goes beyond a segment brings a report of that segment's full length along, before its own; where
// only one packet can leave, it is that report, unless the packet ends the event. Ends are repeated as often as they came,
// with one duration.
//
// A plain value, written by one worker. The caller passes packets in the order of their numbers, each once.
#pragma once

#include <cstdint>
#include <span>

#include "codecs/base/fixed.h"
#include "codecs/wire/telephone_event.h"

namespace ifgw::engine {

class EventMapper {
 public:
  // Hz. Time stamps run in the audio's clock, durations in the one the payload type was agreed with. RFC 4733 section 2.1
  // wants them equal; telephone-event/8000 beside Opus is common all the same.
  struct Clocks {
    std::uint32_t audio = 8000;
    std::uint32_t event = 8000;
    friend bool operator==(const Clocks&, const Clocks&) = default;
  };
  // A packet to send.
  struct Report {
    std::uint32_t timestamp = 0;
    bool marker = false;  // the first that is sent of an event
    TelephoneEvent event;
  };
  // A packet's duration fills at most six segments of a clock six times as fast; then its own.
  static constexpr std::size_t kMaxReports = 7;
  using Reports = FixedVector<Report, kMaxReports>;

  EventMapper() = default;
  EventMapper(const Clocks& from, const Clocks& to) noexcept : from_(from), to_(to) {}
  const Clocks& from() const noexcept { return from_; }
  const Clocks& to() const noexcept { return to_; }

  // `placed`: where the stream that is sent has `timestamp`. `reports`: cleared, then 1..max_reports in their order.
  void map(std::uint32_t timestamp, bool marker, const TelephoneEvent& event, std::uint32_t placed, std::size_t max_reports,
           Reports& reports) noexcept;
  // Several events in one payload (whole ones) follow each other without a pause: no segments, durations in place.
  void scale(std::span<std::uint8_t> payload) const noexcept;

 private:
  bool continues(std::uint32_t timestamp, bool marker, std::uint8_t code) const noexcept;
  std::uint32_t out_units(std::uint64_t event_units) const noexcept {
    return static_cast<std::uint32_t>(event_units * to_.audio / to_.event);
  }

  Clocks from_;
  Clocks to_;
  std::uint32_t begin_ = 0;    // time stamps received: of the event,
  std::uint32_t segment_ = 0;  // and of its newest segment
  std::uint32_t placed_ = 0;   // time stamp sent of the event's beginning
  std::uint32_t sent_ = 0;     // segment that is being sent, from 0
  std::uint64_t whole_ = 0;    // duration of an event that has ended, in units sent
  std::uint8_t code_ = 0;
  bool active_ = false;
  bool ended_ = false;
};

}  // namespace ifgw::engine
