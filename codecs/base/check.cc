#include "codecs/base/check.h"

#include <cstdlib>

namespace ifgw {
namespace {
CheckHandler g_handler = nullptr;
}

void set_check_handler(CheckHandler handler) noexcept { g_handler = handler; }

void check_failed(const char* expression, const char* file, int line) noexcept {
  if (g_handler != nullptr) g_handler(expression, file, line);
  std::abort();
}

}  // namespace ifgw
