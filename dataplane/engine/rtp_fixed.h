// The first twelve bytes of an RTP packet (RFC 3550 section 5.1) in registers: what a relay reads, changes and writes back,
// and the sum of their 16-bit words for the UDP checksum.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "codecs/wire/rtp.h"

namespace ifgw::engine {

class RtpFixed {
 public:
  // `at`: kRtpFixedBytes.
  static RtpFixed load(const std::uint8_t* at) noexcept {
    RtpFixed fixed;
    std::memcpy(&fixed.front_, at, sizeof fixed.front_);
    std::memcpy(&fixed.back_, at + sizeof fixed.front_, sizeof fixed.back_);
    fixed.first_ = at[0];
    return fixed;
  }
  void store(std::uint8_t* at) const noexcept {
    std::memcpy(at, &front_, sizeof front_);
    std::memcpy(at + sizeof front_, &back_, sizeof back_);
  }
  // All but the first byte: version, padding, extension and CSRC count stay the sender's.
  void set(const RtpHeader& rtp, std::uint8_t payload_type) noexcept {
    const std::uint32_t first =
        std::uint32_t{first_} << 24 | std::uint32_t{rtp.marker} << 23 | std::uint32_t{payload_type} << 16 | rtp.sequence;
    front_ = memory_order(std::uint64_t{first} << 32 | rtp.timestamp);
    back_ = memory_order(rtp.ssrc);
  }
  // One's complement, not folded to 16 bits; in the order of memory, as all sums of headers.h.
  std::uint32_t sum() const noexcept {
    const std::uint64_t words = (front_ & 0xFFFFFFFF) + (front_ >> 32) + back_;
    return static_cast<std::uint32_t>(words & 0xFFFF) + static_cast<std::uint32_t>(words >> 16 & 0xFFFF) +
           static_cast<std::uint32_t>(words >> 32);
  }

 private:
  static constexpr std::uint64_t memory_order(std::uint64_t value) noexcept {
    return std::endian::native == std::endian::little ? __builtin_bswap64(value) : value;
  }
  static constexpr std::uint32_t memory_order(std::uint32_t value) noexcept {
    return std::endian::native == std::endian::little ? __builtin_bswap32(value) : value;
  }
  std::uint64_t front_ = 0;  // the first eight bytes
  std::uint32_t back_ = 0;
  std::uint8_t first_ = 0;
};

}  // namespace ifgw::engine
