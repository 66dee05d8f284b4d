// telephone-events between clocks, against packets computed by hand from RFC 4733.
#include "dataplane/engine/event_mapper.h"

#include <gtest/gtest.h>

#include <vector>

namespace ifgw::engine {
namespace {

constexpr EventMapper::Clocks kNarrow{8000, 8000}, kOpus{48'000, 48'000}, kOpusNarrow{48'000, 8000};

class Mapping {
 public:
  Mapping(const EventMapper::Clocks& from, const EventMapper::Clocks& to, std::size_t max_reports = EventMapper::kMaxReports)
      : mapper(from, to), max_reports_(max_reports) {}
  std::vector<EventMapper::Report> feed(std::uint32_t timestamp, bool marker, TelephoneEvent event, std::uint32_t placed) {
    EventMapper::Reports reports;
    mapper.map(timestamp, marker, event, placed, max_reports_, reports);
    return {reports.begin(), reports.end()};
  }
  EventMapper mapper;

 private:
  std::size_t max_reports_;
};

TelephoneEvent digit(std::uint16_t duration, bool end = false) { return {5, end, 10, duration}; }

TEST(TelephoneEvent, BytesAsInTheRfc) {
  // Section 2.3: event 11 (#), E, volume 7, duration 0x0190; the reserved bit is set and ignored.
  const std::vector<std::uint8_t> wire = {11, 0x80 | 0x40 | 7, 0x01, 0x90};
  const TelephoneEvent event = read_telephone_event(wire.data());
  EXPECT_EQ(event, (TelephoneEvent{11, true, 7, 400}));
  std::vector<std::uint8_t> written(4);
  write_telephone_event(written.data(), event);
  EXPECT_EQ(written, (std::vector<std::uint8_t>{11, 0x87, 0x01, 0x90}));
  for (const std::size_t bad : {0, 1, 2, 3, 5, 7}) EXPECT_FALSE(valid_telephone_events(bad)) << bad;
  EXPECT_TRUE(valid_telephone_events(4));
  EXPECT_TRUE(valid_telephone_events(8));
}

TEST(EventMapper, DurationsChangeTheirClockAndTheMarkerStandsOnTheFirst) {
  Mapping up(kNarrow, kOpus);
  // A digit of 100 ms, reports of 50 ms, its end three times.
  const auto first = up.feed(1000, true, digit(400), 700'000);
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].timestamp, 700'000U);
  EXPECT_TRUE(first[0].marker);
  EXPECT_EQ(first[0].event, (TelephoneEvent{5, false, 10, 2400}));
  for (int i = 0; i < 3; ++i) {
    const auto end = up.feed(1000, false, digit(800, true), 999);
    ASSERT_EQ(end.size(), 1U);
    EXPECT_EQ(end[0].timestamp, 700'000U) << "the place of its beginning, wherever the stream is by now";
    EXPECT_FALSE(end[0].marker);
    EXPECT_EQ(end[0].event, (TelephoneEvent{5, true, 10, 4800}));
  }
  Mapping down(kOpus, kNarrow);
  EXPECT_EQ(down.feed(96'000, true, digit(2403), 50)[0].event.duration, 400);
  EXPECT_EQ(down.feed(96'000, false, digit(1), 50)[0].event.duration, 1) << "never a state, which 0 would say";
}

TEST(EventMapper, TheFirstThatArrivesBeginsTheEvent) {
  Mapping m(kNarrow, kOpus);
  EXPECT_TRUE(m.feed(1000, false, digit(400), 7)[0].marker) << "the one with the marker was lost";
  EXPECT_FALSE(m.feed(1000, false, digit(800), 7)[0].marker);
  EXPECT_TRUE(m.feed(5000, false, digit(80), 9)[0].marker) << "the same digit, another time";
  EXPECT_TRUE(m.feed(5000, false, {6, false, 10, 80}, 9)[0].marker) << "another digit";
}

TEST(EventMapper, RepeatedEndsHaveOneDuration) {
  Mapping m(kNarrow, kOpus);
  EXPECT_EQ(m.feed(0, true, digit(800, true), 0)[0].event.duration, 4800);
  EXPECT_EQ(m.feed(0, false, digit(880, true), 0)[0].event.duration, 4800);
  EXPECT_TRUE(m.feed(0, false, digit(880), 0)[0].event.end) << "an event that has ended stays ended";
}

// 2 s in one event of 8 kHz, reports of 100 ms: 1.365 s fill the first segment at 48 kHz.
TEST(EventMapper, ALongEventBecomesSegments) {
  Mapping m(kNarrow, kOpus);
  for (unsigned i = 1; i <= 13; ++i) {
    const auto r = m.feed(0, i == 1, digit(static_cast<std::uint16_t>(800 * i)), 100);
    ASSERT_EQ(r.size(), 1U);
    EXPECT_EQ(r[0].timestamp, 100U);
    EXPECT_EQ(r[0].event.duration, 4800 * i);
  }
  const auto over = m.feed(0, false, digit(800 * 14), 100);  // 67200 units
  ASSERT_EQ(over.size(), 2U);
  EXPECT_EQ(over[0].timestamp, 100U);
  EXPECT_EQ(over[0].event, (TelephoneEvent{5, false, 10, 0xFFFF}));
  EXPECT_EQ(over[1].timestamp, 100U + 0xFFFF);
  EXPECT_EQ(over[1].event, (TelephoneEvent{5, false, 10, 67'200 - 0xFFFF}));
  EXPECT_FALSE(over[1].marker) << "section 2.5.1.3";
  for (int i = 0; i < 3; ++i) {
    const auto end = m.feed(0, false, digit(16'000, true), 100);
    ASSERT_EQ(end.size(), 1U);
    EXPECT_EQ(end[0].timestamp, 100U + 0xFFFF);
    EXPECT_EQ(end[0].event, (TelephoneEvent{5, true, 10, 96'000 - 0xFFFF}));
  }
}

TEST(EventMapper, AnEventOfWhichOnlyTheEndArrivesIsReportedWhole) {
  Mapping m(kNarrow, kOpus);
  const auto r = m.feed(0, false, digit(0xFFFF, true), 100);  // 8.19 s: six segments to the unit
  ASSERT_EQ(r.size(), 6U);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < r.size(); ++i) {
    EXPECT_EQ(r[i].timestamp, 100 + i * 0xFFFF);
    EXPECT_EQ(r[i].marker, i == 0);
    EXPECT_EQ(r[i].event.end, i == 5);
    sum += r[i].event.duration;
  }
  EXPECT_EQ(sum, 6U * 0xFFFF);
}

TEST(EventMapper, SegmentsBecomeOneEventWhereItsClockCanSayIt) {
  Mapping m(kOpus, kNarrow);
  EXPECT_EQ(m.feed(10, true, digit(0xFFFF), 200)[0].event, (TelephoneEvent{5, false, 10, 10'922}));
  const auto second = m.feed(10 + 0xFFFF, false, digit(2400), 999);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].timestamp, 200U);
  EXPECT_FALSE(second[0].marker);
  EXPECT_EQ(second[0].event.duration, (0xFFFF + 2400) / 6);
  // The third segment's reports: of the second one nothing more came.
  EXPECT_EQ(m.feed(10 + 3 * 0xFFFFU, false, digit(600, true), 999)[0].event, (TelephoneEvent{5, true, 10, (3 * 0xFFFF + 600) / 6}));
  EXPECT_TRUE(m.feed(10 + 4 * 0xFFFFU, false, digit(600), 999)[0].marker) << "after its end nothing continues it";
}

TEST(EventMapper, AMarkerBeginsAnEventAlsoWhereASegmentCouldBegin) {
  Mapping m(kOpus, kNarrow);
  (void)m.feed(0, true, digit(960), 5);
  EXPECT_EQ(m.feed(0xFFFF, true, digit(960), 7)[0].timestamp, 7U);
}

TEST(EventMapper, TimeStampsFollowTheAudioAndDurationsTheEvents) {
  Mapping m(kOpusNarrow, kOpus);
  (void)m.feed(1000, true, digit(10'000), 1000);
  const auto r = m.feed(1000, false, digit(12'000, true), 1000);
  ASSERT_EQ(r.size(), 2U);
  EXPECT_EQ(r[1].timestamp, 1000U + 0xFFFF);
  EXPECT_EQ(r[1].event.duration, 72'000 - 0xFFFF);
  Mapping back(kOpus, kOpusNarrow);
  (void)back.feed(1000, true, digit(0xFFFF), 1000);
  const auto merged = back.feed(1000 + 0xFFFF, false, digit(6, true), 1000);
  EXPECT_EQ(merged[0].timestamp, 1000U);
  EXPECT_EQ(merged[0].event.duration, (0xFFFF + 6) / 6);
}

TEST(EventMapper, WhereOnePacketLeavesForOneThatCameTheFullSegmentGoesFirst) {
  Mapping m(kOpusNarrow, kOpus, 1);
  (void)m.feed(0, true, digit(10'000), 0);
  const auto full = m.feed(0, false, digit(11'200), 0);
  ASSERT_EQ(full.size(), 1U);
  EXPECT_EQ(full[0].event, (TelephoneEvent{5, false, 10, 0xFFFF}));
  const auto next = m.feed(0, false, digit(11'600), 0);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].timestamp, 0xFFFFU);
  EXPECT_EQ(next[0].event.duration, 69'600 - 0xFFFF);
  const auto end = m.feed(0, false, digit(30'000, true), 0);
  ASSERT_EQ(end.size(), 1U);
  EXPECT_TRUE(end[0].event.end) << "an end is never held back";
  EXPECT_EQ(end[0].timestamp, 2U * 0xFFFF);
}

TEST(EventMapper, EventsPackedTogetherStayContiguous) {
  std::vector<std::uint8_t> payload(12);
  for (std::size_t i = 0; i < 3; ++i) write_telephone_event(&payload[4 * i], {static_cast<std::uint8_t>(i), true, 3, 1001});
  EventMapper(kOpus, kNarrow).scale(payload);
  EXPECT_EQ(read_telephone_event(&payload[0]).duration, 166);
  EXPECT_EQ(read_telephone_event(&payload[4]).duration, 167);
  EXPECT_EQ(read_telephone_event(&payload[8]).duration, 167) << "3003 / 6 = 500 in all";
  EXPECT_EQ(read_telephone_event(&payload[8]).code, 2);
}

}  // namespace
}  // namespace ifgw::engine
