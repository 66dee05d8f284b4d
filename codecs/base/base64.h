// Bytes as text and back: base64 with its standard alphabet and padding (RFC 4648 section 4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ifgw {

// Appends 4 characters for each 3 bytes begun.
void encode_base64(std::string_view bytes, std::string& out);
// Nothing: another character, a length that is no multiple of 4, padding elsewhere than at the end, or bits that no encoder
// sets.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace ifgw
