#include <opus/opus.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "codecs/audio/codec_row.h"
#include "codecs/base/check.h"

namespace ifgw::audio {
namespace {

constexpr std::size_t kMaxFrameBytes = 1275;    // RFC 6716 section 3.4, R2
constexpr std::size_t kMaxTenthsPerPacket = 6;  // 60 ms, in frames of 10 ms
constexpr opus_int32 kUnsentBytes = 2;          // so short a packet is the encoder's way to say that nothing need be sent

constexpr std::size_t behind(std::size_t object_bytes) noexcept {
  return (object_bytes + kStateAlignment - 1) / kStateAlignment * kStateAlignment;
}

opus_int32 bytes_of(std::span<const std::uint8_t> payload) noexcept { return static_cast<opus_int32>(payload.size()); }
int samples_of(std::span<const std::int16_t> pcm) noexcept { return static_cast<int>(pcm.size()); }

struct Frames {
  std::array<const unsigned char*, 48> data;
  std::array<opus_int16, 48> sizes;
  int count = 0;       // 0 or less: no packet
  int silk_parts = 1;  // of a frame: one for each 20 ms
};
Frames frames_of(std::span<const std::uint8_t> payload) noexcept {
  Frames frames;
  frames.count = opus_packet_parse(payload.data(), bytes_of(payload), nullptr, frames.data.data(), frames.sizes.data(), nullptr);
  frames.silk_parts = std::max(opus_packet_get_samples_per_frame(payload.data(), 48'000) / 48 / 20, 1);
  return frames;
}

// By the voice activity flags of its frames (RFC 6716 section 4.2.3); CELT has none.
Pause opus_pause(std::span<const std::uint8_t> payload) noexcept {
  if (payload.size() <= kUnsentBytes) return Pause::Begins;
  if ((payload[0] & 0x80) != 0) return Pause::None;
  if ((payload[0] & 3) == 0 && payload[1] >= 0x80) return Pause::None;  // one frame, with a voice in its first 20 ms: most are
  const Frames frames = frames_of(payload);
  for (int i = 0; i < frames.count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (frames.sizes[at] != 0 && *frames.data[at] >> (8 - frames.silk_parts) != 0) return Pause::None;
  }
  return frames.count > 0 ? Pause::Quiet : Pause::None;
}

// Whether the packet's first frame carries the one before it once more (RFC 6716 section 4.2.3: the flag follows the
// voice activity flags, one for each 20 ms).
bool has_redundancy(std::span<const std::uint8_t> payload) noexcept {
  if (payload.empty() || (payload[0] & 0x80) != 0) return false;  // CELT only
  const Frames frames = frames_of(payload);
  if (frames.count <= 0 || frames.sizes[0] == 0) return false;
  const int flags = *frames.data[0];
  if ((flags >> (7 - frames.silk_parts) & 1) != 0) return true;
  return opus_packet_get_nb_channels(payload.data()) == 2 && (flags >> (6 - 2 * frames.silk_parts) & 1) != 0;
}

class OpusFrameDecoder final : public Decoder {
 public:
  explicit OpusFrameDecoder(std::uint32_t rate_hz) noexcept : rate_hz_(static_cast<opus_int32>(rate_hz)) {
    IFGW_CHECK(opus_decoder_init(state(), rate_hz_, 1) == OPUS_OK);
  }

  Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> pcm) noexcept override {
    if (payload.empty() || payload.size() > kMaxPacketBytes) return {0, CodecError::BadPayload};
    const int samples = opus_packet_get_nb_samples(payload.data(), bytes_of(payload), rate_hz_);
    if (samples <= 0) return {0, CodecError::BadPayload};
    if (static_cast<std::size_t>(samples) > pcm.size()) return {0, CodecError::TooLong};
    const int decoded = opus_decode(state(), payload.data(), bytes_of(payload), pcm.data(), samples, 0);
    if (decoded < 0) return {0, CodecError::BadPayload};
    return {static_cast<std::size_t>(decoded)};
  }

  void conceal(std::span<std::int16_t> pcm) noexcept override {
    const auto step = static_cast<std::size_t>(rate_hz_ / 400);  // the library conceals multiples of 2.5 ms
    const std::span<std::int16_t> whole = pcm.first(pcm.size() / step * step);
    int done = 0;
    if (!whole.empty()) done = std::max(opus_decode(state(), nullptr, 0, whole.data(), samples_of(whole), 0), 0);
    Decoder::conceal(pcm.subspan(static_cast<std::size_t>(done)));
  }

  bool recover(std::span<const std::uint8_t> next, std::span<std::int16_t> pcm) noexcept override {
    if (has_redundancy(next) && opus_decode(state(), next.data(), bytes_of(next), pcm.data(), samples_of(pcm), 1) == samples_of(pcm)) {
      return true;
    }
    conceal(pcm);
    return false;
  }

  void reset() noexcept override { (void)opus_decoder_ctl(state(), OPUS_RESET_STATE); }

 private:
  static constexpr std::size_t kMaxPacketBytes = 1 << 16;  // no datagram is longer
  OpusDecoder* state() noexcept;

  opus_int32 rate_hz_;
};

// The library's state begins behind the object.
OpusDecoder* OpusFrameDecoder::state() noexcept {
  return reinterpret_cast<OpusDecoder*>(reinterpret_cast<std::byte*>(this) + behind(sizeof *this));
}

// RFC 7587 section 3.1.1: the widest audio that fits a playback rate.
opus_int32 bandwidth(std::uint32_t playback_rate_hz) noexcept {
  if (playback_rate_hz >= 48'000) return OPUS_BANDWIDTH_FULLBAND;
  if (playback_rate_hz >= 24'000) return OPUS_BANDWIDTH_SUPERWIDEBAND;
  // Not mediumband: where the library codes with CELT it makes wideband of it.
  return playback_rate_hz >= 16'000 ? OPUS_BANDWIDTH_WIDEBAND : OPUS_BANDWIDTH_NARROWBAND;
}

class OpusFrameEncoder final : public Encoder {
 public:
  OpusFrameEncoder(std::uint32_t rate_hz, const OpusSettings& settings) noexcept : tenth_(rate_hz / 100), dtx_(settings.dtx) {
    IFGW_CHECK(opus_encoder_init(state(), static_cast<opus_int32>(rate_hz), 1, OPUS_APPLICATION_VOIP) == OPUS_OK);
    const std::uint32_t usual_bps = rate_hz == 8000 ? 16'000 : rate_hz == 16'000 ? 24'000 : 32'000;
    const std::uint32_t wanted_bps = settings.bitrate_bps != 0 ? settings.bitrate_bps : usual_bps;
    const auto bitrate =
        static_cast<opus_int32>(settings.max_bitrate_bps != 0 ? std::min(wanted_bps, settings.max_bitrate_bps) : wanted_bps);
    bool ok = opus_encoder_ctl(state(), OPUS_SET_BITRATE(bitrate)) == OPUS_OK;
    ok = ok && opus_encoder_ctl(state(), OPUS_SET_COMPLEXITY(settings.complexity)) == OPUS_OK;
    ok = ok && opus_encoder_ctl(state(), OPUS_SET_PACKET_LOSS_PERC(settings.expected_loss_percent)) == OPUS_OK;
    ok = ok && opus_encoder_ctl(state(), OPUS_SET_INBAND_FEC(settings.fec ? 1 : 0)) == OPUS_OK;
    ok = ok && opus_encoder_ctl(state(), OPUS_SET_DTX(settings.dtx ? 1 : 0)) == OPUS_OK;
    ok = ok && opus_encoder_ctl(state(), OPUS_SET_VBR(settings.cbr ? 0 : 1)) == OPUS_OK;
    ok = ok && opus_encoder_ctl(state(), OPUS_SET_MAX_BANDWIDTH(bandwidth(settings.max_playback_rate_hz))) == OPUS_OK;
    IFGW_CHECK(ok);
  }

  Encoded encode(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept override {
    if (pcm.empty() || pcm.size() % tenth_ != 0) return {.error = CodecError::BadLength};
    if (held_bytes_ != 0) return send_held(payload);
    const std::size_t tenths = std::min(pcm.size() / tenth_, kMaxTenthsPerPacket);
    pcm = pcm.first(tenths * tenth_);
    if (tenths == 3 || tenths == 5) return encode_tenths(pcm, payload);
    return sent(encode_frame(pcm, payload), pcm.size());
  }

  void reset() noexcept override {
    held_bytes_ = 0;
    (void)opus_encoder_ctl(state(), OPUS_RESET_STATE);
  }

 private:
  OpusEncoder* state() noexcept;

  opus_int32 encode_frame(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept {
    return opus_encode(state(), pcm.data(), samples_of(pcm), payload.data(), bytes_of(payload));
  }

  Encoded sent(opus_int32 bytes, std::size_t taken) const noexcept {
    if (bytes <= 0) return {.error = CodecError::TooLong};
    return {.size = dtx_ && bytes <= kUnsentBytes ? 0 : static_cast<std::size_t>(bytes), .taken = taken};
  }

  Encoded encode_tenths(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept;
  Encoded send_held(std::span<std::uint8_t> payload) noexcept;

  std::size_t tenth_;  // samples in 10 ms
  std::size_t held_bytes_ = 0;
  bool dtx_;
  std::array<std::uint8_t, kMaxFrameBytes> held_;  // see encode_tenths()
};

OpusEncoder* OpusFrameEncoder::state() noexcept {
  return reinterpret_cast<OpusEncoder*>(reinterpret_cast<std::byte*>(this) + behind(sizeof *this));
}

// 30 and 50 ms: frames of 10 ms in one packet. Frames of one packet share mode and bandwidth; where the encoder changes
// them, the packet ends, and the frame that did not fit is the next packet.
Encoded OpusFrameEncoder::encode_tenths(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept {
  const std::size_t tenths = pcm.size() / tenth_;
  const std::size_t overhead = 2 + 2 * tenths;  // RFC 6716 section 3.2.5
  if (payload.size() < overhead + tenths * (kUnsentBytes + 1)) return {.error = CodecError::TooLong};
  const std::size_t room = std::min((payload.size() - overhead) / tenths, kMaxFrameBytes);
  std::array<std::array<std::uint8_t, kMaxFrameBytes>, kMaxTenthsPerPacket> frames;
  alignas(std::max_align_t) std::array<std::byte, 1024> memory;
  IFGW_CHECK(static_cast<std::size_t>(opus_repacketizer_get_size()) <= memory.size());
  OpusRepacketizer* packet = opus_repacketizer_init(reinterpret_cast<OpusRepacketizer*>(memory.data()));
  bool audible = false;
  std::size_t done = 0;
  for (; done < tenths; ++done) {
    const opus_int32 bytes = encode_frame(pcm.subspan(done * tenth_, tenth_), std::span(frames[done]).first(room));
    if (bytes <= 0) return {.error = CodecError::TooLong};
    if (opus_repacketizer_cat(packet, frames[done].data(), bytes) != OPUS_OK) {
      held_bytes_ = static_cast<std::size_t>(bytes);
      std::memcpy(held_.data(), frames[done].data(), held_bytes_);
      break;
    }
    audible = audible || bytes > kUnsentBytes;
  }
  if (dtx_ && !audible) return {.taken = done * tenth_};
  const opus_int32 bytes = opus_repacketizer_out(packet, payload.data(), bytes_of(payload));
  if (bytes <= 0) return {.error = CodecError::TooLong};
  return {.size = static_cast<std::size_t>(bytes), .taken = done * tenth_};
}

Encoded OpusFrameEncoder::send_held(std::span<std::uint8_t> payload) noexcept {
  if (held_bytes_ > payload.size()) return {.error = CodecError::TooLong};
  std::memcpy(payload.data(), held_.data(), held_bytes_);
  return sent(static_cast<opus_int32>(std::exchange(held_bytes_, 0)), tenth_);
}

std::uint32_t opus_rate_hz(const CodecSettings& settings) noexcept {
  const std::uint32_t rate = settings.pcm_rate_hz == 0 ? 48'000 : settings.pcm_rate_hz;
  if (rate != 8000 && rate != 16'000 && rate != 48'000) return 0;
  const OpusSettings& s = settings.opus;
  const bool bitrate_ok = s.bitrate_bps == 0 || (s.bitrate_bps >= 6000 && s.bitrate_bps <= 128'000);
  const bool max_ok = s.max_bitrate_bps == 0 || (s.max_bitrate_bps >= 6000 && s.max_bitrate_bps <= 510'000);
  const bool playback_ok = s.max_playback_rate_hz >= 8000 && s.max_playback_rate_hz <= 48'000;
  return bitrate_ok && max_ok && playback_ok && s.complexity <= 10 && s.expected_loss_percent <= 100 ? rate : 0;
}

}  // namespace

constinit const CodecRow kOpusRow = {
    {.name = "opus", .sample_rate_hz = 48'000, .rtp_clock_hz = 48'000, .rtpmap_channels = 2, .stateful = true, .describes_pauses = true},
    opus_rate_hz,
    [](const CodecSettings&) noexcept { return behind(sizeof(OpusFrameDecoder)) + static_cast<std::size_t>(opus_decoder_get_size(1)); },
    [](const CodecSettings&) noexcept { return behind(sizeof(OpusFrameEncoder)) + static_cast<std::size_t>(opus_encoder_get_size(1)); },
    [](const CodecSettings& s, std::byte* memory) noexcept -> Decoder* { return new (memory) OpusFrameDecoder(opus_rate_hz(s)); },
    [](const CodecSettings& s, std::byte* memory) noexcept -> Encoder* { return new (memory) OpusFrameEncoder(opus_rate_hz(s), s.opus); },
    opus_pause};

}  // namespace ifgw::audio
