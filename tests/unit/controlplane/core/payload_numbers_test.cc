// A payload type number never changes its meaning within a session (RFC 3264 section 8.3.2).
#include "controlplane/core/payload_numbers.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/call_world.h"

namespace ifgw::core {
namespace {

using test::audio_sdp;
using test::CallWorld;

constexpr Payload kOpus = payload_of(api::Codec::Opus);
constexpr Payload kPcmu = payload_of(api::Codec::Pcmu);
constexpr Payload kSpeex = payload_of(api::Codec::Speex8);

TEST(PayloadNumbers, AreTheUsualOnesUntilTheyMeanSomethingElse) {
  PayloadNumbers numbers;
  EXPECT_EQ(numbers.told(kOpus), api::kNoPayloadType);
  EXPECT_EQ(numbers.choose(kPcmu, 0), 0);
  numbers.note(std::vector<PayloadMapping>{{96, Payload::TelephoneEvent48}, {97, Payload::Other}});
  const std::uint8_t opus = numbers.choose(kOpus, 96);
  EXPECT_GT(opus, 97);
  const std::uint8_t speex = numbers.choose(kSpeex, 97);
  EXPECT_GT(speex, 97);
  EXPECT_NE(speex, opus);
  EXPECT_EQ(numbers.choose(kOpus, 96), opus) << "what was told stays";
  EXPECT_EQ(numbers.told(kOpus), opus);
}

TEST(PayloadNumbers, ThoseOfThePartyAreTakenOver) {
  PayloadNumbers numbers;
  numbers.note(std::vector<PayloadMapping>{{111, kOpus}, {70, kSpeex}});
  EXPECT_EQ(numbers.choose(kOpus, 96), 111);
  numbers.note(std::vector<PayloadMapping>{{0, kPcmu}, {120, kPcmu}});
  EXPECT_EQ(numbers.choose(kPcmu, 0), 0) << "the usual one of several";
  EXPECT_EQ(numbers.choose(kSpeex, 97), 97) << "70 is an RTCP packet type's";
  numbers.note(std::vector<PayloadMapping>{{112, kOpus}});
  EXPECT_EQ(numbers.choose(kOpus, 96), 111) << "a second number for it changes nothing";
}

TEST(PayloadNumbers, OnesToldBeforeAreNotGivenToSomethingElse) {
  PayloadNumbers numbers;
  EXPECT_EQ(numbers.choose(kOpus, 96), 96);
  numbers.tell(111, kOpus);  // in an answer to an offer with 111
  EXPECT_EQ(numbers.told(kOpus), 111);
  EXPECT_NE(numbers.choose(kSpeex, 96), 96);
  numbers.tell(111, Payload::TelephoneEvent8);  // a party that gives it a second meaning has to be answered so
  EXPECT_EQ(numbers.told(kOpus), api::kNoPayloadType);
  EXPECT_NE(numbers.choose(kOpus, 111), 111);
}

TEST(PayloadNumbers, ThereIsAlwaysOneHoweverManyThePartyUsedUp) {
  PayloadNumbers numbers;
  std::vector<PayloadMapping> all;
  for (unsigned n = 96; n <= 127; ++n) all.push_back({static_cast<std::uint8_t>(n), Payload::Other});
  numbers.note(all);
  const std::uint8_t beyond = numbers.choose(kOpus, 96);
  EXPECT_TRUE(beyond >= 35 && beyond <= 63) << int{beyond};
  all.clear();
  for (unsigned n = 0; n <= 127; ++n) all.push_back({static_cast<std::uint8_t>(n), Payload::Other});
  numbers.note(all);
  EXPECT_EQ(numbers.choose(kSpeex, 97), 97);
}

class SessionNumbers : public ::testing::Test {
 protected:
  SessionNumbers() {
    w.media.mask |= 1u << static_cast<unsigned>(api::Codec::Opus);
    auto settings = std::make_shared<CallSettings>(*w.settings);
    settings->routes[0].caller.codecs = {api::Codec::Opus, api::Codec::Pcmu};
    settings->routes[0].callee.codecs = {api::Codec::Opus, api::Codec::Pcmu};
    w.settings = settings;
  }
  static std::map<int, std::string> formats(const std::string& text) {
    const auto session = wire::sdp::parse(text);
    std::map<int, std::string> out;
    for (const wire::sdp::Format& f : session->media.at(0).formats) out[f.payload_type] = f.encoding + "/" + std::to_string(f.clock_rate);
    return out;
  }
  // What our 200 to a re-INVITE without SDP offers.
  std::map<int, std::string> offered_anew(LegKey leg) {
    w.give(LegUpdated{leg, "", true});
    w.settle_media();
    EXPECT_EQ(w.last<AnswerLeg>()->leg, leg);
    return formats(w.last<AnswerLeg>()->sdp);
  }
  const api::MediaParams& media(Party party) { return w.media.legs.at(w.only_call().side(party).media.value).media; }
  CallWorld w;
};

TEST_F(SessionNumbers, AnOfferInsideTheCallKeepsToThoseOfTheCallersFirstOne) {
  w.connect(audio_sdp("10.0.0.9", 4000, "111 96", "a=rtpmap:111 opus/48000/2\r\na=rtpmap:96 telephone-event/48000\r\n"));
  EXPECT_EQ(formats(w.last<AnswerLeg>()->sdp), (std::map<int, std::string>{{111, "opus/48000"}, {96, "telephone-event/48000"}}));
  EXPECT_EQ(
      offered_anew(w.caller),
      (std::map<int, std::string>{{111, "opus/48000"}, {96, "telephone-event/48000"}, {0, "PCMU/8000"}, {101, "telephone-event/8000"}}));
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, "111 96", "a=rtpmap:111 opus/48000/2\r\na=rtpmap:96 telephone-event/48000\r\n"),
                    false});
  w.settle_media();
  EXPECT_EQ(media(Party::Caller).received_payload_type, 111);
  EXPECT_EQ(media(Party::Caller).received_telephone_event_payload_type, 96);
}

