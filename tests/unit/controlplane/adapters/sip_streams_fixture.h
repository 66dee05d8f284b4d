// SipStreams over real sockets on a loopback of their own: one end that serves, one that connects, and bare sockets.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "controlplane/adapters/sip_streams.h"
#include "tests/support/net_namespace.h"
#include "tests/support/tls_identity.h"

namespace ifgw::adapters {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline bool own_network() {
  static const bool entered = enter_own_network();
  return entered;
}

inline std::string options(int number, std::size_t body = 0) {
  return "OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK" + std::to_string(number) +
         "\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:b@127.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: " +
         std::to_string(body) + "\r\n\r\n" + std::string(body, 'b');
}

// One end: a SipStreams that writes down what happens to it.
struct End {
  struct Got {
    std::string text, transport, tls_version, cipher;
    Endpoint source, local;
    sip::ConnectionId connection;
  };
  std::vector<Got> got;
  std::vector<std::uint64_t> failed;
  std::vector<std::string> reasons;
  std::vector<bool> lost;           // of each: with messages undelivered
  std::vector<std::string> traces;  // of the messages undelivered
  std::vector<std::string> refused;
  std::function<bool(const Endpoint&, sip::Transport)> filter;
  std::function<bool(sip::ConnectionId)> in_use;
  std::unique_ptr<SipStreams> streams;

  std::uint64_t closed() const { return streams->statistics().closed; }

  End(EventLoop& loop, SipStreamsConfig config) {
    SipStreams::Handlers handlers;
    handlers.on_message = [this](const sip::InboundMessage& m, Instant) {
      got.push_back({std::string(as_text(m.bytes)), std::string(sip::transport_name(m.transport)), std::string(m.tls_version),
                     std::string(m.cipher_suite), m.source, m.local, m.connection});
    };
    handlers.on_send_failed = [this](std::uint64_t ticket, Instant) { failed.push_back(ticket); };
    handlers.on_end = [this](const Endpoint&, sip::Transport, const std::string& reason, const std::vector<Undelivered>& undelivered) {
      reasons.push_back(reason);
      lost.push_back(!undelivered.empty());
      for (const Undelivered& message : undelivered) traces.push_back(message.trace_id ? *message.trace_id : "");
    };
    handlers.accept_filter = [this](const Endpoint& source, sip::Transport transport) { return !filter || filter(source, transport); };
    handlers.in_use = [this](sip::ConnectionId id) { return in_use && in_use(id); };
    handlers.on_refused = [this](const std::string& line) { refused.push_back(line); };
    streams = std::make_unique<SipStreams>(loop, std::move(config), std::move(handlers));
  }
};

class SipStreamsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!own_network()) GTEST_SKIP() << "needs a network namespace of its own (root, or user namespaces)";
    auto made = EventLoop::create();
    ASSERT_TRUE(made);
    loop = std::move(*made);
    config.tls = {identity.certificate_file(), identity.key_file(), identity.certificate_file(), false, true};
  }
  void open(sip::Transport which = sip::Transport::Tcp) {
    server = std::make_unique<End>(*loop, config);
    const Status listening = server->streams->listen(which, *Endpoint::parse("127.0.0.1:0"));
    ASSERT_TRUE(listening) << listening.error().message;
    client = std::make_unique<End>(*loop, config);
    if (which == sip::Transport::Tls) {
      ASSERT_TRUE(client->streams->load_tls(TlsContext::Role::Client));
    }
    to = server->streams->bound(0);
    transport = which;
  }
  // Turns the loop until `done` or, as a failure, for 5 s.
  template <typename Done>
  bool until(Done done) {
    const Instant end = read_clock() + seconds(5);
    while (!done()) {
      if (read_clock() > end) return false;
      EXPECT_TRUE(loop->run_once(milliseconds(50)));
    }
    return true;
  }
  void send(End& from, const std::string& text, sip::ConnectionId connection = 0, std::uint64_t ticket = 0,
            const Endpoint* where = nullptr) {
    sip::OutboundMessage message;
    message.transport = transport;
    message.destination = where != nullptr ? *where : to;
    message.connection = connection;
    message.ticket = ticket;
    message.is_request = text.substr(0, 4) != "SIP/";
    message.bytes = std::make_shared<const std::string>(text);
    if (ticket != 0) message.trace_id = std::make_shared<const std::string>("trace-" + std::to_string(ticket));
    from.streams->send(message, loop->now());
  }
  // A plain blocking socket to the server, for misbehaviour.
  UniqueFd raw() {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(to.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    return fd;
  }

  static void say(const UniqueFd& fd, const std::string& text) {
    EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }

  TlsIdentity identity{"IP:127.0.0.1"};
  std::unique_ptr<EventLoop> loop;
  SipStreamsConfig config;
  std::unique_ptr<End> server, client;
  Endpoint to;
  sip::Transport transport = sip::Transport::Tcp;
};

}  // namespace ifgw::adapters
