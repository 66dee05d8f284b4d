#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

#include "controlplane/adapters/file_sink.h"
#include "controlplane/adapters/random.h"
#include "controlplane/adapters/socket_address.h"
#include "controlplane/adapters/udp_socket.h"

namespace ifgw::adapters {
namespace {

struct TemporaryFile {
  TemporaryFile()
      : path(std::filesystem::temp_directory_path() /
             ("ifgw_test_" + std::to_string(getpid()) + "_" + ::testing::UnitTest::GetInstance()->current_test_info()->name())) {}
  ~TemporaryFile() { std::filesystem::remove(path); }
  std::string text() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::filesystem::path path;
};

TEST(FileSinkTest, AppendsWholeLinesAndRepairsATornOne) {
  TemporaryFile file;
  std::ofstream(file.path) << "torn";
  auto sink = FileSink::open(file.path);
  ASSERT_TRUE(sink.ok()) << sink.error().message;
  EXPECT_TRUE(sink->append("one"));
  EXPECT_TRUE(sink->append("two"));
  EXPECT_TRUE(sink->sync());
  EXPECT_EQ(file.text(), "torn\none\ntwo\n");
}

TEST(FileSinkTest, AFullDiskIsAFalseAndLeavesNoHalfLine) {
  TemporaryFile file;
  auto sink = FileSink::open(file.path);
  ASSERT_TRUE(sink.ok());
  ASSERT_TRUE(sink->append("first"));
  // A file size limit stands in for the full disk: the kernel writes what fits.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 10;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_FALSE(sink->append("does not fit any more"));
  EXPECT_FALSE(sink->append("nor this"));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(file.text(), "first\n");
  EXPECT_GE(sink->failures(), 2u);
  EXPECT_NE(sink->last_error().find("cannot append"), std::string::npos);
  EXPECT_TRUE(sink->append("again"));
  EXPECT_EQ(file.text(), "first\nagain\n");
  EXPECT_TRUE(sink->last_error().empty());
}

TEST(FileSinkTest, DevFullIsAFalse) {
  auto sink = FileSink::open("/dev/full");
  ASSERT_TRUE(sink.ok()) << sink.error().message;
  EXPECT_FALSE(sink->append("x"));
}

TEST(FileSinkTest, AFullPipeIsAFalseAndTheNextLineStandsAlone) {
  TemporaryFile file;
  ASSERT_EQ(mkfifo(file.path.c_str(), 0600), 0);
  const UniqueFd reader{open(file.path.c_str(), O_RDONLY | O_NONBLOCK)};
  ASSERT_EQ(fcntl(reader.get(), F_SETPIPE_SZ, 4096), 4096);
  auto sink = FileSink::open(file.path);
  ASSERT_TRUE(sink.ok()) << sink.error().message;
  EXPECT_FALSE(sink->append(std::string(5000, 'x'))) << "the pipe takes 4096 of them";
  EXPECT_FALSE(sink->append("no room"));
  std::string got(8192, '\0');
  ASSERT_EQ(read(reader.get(), got.data(), got.size()), 4096);
  EXPECT_TRUE(sink->append("whole"));
  const ssize_t length = read(reader.get(), got.data(), got.size());
  ASSERT_GT(length, 0);
  EXPECT_EQ(got.substr(0, static_cast<std::size_t>(length)), "\nwhole\n");
}

TEST(FileSinkTest, ReopenFollowsARotation) {
  TemporaryFile file;
  auto sink = FileSink::open(file.path);
  ASSERT_TRUE(sink.ok());
  ASSERT_TRUE(sink->append("old"));
  std::filesystem::remove(file.path);
  ASSERT_TRUE(sink->reopen().ok());
  ASSERT_TRUE(sink->append("new"));
  EXPECT_EQ(file.text(), "new\n");
}

TEST(FileSinkTest, AMissingFolderIsAnErrorThatNamesThePath) {
  const auto sink = FileSink::open("/nonexistent/folder/file");
  ASSERT_FALSE(sink.ok());
  EXPECT_NE(sink.error().message.find("/nonexistent/folder/file"), std::string::npos);
}

TEST(RandomSourceTest, NumbersDifferAcrossRefillsAndSources) {
  auto a = RandomSource::create();
  auto b = RandomSource::create();
  ASSERT_TRUE(a.ok() && b.ok());
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 2000; ++i) seen.insert(a->next());
  EXPECT_EQ(seen.size(), 2000u);
  EXPECT_NE(a->hash_key().k0, b->hash_key().k0);
}

class UdpSocketTest : public ::testing::TestWithParam<const char*> {};

TEST_P(UdpSocketTest, LargeDatagramsPassBothWaysWithTheirAddresses) {
  auto loop = std::move(EventLoop::create()).value();
  const Endpoint any{*IpAddress::parse(GetParam()), 0};
  std::vector<std::string> got;
  Endpoint seen_local;
  auto a = UdpSocket::open(*loop, any, [&](const Endpoint&, const Endpoint& local, Bytes payload, Instant) {
    got.emplace_back(as_text(payload));
    seen_local = local;
  });
  if (!a.ok() && any.ip.is_v6()) GTEST_SKIP() << "no IPv6 here";
  ASSERT_TRUE(a.ok()) << a.error().message;
  auto b = UdpSocket::open(*loop, any, [](const Endpoint&, const Endpoint&, Bytes, Instant) {});
  ASSERT_TRUE(b.ok());
  const std::string big(9000, 'x');  // fragments on any link but loopback
  if (!(*b)->send((*a)->local(), (*b)->local(), as_bytes(big))) GTEST_SKIP() << "no loopback here";
  ASSERT_TRUE(loop->run_once(std::chrono::seconds{5}).ok());
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0], big);
  EXPECT_EQ(seen_local, (*a)->local());
  EXPECT_EQ((*a)->received(), 1u);
}
INSTANTIATE_TEST_SUITE_P(Families, UdpSocketTest, ::testing::Values("127.0.0.1", "::1"));

TEST(UdpSocketErrors, ATakenPortSaysHowToFindItsOwner) {
  auto loop = std::move(EventLoop::create()).value();
  const auto nothing = [](const Endpoint&, const Endpoint&, Bytes, Instant) {};
  auto first = UdpSocket::open(*loop, Endpoint{*IpAddress::parse("127.0.0.1"), 0}, nothing);
  ASSERT_TRUE(first.ok());
  const auto second = UdpSocket::open(*loop, (*first)->local(), nothing);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find("ss -ulnp"), std::string::npos) << second.error().message;
}

TEST(SocketAddressTest, TellsAddressesOfThisMachineFromOthers) {
  if (std::ifstream in("/proc/sys/net/ipv4/ip_nonlocal_bind"); in.get() != '0') GTEST_SKIP() << "every address is here";
  EXPECT_TRUE(is_here(*IpAddress::parse("127.0.0.1")));
  EXPECT_TRUE(is_here(*IpAddress::parse("0.0.0.0")));
  EXPECT_TRUE(is_here(*IpAddress::parse("::"))) << "or there is no IPv6, which says nothing";
  EXPECT_FALSE(is_here(*IpAddress::parse("192.0.2.77")));
}

}  // namespace
}  // namespace ifgw::adapters
