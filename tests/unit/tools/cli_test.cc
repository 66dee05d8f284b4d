#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <tuple>

#include "tools/ifgw/capture.h"
#include "tools/ifgw/client.h"
#include "tools/ifgw/commands.h"
#include "tools/ifgw/doctor.h"
#include "tools/ifgw/matrix.h"
#include "tools/ifgw/render.h"

namespace ifgw::cli {
namespace {

TEST(Cell, UnmeasuredIsADashAndControlCharactersDoNotReachTheTerminal) {
  EXPECT_EQ(cell(nullptr), "-");
  EXPECT_EQ(cell(""), "-");
  EXPECT_EQ(cell(0), "0");
  EXPECT_EQ(cell(1.5), "1.5");
  EXPECT_EQ(cell(2.0), "2");
  EXPECT_EQ(cell("a\x1b[2Jb"), "a?[2Jb");
  EXPECT_EQ(cell(std::string(200, 'x')).size(), 100u);
}

TEST(Table, ColumnsAreStableAndNumbersStandToTheRight) {
  const std::vector<Column> columns{{"NAME", "/name"}, {"PACKETS", "/count"}, {"DEEP", "/a/b"}};
  const Json rows = Json::array({{{"name", "one"}, {"count", 5}, {"a", {{"b", nullptr}}}}, {{"name", "twelve"}, {"count", 12000000}}});
  EXPECT_EQ(table(columns, rows),
            "NAME     PACKETS  DEEP\n"
            "one            5     -\n"
            "twelve  12000000     -\n");
}

TEST(Table, TheLastColumnIsWrittenInFull) {
  const std::vector<Column> columns{{"REASON", "/reason"}, {"MEANING", "/meaning"}};
  const std::string longer(300, 'm');
  EXPECT_EQ(table(columns, Json::array({{{"reason", longer}, {"meaning", longer}}})),
            "REASON" + std::string(96, ' ') + "MEANING\n" + std::string(97, 'm') + "...  " + longer + "\n");
}

TEST(Show, CallsHaveTheirCodecsOfBothSides) {
  const Json result = {
      {"total", 2},
      {"rows", Json::array({{{"call", 1}, {"state", "CONNECTED"}, {"caller", {{"codec", "PCMA"}}}, {"callee", {{"codec", nullptr}}}}})}};
  const std::string text = show("calls show", false, result);
  EXPECT_NE(text.find("PCMA > -"), std::string::npos);
  EXPECT_NE(text.find("1 of 2 shown"), std::string::npos);
}

TEST(Show, StatusIsSections) {
  EXPECT_EQ(show("status", false, {{"version", "1"}, {"calls", {{"active", 3}}}}), "version   1\ncalls\n  active  3\n");
  EXPECT_EQ(show("status", false, {{"calls", {{"setup", {{"p50_us", 2.5}}}, {"active", 3}}}}),
            "calls\n  setup\n    p50_us  2.5\n  active    3\n");
}

TEST(Show, SourcesComeWithWhatTheyMaySend) {
  Json result = {{"total", 0}, {"rows", Json::array()}, {"limits", {{"requests", 30}, {"window_s", 10.0}, {"block_s", 0.0}}}};
  EXPECT_EQ(show("pike show", false, result), "nothing to show\neach source: 30 requests in 10 s (prefixes: ifgw pike show --prefixes)\n");
  result["limits"]["block_s"] = 0.5;
  EXPECT_NE(show("pike show", false, result).find("30 requests in 10 s, then blocked for 0.5 s ("), std::string::npos);
  result["limits"] = nullptr;
  EXPECT_EQ(show("pike show", false, result), "nothing to show\n");
}

TEST(Show, ALatencyIsATable) {
  const Json result = {{"total", 1},
                       {"rows", Json::array({{{"what", "caller > callee"}, {"codecs", "PCMU > G722"}, {"count", 9}, {"p50_us", 8.192}}})}};
  EXPECT_EQ(show("calls latency", false, result),
            "INSIDE           CODECS       COUNT  p50 us  p90  p99  p99.9  max\n"
            "caller > callee  PCMU > G722      9   8.192    -    -      -    -\n");
}

TEST(Capture, SizesHaveUnitsOf1024) {
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("64K"), 65536u);
  EXPECT_EQ(parse_size("10M"), 10u << 20);
  EXPECT_EQ(parse_size("10MB"), 10u << 20);
  EXPECT_EQ(parse_size("1G"), 1u << 30);
  for (const char* text : {"", "K", "10m", "10 M", "-1", "+1", "1.5M", "10MBs", "1025G", "18446744073709551616", "17592186044416M"})
    EXPECT_FALSE(parse_size(text)) << text;
}

TEST(Capture, LinesAreDataThenTheEnd) {
  const auto data = read_capture_line(R"({"id":1,"data":"Zm9v"})");
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(data->kind, CaptureLine::Kind::Data);
  EXPECT_EQ(data->data, "foo");
  EXPECT_EQ(read_capture_line(R"({"id":1,"ok":true,"result":{}})")->kind, CaptureLine::Kind::End);
  EXPECT_EQ(read_capture_line(R"({"id":null,"ok":false,"error":"too many clients"})")->kind, CaptureLine::Kind::End);
  EXPECT_EQ(read_capture_line(R"({"id":2,"ok":true,"result":{"stopping":true}})")->kind, CaptureLine::Kind::Other);
  for (const char* line : {"", "junk", "[]", R"({"id":1,"data":7})", R"({"id":1,"data":"Zg"})"})
    EXPECT_FALSE(read_capture_line(line).ok()) << line;
}

TEST(CodecMatrix, HasEveryPairAndRelaysAreTheCheapest) {
  const Json costs =
      Json::parse(R"({"rows": [{"worker": 0, "from": "PCMU", "to": "opus", "path": "transcode", "start_ns": 50, "now_ns": null},
                                              {"worker": 1, "from": "PCMU", "to": "opus", "path": "transcode", "start_ns": 50, "now_ns": 70},
                                              {"worker": 2, "from": "PCMU", "to": "opus", "path": "transcode", "start_ns": 50, "now_ns": 60},
                                              {"worker": 0, "from": "opus", "to": "PCMU", "path": "transcode", "start_ns": 20, "now_ns": null},
                                              {"worker": 0, "from": "PCMU", "to": "PCMU", "path": "transcode", "start_ns": 9, "now_ns": null}]})");
  const Json result = codec_matrix(2, costs);
  std::map<std::tuple<std::string, std::string, std::string>, double> ns;
  for (const Json& row : result["rows"]) {
    ns[{row["from"], row["to"], row["path"]}] = row["ns"];
    EXPECT_GT(row["ns"].get<double>(), 0);
    EXPECT_EQ(row["streams"].get<std::uint64_t>() > 0, true) << row.dump();
    const bool forth = row["from"] == "PCMU" && row["to"] == "opus", back = row["from"] == "opus" && row["to"] == "PCMU";
    const bool again = row["from"] == "PCMU" && row["to"] == "PCMU" && row["path"] == "transcode";
    EXPECT_EQ(row["start_ns"], forth ? Json(50) : back ? Json(20) : again ? Json(9) : Json(nullptr));
    EXPECT_EQ(row["now_ns"], forth ? Json(70) : Json(nullptr)) << "of the dearest worker";
  }
  EXPECT_EQ(ns.size(), 14U * 14 + 10) << "of fourteen codecs, and ten that may have to be transcoded to themselves";
  EXPECT_LT((ns[{"PCMU", "PCMU", "relay"}]), (ns[{"PCMU", "opus", "transcode"}]) / 20) << "a relay and the dearest";
  EXPECT_LT((ns[{"G729", "G729", "relay"}]), (ns[{"G729", "G729", "transcode"}]) / 20);
  EXPECT_NE(show("codec matrix", false, result).find("STREAMS A CORE"), std::string::npos);
}

