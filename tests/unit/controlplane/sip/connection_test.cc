// Which connection a leg's party is reached on, and for how long a connection is needed.
#include "tests/unit/controlplane/sip/user_agent_fixture.h"

namespace ifgw::sip::test {
namespace {

class LegConnectionTest : public UserAgentTest {
 protected:
  // A message of the peer's over this connection; what the user agent then wants sent.
  std::vector<OutboundMessage> hear(const std::string& text, ConnectionId connection, Transport transport = Transport::Tcp) {
    std::string bytes = text;
    if (const std::size_t via = bytes.find("SIP/2.0/UDP"); via != std::string::npos && transport != Transport::Udp)
      bytes.replace(via, 11, "SIP/2.0/" + std::string(transport_token(transport)));
    InboundMessage message;
    message.transport = transport;
    message.source = *Endpoint::parse("192.0.2.9:41000");
    message.local = gw->address;
    message.connection = connection;
    message.bytes = as_bytes(bytes);
    gw->ua->on_message(message, net->now());
    return drained();
  }
  std::vector<OutboundMessage> command(const core::LegCommand& what) {
    gw->ua->on_command(what, net->now());
    return drained();
  }
  std::vector<OutboundMessage> drained() {
    Outputs outputs;
    gw->ua->drain(outputs);
    for (const core::LegEvent& event : outputs.events) {
      if (const auto* offered = std::get_if<core::LegOffered>(&event)) leg = offered->leg;
    }
    return outputs.messages;
  }
  // Those of 1..20 that a leg's party was last heard on.
  std::vector<ConnectionId> used() const {
    std::vector<ConnectionId> out;
    for (ConnectionId id = 1; id <= 20; ++id) {
      if (gw->ua->uses_connection(id)) out.push_back(id);
    }
    return out;
  }
  using Ids = std::vector<ConnectionId>;

