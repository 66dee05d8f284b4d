// `ifgw codec matrix`: what audio between each two codecs costs on this machine, measured here and now. Needs no daemon.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "tools/ifgw/render.h"

namespace ifgw::cli {

// As a result of the admin protocol would be: {"total", "rows": [{"from", "to", "path", "ns", "start_ns", "now_ns", "streams",
// "instructions"}]}, one row for each directed pair that this build can run. path: relay or transcode; both for a codec one of whose
// parties may refuse the other's SID frames or comfort noise. ns: thread CPU time of one packet of 20 ms, the least of `rounds`; streams:
// such streams, one direction each, that fill a core; instructions: null where the processor's counter cannot be read. start_ns, now_ns:
// the gateway's own measurements, when its dataplane started and of the frames it transcodes, of its dearest worker; null where there is
// none. `costs`: its answer to `core show` with `costs`, or anything else where there was none. Takes about 0.1 s per round.
Json codec_matrix(unsigned rounds, const Json& costs);

// The id of a process called `name` below `root`/proc; nothing: there is none.
std::optional<std::uint64_t> process_named(const std::filesystem::path& root, const std::string& name);

}  // namespace ifgw::cli
