#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "controlplane/witness/json_record.h"
#include "controlplane/witness/witness_log.h"

namespace ifgw::witness {
namespace {

core::AuditRecord sample() {
  core::AuditRecord r;
  r.event = "INVITE";
  r.trace_id = "t-1";
  r.call = 7;
  r.details = {{"from", "sip:a@b"}};
  return r;
}

nlohmann::json parsed(const core::AuditRecord& r) { return nlohmann::json::parse(json_record(r, 1, 0, from_ns(5))); }

TEST(JsonRecord, ExactText) {
  EXPECT_EQ(
      json_record(sample(), 42, 1'795'252'502'123'456'789, from_ns(9)),
      R"({"seq":42,"time":"2026-11-21T09:15:02.123456Z","mono_ns":9,"event":"INVITE","severity":"INFO","trace_id":"t-1","call":7,"details":{"from":"sip:a@b"}})");
}

TEST(JsonRecord, SecurityContextOfAParty) {
  core::SecurityContext security;
  security.source = *Endpoint::parse("192.0.2.1:5061");
  security.transport = "tls";
  security.tls_version = "TLSv1.3";
  core::AuditRecord r = sample();
  r.security = &security;
  const auto json = parsed(r);
  EXPECT_EQ(json["security"]["source"], "192.0.2.1:5061");
  EXPECT_EQ(json["security"]["tls_version"], "TLSv1.3");
  EXPECT_FALSE(json["security"].contains("cipher_suite"));
}

TEST(JsonRecord, HostileValuesCannotBreakTheLineOrTheEncoding) {
  core::AuditRecord r = sample();
  r.trace_id = "a\"b\\c\n\r";
  r.details = {{"from", std::string{"\0\x1b[2J\xff\xfe", 7}}, {"to", "x\xE2\x82"}};
  const std::string line = json_record(r, 1, 0, from_ns(0));
  for (const char c : line) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20) << static_cast<int>(c);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["trace_id"], r.trace_id);
  EXPECT_EQ(json["details"]["to"], "x\xEF\xBF\xBD");
}

TEST(JsonRecord, LongValuesAreCutBetweenCharacters) {
  core::AuditRecord r = sample();
  r.details = {{"reason", std::string(kMaxValueBytes - 1, 'x') + "\xC3\xA9 and more"}, {"message", std::string(5000, 'm')}};
  const auto json = parsed(r);
  EXPECT_EQ(json["details"]["reason"], std::string(kMaxValueBytes - 1, 'x') + "...");
  EXPECT_EQ(json["details"]["message"].get<std::string>().size(), 5000u);
}

TEST(JsonRecord, TooManyDetailsAreCutAndCounted) {
  core::AuditRecord r = sample();
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kMaxDetails + 3; ++i) names.push_back("k" + std::to_string(i));
  r.details.clear();
  for (const std::string& name : names) r.details.emplace_back(name, "v");
  const auto json = parsed(r);
  EXPECT_EQ(json["details"].size(), kMaxDetails);
  EXPECT_EQ(json["details_cut"], 3);
}

TEST(UtcText, KnownInstants) {
  EXPECT_EQ(utc_text(0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(utc_text(951'827'696'000'001'999), "2000-02-29T12:34:56.000001Z");
}

struct FailingSink : LineSink {
  bool append(std::string_view line) override {
    if (!works) return false;
    lines.emplace_back(line);
    return true;
  }
  bool works = true;
  std::vector<std::string> lines;
};

TEST(WitnessLog, SaysWhenARecordWasNotKeptAndLeavesAGapInTheNumbers) {
  FailingSink sink;
  WitnessLog log{sink, [] { return std::int64_t{0}; }};
  EXPECT_TRUE(log.record(sample(), from_ns(0)));
  sink.works = false;
  EXPECT_FALSE(log.record(sample(), from_ns(0)));
  sink.works = true;
  EXPECT_TRUE(log.record(sample(), from_ns(0)));
  EXPECT_EQ(log.kept(), 2u);
  EXPECT_EQ(log.lost(), 1u);
  EXPECT_EQ(nlohmann::json::parse(sink.lines[1])["seq"], 3);
}

}  // namespace
}  // namespace ifgw::witness
