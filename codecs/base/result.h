// Result<T>: a value, or an Error that says what was wrong and where. For input that may be bad (a message, a
// configuration line, a command); programmer errors are IFGW_CHECK, bad media packets are DropReasons.
//
// Never throws. Reading the wrong side is a programmer error. [[nodiscard]]: an ignored Result does not compile.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "codecs/base/check.h"

namespace ifgw {

struct Error {
  std::string message;       // one line, for a person: what is wrong and what would be right
  std::size_t position = 0;  // byte offset into the input, or line number; the producer's header says which
};

template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit on purpose: `return value;` and `return Error{...};` both read well.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  T& value() & {
    IFGW_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    IFGW_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    IFGW_CHECK(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    IFGW_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

// For operations that yield nothing: `return Success{};`
struct Success {};
using Status = Result<Success>;

}  // namespace ifgw
