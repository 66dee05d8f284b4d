// The user agent against messages written by hand: what a peer may send, and what must come back.
#include "tests/unit/controlplane/sip/user_agent_fixture.h"

namespace ifgw::sip {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::answer_to;
using test::kPeer;
using test::line_of;
using test::Text;
using test::UserAgentTest;

// ---- refusals --------------------------------------------------------------------------------------------------

TEST_F(UserAgentTest, RefusesWhatItCannotDoAndSaysWhy) {
  Text text;
  text.method = "REGISTER";
  EXPECT_EQ(status_of(text.str()), "405");
  EXPECT_EQ(line_of(only_answer(text.str()), "Allow"), "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE");
  text.method = "FROBNICATE";
  EXPECT_EQ(status_of(text.str()), "501");
  text = {};
  text.uri = "tel:+15551234";
  EXPECT_EQ(status_of(text.str()), "416");
  text = {};
  text.extra += "Require: timer, 100rel\r\n";
  EXPECT_EQ(line_of(only_answer(text.str()), "Unsupported"), "Unsupported: timer, 100rel");
  text = {};
  text.type = "multipart/mixed";
  text.body = "x";
  EXPECT_EQ(line_of(only_answer(text.str()), "Accept"), "Accept: application/sdp");
  text = {};
  text.extra += "Content-Encoding: gzip\r\n";
  text.body = "x";
  EXPECT_EQ(line_of(only_answer(text.str()), "Accept-Encoding"), "Accept-Encoding: identity");
  EXPECT_EQ(count<core::LegOffered>(), 0);
  EXPECT_EQ(gw->ua->occupancy().server_transactions, 0u) << "a refusal keeps no state";
}

TEST_F(UserAgentTest, RefusesMalformedRequestsNamingTheHeader) {
  std::string text = Text().str();
  text.replace(text.find("Call-ID: call-1\r\n"), 17, "");
  EXPECT_EQ(only_answer(text).substr(0, 34), "SIP/2.0 400 Missing Call-ID header");
  Text bad;
  bad.extra = "Contact: <sip:peer@192.0.2.9\r\n";
  EXPECT_EQ(only_answer(bad.str()).substr(0, 30), "SIP/2.0 400 Bad Contact header");
  bad.extra = "";
  EXPECT_EQ(only_answer(bad.str()).substr(0, 34), "SIP/2.0 400 Missing Contact header");
  text = Text().str();
  text.replace(text.find("SIP/2.0\r\n"), 7, "SIP/3.0");
  EXPECT_EQ(status_of(text), "505");
  bad = {};
  bad.uri = "sip:" + std::string(1100, 'u') + "@192.0.2.2";
  EXPECT_EQ(status_of(bad.str()), "414");
  bad = {};
  bad.body = std::string(core::kMaxSdpBytes + 1, 'b');
  EXPECT_EQ(status_of(bad.str()), "413");
  bad.body = std::string(40000, 'b');
  EXPECT_EQ(status_of(bad.str()), "513");
}

TEST_F(UserAgentTest, RefusesHopsLoopsAndUnknownDialogs) {
  std::string text = Text().str();
  text.replace(text.find("Max-Forwards: 70"), 16, "Max-Forwards: 0");
  EXPECT_EQ(status_of(text), "483");
  Text bye;
  bye.method = "BYE";
  bye.to_tag = "nobody";
  EXPECT_EQ(status_of(bye.str()), "481");
  bye.to_tag.clear();
  EXPECT_EQ(status_of(bye.str()), "481");
  Text cancel;
  cancel.method = "CANCEL";
  EXPECT_EQ(status_of(cancel.str()), "481");
  exchange(Text().str());
  Text merged;  // the same request by another way
  merged.branch = "z9hG4bKb";
  EXPECT_EQ(status_of(merged.str()), "482");
  EXPECT_EQ(count<core::LegOffered>(), 1);
}

TEST_F(UserAgentTest, AnswersOptionsWithItsAbilities) {
  Text options;
  options.method = "OPTIONS";
  options.extra = "";
  const std::string answer = only_answer(options.str());
  EXPECT_EQ(answer.substr(8, 3), "200");
  EXPECT_EQ(line_of(answer, "Accept:"), "Accept: application/sdp");
  EXPECT_NE(line_of(answer, "Allow:"), "");
  EXPECT_NE(line_of(answer, "Server:"), "");
}

TEST_F(UserAgentTest, StaysSilentToGarbageAndKeepAlives) {
  for (const std::string text :
       {"\r\n\r\n", "\r\n", "hello", "SIP/2.0 200 OK\r\n\r\n", "INVITE sip:x SIP/2.0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"})
    EXPECT_TRUE(exchange(text).empty()) << text;
  EXPECT_EQ(gw->ua->statistics().keepalives, 2u);
}

// ---- where answers go ------------------------------------------------------------------------------------------

TEST_F(UserAgentTest, AnswersToTheSourceWhenAskedByRport) {
  net->listen("198.51.100.1:1234");
  net->inject(*gw, "198.51.100.1:1234", Text().str());
  net->run_for(milliseconds(10));
  const std::string trying = net->take("198.51.100.1:1234");
  EXPECT_EQ(line_of(trying, "Via"), "Via: SIP/2.0/UDP 192.0.2.9:5080;branch=z9hG4bKa;received=198.51.100.1;rport=1234");
}

TEST_F(UserAgentTest, AnswersToTheSentByPortOtherwise) {
  net->listen("198.51.100.1:5080");
  Text text;
  text.via_parameters = ";received=203.0.113.1";  // not the peer's to say
  net->inject(*gw, "198.51.100.1:1234", text.str());
  net->run_for(milliseconds(10));
  EXPECT_EQ(line_of(net->take("198.51.100.1:5080"), "Via"), "Via: SIP/2.0/UDP 192.0.2.9:5080;branch=z9hG4bKa;received=198.51.100.1");
}

// ---- transactions ----------------------------------------------------------------------------------------------

TEST_F(UserAgentTest, AnswersARepeatedInviteFromMemory) {
  exchange(Text().str());
  leg = std::get<core::LegOffered>(gw->events.back()).leg;
  EXPECT_EQ(exchange(Text().str()).at(0).substr(8, 3), "100");
  net->command(*gw, core::RingLeg{leg, 180, {}});
  arrived();
  EXPECT_EQ(exchange(Text().str()).at(0).substr(8, 3), "180");
  net->command(*gw, core::EndLeg{leg, 404, {}, 0});
  arrived();
  EXPECT_EQ(exchange(Text().str()).at(0).substr(8, 3), "404");
  EXPECT_EQ(arrived(seconds(1)).size(), 1u) << "timer G";
  Text ack;
  ack.method = "ACK";
  EXPECT_TRUE(exchange(ack.str()).empty());
  EXPECT_TRUE(arrived(seconds(40)).empty()) << "acknowledged: silent";
  EXPECT_EQ(gw->ua->occupancy().server_transactions, 0u);
  EXPECT_EQ(count<core::LegOffered>(), 1);
}

TEST_F(UserAgentTest, FindsTransactionsWithoutTheMagicCookie) {
  Text old;
  old.branch = "1";
  exchange(old.str());
  EXPECT_EQ(exchange(old.str()).at(0).substr(8, 3), "100");
  old.call_id = "another";
  exchange(old.str());
  EXPECT_EQ(count<core::LegOffered>(), 2) << "RFC 2543: the same branch says nothing";
}

TEST_F(UserAgentTest, RepeatsTheRingingEveryMinute) {
  exchange(Text().str());
  leg = std::get<core::LegOffered>(gw->events.back()).leg;
  net->command(*gw, core::RingLeg{leg, 180, {}});
  arrived();
  EXPECT_EQ(arrived(seconds(150)).size(), 2u);
}

TEST_F(UserAgentTest, RepeatedAnswerIsAcknowledgedAgainAlsoAfterTheCall) {
  const std::string invite = calling();
  const std::string ok = answer_to(invite, 200, "x", "Contact: <sip:peer@192.0.2.9:5080>\r\n", sample_sdp(9));
  const std::string ack = exchange(ok).at(0);
  EXPECT_EQ(ack.substr(0, 4), "ACK ");
  EXPECT_EQ(exchange(ok).at(0), ack);
  net->command(*gw, core::EndLeg{leg, 0, {}, 0});
  const std::string bye = arrived().at(0);
  exchange(answer_to(bye, 200, "x"));
  EXPECT_EQ(count<core::LegEnded>(), 1);
  EXPECT_EQ(exchange(ok).at(0), ack);
  EXPECT_EQ(count<core::LegAnswered>(), 1);
}

TEST_F(UserAgentTest, AnswerOfAForkIsAcknowledgedAndHungUp) {
  const std::string invite = calling();
  exchange(answer_to(invite, 200, "x", "Contact: <sip:peer@192.0.2.9:5080>\r\n", sample_sdp(9)));
  const auto sent = exchange(answer_to(invite, 200, "y", "Contact: <sip:other@192.0.2.9:5080>\r\n", sample_sdp(9)));
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].substr(0, 30), "ACK sip:other@192.0.2.9:5080 S");
  EXPECT_EQ(sent[1].substr(0, 30), "BYE sip:other@192.0.2.9:5080 S");
  EXPECT_NE(sent[1].find(";tag=y"), std::string::npos);
  EXPECT_EQ(count<core::LegAnswered>(), 1);
  EXPECT_EQ(count<core::LegEnded>(), 0) << "the call itself goes on";
}

