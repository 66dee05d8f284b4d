// Captures against a dataplane that is a list of what it was asked.
#include "controlplane/admin/captures.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/call_world.h"

namespace ifgw::admin {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct CapturedPlane : core::DataplaneView {
  core::AttachState attach_state() const override { return {}; }
  std::vector<core::LegView> legs(std::size_t) const override { return {}; }
  std::optional<core::LegView> leg(api::LegId id) const override {
    if (std::find(present.begin(), present.end(), id) == present.end()) return std::nullopt;
    return core::LegView{};
  }
  std::vector<core::WorkerView> workers() const override { return {}; }
  std::vector<core::PortView> ports() const override {
    std::vector<core::PortView> some(3);
    some[0].name = "out";
    some[1].name = "in";
    some[2].is_exception = true;
    return some;
  }
  void list_sources(bool, std::size_t, SourcesDone) override {}
  void list_prefixes(PrefixesDone) override {}
  void block_source(const IpAddress&, Duration, Done) override {}
  void unblock_source(const IpAddress&, Done) override {}
  void exempt_prefix(const IpPrefix&, bool, Done) override {}
  void start_capture(const api::StartCapture& capture, Done done) override {
    started.push_back(capture);
    answers.push_back(std::move(done));
  }
  void stop_capture(const api::StartCapture& capture, Done done) override {
    stopped.push_back(capture.capture);
    answers.push_back(std::move(done));
  }
  std::uint64_t capture_lost(std::uint32_t worker, std::size_t port) const override { return worker == 1 && port < 2 ? lost[port] : 0; }
  // The oldest request is done.
  void answer(const std::string& error = "") {
    ASSERT_FALSE(answers.empty());
    const Done done = std::move(answers.front());
    answers.erase(answers.begin());
    done(error);
  }

  std::vector<api::LegId> present{api::LegId::make(1, 5, 2), api::LegId::make(1, 6, 2), api::LegId::make(2, 5, 2)};
  std::vector<api::StartCapture> started;
  std::vector<std::uint32_t> stopped;
  std::vector<Done> answers;
  std::array<std::uint64_t, 2> lost{100, 0};  // of worker 1
};

struct Reading {
  std::string file;
  std::vector<CaptureSummary> ends;
  std::vector<std::pair<bool, std::string>> refusals;
  std::size_t unread = 0;
};

class CapturesTest : public ::testing::Test {
 protected:
  Captures& captures() {
    if (!made)
      made.emplace(CapturePorts{plane, witness, policy, [] { return std::int64_t{1'795'000'000'000'000'000}; }, "x86_64", "Linux", "ifgw"});
    return *made;
  }
  static CaptureRequest of_leg(std::uint8_t worker = 1, std::uint32_t index = 5) {
    CaptureRequest request;
    request.leg = api::LegId::make(worker, index, 2);
    return request;
  }
  static CaptureRequest of_source(const char* prefix = "192.0.2.9/32") {
    CaptureRequest request;
    request.source = *IpPrefix::parse(prefix);
    return request;
  }
  Reading& start(const CaptureRequest& request, std::uint64_t connection = 1) {
    auto reading = std::make_shared<Reading>();
    readings.push_back(reading);
    CaptureReader reader;
    reader.on_data = [reading](std::string_view bytes) { reading->file += bytes; };
    reader.on_end = [reading](const CaptureSummary& summary) { reading->ends.push_back(summary); };
    reader.on_refused = [reading](bool usage, const std::string& error) { reading->refusals.emplace_back(usage, error); };
    reader.unread_bytes = [reading] { return reading->unread; };
    captures().start(request, Operator{1000, 77, connection}, std::move(reader), now);
    return *reading;
  }
  Reading& running(const CaptureRequest& request, std::uint64_t connection = 1) {
    Reading& reading = start(request, connection);
    plane.answer();
    EXPECT_TRUE(reading.refusals.empty()) << (reading.refusals.empty() ? "" : reading.refusals[0].second);
    return reading;
  }
  void packet(std::uint32_t capture, std::uint16_t length = 100, std::uint8_t port = 0, std::uint64_t lost_before = 100) {
    auto captured = std::make_unique<api::Captured>();
    captured->header.capture = capture;
    captured->header.length = captured->header.original_length = length;
    captured->header.direction = api::CaptureDirection::Inbound;
    captured->header.port = port;
    captured->header.lost = lost_before;
    captured->header.time_ns = static_cast<std::uint64_t>(to_ns(now));
    captured->bytes.fill(0x55);
    captures().on_captured(1, *captured, now);
  }
  const std::map<std::string, std::string>& record(const char* event) { return witness.last(event)->details; }