TEST_F(SessionNumbers, ACodecThatWasNotMentionedGetsOneThatMeantNothing) {
  w.connect(audio_sdp("10.0.0.9", 4000, "0 96 101", "a=rtpmap:96 AMR/8000\r\na=rtpmap:101 iLBC/8000\r\n"));
  const auto formats = offered_anew(w.caller);
  EXPECT_EQ(formats.count(96) + formats.count(101), 0u) << "they are AMR and iLBC in this session";
  const auto opus = std::find_if(formats.begin(), formats.end(), [](const auto& f) { return f.second == "opus/48000"; });
  ASSERT_NE(opus, formats.end());
  const std::string number = std::to_string(opus->first);
  w.give(LegUpdated{w.caller, audio_sdp("10.0.0.9", 4000, number, "a=rtpmap:" + number + " opus/48000/2\r\n"), false});
  w.settle_media();
  EXPECT_EQ(w.only_call().side(Party::Caller).agreed.codec, api::Codec::Opus);
  EXPECT_EQ(media(Party::Caller).received_payload_type, opus->first);
}

TEST_F(SessionNumbers, TheCalleeIsOfferedWhatItWasOfferedBeforeWhateverItAnswered) {
  w.caller = w.offer(audio_sdp("10.0.0.9", 4000, "0 101", "a=rtpmap:101 telephone-event/8000\r\n"));
  w.settle_media();
  const auto first = formats(w.last<OfferLeg>()->sdp);
  EXPECT_EQ(first.at(96), "opus/48000");
  w.give(
      LegAnswered{w.callee, audio_sdp("192.0.2.7", 6000, "110 96", "a=rtpmap:110 opus/48000/2\r\na=rtpmap:96 telephone-event/8000\r\n")});
  w.settle_media();
  EXPECT_EQ(media(Party::Callee).received_payload_type, 96) << "by our number";
  EXPECT_EQ(media(Party::Callee).payload_type, 110) << "by its own";
  EXPECT_EQ(media(Party::Callee).received_telephone_event_payload_type, 101);
  EXPECT_EQ(offered_anew(w.callee), first);
}

}  // namespace
}  // namespace ifgw::core
