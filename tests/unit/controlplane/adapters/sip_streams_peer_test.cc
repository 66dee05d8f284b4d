// TCP and TLS peers that do not read, say nothing, or are gone.
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace ifgw::adapters
