// Counts heap allocations: a program that links allocations.cc has malloc and its kin replaced by ones that count and
// then call glibc's. operator new ends there too. (Not for sanitizer builds, which replace malloc themselves.)
#pragma once

#include <cstdint>

namespace ifgw::bench {

// Calls made by this thread since it started.
std::uint64_t allocations() noexcept;

}  // namespace ifgw::bench
