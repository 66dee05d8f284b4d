// TCP and TLS peers that do not read, say nothing, or are gone.
#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include "tests/unit/controlplane/adapters/sip_streams_fixture.h"

namespace ifgw::adapters {
namespace {

TEST_F(SipStreamsTest, ListensAgainToAPeerThatTakesItsAnswersAtLast) {
  open();
  const UniqueFd slow = raw();
  const auto hears = [&] {
    const std::size_t before = server->got.size();
    say(slow, options(1));
    const Instant asked = read_clock();
    while (server->got.size() == before) {
      EXPECT_TRUE(loop->run_once(milliseconds(100)));
      if (server->got.size() == before && read_clock() >= asked + milliseconds(90))
        return false;  // slept, though there is something to read
    }
    return true;
  };
  int answers = 0;
  for (; hears() && answers < 1000; ++answers) send(*server, options(1, 20000), server->got[0].connection);
  EXPECT_LT(answers, 1000) << "what was asked meanwhile waits with the peer, and the loop sleeps";
  EXPECT_EQ(server->closed(), 0u);
  const std::size_t heard = server->got.size();
  std::string buffer(1 << 20, '\0');
  ASSERT_TRUE(until([&] {
    while (::recv(slow.get(), buffer.data(), buffer.size(), 0) > 0) {
    }
    return server->got.size() > heard;
  }));
  EXPECT_TRUE(hears());
}

TEST_F(SipStreamsTest, WhatNamesAConnectionThatIsGoneGoesOverANewOne) {
  open();
  send(*client, options(1));
  ASSERT_TRUE(until([&] { return server->got.size() == 1; }));
  const sip::ConnectionId gone = server->got[0].connection;
  client.reset();
  ASSERT_TRUE(until([&] { return server->closed() == 1; }));
  End other(*loop, config);
  ASSERT_TRUE(other.streams->listen(sip::Transport::Tcp, *Endpoint::parse("127.0.0.1:0")));
  const Endpoint there = other.streams->bound(0);
  const std::string answer = "SIP/2.0 200 OK\r\nl: 0\r\n\r\n";
  send(*server, answer, gone, 0, &there);
  send(*server, options(2), gone, 1, &there);
  ASSERT_TRUE(until([&] { return other.got.size() == 2; }));
  EXPECT_EQ(other.got[0].text, answer);
  EXPECT_EQ(other.got[1].text, options(2));
  EXPECT_EQ(server->streams->statistics().connected, 1u);
  EXPECT_TRUE(server->failed.empty());
}

TEST_F(SipStreamsTest, AConnectionThatACallUsesIsNotClosedForIdleness) {
  config.connection.idle = milliseconds(100);
  open();
  sip::ConnectionId used = 0;
  int asked = 0;
  server->in_use = [&](sip::ConnectionId id) { return id == used && ++asked > 0; };
  const UniqueFd of_a_call = raw();
  say(of_a_call, options(1));
  ASSERT_TRUE(until([&] { return server->got.size() == 1; }));
  used = server->got[0].connection;
  const UniqueFd of_none = raw();
  say(of_none, options(2));
  ASSERT_TRUE(until([&] { return server->closed() == 1 && asked == 3; }));
  EXPECT_EQ(server->reasons, std::vector<std::string>{"idle"});
  send(*server, options(3), used);
  char request[200];
  ssize_t got = -1;
  ASSERT_TRUE(until([&] { return (got = ::recv(of_a_call.get(), request, sizeof request, 0)) > 0; }));
  EXPECT_EQ(std::string_view(request, static_cast<std::size_t>(got)), options(3));
  used = 0;
  ASSERT_TRUE(until([&] { return server->closed() == 2; })) << "the call is over";
  EXPECT_EQ(server->reasons.back(), "idle");
}

// Whether a peer is still there is the kernel's to find out: on both ends, within two minutes.
TEST_F(SipStreamsTest, TheKernelWatchesSilentPeers) {
  open();
  send(*client, options(1));
  ASSERT_TRUE(until([&] { return server->got.size() == 1; }));
  const auto option = [](int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
  };
  int ends = 0;
  for (int fd = 0; fd < 100; ++fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 || address.ss_family != AF_INET) continue;
    ++ends;
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    const int limit = option(fd, IPPROTO_TCP, TCP_KEEPIDLE) + option(fd, IPPROTO_TCP, TCP_KEEPINTVL) * option(fd, IPPROTO_TCP, TCP_KEEPCNT);
    EXPECT_EQ(limit, 120);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1000 * limit);
  }
  EXPECT_EQ(ends, 2);
}

}  // namespace
}  // namespace ifgw::adapters
