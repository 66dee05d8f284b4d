// ifgw-dataplane: options, then the runtime, in an explicit order. See dataplane/README.md.
#include <sched.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "codecs/base/check.h"
#include "dataplane/engine/pair_probe.h"
#include "dataplane/main/options.h"
#include "dataplane/runtime/dataplane.h"

namespace {

using ifgw::Error;
using ifgw::Result;

void log_line(const std::string& line) {
  const std::string whole = "ifgw-dataplane: " + line + "\n";
  std::fputs(whole.c_str(), stderr);
}

int fail(const Error& error) {
  log_line(error.message);
  return 1;
}

// The CPUs the process may run on.
std::vector<int> usable_cpus() {
  std::vector<int> usable;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return usable;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) usable.push_back(cpu);
  return usable;
}

// The service manager's socket (sd_notify(3)), opened before system calls are restricted; none when not run by one.
ifgw::runtime::Fd open_notify_socket() {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == nullptr || std::strlen(path) >= sizeof address.sun_path) return {};
  std::strcpy(address.sun_path, path);
  if (path[0] == '@') address.sun_path[0] = '\0';
  ifgw::runtime::Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return {};
  return fd;
}

void notify(const ifgw::runtime::Fd& fd, const char* state) {
  if (fd) (void)!write(fd.get(), state, std::strlen(state));
}

std::uint64_t thread_cpu_ns() noexcept {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

// What admission goes by: half a second, before anything is polled.
void measure_costs(ifgw::engine::EngineConfig& config) {
  const ifgw::engine::PairCosts measured = ifgw::engine::measure_pairs(thread_cpu_ns, 3);
  std::size_t dearest = 0;
  for (std::size_t pair = 0; pair < measured.size(); ++pair) {
    if (measured[pair] > 0) config.pair_costs_ns[pair] = static_cast<std::uint32_t>(std::min(measured[pair] + 1, 1e9));
    if (measured[pair] > measured[dearest]) dearest = pair;
  }
  log_line("codecs: measured; 20 ms of the dearest pair take " + std::to_string(config.pair_costs_ns[dearest] / 1000) +
           " us (ifgw codec matrix)");
}

Result<ifgw::runtime::DataplaneSetup> make_setup(const ifgw::dataplane::Options& options) {
  ifgw::runtime::DataplaneSetup setup;
  setup.version = IFGW_VERSION;
  setup.ports = options.ports;
  for (const auto& address : options.addresses) setup.addresses.push_back({address.port, address.address, address.prefix_length});
  setup.exception = options.exception;
  setup.exception_netns = options.exception_netns;
  setup.packet_buffers = options.packet_buffers;
  setup.cpus = options.cpus;
  setup.busy_poll = options.busy_poll;
  setup.syscall_filter = options.syscall_filter;
  setup.exception_pps = options.exception_pps;
  setup.log = log_line;
  setup.engine = options.engine;
  // Fresh on every start: sources cannot aim at a bucket, and leg ids of an earlier run mean nothing.
  if (getrandom(&setup.engine.hash_key, sizeof setup.engine.hash_key, 0) < 0 ||
      getrandom(&setup.engine.first_generation, sizeof setup.engine.first_generation, 0) < 0)
    return Error{std::string("getrandom: ") + std::strerror(errno)};
  const auto user = ifgw::runtime::find_user(options.user);
  if (!user) return Error{"--user: " + user.error().message};
  const auto allowed = ifgw::runtime::find_user(options.allow_user);
  if (!allowed) return Error{"--allow-user: " + allowed.error().message};
  setup.user = *user;
  setup.attach.socket_path = options.socket;
  setup.attach.socket_mode = static_cast<mode_t>(std::stoul(options.socket_mode, nullptr, 8));
  setup.attach.allowed_uid = allowed->uid;
  setup.attach.socket_group = allowed->gid;
  return setup;
}

}  // namespace

int main(int argc, char** argv) {
  ifgw::set_check_handler([](const char* expression, const char* file, int line) noexcept {
    std::fprintf(stderr, "ifgw-dataplane: internal error: %s does not hold (%s:%d); please report this\n", expression, file, line);
  });
  const auto parsed = ifgw::dataplane::parse_options(argc, argv);
  if (parsed.exit_status >= 0) return parsed.exit_status;
  const auto& options = parsed.options;
  if (const auto checked = ifgw::dataplane::check_options(options); !checked) return fail(checked.error()), 2;
  if (const auto checked = ifgw::dataplane::check_cpus(options.cpus, usable_cpus()); !checked) return fail(checked.error()), 2;

  // Before any thread exists, so that all inherit it: the main thread alone takes these signals, by descriptor.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const ifgw::runtime::Fd stop(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));

  auto setup = make_setup(options);
  if (!setup) return fail(setup.error());
  ifgw::runtime::EalRequest request;
  request.memory = options.memory;
  request.memory_mb = ifgw::runtime::Dataplane::required_memory_mb(*setup);
  for (const auto& port : options.ports)
    if (auto address = ifgw::runtime::pci_address(port.device)) request.pci_addresses.push_back(std::move(*address));
  const auto profile = ifgw::runtime::choose_eal_profile(request, ifgw::runtime::read_huge_page_supply("/sys"));
  if (!profile) return fail(profile.error());
  log_line("memory: " + profile->reason);
  setup->hugepages = profile->hugepages;
  if (options.measure_costs && options.engine.transcoding_mb != 0) measure_costs(setup->engine);
  if (const auto started = ifgw::runtime::start_eal(*profile); !started) return fail(started.error());
  const auto service_manager = open_notify_socket();
  auto dataplane = ifgw::runtime::Dataplane::start(std::move(setup).value());
  if (!dataplane) return fail(dataplane.error());
  notify(service_manager, "READY=1");
  log_line("ready: control plane may attach at " + options.socket);
  (*dataplane)->run(stop.get());
  notify(service_manager, "STOPPING=1");
  log_line("stopping");
  return 0;
}
