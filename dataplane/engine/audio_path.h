// How audio gets from one codec of the contract to another, and the codec library's name for it.
#pragma once

#include "codecs/audio/codec.h"
#include "codecs/base/check.h"
#include "dataplane/api/messages.h"

namespace ifgw::engine {

enum class AudioPath : std::uint8_t { None, Relay, PcmuToPcma, PcmaToPcmu, Transcode };

constexpr AudioPath path_between(api::Codec from, api::Codec to) noexcept {
  if (from == api::Codec::None || to == api::Codec::None) return AudioPath::None;
  if (from == to) return AudioPath::Relay;
  if (from == api::Codec::Pcmu && to == api::Codec::Pcma) return AudioPath::PcmuToPcma;
  if (from == api::Codec::Pcma && to == api::Codec::Pcmu) return AudioPath::PcmaToPcmu;
  return AudioPath::Transcode;
}

// Between two legs, the same in both directions. What one leg may send and the other refuses makes transcoders needed also
// where the codec is the same: SID frames (G.729 Annex B), comfort noise (RFC 3389). Between the G.711 laws another packet time does. In
// both directions, so that neither party hears reports of two senders.
constexpr AudioPath path_between(const api::MediaParams& from, const api::MediaParams& to) noexcept {
  const AudioPath path = path_between(from.codec, to.codec);
  const auto noise = [](const api::MediaParams& media) { return media.comfort_noise_payload_type != api::kNoPayloadType; };
  const bool sid_refused = from.codec == api::Codec::G729 && from.encoder.annex_b != to.encoder.annex_b;
  const bool law = path == AudioPath::PcmuToPcma || path == AudioPath::PcmaToPcmu;
  const bool frames_differ = law && from.ptime_ms != to.ptime_ms;
  return path != AudioPath::None && (sid_refused || frames_differ || noise(from) != noise(to)) ? AudioPath::Transcode : path;
}

// What audio from one leg to the other costs is counted under this pair.
constexpr std::uint8_t pair_between(const api::MediaParams& from, const api::MediaParams& to) noexcept {
  const AudioPath path = path_between(from, to);
  if (path == AudioPath::None) return 0;
  return path == AudioPath::Transcode && from.codec == to.codec ? api::recoded_pair(to.codec) : api::codec_pair(from.codec, to.codec);
}

// With its PCM rate, but for Opus, whose rate is the transcoder's to choose.
inline audio::CodecSettings codec_settings(api::Codec codec) noexcept {
  using audio::AudioCodec;
  switch (codec) {
    case api::Codec::Pcmu: return {AudioCodec::Pcmu};
    case api::Codec::Pcma: return {AudioCodec::Pcma};
    case api::Codec::G722: return {AudioCodec::G722};
    case api::Codec::G729: return {AudioCodec::G729};
    case api::Codec::Opus: return {AudioCodec::Opus};
    case api::Codec::Speex8: return {AudioCodec::Speex, 8000};
    case api::Codec::Speex16: return {AudioCodec::Speex, 16'000};
    case api::Codec::Gsm: return {AudioCodec::Gsm};
    case api::Codec::G726_16: return {AudioCodec::G726_16};
    case api::Codec::G726_24: return {AudioCodec::G726_24};
    case api::Codec::G726_32: return {AudioCodec::G726_32};
    case api::Codec::G726_40: return {AudioCodec::G726_40};
    case api::Codec::L16_8: return {AudioCodec::L16, 8000};
    case api::Codec::L16_16: return {AudioCodec::L16, 16'000};
    case api::Codec::None: break;
  }
  IFGW_CHECK(false);
  return {};
}

// Of the encoder towards a leg's party.
inline audio::CodecSettings encoder_settings(const api::MediaParams& to) noexcept {
  audio::CodecSettings settings = codec_settings(to.codec);
  const api::EncoderParams& e = to.encoder;
  if (to.codec == api::Codec::Opus)
    settings.opus = {e.bitrate_bps, e.max_bitrate_bps, e.max_playback_rate_hz, e.complexity, e.expected_loss_percent, e.fec != 0,
                     e.dtx != 0,    e.cbr != 0};
  if (settings.codec == audio::AudioCodec::Speex)
    settings.speex = {e.speex_quality, e.speex_rate == api::SpeexRate::Variable, e.speex_rate == api::SpeexRate::Vad};
  settings.g729_annex_b = to.codec == api::Codec::G729 && e.annex_b != 0;
  return settings;
}

}  // namespace ifgw::engine
