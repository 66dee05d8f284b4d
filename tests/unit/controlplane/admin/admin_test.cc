#include "controlplane/admin/admin.h"

#include <gtest/gtest.h>

#include "tests/support/call_world.h"

namespace ifgw::admin {
namespace {

struct ModelView : core::DataplaneView {
  core::AttachState attach_state() const override {
    core::AttachState s;
    s.attached = true;
    s.version = "1.2";
    s.since = from_ns(1);
    return s;
  }
  std::vector<core::LegView> legs(std::size_t limit) const override {
    std::vector<core::LegView> some = all_legs;
    if (some.size() > limit) some.resize(limit);
    return some;
  }
  std::optional<core::LegView> leg(api::LegId id) const override {
    for (const core::LegView& one : all_legs)
      if (one.info.id == id) return one;
    return std::nullopt;
  }
  std::vector<core::WorkerView> workers() const override { return all_workers; }
  std::vector<core::PortView> ports() const override { return {core::PortView{}}; }
  void list_sources(bool blocked_only, std::size_t, SourcesDone done) override {
    std::vector<core::SourceView> rows(1);
    rows[0].source = *IpAddress::parse("192.0.2.9");
    rows[0].blocked = blocked_only;
    later = [done, rows] { done("", rows); };
  }
  void list_prefixes(PrefixesDone done) override {
    std::vector<core::PrefixView> rows(2);
    rows[0].prefix = *IpPrefix::parse("192.0.2.0/24");
    rows[0].exempt = true;
    rows[1] = {*IpPrefix::parse("198.51.100.0/24"), false, 50, std::chrono::seconds{2}, 7, 9};
    later = [done, rows] { done("", rows); };
  }
  void block_source(const IpAddress& source, Duration duration, Done done) override {
    log.push_back("block " + source.text() + " " + std::to_string(duration / std::chrono::seconds{1}));
    later = [done] { done(""); };
  }
  void unblock_source(const IpAddress& source, Done done) override {
    log.push_back("unblock " + source.text());
    later = [done] { done("192.0.2.9 is not blocked"); };
  }
  void exempt_prefix(const IpPrefix& prefix, bool exempt, Done done) override {
    log.push_back((exempt ? "exempt " : "unexempt ") + prefix.text());
    later = [done] { done(""); };
  }
  void start_capture(const api::StartCapture& capture, Done done) override {
    log.push_back("capture " + (capture.leg.present() ? core::text(capture.leg) : capture.source.text()));
    later = [done] { done(""); };
  }
  void stop_capture(const api::StartCapture&, Done done) override {
    log.push_back("stop");
    later = [done] { done(""); };
  }
  std::uint64_t capture_lost(std::uint32_t, std::size_t) const override { return 0; }
  std::vector<core::LegView> all_legs;
  std::vector<core::WorkerView> all_workers;
  std::vector<std::string> log;
  std::function<void()> later;
};

class AdminTest : public ::testing::Test {
 protected:
  AdminTest() : admin(ports()) {}
  AdminPorts ports() {
    AdminPorts made{w.calls(), view, w.witness, "0.1", from_ns(0), [] { return Json{{"sip", {{"legs", 2}}}}; }};
    made.clock_offset_ns = [] { return std::int64_t{0}; };
    return made;
  }
  // The response, after what the dataplane answers later.
  Json ask(const std::string& line) {
    std::string response;
    int replies = 0;
    admin.handle(line, Operator{1000, 77}, w.now, [&](const std::string& text) {
      response = text;
      ++replies;
    });
    if (view.later) std::exchange(view.later, nullptr)();
    EXPECT_EQ(replies, 1) << line;
    EXPECT_EQ(response.find('\n'), std::string::npos);
    return Json::parse(response);
  }
  test::CallWorld w;
  ModelView view;
  Admin admin;
};

TEST_F(AdminTest, RequestsThatAreNoneAreUsageErrorsWithTheirId) {
  for (const char* line : {"", "junk", "[]", "{}", "{\"command\":5}", "{\"command\":\"calls\"}", "{\"command\":\"status\",\"args\":[]}",
                           "{\"command\":\"calls kill\"}", "{\"command\":\"calls kill\",\"args\":{\"call\":-1}}",
                           "{\"command\":\"pike unblock\",\"args\":{\"source\":\"x\"}}",
                           "{\"command\":\"pike block\",\"args\":{\"source\":\"192.0.2.1\",\"duration_s\":86401}}",
                           "{\"command\":\"pike exempt\",\"args\":{\"prefix\":\"192.0.2.1/24\"}}"}) {
    const Json r = ask(line);
    EXPECT_EQ(r["ok"], false) << line;
    EXPECT_EQ(r["code"], "usage") << line;
  }
  EXPECT_EQ(ask("{\"id\":\"x7\",\"command\":\"none\"}")["id"], "x7");
  EXPECT_TRUE(w.witness.records.empty());
}

TEST_F(AdminTest, StatusHasEverySection) {
  const Json r = ask(R"({"id":1,"command":"status"})")["result"];
  EXPECT_EQ(r["version"], "0.1");
  EXPECT_EQ(r["dataplane"]["attached"], true);
  EXPECT_EQ(r["calls"]["active"], 0);
  EXPECT_TRUE(r["calls"]["setup"]["p50_us"].is_null());
  EXPECT_EQ(r["sip"]["legs"], 2);
}

TEST_F(AdminTest, CallsShowAndKill) {
  w.connect();
  const Json rows = ask(R"({"command":"calls show"})")["result"]["rows"];
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0]["state"], "CONNECTED");
  EXPECT_EQ(rows[0]["caller"]["codec"], "PCMA");
  EXPECT_EQ(rows[0]["callee"]["codec"], "PCMU");
  EXPECT_EQ(rows[0]["route"], "experts");
  const Json killed = ask(R"({"command":"calls kill","args":{"call":1}})");
  EXPECT_EQ(killed["ok"], true);
  EXPECT_EQ(w.witness.last("ADMIN_CHANGE")->details.at("uid"), "1000");
  EXPECT_EQ(w.witness.last("TERMINATED")->details.at("observed"), "uid 1000");
  w.collect();
  w.settle_legs();
  w.settle_media();
  EXPECT_EQ(ask(R"({"command":"calls kill","args":{"call":1}})")["code"], "failed");
  const Json ended = ask(R"({"command":"calls show","args":{"ended":true}})")["result"]["rows"];
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0]["refusal"]["rule"], "ended-by-operator");
}

