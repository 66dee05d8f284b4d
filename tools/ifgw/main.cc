// ifgw: the operator's tool. Speaks the admin protocol only; `doctor` and `codec matrix` look at the machine and need no
// daemon.
//
// Exit: 0 done, 1 failed (also: doctor found a FAIL), 2 usage.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "codecs/base/ip.h"
#include "controlplane/admin/protocol.h"
#include "tools/ifgw/capture.h"
#include "tools/ifgw/client.h"
#include "tools/ifgw/commands.h"
#include "tools/ifgw/doctor.h"
#include "tools/ifgw/matrix.h"

namespace ifgw::cli {
namespace {

struct Options {
  std::string socket{admin::kDefaultSocket};
  bool json = false;
  double watch_s = 0;
  std::string command;
  Json args = Json::object();
  bool other = false;  // the other table of a command that has two
  bool flag = false;
  std::uint64_t rows = admin::kDefaultRows;
  std::uint64_t number = 0;
  unsigned rounds = 20;
  std::string text;
  std::string leg;
  std::string file;
};

int doctor(bool json) {
  const std::vector<Finding> findings = examine(Machine{"/", clock_is_synchronised()});
  constexpr std::array<std::string_view, 3> names{"OK", "WARN", "FAIL"};
  Json rows = Json::array();
  bool failed = false;
  for (const Finding& f : findings) {
    failed |= f.health == Health::Fail;
    rows.push_back({{"health", names[static_cast<std::size_t>(f.health)]},
                    {"check", f.check},
                    {"seen", f.seen},
                    {"fix", f.fix.empty() ? Json(nullptr) : Json(f.fix)}});
  }
  if (json) {
    std::printf("%s\n", rows.dump(2).c_str());
    return failed ? 1 : 0;
  }
  for (const Json& row : rows) {
    std::printf("%-4s  %-18s  %s\n", cell(row["health"]).c_str(), cell(row["check"]).c_str(), row["seen"].get<std::string>().c_str());
    if (!row["fix"].is_null()) std::printf("      %-18s  fix: %s\n", "", row["fix"].get<std::string>().c_str());
  }
  return failed ? 1 : 0;
}

int print(const Options& o, const Json& result) {
  const std::string text = o.json ? result.dump(2, ' ', false, Json::error_handler_t::replace) + "\n" : show(o.command, o.other, result);
  (void)std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

int matrix(const Options& o) {
  if (const auto running = process_named("/", "ifgw-dataplane"))
    std::fprintf(stderr,
                 "ifgw: a dataplane is running here (pid %llu): it takes part of what is measured, and this takes part of its time\n",
                 static_cast<unsigned long long>(*running));
  const auto costs = ask(o.socket, "core show", {{"costs", true}});
  return print(o, codec_matrix(o.rounds, costs.ok() ? *costs : Json()));
}

int once(const Options& o) {
  const auto result = ask(o.socket, o.command, o.args);
  if (result.ok()) return print(o, *result);
  std::fprintf(stderr, "ifgw: %s\n", result.error().message.c_str());
  return static_cast<int>(result.error().position);
}

int capture_file(const Options& o) {
  CaptureOptions options{o.socket, o.file, o.json, o.args};
  if (options.file.empty() && isatty(STDOUT_FILENO) != 0) {
    std::fprintf(stderr, "ifgw: a capture is no text for a terminal: write it with -o FILE, or pipe it (ifgw capture ... | tshark -r -)\n");
    return 2;
  }
  if (options.file.empty()) options.file = "-";
  return capture(options);
}

int run(const Options& o) {
  if (o.command == "doctor") return doctor(o.json);
  if (o.command == "codec matrix") return matrix(o);
  if (o.command == "capture") return capture_file(o);
  if (o.watch_s <= 0) return once(o);
  for (;;) {
    if (!o.json) std::printf("\033[H\033[2J");
    if (const int code = once(o); code != 0) return code;
    std::this_thread::sleep_for(std::chrono::duration<double>(o.watch_s));
  }
}

CLI::App* noun(CLI::App& app, const char* name, const char* text) {
  CLI::App* sub = app.add_subcommand(name, text);
  sub->require_subcommand(1);
  return sub;
}

// A verb that sets `command`; the caller adds its arguments.
CLI::App* verb(CLI::App* parent, const char* name, const char* text, Options& o, const std::string& command) {
  CLI::App* sub = parent->add_subcommand(name, text);
  sub->final_callback([&o, command] { o.command = command; });
  return sub;
}

void add_calls(CLI::App& app, Options& o) {
  CLI::App* calls = noun(app, "calls", "calls: show, latency, kill");
  CLI::App* show = verb(calls, "show", "the calls there are", o, "calls show");
  show->add_flag("--ended", o.other, "those that ended last, and why");
  show->add_option("-n,--rows", o.rows, "at most so many rows")->check(CLI::Range(std::size_t{1}, admin::kMaxRows));
  verb(calls, "latency", "how long its packets are inside, beside what its worker measured of all calls", o, "calls latency")
      ->add_option("CALL", o.number, "number of the call (ifgw calls show)")
      ->required();
  CLI::App* kill = verb(calls, "kill", "end a call", o, "calls kill");
  kill->add_option("CALL", o.number, "number of the call (ifgw calls show)")->required();
}

void add_pike(CLI::App& app, Options& o) {
  const CLI::Validator address{[](const std::string& text) { return IpAddress::parse(text) ? "" : "\"" + text + "\" is no IP address"; },
                               "ADDRESS"};
  const CLI::Validator prefix{[](const std::string& text) {
                                return IpPrefix::parse(text) ? "" : "\"" + text + "\" is no prefix like 192.0.2.0/24 (host bits zero)";
                              },
                              "PREFIX"};
  CLI::App* pike = noun(app, "pike", "the limiter of sources: show, block, unblock, exempt");
  CLI::App* show = verb(pike, "show", "the sources it counts", o, "pike show");
  CLI::Option* blocked = show->add_flag("--blocked", o.flag, "only those that are blocked");
  show->add_flag("--prefixes", o.other, "the prefixes with a budget or an exemption instead")->excludes(blocked);
  show->add_option("-n,--rows", o.rows, "at most so many rows")->check(CLI::Range(std::size_t{1}, admin::kMaxRows));
  CLI::App* block = verb(pike, "block", "refuse everything of a source", o, "pike block");
  block->add_option("ADDRESS", o.text)->required()->check(address);
  block->add_option("--for", o.number, "seconds; 0: until unblocked")->check(CLI::Range(0, 86400));
  verb(pike, "unblock", "let a source in again, with a full budget", o, "pike unblock")
      ->add_option("ADDRESS", o.text)
      ->required()
      ->check(address);
  CLI::App* exempt = verb(pike, "exempt", "count, but never refuse a prefix", o, "pike exempt");
  exempt->add_option("PREFIX", o.text)->required()->check(prefix);
  exempt->add_flag("--remove", o.flag, "take the exemption back");
}

void add_tables(CLI::App& app, Options& o) {
  CLI::App* legs = verb(noun(app, "legs", "media legs: show"), "show", "media legs with their counters", o, "legs show");
  legs->add_option("-n,--rows", o.rows, "at most so many rows")->check(CLI::Range(std::size_t{1}, admin::kMaxRows));
  verb(noun(app, "core", "worker cores: show"), "show", "load and latency of each worker", o, "core show")
      ->add_flag("--pairs", o.other, "latency of each pair of codecs instead");
  (void)verb(noun(app, "port", "network ports: show"), "show", "ports with their counters", o, "port show");
  verb(noun(app, "codec", "codecs: matrix"), "matrix",
       "what each pair of codecs costs on this machine, measured now, and what the gateway measured if it runs", o, "codec matrix")
      ->add_option("--rounds", o.rounds, "measurements of each pair; the least counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  CLI::App* drops = verb(noun(app, "drops", "dropped packets: show"), "show", "dropped packets by reason", o, "drops show");
  drops->add_flag("--all", o.flag, "also reasons without a packet");
}

void add_capture(CLI::App& app, Options& o) {
  const CLI::Validator prefix{
      [](const std::string& text) {
        return IpPrefix::parse(text) ? "" : "\"" + text + "\" is no address or prefix like 192.0.2.0/24 (host bits zero)";
      },
      "ADDRESS[/LENGTH]"};
  CLI::App* capture =
      verb(&app, "capture", "packets of one leg or one source as a pcapng file, with the reason of each drop", o, "capture");
  CLI::Option_group* what = capture->add_option_group("what", "one of");
  what->add_option("--leg", o.leg, "a media leg (ifgw legs show): its RTP and RTCP, both ways");
  what->add_option("--source", o.text, "what comes from these addresses and goes to them")->check(prefix);
  what->require_option(1);
  capture
      ->add_option_function<std::uint64_t>(
          "--seconds", [&o](std::uint64_t n) { o.args["seconds"] = n; }, "end after so long (30, or [capture] max_seconds)")
      ->check(CLI::Range(1, 3600));
  capture
      ->add_option_function<std::string>(
          "--bytes", [&o](const std::string& text) { o.args["bytes"] = *parse_size(text); },
          "end at this size of the file, like 64K, 10M, 1G (10M, or [capture] max_bytes)")
      ->check(CLI::Validator{
          [](const std::string& text) { return parse_size(text) ? "" : "\"" + text + "\" is no size like 64K, 10M, 1G"; }, "SIZE"});
  capture->add_flag("--headers-only", o.flag, "no payload, whatever [capture] payload allows");
  capture->add_option("-o,--output", o.file, "file to write (default: standard output)");
}

// What the options mean to the command that was chosen.
void fill_args(Options& o) {
  if (o.command.ends_with("show")) o.args["limit"] = o.rows;
  if (o.command == "calls show") o.args["ended"] = o.other;
  if (o.command == "calls kill" || o.command == "calls latency") o.args["call"] = o.number;
  if (o.command == "core show") o.args["pairs"] = o.other;
  if (o.command == "pike show") o.args.update({{"blocked", o.flag}, {"prefixes", o.other}});
  if (o.command == "pike block") o.args = {{"source", o.text}, {"duration_s", o.number}};
  if (o.command == "pike unblock") o.args = {{"source", o.text}};
  if (o.command == "pike exempt") o.args = {{"prefix", o.text}, {"remove", o.flag}};
  if (o.command == "drops show") o.args["all"] = o.flag;
  if (o.command == "capture") {
    o.args["headers_only"] = o.flag;
    if (!o.leg.empty()) o.args["leg"] = o.leg;
    if (!o.text.empty()) o.args["source"] = o.text;
  }
}

}  // namespace
}  // namespace ifgw::cli

int main(int argc, char** argv) {
  using namespace ifgw::cli;
  CLI::App app{"ifgw: look at the gateway and operate it"};
  Options options;
  app.require_subcommand(1);
  // Said first, or a mistyped command would be answered by "a subcommand is required".
  app.failure_message([](const CLI::App* parsed, const CLI::Error& error) {
    const std::vector<std::string> unknown = parsed->remaining(true);
    const std::string what = unknown.empty() ? std::string{error.what()} : "unknown: " + unknown.front();
    return "ifgw: " + what + "\nSee ifgw --help, or ifgw COMMAND --help.\n";
  });
  app.fallthrough();  // -j and -s may follow the command
  app.add_option("-s,--socket", options.socket, "admin socket")->capture_default_str();
  app.add_flag("-j,--json", options.json, "JSON instead of tables");
  app.add_option("-w,--watch", options.watch_s, "repeat every so many seconds")->check(CLI::Range(0.1, 3600.0));
  (void)verb(&app, "status", "the gateway in one page", options, "status");
  (void)verb(&app, "doctor", "is this machine fit to run the gateway? (needs no daemon)", options, "doctor");
  add_calls(app, options);
  add_tables(app, options);
  add_pike(app, options);
  add_capture(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  fill_args(options);
  return run(options);
}
