// One connection over a pair of sockets, in virtual time: what it holds for a peer that does not read.
#include "controlplane/adapters/sip_connection.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "tests/support/tls_identity.h"

namespace ifgw::adapters {
namespace {

using std::chrono::seconds;

std::string options(int number) {
  return "OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nCSeq: " + std::to_string(number) + " OPTIONS\r\nContent-Length: 0\r\n\r\n";
}

// What the allocator has given out. Says nothing under a sanitizer, which brings its own.
std::size_t allocated_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// The far end: reads and writes only when told to.
struct Peer {
  UniqueFd fd;
  std::unique_ptr<TlsSession> tls;

  // Everything there is to read, decrypted.
  std::string read_all() {
    std::string text;
    std::uint8_t buffer[65536];
    for (ssize_t got; (got = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;) {
      const Bytes bytes(buffer, static_cast<std::size_t>(got));
      if (tls == nullptr)
        text.append(as_text(bytes));
      else
        tls->feed(bytes, text);
    }
    return text;
  }
  void put(const std::string& bytes) {
    ASSERT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  void say(const std::string& text) {
    if (tls == nullptr) return put(text);
    ASSERT_TRUE(tls->write(as_bytes(text)));
    std::string sealed;
    tls->take_output(sealed);
    put(sealed);
  }
};

class SipConnectionTest : public ::testing::TestWithParam<sip::Transport> {
 protected:
  void SetUp() override {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    peer.fd = UniqueFd(pair[1]);
    std::unique_ptr<TlsSession> session;
    if (GetParam() == sip::Transport::Tls) {
      const TlsConfig files{identity.certificate_file(), identity.key_file(), identity.certificate_file(), false, true};
      session = TlsSession::create(*TlsContext::create(TlsContext::Role::Server, files), {});
      peer.tls = TlsSession::create(*TlsContext::create(TlsContext::Role::Client, files), "127.0.0.1");
    }
    connection =
        std::make_unique<SipConnection>(UniqueFd(pair[0]), GetParam(), Endpoint{}, Endpoint{}, std::move(session), false, limits, now);
    if (peer.tls == nullptr) return;
    std::string out, in;
    peer.tls->feed({}, in);
    for (int flight = 0; flight < 2; ++flight) {
      peer.tls->take_output(out);
      peer.put(std::exchange(out, {}));
      ready(EPOLLIN);
      EXPECT_EQ(peer.read_all(), "");
    }
    ASSERT_EQ(connection->state(), SipConnection::State::Open);
  }
  void ready(std::uint32_t events) {
    connection->on_ready(events, now, [this](Bytes message) { got.emplace_back(as_text(message)); });
  }
  bool send(const std::string& text, std::uint64_t ticket = 0) {
    sip::OutboundMessage message;
    message.ticket = ticket;
    message.bytes = std::make_shared<const std::string>(text);
    return connection->send(message, now);
  }

  TlsIdentity identity{"IP:127.0.0.1"};
  ConnectionLimits limits;
  Instant now{std::chrono::hours(1)};
  Peer peer;
  std::unique_ptr<SipConnection> connection;
  std::vector<std::string> got;
};

INSTANTIATE_TEST_SUITE_P(Transports, SipConnectionTest, ::testing::Values(sip::Transport::Tcp, sip::Transport::Tls),
                         [](const auto& one) { return std::string(sip::transport_name(one.param)); });

TEST_P(SipConnectionTest, ReadsNothingFromAPeerThatDoesNotTakeWhatItIsSent) {
  int sent = 0;
  for (; connection->wants_read() && sent < 1000; ++sent) ASSERT_TRUE(send(std::string(10'000, 'a')));
  ASSERT_LT(sent, 1000);
  EXPECT_TRUE(connection->wants_write());
  peer.say(options(1));
  ready(EPOLLIN);
  EXPECT_TRUE(got.empty()) << "no further question before the answers are taken";

  std::size_t taken = peer.read_all().size();
  ready(EPOLLOUT);
  EXPECT_TRUE(connection->wants_read());
  ready(EPOLLIN);
  EXPECT_EQ(got, std::vector<std::string>{options(1)});
  taken += peer.read_all().size();
  EXPECT_EQ(taken, static_cast<std::size_t>(sent) * 10'000) << "all of it, in the end";
  EXPECT_FALSE(connection->wants_write());
}

TEST_P(SipConnectionTest, AMessageThatWeDoNotReadIsNotLate) {
  const std::string whole = options(1);
  peer.say(options(0) + whole.substr(0, 20));
  ready(EPOLLIN);
  now += limits.message / 2;
  while (connection->wants_read()) ASSERT_TRUE(send(std::string(10'000, 'a')));
  peer.say(whole.substr(20));
  connection->on_deadline(now += limits.message / 2, false);
  ASSERT_EQ(connection->state(), SipConnection::State::Open) << connection->reason();
  EXPECT_GT(connection->deadline(), now);
  peer.read_all();
  ready(EPOLLOUT);
  ready(EPOLLIN);
  EXPECT_EQ(got, (std::vector<std::string>{options(0), whole}));
}

TEST_P(SipConnectionTest, KeepAlivesOfAPeerThatDoesNotReadFillNoQueue) {
  limits.read_pause_bytes = 2000;
  int pings = 0;
  for (; connection->wants_read() && pings < 100'000; ++pings) {
    peer.say("\r\n\r\n");
    ready(EPOLLIN);
  }
  EXPECT_LT(pings, 100'000);
  EXPECT_EQ(connection->state(), SipConnection::State::Open) << "it is heard again once it reads";
  peer.read_all();
  ready(EPOLLOUT);
  EXPECT_TRUE(connection->wants_read());
}

TEST_P(SipConnectionTest, TheBoundOfTheQueueHoldsForKeepAlives) {
  limits.read_pause_bytes = 1 << 20;  // as if it were read all the same
  limits.send_queue_bytes = 2000;
  for (int pings = 0; connection->wants_read() && pings < 100'000; ++pings) {
    peer.say("\r\n\r\n");
    ready(EPOLLIN);
  }
  EXPECT_EQ(connection->state(), SipConnection::State::Dead);
  EXPECT_EQ(connection->reason(), "the peer does not read: 2000 bytes wait for it");
}

TEST_P(SipConnectionTest, AnswersARunOfKeepAlivesOnce) {
  std::string run;
  for (int i = 0; i < 2000; ++i) run += "\r\n\r\n";
  peer.say(run + options(1));
  ready(EPOLLIN);
  EXPECT_EQ(peer.read_all(), "\r\n");
  EXPECT_EQ(got, std::vector<std::string>{options(1)});
  peer.say("\r\n\r\n");
  ready(EPOLLIN);
  EXPECT_EQ(peer.read_all(), "\r\n") << "the next one";
}

TEST_P(SipConnectionTest, AMessageThatFindsNoRoomIsHandedBack) {
  std::uint64_t last = 0;
  while (last < 2000 && send(std::string(10'000, 'a'), ++last)) {
  }
  EXPECT_EQ(connection->state(), SipConnection::State::Dead);
  EXPECT_EQ(connection->reason(), "the peer does not read: 262144 bytes wait for it");
  const std::vector<Undelivered> unsent = connection->take_unsent();
  ASSERT_GT(unsent.size(), 20u);
  EXPECT_LT(unsent.size(), 30u);
  EXPECT_EQ(unsent.back().ticket, last);
  EXPECT_EQ(unsent.front().ticket, last + 1 - unsent.size());
}

TEST_P(SipConnectionTest, WhatHasLeftTakesNoMemory) {
  constexpr std::size_t kEach = 10'000, kAll = 64 << 20;
  sip::OutboundMessage message;
  message.bytes = std::make_shared<const std::string>(kEach, 'a');
  while (connection->wants_read()) ASSERT_TRUE(connection->send(message, now));
  const std::size_t before = allocated_bytes();
  std::uint8_t buffer[kEach];
  for (std::size_t taken = 0; taken < kAll;) {
    const ssize_t part = ::recv(peer.fd.get(), buffer, sizeof buffer, 0);
    ASSERT_GT(part, 0);
    taken += static_cast<std::size_t>(part);
    now += seconds(1);
    ready(EPOLLOUT);
    while (connection->wants_read()) ASSERT_TRUE(connection->send(message, now));
    ASSERT_TRUE(connection->wants_write()) << "there is always something that waits";
  }
  EXPECT_LT(allocated_bytes(), before + (1 << 20));
}

TEST_P(SipConnectionTest, EndsWhenNobodyHasAnythingToSayAndNoCallUsesIt) {
  peer.say(options(1));
  ready(EPOLLIN);
  const Instant begun = now;
  ASSERT_EQ(connection->deadline(), begun + limits.idle);
  connection->on_deadline(now += limits.idle, true);
  EXPECT_EQ(connection->state(), SipConnection::State::Open) << "a call uses it";
  EXPECT_EQ(connection->deadline(), begun + 2 * limits.idle);
  peer.say("\r\n");
  now += seconds(1);
  ready(EPOLLIN);
  EXPECT_EQ(connection->deadline(), now + limits.idle) << "since the peer's last byte";
  now += seconds(1);
  ASSERT_TRUE(send(options(1)));
  EXPECT_EQ(connection->deadline(), now + limits.idle) << "who was asked may answer";
  connection->on_deadline(now += limits.idle - seconds(1), false);
  EXPECT_EQ(connection->state(), SipConnection::State::Open);
  connection->on_deadline(now += seconds(1), false);
  EXPECT_EQ(connection->state(), SipConnection::State::Dead);
  EXPECT_EQ(connection->reason(), "idle");
}

}  // namespace
}  // namespace ifgw::adapters