TEST_F(AdminTest, AChangeThatCannotBeRecordedIsNotMade) {
  w.connect();
  w.witness.fail_from = 1;
  EXPECT_EQ(ask(R"({"command":"calls kill","args":{"call":1}})")["code"], "failed");
  EXPECT_EQ(w.only_call().state, core::CallState::Connected);
  EXPECT_EQ(ask(R"({"command":"pike unblock","args":{"source":"192.0.2.9"}})")["code"], "failed");
  EXPECT_TRUE(view.log.empty());
}

TEST_F(AdminTest, LimiterCommandsAreRecordedAndAnsweredLater) {
  EXPECT_EQ(ask(R"({"command":"pike show","args":{"blocked":true}})")["result"]["rows"][0]["source"], "192.0.2.9");
  const Json prefixes = ask(R"({"command":"pike show","args":{"prefixes":true}})")["result"];
  EXPECT_EQ(prefixes["rows"][0]["exempt"], true);
  EXPECT_TRUE(prefixes["rows"][0]["requests"].is_null());
  EXPECT_EQ(
      prefixes["rows"][1],
      Json({{"prefix", "198.51.100.0/24"}, {"exempt", false}, {"requests", 50}, {"window_s", 2.0}, {"in_window", 7}, {"refused", 9}}));
  const Json first = ask(R"({"command":"pike show","args":{"prefixes":true,"limit":1}})")["result"];
  EXPECT_EQ(first["total"], 2);
  EXPECT_EQ(first["rows"].size(), 1u);
  EXPECT_EQ(ask(R"({"command":"pike block","args":{"source":"192.0.2.9","duration_s":60}})")["ok"], true);
  const Json refused = ask(R"({"command":"pike unblock","args":{"source":"192.0.2.9"}})");
  EXPECT_EQ(refused["error"], "192.0.2.9 is not blocked");
  EXPECT_EQ(ask(R"({"command":"pike exempt","args":{"prefix":"192.0.2.0/24","remove":true}})")["ok"], true);
  EXPECT_EQ(view.log, (std::vector<std::string>{"block 192.0.2.9 60", "unblock 192.0.2.9", "unexempt 192.0.2.0/24"}));
  EXPECT_EQ(w.witness.records.size(), 3u);
}

