// RAII over belle-sip objects. Only controlplane/sip/message includes this.
#pragma once

#include <belle-sip/belle-sip.h>

#include <utility>

namespace ifgw::sip::belle {

// One counted reference. belle-sip hands out parsed objects with a count of zero ("floating"); share() makes it ours.
template <typename T>
class Ref {
 public:
  Ref() = default;
  static Ref share(T* object) noexcept {
    Ref ref;
    ref.object_ = object;
    if (object != nullptr) belle_sip_object_ref(object);
    return ref;
  }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) belle_sip_object_unref(object_);
  }
  T* get() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

// Owner of whatever belle-sip creates and abandons while this lives (failed parses leave floating objects behind).
// Nest freely, destroy in reverse order; per thread.
class Scope {
 public:
  Scope();
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  belle_sip_object_pool_t* pool_;
};

}  // namespace ifgw::sip::belle
