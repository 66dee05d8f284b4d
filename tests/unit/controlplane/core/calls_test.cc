#include "controlplane/core/calls.h"

#include <gtest/gtest.h>

#include "tests/support/call_world.h"

namespace ifgw::core {
namespace {

using test::audio_sdp;
using test::CallWorld;

const std::string kOffer = audio_sdp("10.0.0.9", 4000, "0 8");
const std::string kAnswer = audio_sdp("192.0.2.7", 6000, "0");

wire::sdp::Session parsed(const std::string& text) {
  auto result = wire::sdp::parse(text);
  EXPECT_TRUE(result.ok()) << text;
  return result.ok() ? std::move(result).value() : wire::sdp::Session{};
}

TEST(Calls, ConnectsTwoLegsEachWithItsOwnCodec) {
  CallWorld w;
  w.caller = w.offer(audio_sdp("10.0.0.9", 4000, "0 8"));
  EXPECT_EQ(w.only_call().state, CallState::Setup);
  w.settle_media();

  const auto* invite = w.last<OfferLeg>();
  ASSERT_NE(invite, nullptr);
  EXPECT_EQ(invite->request_uri, "sip:expert-safety@192.0.2.7:5060");
  EXPECT_EQ(invite->next_hop.text(), "192.0.2.7:5060");
  const auto ours = parsed(invite->sdp);
  EXPECT_EQ(ours.connection->ip.text(), "10.1.0.1");  // the callee side's media address
  ASSERT_EQ(ours.media.size(), 1u);
  ASSERT_EQ(ours.media[0].formats.size(), 1u);
  EXPECT_EQ(ours.media[0].formats[0].encoding, "PCMU");

  w.give(LegProgressed{w.callee, 180, "Ringing", ""});
  EXPECT_EQ(w.only_call().state, CallState::Ringing);
  EXPECT_EQ(w.last<RingLeg>()->status, 180);
  w.give(LegAnswered{w.callee, kAnswer});
  EXPECT_EQ(w.last<AnswerLeg>(), nullptr);  // not before the dataplane has joined the legs
  w.settle_media();

  ASSERT_NE(w.last<AnswerLeg>(), nullptr);
  const auto answer = parsed(w.last<AnswerLeg>()->sdp);
  EXPECT_EQ(answer.media[0].formats[0].encoding, "PCMA");  // the caller's side prefers it, although PCMU was offered first
  EXPECT_EQ(w.only_call().state, CallState::Connected);

  const Call& call = w.only_call();
  const auto& near = w.media.legs.at(call.side(Party::Caller).media.value);
  const auto& far = w.media.legs.at(call.side(Party::Callee).media.value);
  EXPECT_EQ(near.peer, call.side(Party::Callee).media);
  EXPECT_EQ(near.media.codec, api::Codec::Pcma);
  EXPECT_EQ(far.media.codec, api::Codec::Pcmu);
  EXPECT_EQ(near.media.remote.text(), "10.0.0.9:4000");
  EXPECT_EQ(far.media.remote.text(), "192.0.2.7:6000");
  EXPECT_EQ(far.media.media_timeout_ms, 60000u);
  EXPECT_EQ(call.side(Party::Caller).media.worker(), call.side(Party::Callee).media.worker());
}

TEST(Calls, EveryStepIsRecordedWithTheTraceIdBeforeTheAnswer) {
  CallWorld w;
  w.connect();
  w.end(w.caller);
  w.settle_legs();
  w.settle_media();
  EXPECT_EQ(w.witness.events(),
            (std::vector<std::string>{"INVITE", "POLICY_APPROVED", "INVITE", "RINGING", "BRIDGE_ESTABLISHED", "CONNECTED", "TERMINATED"}));
  for (const auto& r : w.witness.records) EXPECT_EQ(r.trace_id, "trace-1");
  EXPECT_TRUE(w.nothing_left());
  ASSERT_EQ(w.calls().ended().size(), 1u);
  EXPECT_EQ(w.calls().ended()[0].end_text, "caller hung up");
}

TEST(Calls, EitherPartyMayHangUp) {
  for (const bool by_caller : {true, false}) {
    CallWorld w;
    w.connect();
    w.end(by_caller ? w.caller : w.callee);
    EXPECT_EQ(w.only_call().state, CallState::Disconnecting);
    EXPECT_EQ(w.last<EndLeg>()->leg, by_caller ? w.callee : w.caller);
    w.settle_legs();
    EXPECT_EQ(w.calls().size(), 1u);  // the media legs are still going
    w.settle_media();
    EXPECT_TRUE(w.nothing_left());
  }
}

TEST(Calls, CancelBeforeTheAnswerEndsTheCallee) {
  CallWorld w;
  w.caller = w.offer(kOffer);
  w.settle_media();
  w.give(LegProgressed{w.callee, 180, "", ""});
  w.end(w.caller, EndCause::Cancelled, 487);
  EXPECT_EQ(w.last<EndLeg>()->leg, w.callee);
  w.settle_legs();
  w.settle_media();
  EXPECT_TRUE(w.nothing_left());
}

TEST(Calls, CancelWhileMediaIsBeingAllocatedLeavesNoLeg) {
  CallWorld w;
  w.caller = w.offer(kOffer);
  w.end(w.caller, EndCause::Cancelled, 487);
  EXPECT_EQ(w.last<OfferLeg>(), nullptr);
  w.settle_media();
  EXPECT_EQ(w.last<OfferLeg>(), nullptr);
  EXPECT_TRUE(w.nothing_left());
}

struct EndCase {
  EndCause cause;
  int status;
  int to_caller;
};

TEST(Calls, TheCalleesEndBecomesTheCallersStatus) {
  for (const EndCase& c :
       {EndCase{EndCause::Rejected, 486, 486}, EndCase{EndCause::Rejected, 603, 603}, EndCase{EndCause::Rejected, 407, 502},
        EndCase{EndCause::Rejected, 302, 480}, EndCase{EndCause::TimedOut, 408, 408}, EndCase{EndCause::Transport, 0, 503}}) {
    CallWorld w;
    w.caller = w.offer(kOffer);
    w.settle_media();
    w.end(w.callee, c.cause, c.status);
    ASSERT_NE(w.last<EndLeg>(), nullptr);
    EXPECT_EQ(w.last<EndLeg>()->leg, w.caller);
    EXPECT_EQ(w.last<EndLeg>()->status, c.to_caller);
    EXPECT_NE(w.witness.last("REJECTED"), nullptr);
    w.settle_legs();
    w.settle_media();
    EXPECT_TRUE(w.nothing_left());
  }
}

TEST(Calls, NoCommonCodecIs488NamingBothSides) {
  CallWorld w;
  w.caller = w.offer(audio_sdp("10.0.0.9", 4000, "3 18"));
  const auto* end = w.last<EndLeg>();
  ASSERT_NE(end, nullptr);
  EXPECT_EQ(end->status, 488);
  EXPECT_EQ(end->reason, "no common codec: offered GSM/8000, G729/8000; accepted PCMA, PCMU");
  EXPECT_EQ(w.witness.last("REJECTED")->details.at("remedy"), "offer one of PCMA, PCMU");
  EXPECT_TRUE(w.media.legs.empty());
  w.settle_legs();
  EXPECT_TRUE(w.nothing_left());
}

TEST(Calls, NoRouteIs404AndAsksNobody) {
  CallWorld w;
  w.offer(kOffer, "sip:nobody@gw.example");
  EXPECT_EQ(w.last<EndLeg>()->status, 404);
  EXPECT_TRUE(w.guard.asked.empty());
}

TEST(Calls, TheGuardsRefusalIsASecurityRecordWithItsReasons) {
  CallWorld w;
  w.guard.decision = Decision{false, "allowlist", "no-prefix", "10.0.0.9", "203.0.113.0/24", "call from an approved network", 403, 0};
  w.offer(kOffer);
  EXPECT_EQ(w.last<EndLeg>()->status, 403);
  const auto* record = w.witness.last("SECURITY_REJECTED");
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->details.at("layer"), "allowlist");
  EXPECT_EQ(record->details.at("observed"), "10.0.0.9");
  EXPECT_EQ(w.calls().statistics().refused_policy, 1u);
}

TEST(Calls, ALateDecisionIsHonouredAndOneForAnEndedCallIsIgnored) {
  CallWorld w;
  w.guard.answer_at_once = false;
  w.caller = w.offer(kOffer);
  const std::uint64_t id = w.guard.asked.at(0);
  w.calls().on_decision(id, w.guard.decision, w.now);
  w.settle_media();
  w.collect();
  EXPECT_NE(w.last<OfferLeg>(), nullptr);
  w.end(w.caller);
  w.settle_legs();
  w.settle_media();
  w.calls().on_decision(id, w.guard.decision, w.now);
  EXPECT_TRUE(w.nothing_left());
}

TEST(Calls, AGuardThatNeverAnswersIsBoundedBySetupTimeout) {
  CallWorld w;
  w.guard.answer_at_once = false;
  w.offer(kOffer);
  w.advance(std::chrono::seconds{10});
  EXPECT_EQ(w.last<EndLeg>()->status, 504);
  w.settle_legs();
  EXPECT_TRUE(w.nothing_left());
}

TEST(Calls, RecordThatCannotBeKeptRefusesTheCall) {
  for (std::size_t nth = 1; nth <= 6; ++nth) {  // INVITE, POLICY_APPROVED, INVITE, RINGING, BRIDGE_ESTABLISHED, CONNECTED
    CallWorld w;
    w.witness.fail_from = nth;
    w.caller = w.offer(kOffer);
    w.settle_media();
    if (w.callee.value != 0) {
      w.give(LegProgressed{w.callee, 180, "", ""});
      w.give(LegAnswered{w.callee, kAnswer});
      w.settle_media();
    }
    EXPECT_EQ(w.last<AnswerLeg>(), nullptr) << nth;
    ASSERT_NE(w.last<EndLeg>(), nullptr) << nth;
    const auto told = std::find_if(w.commands.begin(), w.commands.end(), [&](const LegCommand& c) {
      const auto* e = std::get_if<EndLeg>(&c);
      return e != nullptr && e->leg == w.caller && e->status == 503;
    });
    EXPECT_NE(told, w.commands.end()) << nth;
    EXPECT_EQ(w.calls().statistics().refused_witness, 1u) << nth;
    w.settle_legs();
    w.settle_media();
    EXPECT_TRUE(w.nothing_left()) << nth;
  }
}

TEST(Calls, FullRegistryIs503WithRetryAfterAndKeepsNothing) {
  CallWorld w;
  auto s = std::make_shared<CallSettings>(*w.settings);
  s->limits.calls = 2;
  w.settings = s;
  w.offer(kOffer);
  w.offer(kOffer);
  w.offer(kOffer);
  EXPECT_EQ(w.last<EndLeg>()->status, 503);
  EXPECT_EQ(w.last<EndLeg>()->retry_after_s, 5u);
  EXPECT_EQ(w.calls().size(), 2u);
  EXPECT_EQ(w.calls().statistics().refused_admission, 1u);
  EXPECT_EQ(w.witness.last("REJECTED")->details.at("rule"), "max-calls");
}

TEST(Calls, CallRateAdmitsOneSecondsWorthAtOnceAndThenThatManyPerSecond) {
  CallWorld w;
  auto s = std::make_shared<CallSettings>(*w.settings);
  s->limits.calls_per_second = 10;
  w.settings = s;
  const auto admitted = [&](int offers) {
    const auto before = w.calls().statistics().refused_admission;
    for (int i = 0; i < offers; ++i) w.offer(kOffer);
    return offers - static_cast<int>(w.calls().statistics().refused_admission - before);
  };
  EXPECT_EQ(admitted(50), 10);
  w.now += std::chrono::milliseconds{500};
  EXPECT_EQ(admitted(50), 5);
  w.now += std::chrono::seconds{60};
  EXPECT_EQ(admitted(50), 10);
}

TEST(Calls, TimersRingAndDuration) {
  CallWorld w;
  w.offer(kOffer);
  w.settle_media();
  w.give(LegProgressed{w.callee, 180, "", ""});
  w.advance(std::chrono::seconds{61});
  EXPECT_EQ(w.witness.last("TERMINATED")->details.at("rule"), "no-answer");
  w.settle_legs();
  w.settle_media();
  w.connect();
  w.advance(std::chrono::hours{4});
  EXPECT_EQ(w.witness.last("TERMINATED")->details.at("rule"), "max-duration");
  w.settle_legs();
  w.settle_media();
  EXPECT_TRUE(w.nothing_left());
}

TEST(Calls, LegsThatNeverEndAreForgottenAndCounted) {
  CallWorld w;
  w.connect();
  w.end(w.caller);
  w.settle_media();
  w.advance(std::chrono::seconds{40});
  EXPECT_EQ(w.calls().size(), 0u);
  EXPECT_EQ(w.calls().timers(), 0u);
  EXPECT_EQ(w.calls().statistics().forced_clear, 1u);
}

TEST(Calls, KillEndsBothLegsAndSaysWho) {
  CallWorld w;
  w.connect();
  EXPECT_TRUE(w.calls().kill(w.only_call().id, "uid 1000", w.now));
  w.collect();
  EXPECT_EQ(w.ending.size(), 2u);
  EXPECT_EQ(w.witness.last("TERMINATED")->details.at("observed"), "uid 1000");
  EXPECT_EQ(w.told(w.caller), "ended by operator") << "who that is, is for the audit";
  EXPECT_EQ(w.told(w.callee), "ended by operator");
  EXPECT_FALSE(w.calls().kill(999, "uid 1000", w.now));
}

TEST(Calls, StopRefusesNewCallsAndEndsTheOthers) {
  CallWorld w;
  w.connect();
  w.calls().stop(w.now);
  w.collect();
  w.settle_legs();
  w.settle_media();
  EXPECT_TRUE(w.nothing_left());
  w.offer(kOffer);
  EXPECT_EQ(w.last<EndLeg>()->status, 503);
}

TEST(Calls, OnlyKnownIfHeadersReachTheCalleeAndTheTraceIdAlwaysDoes) {
  CallWorld w;
  w.headers = {{"x-if-hazard", "fire"}, {"X-IF-Signature", "abc"}, {"X-IF-Authenticated-User", "root"}, {"X-IF-Trace-ID", "trace-1"}};
  w.offer(kOffer);
  w.settle_media();
  const Headers expected = {{"X-IF-Trace-ID", "trace-1"}, {"X-IF-Hazard", "fire"}, {"X-IF-Signature", "abc"}};
  EXPECT_EQ(w.last<OfferLeg>()->headers, expected);
}

TEST(Calls, DuplicateAndOversizedIfHeadersAre400) {
  CallWorld w;
  w.headers = {{"X-IF-Hazard", "fire"}, {"X-IF-Hazard", "flood"}};
  w.offer(kOffer);
  EXPECT_EQ(w.last<EndLeg>()->status, 400);
  w.headers = {{"X-IF-Signature", std::string(513, 'x')}};
  w.offer(kOffer);
  EXPECT_EQ(w.last<EndLeg>()->status, 400);
}

TEST(Calls, AnswerThatCannotBeUsedRefusesTheCallerAndEndsTheCalleeWithTheReason) {
  std::string secure = audio_sdp("192.0.2.7", 6000, "0");
  secure.replace(secure.find("RTP/AVP"), 7, "RTP/SAVP");
  for (const auto& [rule, sdp] :
       std::map<std::string, std::string>{{"no-common-codec", audio_sdp("192.0.2.7", 6000, "18")},
                                          {"answer-m-line-differs", secure},
                                          {"answer-m-line-count", audio_sdp("192.0.2.7", 6000, "0", "m=video 5 RTP/AVP 31\r\n")},
                                          {"media-address-is-ours", audio_sdp("10.1.0.1", 6000, "0")},
                                          {"media-address-not-reachable", audio_sdp("127.0.0.1", 6000, "0")}}) {
    CallWorld w;
    w.caller = w.offer(kOffer);
    w.settle_media();
    w.give(LegAnswered{w.callee, sdp});
    EXPECT_EQ(w.ending, (std::set<std::uint64_t>{w.caller.value, w.callee.value})) << rule;
    EXPECT_EQ(w.only_call().refusal->status, 502);
    EXPECT_EQ(w.only_call().refusal->rule, rule);
    EXPECT_EQ(w.last<EndLeg>()->leg, w.callee);
    EXPECT_EQ(w.last<EndLeg>()->reason, w.only_call().refusal->phrase()) << "the callee's BYE says why";
    EXPECT_EQ(w.told(w.caller), "the called party's answer cannot be used") << "its addresses are not for the caller";
    EXPECT_EQ(w.witness.last("REJECTED")->details.at("observed"), w.only_call().refusal->observed);
    EXPECT_EQ(w.witness.last("BRIDGE_ERROR"), nullptr) << "no failure of ours";
    w.settle_legs();
    w.settle_media();
    EXPECT_TRUE(w.nothing_left());
  }
}

TEST(Calls, WordsOfOnePartyAreForTheAuditAndNotForTheOther) {
  const std::string words = "no such extension on pbx7.inside.example (10.2.0.7)";
  CallWorld refused;
  refused.caller = refused.offer(kOffer);
  refused.settle_media();
  refused.end(refused.callee, EndCause::Rejected, 404, words);
  EXPECT_EQ(refused.last<EndLeg>()->status, 404);
  EXPECT_EQ(refused.told(refused.caller), "callee refused (404)");
  EXPECT_EQ(refused.witness.last("REJECTED")->details.at("observed"), "callee refused (404): " + words);
  for (const bool by_caller : {true, false}) {
    CallWorld w;
    w.connect();
    w.end(by_caller ? w.caller : w.callee, EndCause::Bye, 0, words);
    EXPECT_EQ(w.told(by_caller ? w.callee : w.caller), by_caller ? "caller hung up" : "callee hung up");
    EXPECT_NE(w.witness.last("TERMINATED")->details.at("end").find(words), std::string::npos);
  }
}

TEST(Calls, RoutesAreNotNamedToTheCaller) {
  for (const bool address : {true, false}) {
    CallWorld w;
    if (address) {
      w.media.addresses = {*IpAddress::parse("10.0.0.1")};
    } else {
      w.media.mask = 0;
    }
    w.caller = w.offer(address ? kOffer : "");
    ASSERT_NE(w.witness.last("REJECTED"), nullptr);
    EXPECT_EQ(w.witness.last("REJECTED")->details.at("observed"), "route experts");
    EXPECT_EQ(w.told(w.caller).find("experts"), std::string::npos) << w.told(w.caller);
    EXPECT_NE(w.told(w.caller), "");
  }
}

TEST(Calls, OfferThatNamesUsAsItsMediaAddressIs488) {
  CallWorld w;
  w.caller = w.offer(audio_sdp("10.0.0.1", 4000, "8"));
  ASSERT_NE(w.last<EndLeg>(), nullptr);
  EXPECT_EQ(w.last<EndLeg>()->status, 488);
  EXPECT_EQ(w.last<EndLeg>()->reason, "media address is ours: 10.0.0.1; an address that is not the gateway's");
  EXPECT_EQ(w.witness.last("REJECTED")->details.at("rule"), "media-address-is-ours");
  EXPECT_TRUE(w.media.legs.empty());
}

TEST(Calls, MediaToAnAddressWeAdvertiseIsRefusedInOfferAnswerAndReOffer) {
  const auto world = [] {
    CallWorld w;
    auto s = std::make_shared<CallSettings>(*w.settings);
    s->media.advertised = {{*IpAddress::parse("10.1.0.1"), *IpAddress::parse("198.51.100.9")}};
    w.settings = s;
    return w;
  };
  const std::string loop = audio_sdp("198.51.100.9", 4000, "0 8");
  CallWorld offered = world();
  offered.offer(loop);
  ASSERT_NE(offered.last<EndLeg>(), nullptr);
  EXPECT_EQ(offered.last<EndLeg>()->status, 488);
  EXPECT_EQ(offered.witness.last("REJECTED")->details.at("rule"), "media-address-is-ours");
  CallWorld answered = world();
  answered.offer(audio_sdp("10.0.0.9", 4000, "0 8"));
  answered.settle_media();
  answered.give(LegAnswered{answered.callee, loop});
  ASSERT_NE(answered.last<EndLeg>(), nullptr);
  EXPECT_EQ(answered.last<EndLeg>()->status, 502);
  CallWorld changed = world();
  changed.connect();
  changed.give(LegUpdated{changed.caller, loop, true});
  ASSERT_NE(changed.last<RefuseUpdate>(), nullptr);
  EXPECT_EQ(changed.last<RefuseUpdate>()->status, 488);
}

}  // namespace
}  // namespace ifgw::core