TEST_F(AdminTest, LegsNameTheirCallAndUnmeasuredValuesAreNull) {
  w.connect();
  core::LegView leg;
  leg.info.id = w.only_call().side(core::Party::Callee).media;
  leg.info.media.codec = api::Codec::Pcmu;
  leg.rx_packets = 7;
  leg.expected = 9;
  leg.jitter = 20;
  leg.rtt_ns = 34'500'000;
  leg.remote_report = api::RemoteReport{3, 16};
  view.all_legs = {leg, core::LegView{}};
  const Json rows = ask(R"({"command":"legs show"})")["result"]["rows"];
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["party"], "callee");
  EXPECT_EQ(rows[0]["lost"], 2);
  EXPECT_TRUE(rows[0]["inside"]["max_us"].is_null());
  EXPECT_EQ(rows[0]["jitter_ms"], 2.5);
  EXPECT_EQ(rows[0]["rtt_ms"], 34.5);
  EXPECT_EQ(rows[0]["remote_lost"], 3);
  EXPECT_EQ(rows[0]["remote_jitter_ms"], 2.0);
  for (const char* unknown : {"jitter_ms", "rtt_ms", "remote_lost", "remote_jitter_ms"}) EXPECT_TRUE(rows[1][unknown].is_null()) << unknown;
  EXPECT_TRUE(rows[1]["call"].is_null());
}

TEST_F(AdminTest, ALegsLatencyIsToldWithItsBuckets) {
  core::LegView leg;
  leg.inside.counts = {3, 0, 5};
  leg.inside.counts.back() = 1;
  leg.inside.max_ns = 2'000'500;
  view.all_legs = {leg};
  const Json inside = ask(R"({"command":"legs show"})")["result"]["rows"][0]["inside"];
  EXPECT_EQ(inside["count"], 9);
  EXPECT_EQ(inside["p50_us"], 16.384);
  EXPECT_EQ(inside["p90_us"], 2000.5);
  EXPECT_EQ(inside["buckets"].size(), api::LegLatency::kBuckets);
  EXPECT_EQ(inside["buckets"][0], Json({{"le_us", 4.096}, {"packets", 3}}));
  EXPECT_EQ(inside["buckets"].back(), Json({{"le_us", nullptr}, {"packets", 1}}));
}

TEST_F(AdminTest, LatencyOfACallNamesBothDirectionsAndItsWorkersPairsAndGap) {
  EXPECT_EQ(ask(R"({"command":"calls latency"})")["code"], "usage");
  const Json unknown = ask(R"({"command":"calls latency","args":{"call":7}})");
  EXPECT_EQ(unknown["code"], "failed");
  EXPECT_EQ(unknown["error"], "there is no call 7 (ifgw calls show)");
  w.connect();
  EXPECT_EQ(ask(R"({"command":"calls latency","args":{"call":1}})")["code"], "failed") << "the dataplane shows no such legs";
  core::LegView caller, callee;
  caller.info.id = w.only_call().side(core::Party::Caller).media;
  callee.info.id = w.only_call().side(core::Party::Callee).media;
  caller.info.media.codec = api::Codec::Pcma;
  callee.info.media.codec = api::Codec::Pcmu;
  caller.inside.counts[1] = 4;
  caller.inside.max_ns = 5000;
  callee.inside.counts[3] = 2;
  callee.inside.max_ns = 30'000;
  view.all_legs = {caller, callee};
  view.all_workers.resize(std::size_t{w.only_call().worker} + 1);
  core::WorkerView& worker = view.all_workers.back();
  worker.worker = w.only_call().worker;
  core::LatencyView all;
  all.count = 90;
  all.max_ns = 70'000;
  worker.pairs = {{api::codec_pair(api::Codec::Opus, api::Codec::Pcma), {}}, {api::codec_pair(api::Codec::Pcma, api::Codec::Pcmu), all}};
  worker.poll_gap.count = 11;
  const Json rows = ask(R"({"command":"calls latency","args":{"call":1}})")["result"]["rows"];
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0]["what"], "caller > callee");
  EXPECT_EQ(rows[0]["codecs"], "PCMA > PCMU");
  EXPECT_EQ(rows[0]["count"], 2) << "what the callee is sent";
  EXPECT_EQ(rows[0]["p99_us"], 30.0) << "the maximum, where the bucket's bound is more";
  EXPECT_EQ(rows[1]["what"], "callee > caller");
  EXPECT_EQ(rows[1]["count"], 4);
  EXPECT_EQ(rows[2]["codecs"], "PCMA > PCMU");
  EXPECT_EQ(rows[2]["count"], 90);
  EXPECT_EQ(rows[3]["what"], "worker " + std::to_string(w.only_call().worker) + ", poll gap");
  EXPECT_EQ(rows[3]["count"], 11);
  EXPECT_TRUE(rows[3]["codecs"].is_null());
}

