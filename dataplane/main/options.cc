#include "dataplane/main/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <set>

#include "dataplane/nodes/exception.h"

namespace ifgw::dataplane {
namespace {

// "name=rest".
std::pair<std::string, std::string> split_name(const std::string& option, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    throw CLI::ValidationError(option, "\"" + text + "\" must be NAME=VALUE");
  return {text.substr(0, equals), text.substr(equals + 1)};
}

// "DEVICE,vlan=10,ARGUMENTS" without what is not the driver's.
std::string take_vlan(const std::string& device, std::uint16_t& vlan) {
  static const std::string kKey = ",vlan=";
  const auto at = device.find(kKey);
  if (at == std::string::npos) return device;
  const auto end = std::min(device.find(',', at + 1), device.size());
  const std::string text = device.substr(at + kKey.size(), end - at - kKey.size());
  if (!CLI::detail::lexical_cast(text, vlan) || vlan < 1 || vlan > 4094)
    throw CLI::ValidationError("--port", "\"" + device + "\": vlan must be 1..4094");
  return device.substr(0, at) + device.substr(end);
}

void add_port(Options& options, const std::string& text) {
  const auto [name, device] = split_name("--port", text);
  runtime::PortConfig port;
  port.name = name;
  port.device = take_vlan(device, port.vlan);
  options.ports.push_back(port);
}

// The network's own address, or its broadcast (RFC 1812 section 4.2.2.11); networks of two or one have neither (RFC 3021).
bool means_all(const IpAddress& address, int prefix_length) noexcept {
  if (!address.is_v4() || prefix_length > 30) return false;
  const std::uint32_t hosts = 0xFFFF'FFFFu >> prefix_length;
  const std::uint32_t host = address.v4_host_order() & hosts;
  return host == 0 || host == hosts;
}

void add_address(Options& options, const std::string& text) {
  const auto [name, value] = split_name("--address", text);
  const auto slash = value.find('/');
  const auto address = IpAddress::parse(value.substr(0, slash));
  if (!address || slash == std::string::npos)
    throw CLI::ValidationError("--address", "\"" + text + "\" must be PORT=ADDRESS/PREFIXLENGTH, as in outside=192.0.2.1/24");
  const int longest = address->is_v4() ? 32 : 128;
  int length = -1;
  if (!CLI::detail::lexical_cast(value.substr(slash + 1), length) || length < 1 || length > longest)
    throw CLI::ValidationError("--address", "\"" + text + "\": prefix length must be 1.." + std::to_string(longest));
  if (is_martian(*address) || means_all(*address, length))
    throw CLI::ValidationError("--address", "\"" + text +
                                                "\": must be an address that a packet may come from: none that is multicast, loopback, "
                                                "unspecified or broadcast, nor the network's own");
  options.addresses.push_back({name, *address, static_cast<std::uint8_t>(length)});
}

void add_media_ports(Options& options, const std::string& text) {
  const auto dash = text.find('-');
  int first = 0;
  int last = 0;
  if (dash == std::string::npos || !CLI::detail::lexical_cast(text.substr(0, dash), first) ||
      !CLI::detail::lexical_cast(text.substr(dash + 1), last) || first < 1024 || last > 65535 || first >= last || first % 2 != 0 ||
      last % 2 != 1)
    throw CLI::ValidationError("--media-ports",
                               "\"" + text + "\" must be FIRST-LAST within 1024-65535, FIRST even and LAST odd (RTP even, RTCP odd)");
  options.engine.first_media_port = static_cast<std::uint16_t>(first);
  options.engine.last_media_port = static_cast<std::uint16_t>(last);
}

}  // namespace

ParsedOptions parse_options(int argc, const char* const* argv) {
  ParsedOptions parsed;
  Options& o = parsed.options;
  o.engine.sip_udp_ports = {5060};
  o.engine.signalling_tcp_ports = {5060, 5061};
  std::uint16_t mtu = 1500;
  std::uint32_t late_us = 60'000;
  CLI::App app{"Packets of ifgw: relays and transcodes RTP, limits signalling, on poll-mode queues."};
  app.set_version_flag("--version", "ifgw-dataplane " IFGW_VERSION);
  app.set_config("--config", "", "read settings from this file (TOML: one line per option, without the dashes)");
  app.add_option_function<std::vector<std::string>>(
         "--port",
         [&](const auto& all) {
           for (const auto& text : all) add_port(o, text);
         },
         "NAME=DEVICE[,vlan=ID]: a PCI address (0000:17:00.0) or a virtual device (net_af_packet0,iface=eth1); with vlan, its frames "
         "of that VLAN. Repeatable, also with one device and other VLANs")
      ->required()
      ->delimiter('\0');
  app.add_option_function<std::vector<std::string>>(
         "--address",
         [&](const auto& all) {
           for (const auto& text : all) add_address(o, text);
         },
         "PORT=ADDRESS/LENGTH: an address of the gateway behind that port. Repeatable, at most 8")
      ->required();
  app.add_flag("!--no-exception", o.exception, "no kernel interfaces: no ARP, no TCP (benches)");
  app.add_option("--exception-netns", o.exception_netns, "move the kernel interfaces (ifgw-PORT) to this network namespace file");
  const std::map<std::string, runtime::MemoryChoice> memory{
      {"auto", runtime::MemoryChoice::Auto}, {"hugepages", runtime::MemoryChoice::HugePages}, {"none", runtime::MemoryChoice::None}};
  app.add_option("--memory", o.memory, "auto, hugepages or none")->transform(CLI::CheckedTransformer(memory));
  app.add_option("--packet-buffers", o.packet_buffers, "packet buffers in all; without it as many as ports and workers can hold at once")
      ->check(CLI::Range(1'023, 4'194'303));
  app.add_option("--workers", o.workers, "poll loops, each with a queue of every port")->check(CLI::Range(1, 32))->capture_default_str();
  app.add_option("--cpus", o.cpus, "CPU of each worker, as in 2,3 (default: not pinned)")->delimiter(',');
  app.add_flag("--busy-poll", o.busy_poll, "never sleep: lowest latency, one whole CPU per worker");
  app.add_flag("!--no-syscall-filter", o.syscall_filter, "do not restrict system calls after start");
  app.add_option("--socket", o.socket, "Unix socket the control plane attaches to")->capture_default_str();
  app.add_option("--socket-mode", o.socket_mode, "its file mode, octal")
      ->check([](const std::string& t) {
        return t.empty() || t.size() > 4 || t.find_first_not_of("01234567") != std::string::npos ? "must be octal, as in 0660"
                                                                                                 : std::string();
      })
      ->capture_default_str();
  app.add_option("--allow-user", o.allow_user, "user (name or id) that may attach, besides root and ourselves")->capture_default_str();
  app.add_option("--user", o.user, "user to become after start, when started as root")->capture_default_str();
  app.add_option("--mtu", mtu, "of all ports; above 1500 only with --no-exception")->check(CLI::Range(576, 9000))->capture_default_str();
  app.add_option_function<std::string>(
      "--media-ports", [&](const std::string& text) { add_media_ports(o, text); }, "FIRST-LAST, UDP (default 16384-32767)");
  app.add_option("--sip-udp-port", o.engine.sip_udp_ports, "UDP ports whose datagrams go to the control plane (default 5060)")
      ->delimiter(',')
      ->check(CLI::Range(1, 65535));
  app.add_option("--signalling-tcp-port", o.engine.signalling_tcp_ports, "TCP ports the limiter watches (default 5060,5061)")
      ->delimiter(',')
      ->check(CLI::Range(1, 65535));
  app.add_option("--max-legs", o.engine.max_legs, "legs per worker at once; 0: as many as there are ports")->capture_default_str();
  o.engine.transcoding_mb = 32;
  app.add_option("--transcoding-mb", o.engine.transcoding_mb,
                 "memory for transcoders, per worker, MB (a call with Opus at one end takes 80 kB, others 16 to 24)")
      ->check(CLI::Range(0, 65'536))
      ->capture_default_str();
  app.add_option(
         "--max-load", o.engine.max_load_percent,
         "percent of a worker's time that calls may be promised; more are refused. Above 100: it is overbooked. 0: none is refused for it")
      ->check(CLI::Range(0, 400))
      ->capture_default_str();
  app.add_flag("!--no-measure", o.measure_costs,
               "do not measure at start what each pair of codecs costs: go by figures of another machine");
  app.add_option("--late-us", late_us,
                 "audio that waits longer to be transcoded is given up: that of the newest calls, costly codecs first, us")
      ->check(CLI::Range(100, 1'000'000))
      ->capture_default_str();
  app.add_option("--limiter-sources", o.engine.limiter_sources, "sources counted at once, per worker")
      ->check(CLI::Range(1'024, 16'777'216))
      ->capture_default_str();
  app.add_option("--limiter-max-requests", o.engine.limiter_max_requests, "highest per-source limit that can be set later")
      ->check(CLI::Range(1, 255))
      ->capture_default_str();
  app.add_option("--limiter-prefix-requests", o.engine.prefix_stamps,
                 "requests of all prefixes and route targets with a budget together, per worker, 8 bytes each")
      ->check(CLI::Range(1'000, 64'000'000))
      ->capture_default_str();
  app.add_option("--exception-pps", o.exception_pps,
                 "packets per second to the kernel that no limiter counts, per worker: so many of ARP, ICMP and the rest, and as many of "
                 "TCP connections to signalling ports")
      ->check(CLI::Range(100, 10'000'000))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    parsed.exit_status = code == 0 ? 0 : 2;
    return parsed;
  }
  o.engine.mtu = mtu;
  o.engine.late = std::chrono::microseconds(late_us);
  o.engine.worker_count = static_cast<std::uint8_t>(o.workers);
  for (runtime::PortConfig& port : o.ports) {
    port.mtu = mtu;
    port.queues = o.workers;
  }
  for (const AddressOption& address : o.addresses) o.engine.local_addresses.push_back(address.address);
  return parsed;
}

Status check_options(const Options& options) {
  std::set<std::string> names;
  std::map<std::pair<std::string, std::uint16_t>, std::string> ports_of_devices;
  std::map<std::string, const runtime::PortConfig*> devices;
  for (const runtime::PortConfig& port : options.ports) {
    if (port.name.size() > 10 || port.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") != std::string::npos)
      return Error{"--port " + port.name + ": a name has 1 to 10 small letters and digits (the kernel interface is called ifgw-NAME)"};
    if (!names.insert(port.name).second) return Error{"--port " + port.name + ": this name is given twice"};
    const std::string device = runtime::device_name(port.device);
    const auto [other, first] = ports_of_devices.emplace(std::pair(device, port.vlan), port.name);
    if (!first)
      return Error{"--port " + port.name + "=" + port.device + ": port " + other->second + " has this device" +
                   (port.vlan != 0 ? " and VLAN" : "") + ": a port needs a device, or a VLAN of it, of its own"};
    const runtime::PortConfig& opened = *devices.emplace(device, &port).first->second;
    const auto arguments = [](const std::string& text) { return text.substr(std::min(text.find(','), text.size())); };
    if (arguments(opened.device) != arguments(port.device))
      return Error{"--port " + port.name + "=" + port.device + ": port " + opened.name + " opens the same device as " + opened.device +
                   ": give both the same arguments"};
  }
  if (options.ports.size() > api::kMaxPorts) return Error{"--port: at most " + std::to_string(api::kMaxPorts) + " ports"};
  for (const AddressOption& address : options.addresses)
    if (names.count(address.port) == 0)
      return Error{"--address " + address.port + "=" + address.address.text() + ": there is no --port " + address.port};
  if (options.exception && options.engine.mtu > nodes::kKernelMtu)
    return Error{"--mtu " + std::to_string(options.engine.mtu) + ": the kernel interfaces take at most " +
                 std::to_string(nodes::kKernelMtu) + ": give so much, or --no-exception"};
  if (!options.cpus.empty() && options.cpus.size() != options.workers)
    return Error{"--cpus names " + std::to_string(options.cpus.size()) + " CPUs, but --workers is " + std::to_string(options.workers) +
                 ": give one each"};
  return engine::check_config(options.engine);
}

Status check_cpus(const std::vector<int>& cpus, const std::vector<int>& usable) {
  for (const int cpu : cpus) {
    if (std::find(usable.begin(), usable.end(), cpu) != usable.end()) continue;
    std::string list;
    for (const int one : usable) list += (list.empty() ? "" : ",") + std::to_string(one);
    return Error{"--cpus " + std::to_string(cpu) + ": there is no such CPU, or this process may not run on it: it may on " + list};
  }
  return Success{};
}

}  // namespace ifgw::dataplane
