// The system's random source, for everything that deciding code may not make up by itself.
#pragma once

#include <array>
#include <cstdint>

#include "codecs/base/hash.h"
#include "codecs/base/result.h"

namespace ifgw::adapters {

// Unpredictable numbers, fetched from getrandom(2) 512 at a time. Not for keys that outlive the process.
class RandomSource {
 public:
  // Fails only when the kernel has no random source to give.
  static Result<RandomSource> create();
  std::uint64_t next() noexcept;
  HashKey hash_key() noexcept { return HashKey{next() | 1, next() | 1}; }

 private:
  RandomSource() = default;
  bool refill() noexcept;

  std::array<std::uint64_t, 512> pool_{};
  std::size_t left_ = 0;
};

}  // namespace ifgw::adapters
