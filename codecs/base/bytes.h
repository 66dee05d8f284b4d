// Cursors over bytes in network order. Both have one failure rule: the first read or write that does not fit fails
// the cursor, everything after it yields zeros (or writes nothing), and ok() says so once at the end. Nothing
// allocates, nothing reads or writes outside the span.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace ifgw {

using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

inline Bytes as_bytes(std::string_view text) noexcept { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }
inline std::string_view as_text(Bytes bytes) noexcept { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Unaligned big-endian access to bytes already known to be there.
inline std::uint16_t load_be16(const std::uint8_t* p) noexcept {
  std::uint16_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap16(v);
}
inline std::uint32_t load_be32(const std::uint8_t* p) noexcept {
  std::uint32_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap32(v);
}
inline std::uint64_t load_be64(const std::uint8_t* p) noexcept {
  std::uint64_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap64(v);
}
inline void store_be16(std::uint8_t* p, std::uint16_t v) noexcept {
  v = __builtin_bswap16(v);
  std::memcpy(p, &v, sizeof v);
}
inline void store_be32(std::uint8_t* p, std::uint32_t v) noexcept {
  v = __builtin_bswap32(v);
  std::memcpy(p, &v, sizeof v);
}

class ByteReader {
 public:
  explicit ByteReader(Bytes bytes) noexcept : bytes_(bytes) {}

  bool ok() const noexcept { return ok_; }
  std::size_t position() const noexcept { return position_; }
  std::size_t remaining() const noexcept { return bytes_.size() - position_; }

  std::uint8_t u8() noexcept { return take(1) ? bytes_[position_ - 1] : std::uint8_t{0}; }
  std::uint16_t u16() noexcept { return take(2) ? load_be16(&bytes_[position_ - 2]) : std::uint16_t{0}; }
  std::uint32_t u32() noexcept { return take(4) ? load_be32(&bytes_[position_ - 4]) : std::uint32_t{0}; }
  std::uint64_t u64() noexcept { return take(8) ? load_be64(&bytes_[position_ - 8]) : std::uint64_t{0}; }
  // The next `count` bytes, or an empty span once failed.
  Bytes bytes(std::size_t count) noexcept { return take(count) ? bytes_.subspan(position_ - count, count) : Bytes{}; }
  void skip(std::size_t count) noexcept { (void)take(count); }

 private:
  bool take(std::size_t count) noexcept {
    if (!ok_ || count > remaining()) {
      ok_ = false;
      return false;
    }
    position_ += count;
    return true;
  }

  Bytes bytes_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

class ByteWriter {
 public:
  explicit ByteWriter(MutableBytes bytes) noexcept : bytes_(bytes) {}

  bool ok() const noexcept { return ok_; }
  std::size_t size() const noexcept { return size_; }
  MutableBytes written() const noexcept { return bytes_.first(size_); }

  void u8(std::uint8_t v) noexcept {
    if (take(1)) bytes_[size_ - 1] = v;
  }
  void u16(std::uint16_t v) noexcept {
    if (take(2)) store_be16(&bytes_[size_ - 2], v);
  }
  void u32(std::uint32_t v) noexcept {
    if (take(4)) store_be32(&bytes_[size_ - 4], v);
  }
  void bytes(Bytes source) noexcept {
    if (take(source.size()) && !source.empty()) std::memcpy(&bytes_[size_ - source.size()], source.data(), source.size());
  }

 private:
  bool take(std::size_t count) noexcept {
    if (!ok_ || count > bytes_.size() - size_) {
      ok_ = false;
      return false;
    }
    size_ += count;
    return true;
  }

  MutableBytes bytes_;
  std::size_t size_ = 0;
  bool ok_ = true;
};

}  // namespace ifgw
