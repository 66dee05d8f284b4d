// Containers with a stated bound and no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include "codecs/base/check.h"

namespace ifgw {

// Up to N values in place. T is trivially copyable, so a FixedVector may be copied as bytes.
template <typename T, std::size_t N>
class FixedVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  static constexpr std::size_t capacity() noexcept { return N; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  bool full() const noexcept { return size_ == N; }

  // False, and nothing added, when full: the caller counts the overflow.
  [[nodiscard]] bool push_back(const T& value) noexcept {
    if (full()) return false;
    items_[size_++] = value;
    return true;
  }
  void clear() noexcept { size_ = 0; }

  T& operator[](std::size_t i) noexcept {
    IFGW_CHECK(i < size_);
    return items_[i];
  }
  const T& operator[](std::size_t i) const noexcept {
    IFGW_CHECK(i < size_);
    return items_[i];
  }
  T* data() noexcept { return items_.data(); }
  const T* data() const noexcept { return items_.data(); }
  T* begin() noexcept { return items_.data(); }
  T* end() noexcept { return items_.data() + size_; }
  const T* begin() const noexcept { return items_.data(); }
  const T* end() const noexcept { return items_.data() + size_; }

 private:
  std::array<T, N> items_{};
  std::size_t size_ = 0;
};

}  // namespace ifgw
