// Which payload type number stands for what between the gateway and one party. A number keeps its meaning for the whole
// session, in the offers and answers of both (RFC 3264 section 8.3.2): packets by an earlier description may still be on
// their way. A value of 150 bytes; nothing allocates.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/api/messages.h"

namespace ifgw::core {

// A codec by its number in api::Codec, or what goes beside one.
enum class Payload : std::uint8_t {
  Nothing = 0,
  TelephoneEvent8 = api::kMaxCodec + 1,  // by clock, in kHz
  TelephoneEvent16,
  TelephoneEvent48,
  ComfortNoise,
  Other,  // nothing of ours
};
constexpr Payload payload_of(api::Codec codec) noexcept { return static_cast<Payload>(codec); }
constexpr Payload telephone_event_at(std::uint32_t clock_hz) noexcept {
  return clock_hz == 8000     ? Payload::TelephoneEvent8
         : clock_hz == 16'000 ? Payload::TelephoneEvent16
         : clock_hz == 48'000 ? Payload::TelephoneEvent48
                              : Payload::Other;
}

// One format of a description; `number` is 0..127.
struct PayloadMapping {
  std::uint8_t number = 0;
  Payload payload = Payload::Nothing;
};

// 64..95 collide with RTCP packet types when both share a port (RFC 5761 section 4); the dataplane refuses them.
constexpr bool usable_payload_type(std::uint8_t number) noexcept { return number <= 127 && (number < 64 || number > 95); }

class PayloadNumbers {
 public:
  PayloadNumbers() noexcept { told_.fill(api::kNoPayloadType); }

  // A description of the party's said so.
  void note(std::span<const PayloadMapping> said) noexcept {
    for (const PayloadMapping& m : said) meaning_[m.number & 127] = m.payload;
  }
  // A description of ours says so. kNoPayloadType: it does not.
  void tell(std::uint8_t number, Payload payload) noexcept;
  // The number we told last for it; kNoPayloadType: none.
  std::uint8_t told(Payload payload) const noexcept { return told_[static_cast<std::size_t>(payload)]; }
  // For an offer of ours, and told by it: the number told before, else one of the party's for it, else `usual` where it never
  // meant anything else, else one that never meant anything.
  std::uint8_t choose(Payload payload, std::uint8_t usual) noexcept;

 private:
  std::array<Payload, 128> meaning_{};                                             // of each number, by the last description that had it
  std::array<std::uint8_t, static_cast<std::size_t>(Payload::Other) + 1> told_{};  // by us, for each payload
};

}  // namespace ifgw::core
