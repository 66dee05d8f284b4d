// Counts operator new. A program that links allocations.cc replaces it with one that counts and then allocates as usual.
#pragma once

#include <cstdint>

namespace ifgw::bench {

// Calls made by this thread since it started.
std::uint64_t allocations() noexcept;

}  // namespace ifgw::bench
