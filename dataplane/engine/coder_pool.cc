#include "dataplane/engine/coder_pool.h"

#include <new>

namespace ifgw::engine {

CoderPool::Coder CoderPool::make(const TranscoderSettings& settings) noexcept {
  const std::size_t pages = (Transcoder::required_bytes(settings) + kPage - 1) / kPage;
  if (pages == 0 || pages > kMaxPages) return nullptr;
  std::byte* piece = nullptr;
  if (Free* free = free_[pages]; free != nullptr) {
    free_[pages] = free->next;
    piece = reinterpret_cast<std::byte*>(free);
  } else {
    if (memory_.size() - used_ < pages * kPage) return nullptr;
    piece = memory_.data() + used_;
    used_ += pages * kPage;
  }
  Transcoder::Ptr made = Transcoder::make(settings, {piece, pages * kPage});
  if (made == nullptr) {
    give_back(piece, static_cast<std::uint32_t>(pages));
    return nullptr;
  }
  return Coder(made.release(), GiveBack{this, static_cast<std::uint32_t>(pages)});
}

void CoderPool::give_back(void* piece, std::uint32_t pages) noexcept { free_[pages] = new (piece) Free{free_[pages]}; }

}  // namespace ifgw::engine