TEST(Ask, AnAbsentSocketSaysWhatToDo) {
  const auto result = ask("/nonexistent/control.sock", "status", Json::object());
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().position, 1u);
  EXPECT_NE(result.error().message.find("Is ifgw-controlplane running?"), std::string::npos);
}

// A made machine: files and links below a temporary folder.
class Doctor : public ::testing::Test {
 protected:
  Doctor() : root(std::filesystem::temp_directory_path() / ("ifgw_doctor_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(root);
  }
  ~Doctor() override { std::filesystem::remove_all(root); }
  void file(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  }
  void card(const std::string& address, const std::string& driver, const std::string& node = "0") {
    file("sys/bus/pci/devices/" + address + "/class", "0x020000\n");
    file("sys/bus/pci/devices/" + address + "/numa_node", node + "\n");
    if (!driver.empty()) std::filesystem::create_symlink("../../drivers/" + driver, root / "sys/bus/pci/devices" / address / "driver");
  }
  Machine machine() const { return Machine{root, true}; }
  std::filesystem::path root;
};

TEST_F(Doctor, AnEmptyMachineIsExaminedWithoutACrashAndEveryFindingBelowOkHasAFix) {
  const auto findings = examine(Machine{root, std::nullopt});
  EXPECT_GE(findings.size(), 12u);
  for (const Finding& f : findings) {
    EXPECT_EQ(f.health == Health::Ok, f.fix.empty()) << f.check;
    EXPECT_EQ(f.fix.find('\n'), std::string::npos) << f.check;
    EXPECT_FALSE(f.seen.empty()) << f.check;
  }
}

TEST_F(Doctor, Privileges) {
  file("proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n");
  EXPECT_EQ(check_privileges(machine())[0].health, Health::Ok);
  file("proc/self/status", "CapEff:\t0000000000001000\n");
  EXPECT_EQ(check_privileges(machine())[0].seen, "this user lacks CAP_NET_RAW, CAP_IPC_LOCK, CAP_SYS_ADMIN");
}

TEST_F(Doctor, Hugepages) {
  file("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n");
  file("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0\n");
  EXPECT_EQ(check_hugepages(machine())[0].health, Health::Warn);
  file("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "500\n");
  EXPECT_EQ(check_hugepages(machine())[0].seen, "512 of 2048kB (500 free)");
}

TEST_F(Doctor, NetworkCardsAndNuma) {
  card("0000:01:00.0", "vfio-pci");
  card("0000:02:00.0", "ixgbe", "1");
  file("sys/bus/pci/devices/0000:03:00.0/class", "0x030000\n");  // no network card
  const auto cards = check_network_cards(machine());
  ASSERT_EQ(cards.size(), 2u);
  EXPECT_EQ(cards[0].health, Health::Ok);
  EXPECT_EQ(cards[1].seen, "driver ixgbe");
  EXPECT_NE(cards[1].fix.find("dpdk-devbind.py --bind=vfio-pci 0000:02:00.0"), std::string::npos);
  EXPECT_EQ(check_numa(machine())[0].health, Health::Ok);
  file("sys/devices/system/node/online", "0-1\n");
  EXPECT_EQ(check_numa(machine())[0].seen, "2 nodes; 0000:01:00.0 on node 0, 0000:02:00.0 on node 1");
}

TEST_F(Doctor, IsolatedCores) {
  file("sys/devices/system/cpu/online", "0-7\n");
  EXPECT_NE(check_isolated_cores(machine())[0].fix.find("isolcpus=1-7"), std::string::npos);
  file("sys/devices/system/cpu/isolated", "2-7\n");
  EXPECT_EQ(check_isolated_cores(machine())[0].seen, "2-7 of 8");
  EXPECT_EQ(check_isolated_cores(machine())[0].health, Health::Ok);
}

TEST_F(Doctor, ClockAndTime) {
  file("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
  EXPECT_EQ(check_clock(machine())[0].health, Health::Warn);
  EXPECT_EQ(check_clock(machine())[1].health, Health::Ok);
  EXPECT_EQ(check_clock(Machine{root, false})[1].seen, "not synchronised");
  file("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
  EXPECT_EQ(check_clock(machine())[0].health, Health::Ok);
}

TEST_F(Doctor, LockedMemory) {
  file("proc/self/limits",
       "Limit  Soft Limit  Hard Limit  Units\nMax locked memory         65536                65536                bytes\n");
  EXPECT_EQ(check_locked_memory(machine())[0].seen, "65536 bytes");
  file("proc/self/limits", "Max locked memory         unlimited            unlimited            bytes\n");
  EXPECT_EQ(check_locked_memory(machine())[0].health, Health::Ok);
}

TEST_F(Doctor, PortsInUse) {
  file("proc/net/udp", "  sl  local_address rem_address   st\n   1: 0100007F:13C4 00000000:0000 07\n");
  // A connection from port 5061 is no listener; 0A is.
  file("proc/net/tcp", "  sl  local_address rem_address   st\n   0: 0100007F:13C5 0100007F:1234 01\n");
  file("proc/net/tcp6",
       "  sl  local_address rem_address   st\n   0: 00000000000000000000000000000000:13C4 00000000000000000000000000000000:0000 0A\n");
  const auto findings = check_ports(machine());
  ASSERT_EQ(findings.size(), 3u);
  EXPECT_EQ(findings[0].health, Health::Warn);  // udp 5060
  EXPECT_EQ(findings[1].health, Health::Warn);  // tcp 5060, IPv6
  EXPECT_EQ(findings[2].health, Health::Ok);    // tcp 5061
}

TEST_F(Doctor, AProcessIsFoundByItsName) {
  file("proc/self/comm", "ifgw-dataplane\n");  // not a number
  EXPECT_FALSE(process_named(root, "ifgw-dataplane").has_value());
  file("proc/17/comm", "other\n");
  file("proc/4711/comm", "ifgw-dataplane\n");
  EXPECT_EQ(process_named(root, "ifgw-dataplane"), 4711U);
  EXPECT_FALSE(process_named(root / "nowhere", "ifgw-dataplane").has_value());
}

TEST_F(Doctor, Modules) {
  EXPECT_EQ(check_modules(machine())[0].health, Health::Fail);
  file("dev/net/tun", "");
  const auto findings = check_modules(machine());
  ASSERT_EQ(findings.size(), 2u) << "of each it can say what needs it";
  EXPECT_EQ(findings[0].health, Health::Ok);
  EXPECT_EQ(findings[1].health, Health::Warn);
}

}  // namespace
}  // namespace ifgw::cli
