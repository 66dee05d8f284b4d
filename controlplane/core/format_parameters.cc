#include "controlplane/core/format_parameters.h"

#include <algorithm>
#include <array>
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

bool is_speex(api::Codec codec) noexcept { return codec == api::Codec::Speex8 || codec == api::Codec::Speex16; }

bool has_mode(api::Codec codec, std::uint32_t mode) noexcept { return codec == api::Codec::Speex8 ? mode >= 1 && mode <= 8 : mode <= 10; }

// "3,any", with or without the quotes; what is none of the codec's modes is passed over.
void read_modes(api::Codec codec, std::string_view list, SpeexParameters& p) noexcept {
  if (list.size() >= 2 && list.front() == '"' && list.back() == '"') list = list.substr(1, list.size() - 2);
  SpeexParameters read;
  read.any = false;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    const std::string_view one = trimmed(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (wire::sdp::same_encoding(one, "any")) {
      read.any = true;
    } else if (const auto mode = number(one); mode && has_mode(codec, *mode)) {
      if (read.modes == 0 && !read.any) read.preferred = static_cast<std::uint8_t>(*mode);
      read.modes = static_cast<std::uint16_t>(read.modes | 1u << *mode);
    }
  }
  if (read.modes == 0) read.any = true;
  read.rate = p.rate;
  p = read;
}

void read_speex(api::Codec codec, std::string_view key, std::string_view value, FormatParameters& p) noexcept {
  using wire::sdp::same_encoding;
  p.speex_codec = codec;
  if (same_encoding(key, "mode")) return read_modes(codec, value, p.speex);
  if (!same_encoding(key, "vbr")) return;
  if (same_encoding(value, "on")) p.speex.rate = api::SpeexRate::Variable;
  if (same_encoding(value, "vad")) p.speex.rate = api::SpeexRate::Vad;
  if (same_encoding(value, "off")) p.speex.rate = api::SpeexRate::Constant;
}

std::string write_speex(const SpeexParameters& p) {
  std::string text;
  if (p.modes != 0) {
    std::string list;
    const auto add = [&list](const std::string& one) { list += (list.empty() ? "" : ",") + one; };
    if (p.preferred == SpeexParameters::kNone)
      add("any");
    else
      add(std::to_string(p.preferred));
    for (unsigned mode = 0; mode <= 10; ++mode)
      if ((p.modes >> mode & 1) != 0 && mode != p.preferred) add(std::to_string(mode));
    if (p.any && p.preferred != SpeexParameters::kNone) add("any");
    text = "mode=\"" + list + "\"";
  }
  if (p.rate != api::SpeexRate::Constant)
    text += std::string(text.empty() ? "" : ";") + (p.rate == api::SpeexRate::Vad ? "vbr=vad" : "vbr=on");
  return text;
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
    if (is_speex(codec)) read_speex(codec, key, value, parameters);
  }
  return parameters;
}

std::string write_format_parameters(api::Codec codec, const FormatParameters& p) {
  if (codec == api::Codec::G729) return p.annex_b ? "annexb=yes" : "annexb=no";
  if (is_speex(codec)) return p.speex_codec == codec ? write_speex(p.speex) : std::string{};
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

std::uint8_t speex_quality(api::Codec codec, std::uint8_t mode) noexcept {
  constexpr std::array<std::uint8_t, 9> kNarrow{0, 0, 2, 4, 6, 8, 9, 10, 1};
  return codec == api::Codec::Speex8 ? kNarrow[std::min<std::size_t>(mode, 8)] : mode;
}

FormatParameters narrowed(const FormatParameters& a, const FormatParameters& b, api::Codec codec) noexcept {
  FormatParameters both = a;
  if (codec == api::Codec::G729) both.annex_b = a.annex_b && b.annex_b;
  if (is_speex(codec)) {
    both.speex = b.speex;  // we understand every mode
    both.speex_codec = b.speex_codec;
  }
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
