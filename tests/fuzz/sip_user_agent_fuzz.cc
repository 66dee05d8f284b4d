// A hostile peer and an absent-minded core: the input is a script of messages, commands and waits against one user
// agent. It never throws or aborts, its tables keep their bounds, and every leg ends exactly once.
//
// Script: records of one type byte, one length byte (times 8) and that many bytes.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "controlplane/sip/prescan.h"
#include "controlplane/sip/user_agent.h"

namespace {

using namespace ifgw;
using namespace ifgw::sip;

struct World {
  World() {
    UserAgentConfig config;
    config.addresses = {{Transport::Udp, "192.0.2.2", 5060, {}}, {Transport::Tcp, "192.0.2.2", 5060, {}}};
    config.limits.legs = 8;
    config.limits.transactions = 32;
    Randomness randomness;
    randomness.random = [this] { return ++state * 0x9E3779B97F4A7C15ULL; };
    randomness.next_leg = [this] { return core::LegKey{++legs}; };
    ua = std::make_unique<UserAgent>(std::move(config), std::move(randomness));
  }

  void drain() {
    Outputs outputs;
    ua->drain(outputs);
    for (const core::LegEvent& event : outputs.events) {
      if (const auto* offered = std::get_if<core::LegOffered>(&event)) alive.insert(offered->leg.value);
      if (const auto* ended = std::get_if<core::LegEnded>(&event); ended != nullptr && alive.erase(ended->leg.value) != 1) std::abort();
    }
    for (OutboundMessage& message : outputs.messages) {
      const PreScan scan = prescan(as_bytes(*message.bytes));
      if (scan.start == StartLine::None) std::abort();
      if (message.is_request) last_request = message.bytes;
    }
    const Occupancy size = ua->occupancy();
    if (size.legs > 8 || size.client_transactions > 32 || size.server_transactions > 32 || size.setups_in_flight > 8) std::abort();
  }

  void message(std::string text, bool tcp) {
    // '\x01' stands for the branch, '\x02' for the From tag, '\x03' for the Call-ID of the last request sent: so that
    // responses and in-dialog requests can be written into a corpus.
    if (last_request) {
      const PreScan scan = prescan(as_bytes(*last_request));
      for (const auto& [mark, value] : {std::pair{'\x01', scan.via.branch}, {'\x02', scan.from_tag}, {'\x03', scan.call_id}}) {
        for (std::size_t at = text.find(mark); at != std::string::npos && text.size() < 8192; at = text.find(mark, at + value.size()))
          text.replace(at, 1, value);
      }
    }
    InboundMessage in;
    in.transport = tcp ? Transport::Tcp : Transport::Udp;
    in.source = *Endpoint::parse("192.0.2.9:5060");
    in.local = *Endpoint::parse("192.0.2.2:5060");
    in.connection = tcp ? 5 : 0;
    in.bytes = as_bytes(text);
    ua->on_message(in, now);
  }

  void command(std::uint8_t type, const std::string& text) {
    const core::LegKey leg{text.empty() ? 1 : static_cast<std::uint64_t>(static_cast<std::uint8_t>(text[0]))};
    switch (type % 6) {
      case 0: {
        core::OfferLeg offer;
        offer.leg = {++legs};
        offer.request_uri = text.size() > 40 ? text : "sip:peer@192.0.2.9";
        offer.from = offer.to = "sip:gw@192.0.2.2";
        offer.trace_id = "t";
        offer.sdp = text.size() % 2 == 0 ? "v=0\r\n" : "";
        offer.headers = {{"X-A", text}};
        alive.insert(offer.leg.value);
        return ua->on_command(offer, now);
      }
      case 1: return ua->on_command(core::RingLeg{leg, 180, text}, now);
      case 2: return ua->on_command(core::AnswerLeg{leg, text}, now);
      case 3: return ua->on_command(core::UpdateLeg{leg, text}, now);
      case 4: return ua->on_command(core::RefuseUpdate{leg, 488, text}, now);
      default: return ua->on_command(core::EndLeg{leg, 486, text, 1}, now);
    }
  }

  void wait(Duration duration) {
    const Instant end = now + duration;
    for (int turns = 0; ua->next_deadline() <= end; ++turns) {
      if (turns > 100000) std::abort();  // a deadline that does not move
      now = std::max(now, ua->next_deadline());
      ua->on_timer(now);
      drain();
    }
    now = end;
  }

  std::unique_ptr<UserAgent> ua;
  Instant now = from_ns(1);
  std::uint64_t state = 0, legs = 0;
  std::set<std::uint64_t> alive;
  Wire last_request;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World world;
  const Bytes all(data, size);
  // A plain message is a script of one.
  if (size > 2 && data[0] >= 'A') {
    world.message(std::string(as_text(all)), false);
    world.drain();
  } else {
    ByteReader script(all);
    while (script.remaining() >= 2 && world.legs < 64) {
      const std::uint8_t type = script.u8();
      const std::size_t wanted = script.u8() * std::size_t{8};
      const std::size_t length = std::min(wanted, script.remaining());
      const std::string text(as_text(script.bytes(length)));
      if (type < 16)
        world.message(text, type % 2 == 1);
      else if (type < 32)
        world.command(type, text);
      else if (type == 33)
        world.ua->on_send_failed(text.size(), world.now);
      else
        world.wait(std::chrono::milliseconds(type * 20));
      world.drain();
    }
  }
  // Whatever happened: when core ends everything, everything ends.
  for (const std::uint64_t leg : std::set<std::uint64_t>(world.alive)) {
    world.ua->on_command(core::EndLeg{{leg}, 480, {}, 0}, world.now);
    world.drain();
  }
  world.wait(std::chrono::minutes(10));
  const Occupancy left = world.ua->occupancy();
  if (!world.alive.empty() || left.legs + left.client_transactions + left.server_transactions + left.setups_in_flight != 0) std::abort();
  return 0;
}
