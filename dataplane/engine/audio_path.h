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

inline audio::AudioCodec audio_codec(api::Codec codec) noexcept {
  switch (codec) {
    case api::Codec::Pcmu: return audio::AudioCodec::Pcmu;
    case api::Codec::Pcma: return audio::AudioCodec::Pcma;
    case api::Codec::G722: return audio::AudioCodec::G722;
    case api::Codec::G729: return audio::AudioCodec::G729;
    case api::Codec::Opus: return audio::AudioCodec::Opus;
    case api::Codec::None: break;
  }
  IFGW_CHECK(false);
  return audio::AudioCodec::Pcmu;
}

}  // namespace ifgw::engine
