// Values of a hostile dataplane.
#include "dataplane/api/checks.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace ifgw::api {
namespace {

const Endpoint kV4 = *Endpoint::parse("192.0.2.1:4000");
const Endpoint kV6 = *Endpoint::parse("[2001:db8::1]:4000");

IpAddress of_family(std::uint8_t family) {
  IpAddress address = kV4.ip;
  address.family = static_cast<IpFamily>(family);
  return address;
}
IpAddress dirty() {
  IpAddress address = kV4.ip;
  address.bytes[15] = 1;
  return address;
}

LegInfo good_leg() {
  LegInfo leg;
  leg.id = LegId::make(1, 2, 3);
  leg.local = kV4;
  leg.media.codec = Codec::L16_16;
  return leg;
}

TEST(Checks, ALegOfADataplaneIsValid) {
  LegInfo leg = good_leg();
  EXPECT_TRUE(valid(leg)) << "its party is not known yet";
  leg.media.remote = leg.current_remote = leg.local = kV6;
  leg.media.source_policy = SourcePolicy::Latch;
  leg.media.encoder.speex_rate = SpeexRate::Vad;
  leg.created_ns = 1'000'000'000'000'000;
  EXPECT_TRUE(valid(leg));
}

TEST(Checks, ALegWithOneImpossibleValueIsNot) {
  const std::vector<std::function<void(LegInfo&)>> changes = {
      [](LegInfo& l) { l.id = {}; },
      [](LegInfo& l) { l.media.codec = static_cast<Codec>(kMaxCodec + 1); },
      [](LegInfo& l) { l.media.codec = static_cast<Codec>(255); },
      [](LegInfo& l) { l.media.source_policy = static_cast<SourcePolicy>(0); },
      [](LegInfo& l) { l.media.source_policy = static_cast<SourcePolicy>(3); },
      [](LegInfo& l) { l.media.encoder.speex_rate = static_cast<SpeexRate>(3); },
      [](LegInfo& l) { l.media.receive = 2; },
      [](LegInfo& l) { l.media.send = 2; },
      [](LegInfo& l) { l.local = {}; },
      [](LegInfo& l) { l.local.ip = of_family(77); },
      [](LegInfo& l) { l.media.remote.ip = dirty(); },
      [](LegInfo& l) { l.current_remote.ip = of_family(0); },
      [](LegInfo& l) { l.created_ns = ~std::uint64_t{0}; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    LegInfo leg = good_leg();
    changes[i](leg);
    EXPECT_FALSE(valid(leg)) << "change " << i;
  }
}

// Makes an event of `type` and lets `fill` write its member.
template <typename Fill>
bool event_valid(EventType type, Fill fill) {
  Event event;
  event.type = type;
  fill(event);
  return valid(event);
}

TEST(Checks, EventsOfADataplaneAreValid) {
  const LegId leg = LegId::make(0, 1, 1);
  EXPECT_TRUE(
      event_valid(EventType::CommandDone, [&](Event& e) { e.command_done = {1, CommandType::AddLeg, CommandStatus::Ok, leg, kV4, 0}; }));
  EXPECT_TRUE(event_valid(EventType::CommandDone, [&](Event& e) { e.command_done = {1, {}, CommandStatus::Busy, {}, {}, 0}; }));
  EXPECT_TRUE(event_valid(EventType::FirstPacket, [&](Event& e) { e.first_packet = {leg, kV6}; }));
  EXPECT_TRUE(event_valid(EventType::MediaTimeout, [&](Event& e) { e.media_timeout = {leg, 60'000'000'000}; }));
  EXPECT_TRUE(event_valid(EventType::AddressChange, [&](Event& e) { e.address_change = {leg, {}, kV4}; }));
  EXPECT_TRUE(event_valid(EventType::MediaUnreachable, [&](Event& e) {
    e.media_unreachable = {leg, kV6.ip, kV4, UnreachableCause::TimeExceeded, 0};
  }));
  EXPECT_TRUE(event_valid(EventType::LimiterVerdict, [&](Event& e) { e.limiter_verdict = {kV4.ip, Verdict::Released, 1, 2}; }));
  EXPECT_TRUE(event_valid(EventType::SourceRow, [&](Event& e) { e.source_row = {1, kV4.ip, 1, 2, 1, 3}; }));
  EXPECT_TRUE(event_valid(EventType::PrefixRow, [&](Event& e) { e.prefix_row = {1, {kV6.ip, 128}, 1, 0, 0, 0, 0}; }));
}

TEST(Checks, EventsWithAnImpossibleValueAreNot) {
  const LegId leg = LegId::make(0, 1, 1);
  const std::uint64_t huge = ~std::uint64_t{0};
  const Endpoint bad{of_family(9), 5};
  EXPECT_FALSE(event_valid(static_cast<EventType>(0), [](Event&) {}));
  EXPECT_FALSE(event_valid(static_cast<EventType>(200), [](Event&) {}));
  EXPECT_FALSE(event_valid(EventType::CommandDone, [&](Event& e) { e.command_done = {1, {}, static_cast<CommandStatus>(10), {}, {}, 0}; }));
  EXPECT_FALSE(event_valid(EventType::CommandDone, [&](Event& e) { e.command_done = {1, {}, CommandStatus::Ok, leg, bad, 0}; }));
  EXPECT_FALSE(event_valid(EventType::FirstPacket, [&](Event& e) { e.first_packet = {leg, {}}; }));
  EXPECT_FALSE(event_valid(EventType::FirstPacket, [&](Event& e) { e.first_packet = {{}, kV4}; }));
  EXPECT_FALSE(event_valid(EventType::MediaTimeout, [&](Event& e) { e.media_timeout = {leg, huge}; }));
  EXPECT_FALSE(event_valid(EventType::AddressChange, [&](Event& e) { e.address_change = {leg, bad, kV4}; }));
  EXPECT_FALSE(event_valid(EventType::AddressChange, [&](Event& e) { e.address_change = {leg, kV4, Endpoint{dirty(), 4}}; }));
  for (const int cause : {0, 8, 255}) {
    EXPECT_FALSE(event_valid(EventType::MediaUnreachable, [&](Event& e) {
      e.media_unreachable = {leg, kV4.ip, kV4, static_cast<UnreachableCause>(cause), 0};
    })) << cause;
  }
  for (const int verdict : {0, 4})
    EXPECT_FALSE(event_valid(EventType::LimiterVerdict, [&](Event& e) {
      e.limiter_verdict = {kV4.ip, static_cast<Verdict>(verdict), 1, 2};
    }));
  EXPECT_FALSE(event_valid(EventType::SourceRow, [&](Event& e) { e.source_row = {1, {}, 1, 2, 1, 3}; }));
  EXPECT_FALSE(event_valid(EventType::SourceRow, [&](Event& e) { e.source_row = {1, kV4.ip, 1, 2, 2, 3}; }));
  EXPECT_FALSE(event_valid(EventType::SourceRow, [&](Event& e) { e.source_row = {1, kV4.ip, 1, 2, 1, huge}; }));
  EXPECT_FALSE(event_valid(EventType::PrefixRow, [&](Event& e) { e.prefix_row = {1, {kV4.ip, 33}, 0, 0, 0, 0, 0}; }));
  EXPECT_FALSE(event_valid(EventType::PrefixRow, [&](Event& e) { e.prefix_row = {1, {kV6.ip, 129}, 0, 0, 0, 0, 0}; }));
  EXPECT_FALSE(event_valid(EventType::PrefixRow, [&](Event& e) { e.prefix_row = {1, {kV4.ip, 32}, 2, 0, 0, 0, 0}; }));
}

}  // namespace
}  // namespace ifgw::api
