// Memory as the product's tables want it: aligned to a cache line, of a size known at run time.
#pragma once

#include <cstddef>
#include <new>
#include <span>

namespace ifgw::test {

class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t size) : size_(size), data_(static_cast<std::byte*>(::operator new (size, std::align_val_t{64}))) {}
  ~AlignedBytes() { ::operator delete (data_, std::align_val_t{64}); }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  std::span<std::byte> span() { return {data_, size_}; }

 private:
  std::size_t size_;
  std::byte* data_;
};

}  // namespace ifgw::test
