// Memory for transcoders: a piece of one region for each direction that needs one. Pieces differ much in size (7 kB
// into PCMU, 52 into Opus), so each size has its own list of free pieces; a new piece comes from the rest of the
// region. No piece moves; none is given back to the region.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/engine/transcoder.h"

namespace ifgw::engine {

class CoderPool {
 public:
  // `memory`: aligned to audio::kStateAlignment; it outlives the pool and everything made in it.
  explicit CoderPool(std::span<std::byte> memory) noexcept : memory_(memory) {}

  struct GiveBack {
    CoderPool* pool = nullptr;
    std::uint32_t pages = 0;
    void operator()(Transcoder* coder) const noexcept {
      std::destroy_at(coder);
      pool->give_back(coder, pages);
    }
  };
  using Coder = std::unique_ptr<Transcoder, GiveBack>;
  // Null: no such pair, or no memory left.
  Coder make(const TranscoderSettings& settings) noexcept;

 private:
  static constexpr std::size_t kPage = 4096;
  static constexpr std::size_t kMaxPages = 64;
  struct Free {
    Free* next;
  };
  void give_back(void* piece, std::uint32_t pages) noexcept;

  std::span<std::byte> memory_;
  std::size_t used_ = 0;                     // bytes of memory_ that were ever given out
  std::array<Free*, kMaxPages + 1> free_{};  // by size in pages
};

}  // namespace ifgw::engine