TEST_F(UserAgentTest, AnswerWithoutContactIsHungUp) {
  const std::string invite = calling();
  const auto sent = exchange(answer_to(invite, 200, "x", {}, sample_sdp(9)));
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].substr(0, 3), "ACK");
  EXPECT_EQ(sent[1].substr(0, 3), "BYE");
  exchange(answer_to(sent[1], 200, "x"));
  EXPECT_EQ(std::get<core::LegEnded>(gw->events.back()).status, 502);
}

TEST_F(UserAgentTest, ProvisionalsAndRefusalComeThrough) {
  const std::string invite = calling();
  exchange(answer_to(invite, 100, ""));
  EXPECT_EQ(count<core::LegProgressed>(), 0);
  exchange(answer_to(invite, 183, "x", {}, sample_sdp(9)));
  EXPECT_EQ(std::get<core::LegProgressed>(gw->events.back()).sdp, sample_sdp(9));
  const auto sent = exchange(answer_to(invite, 603, "x"));
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].substr(0, 3), "ACK");
  EXPECT_EQ(line_of(sent[0], "Via"), line_of(invite, "Via")) << "section 17.1.1.3: the INVITE's branch";
  EXPECT_EQ(exchange(answer_to(invite, 603, "x")).at(0), sent[0]);
  EXPECT_EQ(std::get<core::LegEnded>(gw->events.back()).status, 603);
}