  CapturedPlane plane;
  test::MemoryWitness witness;
  CapturePolicy policy{true, true, 600, 1 << 20};
  std::optional<Captures> made;
  std::vector<std::shared_ptr<Reading>> readings;
  Instant now = from_ns(1'000'000'000'000);
};

TEST_F(CapturesTest, FromItsStartToItsEndByTime) {
  CaptureRequest request = of_leg();
  request.call = 17;
  request.trace_id = "trace-1";
  request.seconds = 2;
  Reading& reading = running(request);
  ASSERT_EQ(plane.started.size(), 1u);
  EXPECT_EQ(plane.started[0].leg, request.leg);
  EXPECT_EQ(plane.started[0].headers_only, 0);
  EXPECT_GT(plane.started[0].duration_ms, 2000u) << "ours comes first";
  EXPECT_EQ(witness.last("CAPTURE_STARTED")->call, 17u);
  EXPECT_EQ(witness.last("CAPTURE_STARTED")->trace_id, "trace-1");
  EXPECT_EQ(record("CAPTURE_STARTED").at("of"), "leg 1:5:2");
  EXPECT_EQ(record("CAPTURE_STARTED").at("payload"), "full");
  EXPECT_EQ(record("CAPTURE_STARTED").at("seconds"), "2");
  EXPECT_EQ(record("CAPTURE_STARTED").at("bytes"), std::to_string(1 << 20)) << "the policy's bound is below the default";
  EXPECT_EQ(record("CAPTURE_STARTED").at("uid"), "1000");
  captures().flush();
  EXPECT_EQ(reading.file.substr(0, 4), "\x0A\x0D\x0D\x0A");
  EXPECT_NE(reading.file.find("leg 1:5:2, whole packets"), std::string::npos);
  packet(1);
  packet(99);  // of a capture that is over
  now += seconds(2);
  EXPECT_LE(captures().next_deadline(), now);
  captures().on_timer(now);
  EXPECT_EQ(plane.stopped, (std::vector<std::uint32_t>{1}));
  packet(1);  // was in the ring already
  EXPECT_TRUE(reading.ends.empty());
  plane.answer();
  ASSERT_EQ(reading.ends.size(), 1u);
  EXPECT_EQ(reading.ends[0].end, "time");
  EXPECT_EQ(reading.ends[0].packets, 2u);
  EXPECT_EQ(reading.ends[0].bytes, reading.file.size());
  EXPECT_EQ(reading.ends[0].lost_ring, 0u);
  EXPECT_EQ(record("CAPTURE_ENDED").at("rule"), "time");
  EXPECT_EQ(record("CAPTURE_ENDED").at("packets"), "2");
  EXPECT_EQ(captures().active(), 0u);
  EXPECT_EQ(captures().next_deadline(), kNever);
}

TEST_F(CapturesTest, TheFileNeverOutgrowsItsBound) {
  for (std::uint64_t bound = kMinCaptureBytes; bound < kMinCaptureBytes + 300; bound += 7) {
    CaptureRequest request = of_source();
    request.bytes = bound;
    Reading& reading = running(request);
    const std::uint32_t number = plane.started.back().capture;
    for (int i = 0; i < 50; ++i) packet(number);
    plane.answer();
    ASSERT_EQ(reading.ends.size(), 1u);
    EXPECT_EQ(reading.ends[0].end, "bytes");
    EXPECT_LE(reading.file.size(), bound);
    EXPECT_GT(reading.file.size(), bound - 250) << "and comes near it";
    EXPECT_EQ(reading.ends[0].lost_ring + reading.ends[0].lost_reader, 0u);
  }
}

TEST_F(CapturesTest, WhatIsLostIsCountedWhereverItIs) {
  Reading& reading = running(of_source());
  packet(1, 100, 0, 103);  // three lost by the worker since the start
  reading.unread = kMaxUnreadBytes;
  packet(1, 100, 0, 103);
  packet(1, 100, 0, 103);
  reading.unread = 0;
  packet(1, 100, 0, 104);
  captures().flush();
  plane.lost = {104, 6};  // seen by no packet
  captures().stop(1, now);
  plane.answer();
  ASSERT_EQ(reading.ends.size(), 1u);
  EXPECT_EQ(reading.ends[0].end, "stopped");
  EXPECT_EQ(reading.ends[0].packets, 2u);
  EXPECT_EQ(reading.ends[0].lost_ring, 10u);
  EXPECT_EQ(reading.ends[0].lost_reader, 2u);
  EXPECT_EQ(record("CAPTURE_ENDED").at("lost"), "12");
  const auto dropcount = [&](char n) {
    return reading.file.find(std::string("\4\0\10\0", 4) + n + std::string(7, '\0')) != std::string::npos;
  };
  EXPECT_TRUE(dropcount(3)) << "before the first, and, two here and one there, before the second";
  EXPECT_FALSE(dropcount(2));
}

TEST_F(CapturesTest, PolicyDecidesWhatMayBeAskedFor) {
  policy = {true, false, 10, 100'000};
  CaptureRequest request = of_source();
  request.seconds = 11;
  EXPECT_EQ(start(request).refusals.at(0),
            (std::pair<bool, std::string>{true, "\"seconds\": 11 is not in 1..10 s ([capture] max_seconds)"}));
  request.seconds = 0;
  EXPECT_TRUE(start(request).refusals.at(0).first);
  request.seconds = 10;
  request.bytes = 100'001;
  EXPECT_NE(start(request).refusals.at(0).second.find("max_bytes"), std::string::npos);
  request.bytes = 10;
  EXPECT_TRUE(start(request).refusals.at(0).first);
  EXPECT_TRUE(start(CaptureRequest{}).refusals.at(0).first) << "of nothing";
  CaptureRequest both = of_leg();
  both.source = *IpPrefix::parse("192.0.2.9/32");
  EXPECT_TRUE(start(both).refusals.at(0).first);
  EXPECT_TRUE(witness.records.empty());
  EXPECT_TRUE(plane.started.empty());
  (void)running(of_source());
  EXPECT_EQ(plane.started.at(0).headers_only, 1) << "whatever was asked for";
  EXPECT_EQ(record("CAPTURE_STARTED").at("payload"), "headers");
  EXPECT_EQ(record("CAPTURE_STARTED").at("seconds"), "10");
}

TEST_F(CapturesTest, HeadersCanBeAskedForWherePayloadIsAllowed) {
  CaptureRequest request = of_source();
  request.headers_only = true;
  (void)running(request);
  EXPECT_EQ(plane.started.at(0).headers_only, 1);
}

TEST_F(CapturesTest, CapturesThatAreSwitchedOffAreRefused) {
  policy.enabled = false;
  EXPECT_NE(start(of_source()).refusals.at(0).second.find("[capture] enabled"), std::string::npos);
}

TEST_F(CapturesTest, OneThatCannotBeRecordedIsNotMade) {
  witness.fail_from = 1;
  EXPECT_NE(start(of_source()).refusals.at(0).second.find("witness"), std::string::npos);
  EXPECT_TRUE(plane.started.empty());
  EXPECT_EQ(captures().active(), 0u);
}

TEST_F(CapturesTest, AWorkerDoesOneAtATimeAndItIsSaidWhoHasIt) {
  (void)running(of_leg(1), 1);
  const Reading& same_worker = start(of_leg(1, 6), 2);
  EXPECT_EQ(same_worker.refusals.at(0).second, "uid 1000 (pid 77) captures leg 1:5:2: a worker does one capture at a time");
  EXPECT_EQ(start(of_source(), 2).refusals.size(), 1u) << "a source takes all workers";
  (void)running(of_leg(2), 2);
  EXPECT_EQ(captures().active(), 2u);
  EXPECT_EQ(start(of_leg(1, 77), 3).refusals.at(0).second, "there is no leg 1:77:2 (ifgw legs show)");
}

TEST_F(CapturesTest, AnotherCapturesLossesAreNotCountedHere) {
  Reading& reading = running(of_leg(2));
  plane.lost = {500, 500};  // of worker 1
  (void)captures().stop(1, now);
  plane.answer();
  EXPECT_EQ(reading.ends.at(0).lost_ring, 0u);
}

TEST_F(CapturesTest, EndsWithItsLegSoonAfterIt) {
  Reading& reading = running(of_leg());
  now += milliseconds(100);
  captures().on_timer(now);
  EXPECT_TRUE(plane.stopped.empty());
  plane.present.clear();
  now = captures().next_deadline();
  captures().on_timer(now);
  plane.answer();
  EXPECT_EQ(reading.ends.at(0).end, "leg-gone");
}

TEST_F(CapturesTest, AReaderThatGoesEndsItAndIsToldNothing) {
  Reading& reading = running(of_source(), 5);
  EXPECT_FALSE(captures().stop(4, now)) << "another's connection";
  captures().on_disconnected(4, now);
  EXPECT_TRUE(plane.stopped.empty());
  captures().on_disconnected(5, now);
  EXPECT_FALSE(captures().stop(5, now));
  plane.answer();
  EXPECT_TRUE(reading.ends.empty());
  EXPECT_EQ(record("CAPTURE_ENDED").at("rule"), "reader-gone");
  EXPECT_EQ(captures().active(), 0u);
}

TEST_F(CapturesTest, OneThatIsToEndBeforeItHasBegunEndsThen) {
  Reading& reading = start(of_source());
  EXPECT_TRUE(captures().stop(1, now));
  EXPECT_TRUE(plane.stopped.empty());
  plane.answer();
  EXPECT_EQ(plane.stopped.size(), 1u);
  plane.answer();
  EXPECT_EQ(reading.ends.at(0).end, "stopped");
}

TEST_F(CapturesTest, WhatTheDataplaneRefusesIsEndedEverywhere) {
  Reading& reading = start(of_source());
  plane.answer("no dataplane attached");
  EXPECT_EQ(reading.refusals.at(0), (std::pair<bool, std::string>{false, "the dataplane refused the capture: no dataplane attached"}));
  EXPECT_EQ(plane.stopped.size(), 1u) << "some workers may have begun";
  EXPECT_EQ(record("CAPTURE_ENDED").at("rule"), "refused-by-dataplane");
  plane.answer();
  EXPECT_EQ(captures().active(), 0u);
}

TEST_F(CapturesTest, ADataplaneThatGoesAndAGatewayThatStopsEndAllOfThem) {
  Reading& lost = running(of_leg(1), 1);
  Reading& also = running(of_leg(2), 2);
  captures().on_dataplane_lost(now);
  EXPECT_EQ(lost.ends.at(0).end, "dataplane-lost");
  EXPECT_EQ(also.ends.at(0).end, "dataplane-lost");
  EXPECT_EQ(lost.ends.at(0).bytes, lost.file.size()) << "with its last blocks";
  Reading& reading = running(of_source());
  captures().shutdown(now);
  EXPECT_EQ(reading.ends.at(0).end, "gateway-is-stopping");
  EXPECT_EQ(captures().active(), 0u);
  plane.answer();
  EXPECT_EQ(reading.ends.size(), 1u);
}

}  // namespace
}  // namespace ifgw::admin
