#include "dataplane/main/options.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace ifgw::dataplane {
namespace {

ParsedOptions parse(std::vector<const char*> words) {
  words.insert(words.begin(), "ifgw-dataplane");
  return parse_options(static_cast<int>(words.size()), words.data());
}

TEST(Options, PortsAndAddressesByName) {
  const auto parsed = parse({"--port", "out=net_af_packet0,iface=eth1,qpairs=2", "--port", "in=0000:17:00.0", "--address",
                             "out=192.0.2.1/24", "--address", "in=2001:db8::1/64", "--workers", "2", "--media-ports", "20000-20099"});
  ASSERT_EQ(parsed.exit_status, -1);
  const Options& o = parsed.options;
  ASSERT_EQ(o.ports.size(), 2u);
  EXPECT_EQ(o.ports[0].device, "net_af_packet0,iface=eth1,qpairs=2") << "commas belong to the device";
  EXPECT_EQ(o.ports[1].queues, 2);
  ASSERT_EQ(o.engine.local_addresses.size(), 2u);
  EXPECT_EQ(o.addresses[1].prefix_length, 64);
  EXPECT_EQ(o.engine.last_media_port, 20099);
  EXPECT_TRUE(check_options(o));
}

TEST(Options, DevicesByTheNamesDpdkHasForThem) {
  EXPECT_EQ(runtime::pci_address("0000:17:00.0"), "0000:17:00.0");
  EXPECT_EQ(runtime::pci_address("AF:1e.7"), "0000:af:1e.7") << "lspci and people leave out the domain";
  for (const char* device : {"net_null0", "17:00", "17:00.8", "0000:17:00.0,x=1", "00000:17:00.0", ""})
    EXPECT_FALSE(runtime::pci_address(device)) << device;
  EXPECT_EQ(runtime::device_name("17:00.0"), "0000:17:00.0");
  EXPECT_EQ(runtime::device_name("net_af_packet0,iface=eth1"), "net_af_packet0");
}

TEST(Options, SameNamesInAFile) {
  const auto file = std::filesystem::temp_directory_path() / ("ifgw-options-" + std::to_string(getpid()));
  std::ofstream(file) << "port = \"out=net_null0\"\naddress = \"out=192.0.2.1/24\"\nbusy-poll = true\n";
  const auto parsed = parse({"--config", file.c_str()});
  std::filesystem::remove(file);
  ASSERT_EQ(parsed.exit_status, -1);
  EXPECT_TRUE(parsed.options.busy_poll);
  EXPECT_EQ(parsed.options.ports.at(0).name, "out");
}

TEST(Options, WrongValuesAreUsageErrors) {
  for (const std::vector<const char*>& more : std::vector<std::vector<const char*>>{{"--media-ports", "20001-30000"},
                                                                                    {"--media-ports", "20000-70001"},
                                                                                    {"--media-ports", "x"},
                                                                                    {"--workers", "33"},
                                                                                    {"--socket-mode", "9"},
                                                                                    {"--mtu", "100"},
                                                                                    {"--sip-udp-port", "70000"},
                                                                                    {"--memory", "lots"},
                                                                                    {"--max-load", "401"},
                                                                                    {"--late-us", "99"},
                                                                                    {"--nosuch"}}) {
    std::vector<const char*> words{"--port", "out=net_null0", "--address", "out=192.0.2.1/24"};
    words.insert(words.end(), more.begin(), more.end());
    testing::internal::CaptureStderr();
    EXPECT_EQ(parse(words).exit_status, 2) << more[0];
    EXPECT_NE(testing::internal::GetCapturedStderr().find(std::string(more[0]).substr(0, 8)), std::string::npos)
        << "the message names the setting";
  }
}

TEST(Options, AddressesThatNoHostCanHave) {
  for (const char* address : {"a=224.0.0.1/8", "a=127.0.0.1/8", "a=0.0.0.0/8", "a=255.255.255.255/32", "a=240.0.0.1/24", "a=10.1.0.255/24",
                              "a=10.1.255.255/16", "a=10.1.0.0/24", "a=::/64", "a=::1/128", "a=ff02::1/64"}) {
    testing::internal::CaptureStderr();
    EXPECT_EQ(parse({"--port", "a=net_null0", "--address", address}).exit_status, 2) << address;
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find(std::string("--address: \"") + address + "\": must be an address that a packet may come from"), std::string::npos)
        << said;
  }
  for (const char* address :
       {"a=10.1.0.255/16", "a=10.1.0.254/24", "a=10.1.0.0/31", "a=10.1.0.255/31", "a=10.1.0.0/32", "a=fe80::1/64", "a=2001:db8::/64"})
    EXPECT_EQ(parse({"--port", "a=net_null0", "--address", address}).exit_status, -1) << address;
}

