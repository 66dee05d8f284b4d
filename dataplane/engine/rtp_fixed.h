// The first twelve bytes of an RTP packet (RFC 3550 section 5.1) in registers: what a relay reads, changes and writes back,
// and their sum for the UDP checksum.
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
    return fixed;
  }
  void store(std::uint8_t* at) const noexcept {
    std::memcpy(at, &front_, sizeof front_);
    std::memcpy(at + sizeof front_, &back_, sizeof back_);
  }
  // As the party sent it: version 2 with no padding, extension or CSRC, no marker, of this payload type.
  bool plain(std::uint8_t payload_type) const noexcept { return head() >> 16 == (std::uint32_t{0x80} << 8 | payload_type); }
  std::uint16_t sequence() const noexcept { return static_cast<std::uint16_t>(head()); }
  std::uint32_t timestamp() const noexcept { return static_cast<std::uint32_t>(memory_order(front_)); }
  std::uint32_t ssrc() const noexcept { return memory_order(back_); }
  // All but the first byte: version, padding, extension and CSRC count stay the sender's.
  RtpFixed with(const RtpHeader& rtp, std::uint8_t payload_type) const noexcept {
    const std::uint32_t first = (head() & 0xFF000000) | std::uint32_t{rtp.marker} << 23 | std::uint32_t{payload_type} << 16 | rtp.sequence;
    return made(first, rtp.timestamp, rtp.ssrc);
  }
  // One that is plain().
  static RtpFixed make(std::uint8_t payload_type, std::uint16_t sequence, std::uint32_t timestamp, std::uint32_t ssrc) noexcept {
    return made(std::uint32_t{0x80} << 24 | std::uint32_t{payload_type} << 16 | sequence, timestamp, ssrc);
  }
  // Plain sum of the 32-bit words, below 2^34, in the order of memory: for update_checksum().
  std::uint64_t sum() const noexcept { return (front_ & 0xFFFFFFFF) + (front_ >> 32) + back_; }

 private:
  static RtpFixed made(std::uint32_t first, std::uint32_t timestamp, std::uint32_t ssrc) noexcept {
    RtpFixed fixed;
    fixed.front_ = memory_order(std::uint64_t{first} << 32 | timestamp);
    fixed.back_ = memory_order(ssrc);
    return fixed;
  }
  // Version, padding, extension, CSRC count; marker, payload type; sequence number.
  std::uint32_t head() const noexcept { return static_cast<std::uint32_t>(memory_order(front_) >> 32); }
  static constexpr std::uint64_t memory_order(std::uint64_t value) noexcept {
    return std::endian::native == std::endian::little ? __builtin_bswap64(value) : value;
  }
  static constexpr std::uint32_t memory_order(std::uint32_t value) noexcept {
    return std::endian::native == std::endian::little ? __builtin_bswap32(value) : value;
  }
  std::uint64_t front_ = 0;  // the first eight bytes
  std::uint32_t back_ = 0;
};

}  // namespace ifgw::engine