TEST_F(AdminTest, PairsOfCodecsAreRowsOfTheirWorkers) {
  view.all_workers.resize(2);
  view.all_workers[1].worker = 1;
  core::LatencyView some;
  some.count = 5;
  view.all_workers[1].pairs = {{api::codec_pair(api::Codec::Pcmu, api::Codec::G722), some}, {api::recoded_pair(api::Codec::G729), some}};
  const Json result = ask(R"({"command":"core show","args":{"pairs":true}})")["result"];
  ASSERT_EQ(result["rows"].size(), 2U);
  EXPECT_EQ(result["rows"][0]["worker"], 1);
  EXPECT_EQ(result["rows"][0]["from"], "PCMU");
  EXPECT_EQ(result["rows"][0]["to"], "G722");
  EXPECT_EQ(result["rows"][0]["path"], "transcode");
  EXPECT_EQ(result["rows"][0]["count"], 5);
  EXPECT_EQ(result["rows"][1]["from"], "G729");
  EXPECT_EQ(result["rows"][1]["to"], "G729");
  EXPECT_EQ(result["rows"][1]["path"], "transcode") << "not a relay of it";
  EXPECT_EQ(ask(R"({"command":"core show"})")["result"]["rows"].size(), 2U);
}

TEST_F(AdminTest, DropsAreSummedOverWorkersAndOnlyThoseAboveZeroUnlessAsked) {
  view.all_workers.resize(2);
  view.all_workers[0].drops[4] = 3;
  view.all_workers[1].drops[4] = 4;
  const Json some = ask(R"({"command":"drops show"})")["result"]["rows"];
  ASSERT_EQ(some.size(), 1u);
  EXPECT_EQ(some[0]["reason"], "source_limited");
  EXPECT_EQ(some[0]["packets"], 7);
  EXPECT_EQ(ask(R"({"command":"drops show","args":{"all":true}})")["result"]["rows"].size(), api::kDropReasonCount);
}

TEST_F(AdminTest, PortsThatWereNotMeasuredAreNull) {
  const Json row = ask(R"({"command":"port show"})")["result"]["rows"][0];
  EXPECT_TRUE(row["rx_packets"].is_null());
  EXPECT_TRUE(row["link_up"].is_null());
}

TEST_F(AdminTest, HostileTextComesBackAsValidJson) {
  const Json r = ask("{\"command\":\"\xff\\u0000\\n\"}");
  EXPECT_EQ(r["ok"], false);
}

TEST_F(AdminTest, ACaptureIsItsFileInLinesAndThenItsResponse) {
  std::vector<Json> lines;
  const auto say = [&](const std::string& request) {
    admin.handle(request, Operator{1000, 77, 3}, w.now, [&](const std::string& line) { lines.push_back(Json::parse(line)); });
    if (view.later) std::exchange(view.later, nullptr)();
  };
  say(R"({"id":7,"command":"capture start","args":{"source":"192.0.2.9","seconds":5,"bytes":10000}})");
  EXPECT_TRUE(lines.empty());
  admin.captures().flush();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["id"], 7);
  EXPECT_EQ(lines[0]["data"].get<std::string>().substr(0, 5), "Cg0NC") << "base64 of a pcapng file";
  EXPECT_EQ(w.witness.last("CAPTURE_STARTED")->details.at("of"), "source 192.0.2.9/32");
  say(R"({"id":8,"command":"capture stop"})");
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[1], Json::parse(R"({"id":8,"ok":true,"result":{"stopping":true}})"));
  EXPECT_EQ(lines[2]["id"], 7) << "the end of the file";
  EXPECT_EQ(lines[3]["result"]["end"], "stopped");
  EXPECT_EQ(lines[3]["result"]["payload"], "headers");
  EXPECT_EQ(view.log, (std::vector<std::string>{"capture 192.0.2.9/32", "stop"}));
}

TEST_F(AdminTest, CapturesThatAreAskedForWronglyAreUsageErrors) {
  for (const char* args :
       {"{}", R"({"leg":"x"})", R"({"leg":""})", R"({"leg":"0:0:0"})", R"({"leg":"1:2"})", R"({"leg":"1:2:3:4"})", R"({"leg":"256:2:3"})",
        R"({"leg":"0:16777216:3"})", R"({"leg":"0:1:4294967296"})", R"({"leg":"0:1:-2"})", R"({"leg":7})", R"({"source":"192.0.2.9/24"})",
        R"({"source":"192.0.2.9","leg":"0:1:2"})", R"({"source":"192.0.2.9","seconds":"5"})", R"({"source":"192.0.2.9","seconds":-1})",
        R"({"source":"192.0.2.9","bytes":1.5})"}) {
    const Json r = ask(std::string{"{\"command\":\"capture start\",\"args\":"} + args + "}");
    EXPECT_EQ(r["code"], "usage") << args;
  }
  EXPECT_EQ(ask(R"({"command":"capture start","args":{"leg":"0:1:2"}})")["code"], "failed");
  EXPECT_EQ(ask(R"({"command":"capture stop"})")["code"], "failed");
  EXPECT_TRUE(w.witness.records.empty());
}

}  // namespace
}  // namespace ifgw::admin
