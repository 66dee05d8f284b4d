// Keyed 64-bit hash for tables whose keys an attacker chooses (source addresses, Call-IDs): without the key nobody
// can aim at one bucket. Not a MAC. Multiply-and-fold over 16-byte blocks, as in the wyhash family.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace ifgw {

// Draw it once at start from the system's random source; a test may fix it.
struct HashKey {
  std::uint64_t k0 = 0x9E3779B97F4A7C15ULL;
  std::uint64_t k1 = 0xD1B54A32D192ED03ULL;
};

inline std::uint64_t multiply_fold(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t keyed_hash(std::uint64_t value, const HashKey& key) noexcept {
  return multiply_fold(multiply_fold(value ^ key.k0, 0x8BB84B93962EACC9ULL | 1) ^ key.k1, 0x2D358DCCAA6C78A5ULL ^ key.k0);
}

inline std::uint64_t keyed_hash(std::string_view text, const HashKey& key) noexcept {
  std::uint64_t state = keyed_hash(text.size(), key);
  while (!text.empty()) {
    std::uint64_t block[2] = {0, 0};
    const std::size_t take = text.size() < sizeof block ? text.size() : sizeof block;
    std::memcpy(block, text.data(), take);
    state = multiply_fold(block[0] ^ key.k1 ^ state, block[1] ^ key.k0);
    text.remove_prefix(take);
  }
  return keyed_hash(state, key);
}

}  // namespace ifgw
