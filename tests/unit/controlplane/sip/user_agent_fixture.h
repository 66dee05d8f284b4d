// A user agent and a peer whose messages are written by hand: what the peer sends, and what came back.
#pragma once

#include <gtest/gtest.h>

#include "controlplane/sip/prescan.h"
#include "controlplane/sip/user_agent.h"
#include "tests/sim/sip_network.h"

namespace ifgw::sip::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kPeer = "192.0.2.9:5080";

// A request of the peer's; every part can be replaced.
struct Text {
  std::string method = "INVITE";
  std::string uri = "sip:gw@192.0.2.2";
  std::string branch = "z9hG4bKa";
  std::string via_parameters = ";rport";
  std::string from_tag = "peer";
  std::string to_tag;
  std::string call_id = "call-1";
  int cseq = 1;
  std::string extra = "Contact: <sip:peer@192.0.2.9:5080>\r\n";
  std::string type = "application/sdp";
  std::string body;

  std::string str() const {
    return method + " " + uri + " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5080;branch=" + branch + via_parameters +
           "\r\nMax-Forwards: 70\r\nFrom: <sip:peer@192.0.2.9>;tag=" + from_tag + "\r\nTo: <sip:gw@192.0.2.2>" +
           (to_tag.empty() ? "" : ";tag=" + to_tag) + "\r\nCall-ID: " + call_id + "\r\nCSeq: " + std::to_string(cseq) + " " + method +
           "\r\n" + extra + (body.empty() ? "" : "Content-Type: " + type + "\r\n") + "Content-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  }
};

// The peer's answer to a request of ours.
inline std::string answer_to(const std::string& request, int status, const std::string& to_tag, const std::string& extra = {},
                             const std::string& body = {}) {
  const PreScan scan = prescan(as_bytes(request));
  std::string out = "SIP/2.0 " + std::to_string(status) + " Text\r\n";
  HeaderWalker walker(scan.headers);
  HeaderField field;
  while (walker.next(field)) {
    if (field.id == HeaderId::Via || field.id == HeaderId::From || field.id == HeaderId::CallId || field.id == HeaderId::CSeq)
      out += std::string(field.name) + ": " + std::string(field.value) + "\r\n";
  }
  out += "To: " + std::string(scan.to) + (to_tag.empty() || !scan.to_tag.empty() ? "" : ";tag=" + to_tag) + "\r\n" + extra;
  if (!body.empty()) out += "Content-Type: application/sdp\r\n";
  return out + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline std::string line_of(const std::string& message, const std::string& start) {
  const std::size_t at = message.find("\r\n" + start);
  return at == std::string::npos ? "" : message.substr(at + 2, message.find("\r\n", at + 2) - at - 2);
}

class UserAgentTest : public ::testing::Test {
 protected:
  UserAgentTest() { build({}); }
  void build(Limits limits) {
    net = std::make_unique<SipNetwork>(1);
    gw = &net->add("192.0.2.2:5060", limits);
    net->listen(kPeer);
  }
  // Sends, and returns everything that came back within a moment.
  std::vector<std::string> exchange(const std::string& text, Transport transport = Transport::Udp) {
    net->inject(*gw, kPeer, text, transport);
    return arrived();
  }
  std::vector<std::string> arrived(Duration wait = milliseconds(20)) {
    net->run_for(wait);
    std::vector<std::string> out;
    for (std::string one = net->take(kPeer); !one.empty(); one = net->take(kPeer)) out.push_back(one);
    return out;
  }
  std::string only_answer(const std::string& text) {
    const auto answers = exchange(text);
    EXPECT_EQ(answers.size(), 1u) << text;
    return answers.empty() ? "" : answers[0];
  }
  std::string status_of(const std::string& text) { return only_answer(text).substr(8, 3); }

  // A call of the peer's, answered and acknowledged. Returns our tag.
  std::string established(const std::string& extra_headers = {}, const std::string& invite_body = sample_sdp(1)) {
    Text invite;
    invite.extra += extra_headers;
    invite.body = invite_body;
    exchange(invite.str());
    leg = std::get<core::LegOffered>(gw->events.back()).leg;
    net->command(*gw, core::AnswerLeg{leg, sample_sdp(2)});
    const std::string ok = arrived().at(0);
    const std::string tag(prescan(as_bytes(ok)).to_tag);
    Text ack;
    ack.method = "ACK";
    ack.branch = "z9hG4bKack";
    ack.to_tag = tag;
    EXPECT_TRUE(exchange(ack.str()).empty());
    return tag;
  }
  // A leg of ours towards the peer; returns the INVITE.
  std::string calling() {
    core::OfferLeg offer;
    offer.leg = leg = net->new_leg();
    offer.request_uri = "sip:peer@192.0.2.9:5080";
    offer.from = "sip:gw@192.0.2.2";
    offer.to = "sip:peer@192.0.2.9";
    offer.sdp = sample_sdp(3);
    net->command(*gw, offer);
    return arrived().at(0);
  }
  template <typename T>
  int count() const {
    int n = 0;
    for (const core::LegEvent& event : gw->events) n += std::holds_alternative<T>(event);
    return n;
  }

  std::unique_ptr<SipNetwork> net;
  SipNetwork::Party* gw = nullptr;
  core::LegKey leg;
};

}  // namespace ifgw::sip::test
