#include "dataplane/engine/validate.h"

#include <algorithm>
#include <cstddef>

#include "dataplane/engine/headers.h"

namespace ifgw::engine {
namespace {

bool canonical(const IpAddress& address) noexcept { return address.present() && is_well_formed(address); }

// 64..95 cannot be told from RTCP (RFC 5761 section 4).
bool valid_payload_type(std::uint8_t type) noexcept { return type <= 127 && (type < 64 || type > 95); }

// By which the party sends: told apart from each other, and given only for what is sent to it as well.
BadField check_received_types(const api::MediaParams& media) noexcept {
  using M = api::MediaParams;
  const auto unusable = [](std::uint8_t received, std::uint8_t sent) {
    return received != api::kNoPayloadType && (sent == api::kNoPayloadType || !valid_payload_type(received));
  };
  if (unusable(media.received_payload_type, media.payload_type)) return offsetof(M, received_payload_type);
  const std::uint8_t audio = api::received_audio(media), events = api::received_events(media), noise = api::received_noise(media);
  if (unusable(media.received_telephone_event_payload_type, media.telephone_event_payload_type) ||
      (events != api::kNoPayloadType && events == audio))
    return offsetof(M, received_telephone_event_payload_type);
  if (unusable(media.received_comfort_noise_payload_type, media.comfort_noise_payload_type) ||
      (noise != api::kNoPayloadType && (noise == audio || noise == events)))
    return offsetof(M, received_comfort_noise_payload_type);
  return std::nullopt;
}

bool is_local(const IpAddress& address, const EngineConfig& config) noexcept {
  return std::find(config.local_addresses.begin(), config.local_addresses.end(), address) != config.local_addresses.end();
}

BadField check_encoder(const api::EncoderParams& encoder) noexcept {
  using E = api::EncoderParams;
  const auto in = [](auto value, auto low, auto high) { return value >= low && value <= high; };
  if (encoder.bitrate_bps != 0 && !in(encoder.bitrate_bps, api::kMinOpusBitrate, api::kMaxOpusBitrate)) return offsetof(E, bitrate_bps);
  if (encoder.max_bitrate_bps != 0 && !in(encoder.max_bitrate_bps, api::kMinOpusBitrate, api::kMaxOpusReceiveBitrate))
    return offsetof(E, max_bitrate_bps);
  if (!in(encoder.max_playback_rate_hz, api::kMinPlaybackRate, api::kMaxPlaybackRate)) return offsetof(E, max_playback_rate_hz);
  if (encoder.complexity > api::kMaxComplexity) return offsetof(E, complexity);
  if (encoder.expected_loss_percent > 100) return offsetof(E, expected_loss_percent);
  if (!valid_flag(encoder.fec)) return offsetof(E, fec);
  if (!valid_flag(encoder.dtx)) return offsetof(E, dtx);
  if (!valid_flag(encoder.cbr)) return offsetof(E, cbr);
  if (!valid_flag(encoder.annex_b)) return offsetof(E, annex_b);
  if (encoder.speex_quality > api::kMaxSpeexQuality) return offsetof(E, speex_quality);
  if (encoder.speex_rate > api::SpeexRate::Vad) return offsetof(E, speex_rate);
  return std::nullopt;
}

}  // namespace

bool valid_flag(std::uint8_t flag) noexcept { return flag <= 1; }

bool valid_address(const IpAddress& address) noexcept { return canonical(address) && !is_martian(address); }

BadField check_media(const api::MediaParams& media, const IpAddress& local, const EngineConfig& config) noexcept {
  using M = api::MediaParams;
  if (media.remote.ip.family != IpFamily::None) {
    // Media to ourselves would loop.
    if (media.remote.ip.family != local.family || !valid_address(media.remote.ip) || is_local(media.remote.ip, config)) {
      return offsetof(M, remote);
    }
    if (media.remote.port == 0) return offsetof(M, remote) + offsetof(Endpoint, port);
  } else if (media.remote != Endpoint{}) {
    return offsetof(M, remote);
  }
  if (static_cast<std::uint8_t>(media.codec) > api::kMaxCodec) return offsetof(M, codec);
  const bool has_codec = media.codec != api::Codec::None;
  if (has_codec ? !valid_payload_type(media.payload_type) : media.payload_type != api::kNoPayloadType) {
    return offsetof(M, payload_type);
  }
  if (media.telephone_event_payload_type != api::kNoPayloadType &&
      (!valid_payload_type(media.telephone_event_payload_type) || media.telephone_event_payload_type == media.payload_type)) {
    return offsetof(M, telephone_event_payload_type);
  }
  if (const std::uint8_t noise = media.comfort_noise_payload_type; noise != api::kNoPayloadType) {
    if (!api::facts(media.codec).needs_comfort_noise || !valid_payload_type(noise) || noise == media.payload_type ||
        noise == media.telephone_event_payload_type)
      return offsetof(M, comfort_noise_payload_type);
  }
  if (const BadField bad = check_received_types(media)) return bad;
  const std::uint16_t event_clock = media.telephone_event_clock_hz;
  if (event_clock != 8000 && event_clock != 16'000 && event_clock != 48'000) return offsetof(M, telephone_event_clock_hz);
  if (!api::valid_ptime(media.codec, media.ptime_ms)) return offsetof(M, ptime_ms);
  if (!valid_flag(media.receive)) return offsetof(M, receive);
  if (!valid_flag(media.send)) return offsetof(M, send);
  if (media.source_policy != api::SourcePolicy::Strict && media.source_policy != api::SourcePolicy::Latch) {
    return offsetof(M, source_policy);
  }
  if (media.dscp > 63) return offsetof(M, dscp);
  if (media.source_policy == api::SourcePolicy::Latch && (media.latch_window_ms < 1 || media.latch_window_ms > 60'000)) {
    return offsetof(M, latch_window_ms);
  }
  if (media.media_timeout_ms != 0 && (media.media_timeout_ms < 1000 || media.media_timeout_ms > 86'400'000)) {
    return offsetof(M, media_timeout_ms);
  }
  if (const BadField bad = check_encoder(media.encoder)) return offsetof(M, encoder) + *bad;
  return std::nullopt;
}

BadField check_limits(const api::SetLimits& limits, const EngineConfig& config) noexcept {
  if (limits.requests < 1 || limits.requests > config.limiter_max_requests) return offsetof(api::SetLimits, requests);
  if (limits.window_ms < 100 || limits.window_ms > 600'000) return offsetof(api::SetLimits, window_ms);
  if (limits.block_ms > 86'400'000) return offsetof(api::SetLimits, block_ms);
  return std::nullopt;
}

BadField check_prefix(const IpPrefix& prefix) noexcept {
  if (!canonical(prefix.ip)) return offsetof(IpPrefix, ip);
  if (prefix.length > (prefix.ip.is_v4() ? 32 : 128)) return offsetof(IpPrefix, length);
  if (mask(prefix.ip, prefix.length) != prefix.ip) return offsetof(IpPrefix, ip);
  return std::nullopt;
}

BadField check_capture_command(const api::StartCapture& capture) noexcept {
  using C = api::StartCapture;
  if (capture.capture == 0) return offsetof(C, capture);
  if (capture.duration_ms < 1 || capture.duration_ms > api::kMaxCaptureMs) return offsetof(C, duration_ms);
  if (!valid_flag(capture.headers_only)) return offsetof(C, headers_only);
  if (capture.leg.present()) {
    if (capture.source != IpPrefix{}) return offsetof(C, source);
  } else if (const BadField bad = check_prefix(capture.source)) {
    return offsetof(C, source) + *bad;
  }
  return std::nullopt;
}

}  // namespace ifgw::engine