  // A call of the peer's over TCP, INVITE and ACK over this connection; our tag.
  std::string called(ConnectionId connection, const std::string& call_id = "call-1") {
    Text invite;
    invite.call_id = call_id;
    invite.branch += call_id;
    invite.extra = "Contact: <sip:peer@192.0.2.9:5080;transport=tcp>\r\n";
    hear(invite.str(), connection);
    const std::string tag(prescan(as_bytes(*command(core::AnswerLeg{leg, sample_sdp(2)}).at(0).bytes)).to_tag);
    hear(in_dialog("ACK", tag, 1, call_id), connection);
    return tag;
  }
  static std::string in_dialog(const std::string& method, const std::string& our_tag, int cseq, const std::string& call_id = "call-1") {
    Text text;
    text.method = method;
    text.branch = "z9hG4bK" + method + std::to_string(cseq) + call_id;
    text.to_tag = our_tag;
    text.cseq = cseq;
    text.call_id = call_id;
    return text.str();
  }
};

TEST_F(LegConnectionTest, ACallerIsReachedWhereItWasLastHeard) {
  Text invite;
  invite.extra = "Contact: <sip:peer@192.0.2.9:5080;transport=tcp>\r\n";
  hear(invite.str(), 7);
  EXPECT_EQ(used(), Ids{7});
  const std::string tag(prescan(as_bytes(*command(core::AnswerLeg{leg, sample_sdp(2)}).at(0).bytes)).to_tag);
  hear(in_dialog("ACK", tag, 1), 8);
  EXPECT_EQ(used(), Ids{8});
  hear(in_dialog("OPTIONS", tag, 2), 9);
  EXPECT_EQ(used(), Ids{9});
  hear(in_dialog("UPDATE", tag, 3), 10);
  EXPECT_EQ(used(), Ids{10});

  std::string forged = in_dialog("OPTIONS", tag, 4);
  forged.replace(forged.find("tag=peer"), 8, "tag=else");
  hear(forged, 11);
  hear(in_dialog("OPTIONS", "another", 4), 12);
  hear(in_dialog("OPTIONS", tag, 3), 13);  // late
  hear(in_dialog("ACK", tag, 1), 14);      // nothing waits for it
  EXPECT_EQ(used(), Ids{10}) << "not from the party, or nothing new";
  hear(in_dialog("OPTIONS", tag, 4), 0, Transport::Udp);
  EXPECT_EQ(used(), Ids{10});

  const auto bye = command(core::EndLeg{leg, 0, {}, 0});
  ASSERT_EQ(bye.size(), 1u);
  EXPECT_EQ(bye[0].connection, 10u);
  hear(answer_to(*bye[0].bytes, 200, ""), 10);
  EXPECT_EQ(used(), Ids{}) << "the call is over";
  EXPECT_EQ(gw->ua->occupancy().legs, 0u);
}

TEST_F(LegConnectionTest, ACallOverTlsIsNotMovedToAConnectionWithoutIt) {
  Text invite;
  invite.extra = "Contact: <sip:peer@192.0.2.9:5081;transport=tls>\r\n";
  hear(invite.str(), 7, Transport::Tls);
  const std::string tag(prescan(as_bytes(*command(core::AnswerLeg{leg, sample_sdp(2)}).at(0).bytes)).to_tag);
  hear(in_dialog("ACK", tag, 1), 7, Transport::Tls);
  hear(in_dialog("UPDATE", tag, 2), 8, Transport::Tcp);
  const auto bye = command(core::EndLeg{leg, 0, {}, 0});
  ASSERT_EQ(bye.size(), 1u);
  EXPECT_EQ(bye[0].transport, Transport::Tls);
  EXPECT_EQ(bye[0].connection, 7u);
}

TEST_F(LegConnectionTest, ACalleeIsReachedWhereItAnswers) {
  core::OfferLeg offer;
  offer.leg = leg = net->new_leg();
  offer.request_uri = offer.to = "sip:peer@192.0.2.9:5080;transport=tcp";
  offer.from = "sip:gw@192.0.2.2";
  offer.sdp = sample_sdp(3);
  const std::string invite = *command(offer).at(0).bytes;
  EXPECT_EQ(used(), Ids{});
  hear(answer_to(invite, 100, ""), 7);
  EXPECT_EQ(used(), Ids{7}) << "it may ring for longer than a connection may be idle";
  const std::string contact = "Contact: <sip:peer@192.0.2.9:5080;transport=tcp>\r\n";
  const auto ack = hear(answer_to(invite, 200, "far", contact, sample_sdp(4)), 8);
  ASSERT_EQ(ack.size(), 1u);
  EXPECT_EQ(ack[0].connection, 8u);
  EXPECT_EQ(used(), Ids{8});

  hear(answer_to(invite, 180, "fork"), 9);
  EXPECT_EQ(used(), Ids{8}) << "another party than the one of the call";
  const auto reinvite = command(core::UpdateLeg{leg, sample_sdp(5)});
  ASSERT_EQ(reinvite.size(), 1u);
  hear(answer_to(*reinvite[0].bytes, 200, "", contact, sample_sdp(6)), 10);
  EXPECT_EQ(used(), Ids{10}) << "the other had been lost";
  const auto bye = command(core::EndLeg{leg, 0, {}, 0});
  ASSERT_EQ(bye.size(), 1u);
  EXPECT_EQ(bye[0].connection, 10u);
}

TEST_F(LegConnectionTest, AConnectionIsNeededUntilItsLastCallEnds) {
  const std::string first = called(7, "call-1"), second = called(7, "call-2");
  hear(in_dialog("BYE", first, 2, "call-1"), 7);
  EXPECT_EQ(used(), Ids{7});
  hear(in_dialog("BYE", second, 2, "call-2"), 7);
  EXPECT_EQ(used(), Ids{});
  Text refused;
  refused.call_id = refused.branch = "z9hG4bKrefused";
  hear(refused.str(), 8);
  EXPECT_EQ(used(), Ids{8});
  command(core::EndLeg{leg, 486, {}, 0});
  EXPECT_EQ(used(), Ids{});
}

}  // namespace
}  // namespace ifgw::sip::test