TEST_F(UserAgentTest, ResponsesThatAreAProxysAreDropped) {
  const std::string invite = calling();
  const std::string busy = answer_to(invite, 486, "x");
  const std::string via = line_of(busy, "Via");
  for (const std::string& second :
       {std::string("\r\nVia: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKp"), std::string("\r\nv: SIP/2.0/UDP 192.0.2.77"),
        std::string(", SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKp")}) {
    std::string text = busy;
    text.insert(text.find(via) + via.size(), second);
    EXPECT_TRUE(exchange(text).empty()) << second;
  }
  EXPECT_EQ(gw->ua->statistics().misrouted_responses, 3u);
  EXPECT_EQ(count<core::LegEnded>(), 0);
  EXPECT_EQ(exchange(busy).at(0).substr(0, 3), "ACK") << "the call still waits for its own answer";
}

// ---- overload --------------------------------------------------------------------------------------------------

TEST_F(UserAgentTest, ShedsNewCallsBeyondTheRateButNoDialog) {
  Limits limits;
  limits.setups_per_second = 10;
  limits.setup_burst = 5;
  build(limits);
  Text bye;
  bye.to_tag = established();
  int admitted = 1;
  std::string refused;
  for (int i = 0; i < 100; ++i) {
    Text text;
    text.call_id = "flood" + std::to_string(i);
    text.branch = "z9hG4bKflood" + std::to_string(i);
    net->inject(*gw, kPeer, text.str());
  }
  for (const std::string& one : arrived()) {
    if (one.substr(8, 3) == "100") ++admitted;
    if (one.substr(8, 3) == "503") refused = one;
  }
  EXPECT_EQ(admitted, 5);
  EXPECT_EQ(gw->ua->statistics().calls_shed, 96u);
  EXPECT_EQ(line_of(refused, "Retry-After"), "Retry-After: 5");
  EXPECT_EQ(gw->ua->occupancy().server_transactions, 5u);
  bye.method = "BYE";
  bye.branch = "z9hG4bKbye";
  bye.cseq = 2;
  EXPECT_EQ(status_of(bye.str()), "200");
  net->run_for(seconds(1));
  Text later;
  later.call_id = later.branch = "z9hG4bKlater";
  EXPECT_EQ(exchange(later.str()).at(0).substr(8, 3), "100") << "a second later there is room again";
}

TEST_F(UserAgentTest, ShedsBeyondTheCallsInFlightAndWhileDraining) {
  Limits limits;
  limits.setups_in_flight = 1;
  build(limits);
  exchange(Text().str());
  Text second;
  second.call_id = second.branch = "z9hG4bKsecond";
  const std::string refused = only_answer(second.str());
  EXPECT_EQ(refused.substr(8, 3), "503");
  EXPECT_EQ(only_answer(second.str()), refused) << "the same request gets the same answer";
  net->command(*gw, core::EndLeg{std::get<core::LegOffered>(gw->events.back()).leg, 486, {}, 0});
  arrived();
  gw->ua->set_draining(true);
  EXPECT_EQ(status_of(second.str()), "503");
}

