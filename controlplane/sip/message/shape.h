// The parts of a URI in which belle-sip's grammar takes time that grows with the square of their length (ADR 0008) are judged here, in
// linear time. belle-sip is given a URI of the same shape with a short stand-in for each of them, and judges the rest.
#pragma once

#include <string>
#include <string_view>

#include "codecs/base/result.h"

namespace ifgw::sip {

struct Shape {
  std::string text;  // the URI that stands for it
  std::string user;  // unescaped; empty: none
  std::string host;  // IPv6 without brackets
};

// A sip: or sips: URI of at most 2048 bytes: user and password as RFC 3261 section 25.1 writes them, without control characters
// once unescaped; the host a name (labels of letters, digits and '-', as long as DNS allows) or an IP address.
Result<Shape> shape_of_sip_uri(std::string_view uri);
// Any other scheme: characters only (RFC 2396 section 2); user and host stay empty.
Result<Shape> shape_of_other_uri(std::string_view uri);

}  // namespace ifgw::sip
