// TCP and TLS transports over real sockets on a loopback of their own.
#include "controlplane/adapters/sip_streams.h"

#include <random>

#include "controlplane/sip/user_agent.h"
#include "tests/unit/controlplane/adapters/sip_streams_fixture.h"

namespace ifgw::adapters {
namespace {

TEST_F(SipStreamsTest, CarriesRequestsAndAnswersOnOneConnection) {
  for (const sip::Transport which : {sip::Transport::Tcp, sip::Transport::Tls}) {
    SCOPED_TRACE(sip::transport_name(which));
    open(which);
    send(*client, options(1, 20000), 0, 7);
    send(*client, options(2), 0, 8);
    ASSERT_TRUE(until([&] { return server->got.size() == 2; }));
    EXPECT_EQ(server->got[0].text, options(1, 20000));
    EXPECT_EQ(server->got[0].transport, sip::transport_name(which));
    EXPECT_EQ(server->got[0].local, to);
    if (which == sip::Transport::Tls) {
      EXPECT_EQ(server->got[0].tls_version, "TLSv1.3");
      EXPECT_EQ(server->got[0].cipher.substr(0, 4), "TLS_");
    }
    send(*server, "SIP/2.0 200 OK\r\nl: 0\r\n\r\n", server->got[0].connection);
    ASSERT_TRUE(until([&] { return client->got.size() == 1; }));
    EXPECT_EQ(server->streams->connections(), 1u);
    EXPECT_EQ(client->streams->connections(), 1u);
    EXPECT_TRUE(client->failed.empty());
    client.reset();
    ASSERT_TRUE(until([&] { return server->closed() == 1; }));
    EXPECT_EQ(server->streams->connections(), 0u);
  }
}

TEST_F(SipStreamsTest, AConnectionMadeToUsCarriesNothingThatDoesNotNameIt) {
  for (const sip::Transport which : {sip::Transport::Tcp, sip::Transport::Tls}) {
    SCOPED_TRACE(sip::transport_name(which));
    open(which);
    send(*client, options(1));
    ASSERT_TRUE(until([&] { return server->got.size() == 1; }));
    const Endpoint stranger = server->got[0].source;
    send(*server, options(2), 0, 9, &stranger);
    ASSERT_TRUE(until([&] { return !server->failed.empty() || !client->got.empty(); }));
    EXPECT_EQ(server->failed, std::vector<std::uint64_t>{9}) << "nobody listens there, so it goes nowhere";
    EXPECT_TRUE(client->got.empty());
    send(*server, options(3), server->got[0].connection);
    ASSERT_TRUE(until([&] { return client->got.size() == 1; }));
    EXPECT_EQ(client->got[0].text, options(3)) << "a request of the call that came over it";
  }
}

TEST_F(SipStreamsTest, RefusesACertificateForAnotherName) {
  config.server_names[*Endpoint::parse("127.0.0.1:5061")] = "elsewhere.example";
  server = std::make_unique<End>(*loop, config);
  to = *Endpoint::parse("127.0.0.1:5061");
  ASSERT_TRUE(server->streams->listen(sip::Transport::Tls, to));
  client = std::make_unique<End>(*loop, config);
  ASSERT_TRUE(client->streams->load_tls(TlsContext::Role::Client));
  transport = sip::Transport::Tls;
  send(*client, options(1), 0, 42);
  ASSERT_TRUE(until([&] { return !client->failed.empty(); }));
  EXPECT_EQ(client->failed[0], 42u);
  EXPECT_NE(client->reasons.at(0).find("hostname mismatch"), std::string::npos) << client->reasons.at(0);
  EXPECT_TRUE(client->lost.at(0));
  EXPECT_EQ(client->traces, std::vector<std::string>{"trace-42"});
  EXPECT_TRUE(server->got.empty());
}

TEST_F(SipStreamsTest, RefusesTls11) {
  open(sip::Transport::Tls);
  SSL_CTX* old = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_security_level(old, 0);
  SSL_CTX_set_min_proto_version(old, TLS1_VERSION);
  SSL_CTX_set_max_proto_version(old, TLS1_1_VERSION);
  SSL* ssl = SSL_new(old);
  const UniqueFd fd = raw();
  SSL_set_fd(ssl, fd.get());
  int error = SSL_ERROR_WANT_READ;
  EXPECT_TRUE(until([&] {
    const int result = SSL_connect(ssl);
    error = SSL_get_error(ssl, result);
    return result == 1 || (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE);
  }));
  EXPECT_EQ(error, SSL_ERROR_SSL);
  SSL_free(ssl);
  SSL_CTX_free(old);
  ASSERT_TRUE(until([&] { return server->streams->connections() == 0; }));
}

TEST_F(SipStreamsTest, ReportsWhatCouldNotBeSent) {
  open();
  const Endpoint nobody = *Endpoint::parse("127.0.0.1:9");
  send(*client, options(1), 0, 5, &nobody);
  ASSERT_TRUE(until([&] { return client->failed.size() == 1; }));
  EXPECT_EQ(client->failed[0], 5u);
  EXPECT_NE(client->reasons.at(0).find("refused"), std::string::npos);
  const Endpoint unreachable = *Endpoint::parse("198.51.100.1:5060");
  send(*client, options(1), 0, 6, &unreachable);
  ASSERT_TRUE(until([&] { return client->failed.size() == 2; }));
  EXPECT_EQ(client->streams->connections(), 0u);
  EXPECT_EQ(client->traces, (std::vector<std::string>{"trace-5", "trace-6"})) << "whose calls they belong to";
}

TEST_F(SipStreamsTest, ClosesASlowSenderASilentHandshakeAndAnIdlePeer) {
  config.connection.message = milliseconds(60);
  config.connection.idle = milliseconds(150);
  open();
  const UniqueFd slow = raw();
  ASSERT_EQ(::send(slow.get(), "OPTIONS sip", 11, MSG_NOSIGNAL), 11);
  ASSERT_TRUE(until([&] { return server->closed() == 1; }));
  EXPECT_EQ(server->reasons.at(0), "a message was begun and not finished in time");
  const UniqueFd idle = raw();
  say(idle, options(1));
  ASSERT_TRUE(until([&] { return server->closed() == 2; }));
  EXPECT_EQ(server->reasons.at(1), "idle");
  EXPECT_EQ(server->lost, (std::vector<bool>{false, false}));
  config.connection.setup = milliseconds(60);
  open(sip::Transport::Tls);
  const UniqueFd silent = raw();
  ASSERT_TRUE(until([&] { return server->closed() == 1; }));
  EXPECT_EQ(server->reasons.at(0), "no TLS handshake in time");
}

TEST_F(SipStreamsTest, APlaceIsKeptForWhoSaysSomethingInTime) {
  config.connection.setup = milliseconds(100);
  open();
  const UniqueFd silent = raw(), pinging = raw(), slow = raw(), talking = raw();
  say(pinging, "\r\n\r\n");  // keeps a connection alive that is one already
  say(slow, options(1).substr(0, 20));
  say(talking, options(2));
  ASSERT_TRUE(until([&] { return server->closed() == 3; }));
  EXPECT_EQ(server->reasons, (std::vector<std::string>(3, "no message in time")));
  ASSERT_EQ(server->got.size(), 1u);
  EXPECT_EQ(server->got[0].text, options(2));
  say(talking, options(3));
  ASSERT_TRUE(until([&] { return server->got.size() == 2; })) << "the one that spoke in time is served on";
  EXPECT_EQ(server->streams->connections(), 1u);
}

TEST_F(SipStreamsTest, OurOwnConnectionMayStaySilent) {
  open();
  config.connection.setup = milliseconds(50);
  client = std::make_unique<End>(*loop, config);
  send(*client, options(1));
  ASSERT_TRUE(until([&] { return server->got.size() == 1; }));
  const Instant later = read_clock() + milliseconds(150);
  ASSERT_TRUE(until([&] { return read_clock() > later; }));
  EXPECT_EQ(client->streams->connections(), 1u) << "the peer has not said anything; the set-up ended when it was there";
}

TEST_F(SipStreamsTest, BoundsConnectionsInAllAndPerSource) {
  config.connections = 3;
  config.connections_per_source = 2;
  open();
  std::vector<UniqueFd> many;
  for (int i = 0; i < 5; ++i) many.push_back(raw());
  ASSERT_TRUE(until([&] { return server->streams->statistics().refused_source == 3; }));
  EXPECT_EQ(server->streams->connections(), 2u);
  ASSERT_EQ(server->refused.size(), 1u) << "one line for many";
  EXPECT_NE(server->refused[0].find("its source has all 2 that it may have ([sip] max_connections_per_source)"), std::string::npos);
  many.clear();
  ASSERT_TRUE(until([&] { return server->streams->connections() == 0; }));
  server->filter = [](const Endpoint&, sip::Transport) { return false; };
  const UniqueFd unwanted = raw();
  ASSERT_TRUE(until([&] { return server->streams->statistics().refused_filter == 1; }));
}

TEST_F(SipStreamsTest, HandsOverAMessageItCannotFrameThenCloses) {
  open();
  const UniqueFd bad = raw();
  const std::string text = "OPTIONS sip:x SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n";
  ASSERT_EQ(::send(bad.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  ASSERT_TRUE(until([&] { return server->got.size() == 1; }));
  send(*server, "SIP/2.0 400 Missing Content-Length header\r\nl: 0\r\n\r\n", server->got[0].connection);
  ASSERT_TRUE(until([&] { return server->closed() == 1; }));
  char answer[100];
  ASSERT_GT(::recv(bad.get(), answer, sizeof answer, 0), 12);
  EXPECT_EQ(std::string_view(answer, 11), "SIP/2.0 400");
}

TEST_F(SipStreamsTest, AnswersKeepAlives) {
  open();
  const UniqueFd phone = raw();
  ASSERT_EQ(::send(phone.get(), "\r\n\r\n", 4, MSG_NOSIGNAL), 4);
  char answer[10];
  ssize_t got = -1;
  ASSERT_TRUE(until([&] { return (got = ::recv(phone.get(), answer, sizeof answer, 0)) > 0; }));
  EXPECT_EQ(std::string_view(answer, static_cast<std::size_t>(got)), "\r\n");
}

TEST_F(SipStreamsTest, DropsAPeerThatDoesNotRead) {
  config.connection.send_queue_bytes = 100'000;
  open();
  const UniqueFd deaf = raw();
  ASSERT_EQ(::send(deaf.get(), options(1).data(), options(1).size(), MSG_NOSIGNAL), static_cast<ssize_t>(options(1).size()));
  ASSERT_TRUE(until([&] { return server->got.size() == 1; }));
  std::uint64_t last = 0;
  while (last < 2000 && server->closed() == 0) {
    send(*server, options(1, 20000), server->got[0].connection, ++last);
    EXPECT_TRUE(loop->run_once(Duration::zero()));
  }
  ASSERT_GT(server->closed(), 0u);
  EXPECT_FALSE(server->failed.empty());
  EXPECT_NE(server->reasons.at(0).find("does not read"), std::string::npos);
  ASSERT_FALSE(server->traces.empty());
  EXPECT_EQ(server->traces.back(), "trace-" + std::to_string(last)) << "also the one that found the queue full";
}

TEST_F(SipStreamsTest, ListenErrorsSayWhatToDo) {
  open();
  const Status taken = client->streams->listen(sip::Transport::Tcp, to);
  ASSERT_FALSE(taken);
  EXPECT_NE(taken.error().message.find("another program or listener has this port"), std::string::npos) << taken.error().message;
  const Status later = client->streams->listen(sip::Transport::Tcp, *Endpoint::parse("203.0.113.1:5060"));
  EXPECT_TRUE(later) << "the dataplane may bring the address up later: " << later.error().message;
  EXPECT_TRUE(client->streams->listen(sip::Transport::Tcp, *Endpoint::parse("[2001:db8::1]:5060")));
  config.tls.key_file = "/nonexistent/key.pem";
  End broken(*loop, config);
  const Status unreadable = broken.streams->listen(sip::Transport::Tls, *Endpoint::parse("127.0.0.1:0"));
  ASSERT_FALSE(unreadable);
  EXPECT_NE(unreadable.error().message.find("tls_key \"/nonexistent/key.pem\""), std::string::npos);
  config.tls.key_file = identity.key_file();
  config.tls.ca_file = "/nonexistent/ca.pem";
  End trustless(*loop, config);
  const Status trust = trustless.streams->listen(sip::Transport::Tls, *Endpoint::parse("127.0.0.1:0"));
  ASSERT_FALSE(trust) << "known at start, not at the first connection";
  EXPECT_NE(trust.error().message.find("tls_ca \"/nonexistent/ca.pem\""), std::string::npos);
  config.tls.ca_file = identity.certificate_file();
  TlsIdentity other("IP:127.0.0.1");
  config.tls.key_file = other.key_file();
  End mismatched(*loop, config);
  EXPECT_FALSE(mismatched.streams->listen(sip::Transport::Tls, *Endpoint::parse("127.0.0.1:0")));
}

// A whole call between two user agents over TLS.
TEST_F(SipStreamsTest, CarriesACall) {
  std::mt19937_64 random(1);
  std::uint64_t legs = 0;
  struct Agent {
    std::unique_ptr<SipStreams> streams;
    std::unique_ptr<sip::UserAgent> ua;
    std::vector<core::LegEvent> events;
  };
  Agent agents[2];
  const Endpoint at[2] = {*Endpoint::parse("127.0.0.1:5061"), *Endpoint::parse("127.0.0.2:5061")};
  TlsIdentity both("IP:127.0.0.1,IP:127.0.0.2");
  config.tls = {both.certificate_file(), both.key_file(), both.certificate_file(), false, true};
  for (int i = 0; i < 2; ++i) {
    Agent& agent = agents[i];
    sip::UserAgentConfig ua_config;
    ua_config.addresses = {{sip::Transport::Tls, at[i].ip.text(), at[i].port, at[i]}};
    agent.ua =
        std::make_unique<sip::UserAgent>(ua_config, sip::Randomness{{}, [&] { return random(); }, [&] { return core::LegKey{++legs}; }});
    SipStreams::Handlers handlers;
    handlers.on_message = [&agent](const sip::InboundMessage& m, Instant now) { agent.ua->on_message(m, now); };
    handlers.on_send_failed = [&agent](std::uint64_t ticket, Instant now) { agent.ua->on_send_failed(ticket, now); };
    agent.streams = std::make_unique<SipStreams>(*loop, config, std::move(handlers));
    ASSERT_TRUE(agent.streams->listen(sip::Transport::Tls, at[i]));
    loop->at_end_of_round([&agent](Instant now) {
      sip::Outputs outputs;
      agent.ua->drain(outputs);
      for (const sip::OutboundMessage& message : outputs.messages) agent.streams->send(message, now);
      agent.events.insert(agent.events.end(), outputs.events.begin(), outputs.events.end());
    });
  }
  core::OfferLeg offer;
  offer.leg = {++legs};
  offer.request_uri = offer.to = "sip:bob@127.0.0.2:5061;transport=tls";
  offer.from = "sip:alice@127.0.0.1";
  offer.sdp = "v=0\r\n";
  agents[0].ua->on_command(offer, loop->now());
  ASSERT_TRUE(until([&] { return !agents[1].events.empty(); }));
  const auto& offered = std::get<core::LegOffered>(agents[1].events[0]);
  EXPECT_EQ(offered.security.tls_version, "TLSv1.3");
  const core::LegKey far = offered.leg;
  agents[1].ua->on_command(core::AnswerLeg{far, "v=0\r\n"}, loop->now());
  ASSERT_TRUE(until([&] { return !agents[0].events.empty() && agents[1].ua->legs().at(0).state == "confirmed"; }));
  agents[1].ua->on_command(core::EndLeg{far, 0, {}, 0}, loop->now());
  ASSERT_TRUE(until([&] { return agents[0].events.size() == 2 && agents[1].events.size() == 2; }));
  EXPECT_EQ(agents[0].streams->connections(), 1u) << "the callee's BYE came over the caller's connection";
}

}  // namespace
}  // namespace ifgw::adapters
