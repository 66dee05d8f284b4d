#include <gsm.h>

#include <algorithm>
#include <array>

#include "codecs/audio/codec_row.h"
#include "codecs/base/check.h"

namespace ifgw::audio {
namespace {

constexpr std::size_t kFrameBytes = 33;
constexpr std::size_t kFrameSamples = 160;
constexpr std::uint8_t kSignature = 0xD;  // the first four bits of a frame

class Channel {
 public:
  Channel() noexcept { reset(); }
  ~Channel() { gsm_destroy(state_); }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  void reset() noexcept {
    if (state_ != nullptr) gsm_destroy(state_);
    state_ = gsm_create();
    IFGW_CHECK(state_ != nullptr);
  }
  gsm state() const noexcept { return state_; }

 private:
  gsm state_ = nullptr;
};

// Conceals as GSM 06.11 says: the last frame once more, its blocks quieter each time, which also keeps the long-term predictor going.
class GsmDecoder final : public Decoder {
 public:
  Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> pcm) noexcept override {
    if (payload.empty() || payload.size() % kFrameBytes != 0) return {0, CodecError::BadPayload};
    const std::size_t frames = payload.size() / kFrameBytes;
    for (std::size_t i = 0; i < frames; ++i) {
      if (payload[i * kFrameBytes] >> 4 != kSignature) return {0, CodecError::BadPayload};
    }
    if (frames * kFrameSamples > pcm.size()) return {0, CodecError::TooLong};
    for (std::size_t i = 0; i < frames; ++i) {
      std::array<gsm_byte, kFrameBytes> frame;  // the library does not promise to leave it alone
      std::copy_n(&payload[i * kFrameBytes], kFrameBytes, frame.begin());
      (void)gsm_decode(channel_.state(), frame.data(), &pcm[i * kFrameSamples]);
    }
    std::copy_n(&payload[(frames - 1) * kFrameBytes], kFrameBytes, last_.begin());
    lost_ = 0;
    return {frames * kFrameSamples};
  }
  void conceal(std::span<std::int16_t> pcm) noexcept override {
    std::array<gsm_signal, kFrameSamples> frame;
    for (std::size_t at = 0; at < pcm.size(); at += frame.size()) {
      substitute(frame);
      std::copy_n(frame.begin(), std::min(frame.size(), pcm.size() - at), &pcm[at]);
    }
  }
  void reset() noexcept override {
    channel_.reset();
    lost_ = kSilentAfter;
  }

 private:
  static constexpr unsigned kSilentAfter = 16;
  static constexpr gsm_signal kQuieter = 4;  // of the blocks' amplitudes, which have 64 steps

  void substitute(std::span<gsm_signal, kFrameSamples> frame) noexcept {
    if (lost_ >= kSilentAfter) {
      std::fill(frame.begin(), frame.end(), gsm_signal{0});
      return;
    }
    // Eight areas, then four blocks of lag, gain, grid, amplitude and thirteen pulses.
    std::array<gsm_signal, 76> parameters;
    std::array<gsm_byte, kFrameBytes> bytes = last_;
    (void)gsm_explode(channel_.state(), bytes.data(), parameters.data());
    for (std::size_t block = 0; lost_ != 0 && block < 4; ++block) {
      gsm_signal& gain = parameters[8 + 17 * block + 1];  // of the long-term predictor: at its largest, vowels would go on by themselves
      gsm_signal& amplitude = parameters[8 + 17 * block + 3];
      gain = static_cast<gsm_signal>(std::max(gain - 1, 0));
      amplitude = static_cast<gsm_signal>(std::max(amplitude - kQuieter, 0));
    }
    gsm_implode(channel_.state(), parameters.data(), bytes.data());
    last_ = bytes;
    ++lost_;
    (void)gsm_decode(channel_.state(), bytes.data(), frame.data());
  }

  Channel channel_;
  std::array<gsm_byte, kFrameBytes> last_{};
  unsigned lost_ = kSilentAfter;  // frames substituted since the last good one; none was there
};

class GsmEncoder final : public Encoder {
 public:
  Encoded encode(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept override {
    if (pcm.empty() || pcm.size() % kFrameSamples != 0) return {.error = CodecError::BadLength};
    const std::size_t frames = pcm.size() / kFrameSamples;
    if (frames * kFrameBytes > payload.size()) return {.error = CodecError::TooLong};
    for (std::size_t i = 0; i < frames; ++i) {
      std::array<gsm_signal, kFrameSamples> frame;
      std::copy_n(&pcm[i * kFrameSamples], kFrameSamples, frame.begin());
      gsm_encode(channel_.state(), frame.data(), &payload[i * kFrameBytes]);
    }
    return {.size = frames * kFrameBytes, .taken = pcm.size()};
  }
  void reset() noexcept override { channel_.reset(); }

 private:
  Channel channel_;
};

}  // namespace

constinit const CodecRow kGsmRow = plain_row<GsmDecoder, GsmEncoder, 8000>(
    {.name = "GSM", .rtp_clock_hz = 8000, .static_payload_type = 3, .frame_ms = 20, .stateful = true, .on_heap = true});

}  // namespace ifgw::audio
