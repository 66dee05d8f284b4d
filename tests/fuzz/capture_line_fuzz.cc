// Any line from the admin socket, as the command line reads it: data that was encoded comes back the same.
#include <cstdlib>

#include "codecs/base/base64.h"
#include "codecs/base/bytes.h"
#include "tools/ifgw/capture.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ifgw;
  const std::string_view text = as_text({data, size});
  (void)cli::parse_size(text);
  std::string encoded;
  encode_base64(text, encoded);
  if (decode_base64(encoded) != text) std::abort();
  if (const auto decoded = decode_base64(text)) {
    encoded.clear();
    encode_base64(*decoded, encoded);
    if (encoded != text) std::abort();
  }
  const auto line = cli::read_capture_line(text);
  if (line.ok() && line->kind == cli::CaptureLine::Kind::End) (void)cli::result_of(line->response);
  return 0;
}
