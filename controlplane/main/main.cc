// ifgw-controlplane: reads its configuration, starts in a stated order, runs the event loop, ends on SIGTERM.
//
// Exit: 0 ended as asked, 1 could not start or run, 2 usage or configuration.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string_view>

#include "codecs/base/check.h"
#include "controlplane/main/config_file.h"
#include "controlplane/main/gateway.h"
#include "controlplane/main/notify.h"
#include "controlplane/main/open_files.h"
#include "controlplane/main/version.h"

namespace ifgw::control {
namespace {

using adapters::log_line;
using adapters::LogSeverity;

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr std::string_view kRootWarning =
    "runs as root, which it does not need: start it as a user of its own (User= in the service, or setpriv --reuid USER --regid GROUP "
    "--clear-groups) whom the dataplane's --allow-user names; ports below 1024 need CAP_NET_BIND_SERVICE";
constexpr Duration kStopTime = std::chrono::seconds{5};  // for parties to answer our BYE

void report_check(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "ifgw-controlplane: check failed: %s at %s:%d; this is a defect of the program\n", expression, file, line);
}

std::optional<config::Config> load(const std::string& path) {
  const Result<std::string> text = read_config_file(path);
  if (!text.ok()) {
    std::fprintf(stderr, "%s\n", text.error().message.c_str());
    return std::nullopt;
  }
  config::Loaded loaded = config::parse_config(*text, path);
  if (const auto* problems = std::get_if<std::vector<std::string>>(&loaded)) {
    for (const std::string& line : *problems) std::fprintf(stderr, "%s\n", line.c_str());
    return std::nullopt;
  }
  return std::get<config::Config>(std::move(loaded));
}

LogSeverity severity(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::Debug: return LogSeverity::Debug;
    case config::LogLevel::Info: return LogSeverity::Info;
    case config::LogLevel::Warning: return LogSeverity::Warning;
    case config::LogLevel::Error: return LogSeverity::Error;
  }
  return LogSeverity::Info;
}

// Runs until the calls have ended or the time for it is over.
void drain(adapters::EventLoop& loop, Gateway& gateway) {
  const Instant until = loop.now() + kStopTime;
  gateway.stop(loop.now());
  while (!gateway.idle() && loop.now() < until) {
    if (!loop.run_once(std::min<Duration>(until - loop.now(), std::chrono::milliseconds{100})).ok()) return;
  }
  if (!gateway.idle()) log_line(LogSeverity::Warning, "stopped with calls whose parties did not answer in time");
}

int run(config::Config config) {
  adapters::start_log(severity(config.log_level));
  if (geteuid() == 0) log_line(LogSeverity::Warning, kRootWarning);
  auto loop = adapters::EventLoop::create();
  if (!loop.ok()) {
    log_line(LogSeverity::Error, loop.error().message);
    return kFailed;
  }
  Gateway* gateway = nullptr;
  Status signals = (*loop)->handle_signals({SIGTERM, SIGINT, SIGHUP}, [&](int signal, Instant) {
    if (signal == SIGHUP && gateway != nullptr) return gateway->reopen_files();
    (*loop)->stop();
  });
  if (!signals.ok()) {
    log_line(LogSeverity::Error, signals.error().message);
    return kFailed;
  }
  std::signal(SIGPIPE, SIG_IGN);
  if (const Status files = raise_open_files(config); !files.ok()) {
    log_line(LogSeverity::Error, "cannot start: " + files.error().message);
    return kFailed;
  }
  auto started = Gateway::start(**loop, std::move(config));
  if (!started.ok()) {
    log_line(LogSeverity::Error, "cannot start: " + started.error().message);
    return kFailed;
  }
  gateway = started->get();
  (*loop)->at_end_of_round([gateway, told = false](Instant) mutable {
    if (told || !gateway->ready()) return;
    told = true;
    log_line(LogSeverity::Info, "ready: " + gateway->summary());
    notify_systemd("READY=1");
  });
  (*loop)->defer([](Instant) {});  // the first round does not wait: it may be ready already
  const Status ended = (*loop)->run();
  notify_systemd("STOPPING=1");
  if (!ended.ok()) {
    log_line(LogSeverity::Error, ended.error().message);
    return kFailed;
  }
  log_line(LogSeverity::Info, "stopping: ending the calls");
  drain(**loop, *gateway);
  return 0;
}

}  // namespace
}  // namespace ifgw::control

int main(int argc, char** argv) {
  using namespace ifgw;
  set_check_handler(control::report_check);
  CLI::App app{"ifgw-controlplane: the signalling half of the ifgw gateway"};
  std::string path;
  bool check_only = false;
  app.add_option("-c,--config", path, "configuration file (TOML)")->required();
  app.add_flag("--check", check_only, "check the configuration and exit");
  app.set_version_flag("--version", std::string{control::kVersion});
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : control::kUsage;
  }
  auto config = control::load(path);
  if (!config) return control::kUsage;
  if (check_only) return 0;
  try {
    return control::run(*std::move(config));
  } catch (const std::exception& error) {  // out of memory, in effect
    std::fprintf(stderr, "ifgw-controlplane: %s\n", error.what());
    return control::kFailed;
  }
}
