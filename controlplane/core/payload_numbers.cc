#include "controlplane/core/payload_numbers.h"

#include <algorithm>

namespace ifgw::core {

void PayloadNumbers::tell(std::uint8_t number, Payload payload) noexcept {
  if (number == api::kNoPayloadType) return;
  // An answer has to repeat the offer's numbers, also those of a party that gives one a second meaning.
  std::replace(told_.begin(), told_.end(), number, api::kNoPayloadType);
  told_[static_cast<std::size_t>(payload)] = number;
  meaning_[number & 127] = payload;
}

std::uint8_t PayloadNumbers::choose(Payload payload, std::uint8_t usual) noexcept {
  if (told(payload) != api::kNoPayloadType) return told(payload);
  const auto fits = [&](std::uint8_t number, Payload meaning) {
    const bool ours = std::find(told_.begin(), told_.end(), number) != told_.end();
    return meaning_[number] == meaning && usable_payload_type(number) && !ours;
  };
  const auto find = [&](unsigned first, unsigned last, Payload meaning) {
    for (unsigned n = last + 1; n-- > first;) {
      if (const auto number = static_cast<std::uint8_t>(n); fits(number, meaning)) return number;
    }
    return api::kNoPayloadType;
  };
  std::uint8_t number = fits(usual, payload) ? usual : find(0, 127, payload);
  if (number == api::kNoPayloadType && fits(usual, Payload::Nothing)) number = usual;
  if (number == api::kNoPayloadType) number = find(96, 127, Payload::Nothing);  // dynamic (RFC 3551 section 3)
  if (number == api::kNoPayloadType) number = find(35, 63, Payload::Nothing);   // unassigned there
  if (number == api::kNoPayloadType) number = usual;                            // the party used up all of them
  tell(number, payload);
  return number;
}

}  // namespace ifgw::core
