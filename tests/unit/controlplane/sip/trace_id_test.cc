// X-IF-Trace-ID: of a call, and of requests that begin none.
#include "controlplane/sip/text.h"
#include "tests/unit/controlplane/sip/user_agent_fixture.h"

namespace ifgw::sip {
namespace {

using test::answer_to;
using test::line_of;
using test::Text;
using test::UserAgentTest;

const std::string kName = "X-IF-Trace-ID: ";

class TraceIdTest : public UserAgentTest {
 protected:
  // Of a message of ours; empty: it has none, or several.
  static std::string trace_in(const std::string& message) {
    const std::string line = line_of(message, kName);
    if (line.empty() || message.find(kName) != message.rfind(kName)) return "";
    return line.substr(kName.size());
  }
  // The trace ids under which what came and went since the last call was recorded.
  std::vector<std::string> recorded() {
    std::vector<std::string> out;
    for (; seen < gw->wire.size(); ++seen) out.push_back(gw->wire[seen].trace_id);
    return out;
  }
  // The answer bears the id, and so do both records. Returns the id.
  std::string check(const std::string& text, const std::string& status) {
    recorded();
    const std::string answer = only_answer(text);
    EXPECT_EQ(answer.substr(8, 3), status);
    const std::string id = trace_in(answer);
    EXPECT_FALSE(id.empty()) << answer;
    EXPECT_EQ(recorded(), (std::vector<std::string>{id, id})) << status;
    return id;
  }
  std::size_t seen = 0;
};

TEST_F(TraceIdTest, KeepsAGoodTraceIdAndReplacesABadOne) {
  int call = 0;
  const auto trace_of = [&](const std::string& header) {
    Text text;
    text.call_id = "t" + std::to_string(++call);
    text.branch = "z9hG4bKt" + std::to_string(call);
    text.extra += header;
    exchange(text.str());
    return std::get<core::LegOffered>(gw->events.back()).trace_id;
  };
  EXPECT_EQ(trace_of("X-IF-Trace-ID: abc-123\r\n"), "abc-123");
  for (const std::string& bad : {std::string("X-IF-Trace-ID: a b\r\n"), "X-IF-Trace-ID: " + std::string(65, 'a') + "\r\n",
                                 std::string("X-IF-Trace-ID: a\r\nX-IF-Trace-ID: a\r\n"), std::string("X-IF-Trace-ID:\r\n"), std::string()})
    EXPECT_EQ(trace_of(bad).size(), 32u) << bad;
}

// Each with an id of the request's, without, and with one that is not valid; a copy gets the same again.
TEST_F(TraceIdTest, EveryRefusalHasOneAndTheRecordsTheSame) {
  int n = 0;
  const auto all_three = [&](Text text, const std::string& status) {
    const std::string extra = text.extra;
    text.branch += std::to_string(++n);
    text.call_id += std::to_string(n);
    text.extra = extra + kName + "mine\r\n";
    EXPECT_EQ(check(text.str(), status), "mine");
    text.branch += "x";
    text.extra = extra + kName + "mine\r\n" + kName + "mine\r\n";
    EXPECT_NE(check(text.str(), status), "mine");
    text.branch += "y";
    text.extra = extra + kName + "a b\r\n";
    EXPECT_TRUE(is_token(check(text.str(), status)));
    text.branch += "z";
    text.extra = extra;
    const std::string made = check(text.str(), status);
    EXPECT_EQ(check(text.str(), status), made) << "of a copy";
    text.branch += "w";
    EXPECT_NE(check(text.str(), status), made) << "of another request";
  };
  Text text;
  text.extra = "";
  all_three(text, "400");  // INVITE without Contact
  text = {};
  text.extra += "Content-Encoding: gzip\r\n";
  text.body = "x";
  all_three(text, "415");
  text = {};
  text.extra += "Require: timer\r\n";
  all_three(text, "420");
  text = {};
  text.method = "REGISTER";
  all_three(text, "405");
  text.method = "BYE";
  text.to_tag = "nobody";
  all_three(text, "481");
  text = {};
  text.uri = "tel:+15551234";
  all_three(text, "416");
  text.uri = "sip:" + std::string(1100, 'u') + "@192.0.2.2";
  all_three(text, "414");
}

TEST_F(TraceIdTest, AMessageThatCannotBeParsedKeepsItsOwnToo) {
  Text text;
  text.extra += kName + "mine\r\n";
  std::string broken = text.str();
  broken.replace(broken.find("Call-ID: call-1\r\n"), 17, "");
  EXPECT_EQ(check(broken, "400"), "mine");
}

TEST_F(TraceIdTest, AMergedRequestHasItsOwn) {
  Text text;
  text.extra += kName + "first\r\n";
  exchange(text.str());
  text.branch = "z9hG4bKother";
  EXPECT_EQ(check(text.str(), "482"), "first");
}

TEST_F(TraceIdTest, OptionsOutsideACallHasOneAndACopyTheSame) {
  Text text;
  text.method = "OPTIONS";
  const std::string made = check(text.str(), "200");
  EXPECT_EQ(check(text.str(), "200"), made);
  text.branch = "z9hG4bKb";
  text.call_id = "call-2";
  text.extra += kName + "mine\r\n";
  EXPECT_EQ(check(text.str(), "200"), "mine");
}

TEST_F(TraceIdTest, InsideACallItIsTheCallsWhateverTheRequestSays) {
  Text text;
  text.to_tag = established(kName + "call\r\n");
  text.extra += kName + "mine\r\n";
  text.method = "OPTIONS";
  text.cseq = 2;
  text.branch = "z9hG4bKb";
  EXPECT_EQ(check(text.str(), "200"), "call");
  text.method = "UPDATE";
  text.extra += "Require: timer\r\n";
  text.cseq = 3;
  text.branch = "z9hG4bKc";
  EXPECT_EQ(check(text.str(), "420"), "call");
  text.cseq = 2;
  text.branch = "z9hG4bKd";
  EXPECT_EQ(check(text.str(), "500"), "call") << "out of order";
}

TEST_F(TraceIdTest, HopByHopMessagesOfACallHaveItToo) {
  Text invite;
  invite.extra += kName + "call\r\n";
  EXPECT_EQ(trace_in(only_answer(invite.str())), "call") << "100";
  Text cancel = invite;
  cancel.method = "CANCEL";
  cancel.extra = "";
  const auto answers = exchange(cancel.str());
  ASSERT_EQ(answers.size(), 2u);
  for (const std::string& answer : answers) EXPECT_EQ(trace_in(answer), "call") << answer;
}

TEST_F(TraceIdTest, OurCancelAndTheAckOfARefusalHaveThatOfTheInvite) {
  core::OfferLeg offer;
  offer.leg = net->new_leg();
  offer.trace_id = "trace-1";
  offer.request_uri = offer.from = offer.to = "sip:peer@192.0.2.9:5080";
  net->command(*gw, offer);
  const std::string ours = arrived().at(0);
  EXPECT_EQ(trace_in(ours), "trace-1");
  exchange(answer_to(ours, 180, "b"));
  net->command(*gw, core::EndLeg{offer.leg, 487, {}, 0});
  const auto sent = arrived();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].substr(0, 6), "CANCEL");
  EXPECT_EQ(trace_in(sent[0]), "trace-1");
  const std::string ack = only_answer(answer_to(ours, 487, "b"));
  EXPECT_EQ(ack.substr(0, 3), "ACK");
  EXPECT_EQ(trace_in(ack), "trace-1");
}

// What admission refuses is recorded nowhere: an id would lead to nothing.
TEST_F(TraceIdTest, TheRefusalOfOverloadHasNone) {
  gw->ua->set_draining(true);
  Text text;
  text.extra += kName + "mine\r\n";
  const std::string answer = only_answer(text.str());
  EXPECT_EQ(answer.substr(8, 3), "503");
  EXPECT_EQ(line_of(answer, kName), "");
  EXPECT_TRUE(recorded().empty());
}

}  // namespace
}  // namespace ifgw::sip