TEST(Options, CpusThatAreNotThere) {
  EXPECT_TRUE(check_cpus({}, {0, 1}));
  EXPECT_TRUE(check_cpus({1, 0}, {0, 1}));
  for (const int missing : {2, 77, -1}) {
    const Status checked = check_cpus({1, missing}, {0, 1, 3});
    ASSERT_FALSE(checked) << missing;
    EXPECT_EQ(checked.error().message,
              "--cpus " + std::to_string(missing) + ": there is no such CPU, or this process may not run on it: it may on 0,1,3");
  }
}

TEST(Options, ImpossibleCombinationsNameBothSettings) {
  Options o = parse({"--port", "out=net_null0", "--address", "out=192.0.2.1/24", "--cpus", "1,2"}).options;
  const Status cpus = check_options(o);
  ASSERT_FALSE(cpus);
  EXPECT_NE(cpus.error().message.find("--workers"), std::string::npos) << cpus.error().message;
  o = parse({"--port", "out=net_null0", "--address", "out=192.0.2.1/24", "--mtu", "1500"}).options;
  EXPECT_TRUE(check_options(o));
  o = parse({"--port", "out=net_null0", "--address", "out=192.0.2.1/24", "--mtu", "9000"}).options;
  const Status mtu = check_options(o);
  ASSERT_FALSE(mtu);
  EXPECT_EQ(mtu.error().message, "--mtu 9000: the kernel interfaces take at most 1500: give so much, or --no-exception");
  o = parse({"--port", "out=net_null0", "--address", "out=192.0.2.1/24", "--mtu", "9000", "--no-exception"}).options;
  EXPECT_TRUE(check_options(o));
  o = parse({"--port", "OUT=net_null0", "--address", "OUT=192.0.2.1/24"}).options;
  EXPECT_FALSE(check_options(o)) << "the kernel interface could not have that name";
  o = parse({"--port", "out=0000:17:00.0", "--port", "in=17:00.0", "--address", "out=192.0.2.1/24"}).options;
  const Status twice = check_options(o);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().message, "--port in=17:00.0: port out has this device: a port needs a device, or a VLAN of it, of its own");
}

TEST(Options, PortsThatAreVlansOfOneDevice) {
  Options o = parse({"--port", "out=0000:17:00.0,vlan=10", "--port", "in=17:00.0,vlan=4094", "--port", "plain=17:00.0", "--port",
                     "lab=net_af_packet0,vlan=7,iface=eth1", "--address", "out=192.0.2.1/24"})
                  .options;
  ASSERT_EQ(o.ports.size(), 4u);
  EXPECT_EQ(o.ports[0].device, "0000:17:00.0");
  EXPECT_EQ(o.ports[0].vlan, 10);
  EXPECT_EQ(o.ports[1].vlan, 4094);
  EXPECT_EQ(o.ports[2].vlan, 0);
  EXPECT_EQ(o.ports[3].device, "net_af_packet0,iface=eth1") << "the driver does not hear of it";
  EXPECT_EQ(o.ports[3].vlan, 7);
  EXPECT_TRUE(check_options(o));

  o = parse({"--port", "a=17:00.0,vlan=10", "--port", "b=0000:17:00.0,vlan=10", "--address", "a=192.0.2.1/24"}).options;
  const Status twice = check_options(o);
  ASSERT_FALSE(twice);
  EXPECT_NE(twice.error().message.find("port a has this device and VLAN"), std::string::npos) << twice.error().message;
  o = parse({"--port", "a=net_tap0,vlan=1", "--port", "b=net_tap0,vlan=2,iface=x", "--address", "a=192.0.2.1/24"}).options;
  const Status differ = check_options(o);
  ASSERT_FALSE(differ);
  EXPECT_NE(differ.error().message.find("same arguments"), std::string::npos) << differ.error().message;
  for (const char* port : {"a=net_null0,vlan=0", "a=net_null0,vlan=4095", "a=net_null0,vlan=x", "a=net_null0,vlan="}) {
    testing::internal::CaptureStderr();
    EXPECT_EQ(parse({"--port", port, "--address", "a=192.0.2.1/24"}).exit_status, 2) << port;
    EXPECT_NE(testing::internal::GetCapturedStderr().find("1..4094"), std::string::npos);
  }
}

}  // namespace
}  // namespace ifgw::dataplane
