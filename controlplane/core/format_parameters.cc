#include "controlplane/core/format_parameters.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "codecs/wire/sdp.h"

namespace ifgw::core {
namespace {

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::optional<std::uint32_t> number(std::string_view text) noexcept {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) return 0xFFFF'FFFF;
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

void read_flag(std::string_view value, bool& target) noexcept {
  if (value == "0" || value == "1") target = value == "1";
}

void read_opus(std::string_view key, std::string_view value, FormatParameters& p) noexcept {
  using wire::sdp::same_encoding;
  if (same_encoding(key, "useinbandfec")) return read_flag(value, p.fec);
  if (same_encoding(key, "usedtx")) return read_flag(value, p.dtx);
  if (same_encoding(key, "cbr")) return read_flag(value, p.cbr);
  const auto n = number(value);
  if (!n) return;
  if (same_encoding(key, "maxaveragebitrate")) p.max_bitrate_bps = std::clamp(*n, api::kMinOpusBitrate, api::kMaxOpusReceiveBitrate);
  if (same_encoding(key, "maxplaybackrate"))
    p.max_playback_rate_hz = static_cast<std::uint16_t>(std::clamp<std::uint32_t>(*n, api::kMinPlaybackRate, api::kMaxPlaybackRate));
}

void read_g729(std::string_view key, std::string_view value, FormatParameters& p) noexcept {
  using wire::sdp::same_encoding;
  if (same_encoding(key, "annexb") && (same_encoding(value, "no") || same_encoding(value, "yes"))) p.annex_b = same_encoding(value, "yes");
}

}  // namespace

FormatParameters read_format_parameters(api::Codec codec, std::string_view fmtp) {
  FormatParameters parameters;
  while (!fmtp.empty()) {
    const std::size_t end = std::min(fmtp.find(';'), fmtp.size());
    const std::string_view one = fmtp.substr(0, end);
    fmtp.remove_prefix(std::min(end + 1, fmtp.size()));
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = trimmed(one.substr(0, equals)), value = trimmed(one.substr(equals + 1));
    if (codec == api::Codec::Opus) read_opus(key, value, parameters);
    if (codec == api::Codec::G729) read_g729(key, value, parameters);
  }
  return parameters;
}

std::string write_format_parameters(api::Codec codec, const FormatParameters& p) {
  if (codec == api::Codec::G729) return p.annex_b ? "annexb=yes" : "annexb=no";
  if (codec != api::Codec::Opus) return {};
  std::string text;
  const auto add = [&](const std::string& parameter) { text += (text.empty() ? "" : ";") + parameter; };
  if (p.max_playback_rate_hz != api::kMaxPlaybackRate) add("maxplaybackrate=" + std::to_string(p.max_playback_rate_hz));
  if (p.max_bitrate_bps != 0) add("maxaveragebitrate=" + std::to_string(p.max_bitrate_bps));
  if (p.cbr) add("cbr=1");
  if (p.fec) add("useinbandfec=1");
  if (p.dtx) add("usedtx=1");
  return text;
}

FormatParameters narrowed(const FormatParameters& a, const FormatParameters& b, api::Codec codec) noexcept {
  FormatParameters both = a;
  if (codec == api::Codec::G729) both.annex_b = a.annex_b && b.annex_b;
  if (codec != api::Codec::Opus) return both;
  if (b.max_bitrate_bps != 0)
    both.max_bitrate_bps = a.max_bitrate_bps == 0 ? b.max_bitrate_bps : std::min(a.max_bitrate_bps, b.max_bitrate_bps);
  both.max_playback_rate_hz = std::min(a.max_playback_rate_hz, b.max_playback_rate_hz);
  both.fec = a.fec && b.fec;
  both.dtx = a.dtx && b.dtx;
  both.cbr = a.cbr || b.cbr;
  return both;
}

}  // namespace ifgw::core
