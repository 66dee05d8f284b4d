#include "controlplane/adapters/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "codecs/base/check.h"

namespace ifgw::adapters {

Result<RandomSource> RandomSource::create() {
  RandomSource source;
  if (!source.refill()) return Error{std::string{"getrandom: "} + std::strerror(errno)};
  return source;
}

bool RandomSource::refill() noexcept {
  auto* bytes = reinterpret_cast<char*>(pool_.data());
  std::size_t have = 0;
  while (have < sizeof pool_) {
    const ssize_t got = getrandom(bytes + have, sizeof pool_ - have, 0);
    if (got < 0 && errno != EINTR) return false;
    if (got > 0) have += static_cast<std::size_t>(got);
  }
  left_ = pool_.size();
  return true;
}

std::uint64_t RandomSource::next() noexcept {
  // After a successful start getrandom does not fail (random(7)).
  if (left_ == 0) IFGW_CHECK(refill());
  return std::exchange(pool_[--left_], 0);
}

}  // namespace ifgw::adapters