TEST_F(UserAgentTest, FullTablesRefuseAndRecover) {
  Limits limits;
  limits.legs = 1;
  build(limits);
  Text bye;
  bye.to_tag = established();
  Text second;
  second.call_id = second.branch = "z9hG4bKsecond";
  EXPECT_EQ(status_of(second.str()), "503");
  EXPECT_EQ(gw->ua->statistics().table_full, 1u);
  core::OfferLeg offer;
  offer.leg = net->new_leg();
  offer.request_uri = offer.from = offer.to = "sip:peer@192.0.2.9:5080";
  net->command(*gw, offer);
  EXPECT_EQ(std::get<core::LegEnded>(gw->events.back()).status, 503);
  bye.method = "BYE";
  bye.branch = "z9hG4bKbye";
  bye.cseq = 2;
  EXPECT_EQ(status_of(bye.str()), "200");
  EXPECT_EQ(status_of(second.str()), "503") << "a copy of what was refused begins no call";
  second.branch = "z9hG4bKagain";
  EXPECT_EQ(exchange(second.str()).at(0).substr(8, 3), "100");
}

TEST_F(UserAgentTest, UndrainedOutputsAreBounded) {
  Limits limits;
  limits.outputs = 10;
  build(limits);
  for (int i = 0; i < 100; ++i) {
    Text options;
    options.method = "OPTIONS";
    options.call_id = options.branch = "z9hG4bK" + std::to_string(i);
    const std::string text = options.str();
    InboundMessage message;
    message.source = *Endpoint::parse(kPeer);
    message.bytes = as_bytes(text);
    gw->ua->on_message(message, net->now());
  }
  Outputs outputs;
  gw->ua->drain(outputs);
  EXPECT_EQ(outputs.messages.size(), 10u);
  EXPECT_EQ(outputs.wire.size(), 10u);
  EXPECT_EQ(gw->ua->statistics().outputs_dropped, 90u + 190u);
}

TEST_F(UserAgentTest, RefusesToCallWhatItCannotReach) {
  core::OfferLeg offer;
  offer.from = offer.to = "sip:x@host.example";
  const auto outcome = [&](const char* uri, const char* transport) {
    offer.leg = net->new_leg();
    offer.request_uri = uri;
    offer.transport = transport;
    net->command(*gw, offer);
    return std::get<core::LegEnded>(gw->events.back());
  };
  EXPECT_EQ(outcome("sip:peer@host.example", "").cause, core::EndCause::Transport) << "a name, and no next hop";
  EXPECT_EQ(outcome("sip:peer@192.0.2.9", "sctp").cause, core::EndCause::Transport);
  EXPECT_EQ(outcome("tel:+1", "").status, 416);
  offer.from = "nonsense";
  EXPECT_EQ(outcome("sip:peer@192.0.2.9", "").status, 400);
  EXPECT_TRUE(arrived().empty());
  EXPECT_EQ(gw->ua->occupancy().legs, 0u);
}

TEST_F(UserAgentTest, WhatIsSentNamesTheTraceOfItsLeg) {
  core::OfferLeg offer;
  offer.leg = net->new_leg();
  offer.trace_id = "trace-1";
  offer.request_uri = offer.from = offer.to = "sip:peer@192.0.2.9:5080";
  gw->ua->on_command(offer, net->now());
  const std::string options = [] {
    Text text;
    text.method = "OPTIONS";
    return text.str();
  }();
  InboundMessage message;
  message.source = *Endpoint::parse(kPeer);
  message.bytes = as_bytes(options);
  gw->ua->on_message(message, net->now());
  Outputs outputs;
  gw->ua->drain(outputs);
  ASSERT_EQ(outputs.messages.size(), 2u);
  ASSERT_NE(outputs.messages[0].trace_id, nullptr);
  EXPECT_EQ(*outputs.messages[0].trace_id, "trace-1");
  ASSERT_NE(outputs.messages[1].trace_id, nullptr);
  EXPECT_NE(*outputs.messages[1].trace_id, "trace-1") << "belongs to no call";
}

TEST_F(UserAgentTest, NamesTheConnectionAndWhereElseToGo) {
  Text invite;
  invite.extra = "Contact: <sip:peer@192.0.2.9:5080;transport=tcp>\r\n";
  std::string text = invite.str();
  text.replace(text.find("SIP/2.0/UDP"), 11, "SIP/2.0/TCP");
  net->inject(*gw, "192.0.2.9:41000", text, Transport::Tcp);
  gw->ua->on_command(core::RingLeg{std::get<core::LegOffered>(gw->events.back()).leg, 180, {}}, net->now());
  Outputs outputs;
  gw->ua->drain(outputs);
  ASSERT_EQ(outputs.messages.size(), 1u);
  EXPECT_EQ(outputs.messages[0].connection, 7u);
  EXPECT_EQ(outputs.messages[0].destination.text(), "192.0.2.9:5080") << "the sent-by port, for when the connection is gone";
}

}  // namespace
}  // namespace ifgw::sip
