// The witness as JSON lines in an append-only place. Numbers the records; a gap in the numbers is a lost record.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "controlplane/core/ports/witness.h"

namespace ifgw::witness {

// Where lines go. Implemented by adapters/file_sink.
class LineSink {
 public:
  virtual ~LineSink() = default;
  // The line gets its line feed here. All of it or nothing: false leaves no part of it behind.
  virtual bool append(std::string_view line) = 0;
};

class WitnessLog : public core::Witness {
 public:
  // `wall_ns`: nanoseconds since 1970. Both outlive this.
  WitnessLog(LineSink& sink, std::function<std::int64_t()> wall_ns) : sink_(sink), wall_ns_(std::move(wall_ns)) {}

  bool record(const core::AuditRecord& record, Instant now) override;

  std::uint64_t kept() const noexcept { return kept_; }
  std::uint64_t lost() const noexcept { return sequence_ - kept_; }

 private:
  LineSink& sink_;
  std::function<std::int64_t()> wall_ns_;
  std::uint64_t sequence_ = 0;
  std::uint64_t kept_ = 0;
};

}  // namespace ifgw::witness
