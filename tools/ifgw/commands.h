// How each response is shown to people: the columns of its table.
#pragma once

#include <string>
#include <string_view>

#include "tools/ifgw/render.h"

namespace ifgw::cli {

// Text for people of `result`, the answer to `command`.
std::string show(std::string_view command, bool ended, const Json& result);

}  // namespace ifgw::cli
