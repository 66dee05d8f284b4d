// The codecs that are ours, behind the interface: G.711, G.722, G.726 and L16.
#include "codecs/audio/codec_row.h"
#include "codecs/audio/concealment.h"
#include "codecs/audio/g711.h"
#include "codecs/audio/g722.h"
#include "codecs/audio/g726.h"
#include "codecs/base/bytes.h"

namespace ifgw::audio {
namespace {

using DecodeFrame = void (*)(std::span<const std::uint8_t>, std::span<std::int16_t>) noexcept;
using EncodeFrame = void (*)(std::span<const std::int16_t>, std::span<std::uint8_t>) noexcept;

template <DecodeFrame Frame>
class G711Decoder : public Decoder {
 public:
  Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> pcm) noexcept override {
    if (payload.empty()) return {0, CodecError::BadPayload};
    if (payload.size() > pcm.size()) return {0, CodecError::TooLong};
    Frame(payload, pcm.first(payload.size()));
    return {payload.size()};
  }
  void reset() noexcept override {}
};

template <EncodeFrame Frame>
class G711Encoder final : public Encoder {
 public:
  Encoded encode(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept override {
    if (pcm.empty()) return {.error = CodecError::BadLength};
    if (pcm.size() > payload.size()) return {.error = CodecError::TooLong};
    Frame(pcm, payload.first(pcm.size()));
    return {.size = pcm.size(), .taken = pcm.size()};
  }
  void reset() noexcept override {}
};

class G722Decoder : public Decoder {
 public:
  Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> pcm) noexcept override {
    if (payload.empty()) return {0, CodecError::BadPayload};
    if (2 * payload.size() > pcm.size()) return {0, CodecError::TooLong};
    g722_decode(state_, payload, pcm.first(2 * payload.size()));
    return {2 * payload.size()};
  }
  void reset() noexcept override { state_ = {}; }

 private:
  G722State state_;
};

class G722Encoder final : public Encoder {
 public:
  Encoded encode(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept override {
    if (pcm.empty() || pcm.size() % 2 != 0) return {.error = CodecError::BadLength};
    if (pcm.size() / 2 > payload.size()) return {.error = CodecError::TooLong};
    g722_encode(state_, pcm, payload.first(pcm.size() / 2));
    return {.size = pcm.size() / 2, .taken = pcm.size()};
  }
  void reset() noexcept override { state_ = {}; }

 private:
  G722State state_;
};

template <unsigned Bits>
class G726Decoder : public Decoder {
 public:
  Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> pcm) noexcept override {
    if (payload.empty() || payload.size() % Bits != 0) return {0, CodecError::BadPayload};
    const std::size_t samples = payload.size() / Bits * 8;
    if (samples > pcm.size()) return {0, CodecError::TooLong};
    g726_decode(state_, Bits, payload, pcm.first(samples));
    return {samples};
  }
  void reset() noexcept override { state_ = {}; }

 private:
  G726State state_;
};

template <unsigned Bits>
class G726Encoder final : public Encoder {
 public:
  Encoded encode(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept override {
    if (pcm.empty() || pcm.size() % 8 != 0) return {.error = CodecError::BadLength};
    const std::size_t size = pcm.size() / 8 * Bits;
    if (size > payload.size()) return {.error = CodecError::TooLong};
    g726_encode(state_, Bits, pcm, payload.first(size));
    return {.size = size, .taken = pcm.size()};
  }
  void reset() noexcept override { state_ = {}; }

 private:
  G726State state_;
};

template <unsigned Bits>
constexpr CodecRow g726_row(const char* name) noexcept {
  return plain_row<Concealed<G726Decoder<Bits>, 8000>, G726Encoder<Bits>, 8000>({.name = name, .rtp_clock_hz = 8000, .stateful = true});
}

class L16Decoder : public Decoder {
 public:
  Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> pcm) noexcept override {
    if (payload.empty() || payload.size() % 2 != 0) return {0, CodecError::BadPayload};
    const std::size_t samples = payload.size() / 2;
    if (samples > pcm.size()) return {0, CodecError::TooLong};
    for (std::size_t i = 0; i < samples; ++i) pcm[i] = static_cast<std::int16_t>(load_be16(&payload[2 * i]));
    return {samples};
  }
  void reset() noexcept override {}
};

class L16Encoder final : public Encoder {
 public:
  Encoded encode(std::span<const std::int16_t> pcm, std::span<std::uint8_t> payload) noexcept override {
    if (pcm.empty()) return {.error = CodecError::BadLength};
    if (2 * pcm.size() > payload.size()) return {.error = CodecError::TooLong};
    for (std::size_t i = 0; i < pcm.size(); ++i) store_be16(&payload[2 * i], static_cast<std::uint16_t>(pcm[i]));
    return {.size = 2 * pcm.size(), .taken = pcm.size()};
  }
  void reset() noexcept override {}
};

std::uint32_t l16_rate_hz(const CodecSettings& s) noexcept {
  const std::uint32_t rate = s.pcm_rate_hz == 0 ? 8000 : s.pcm_rate_hz;
  return rate == 8000 || rate == 16'000 ? rate : 0;
}

}  // namespace

constinit const CodecRow kPcmuRow = plain_row<Concealed<G711Decoder<mulaw_decode>, 8000>, G711Encoder<mulaw_encode>, 8000>(
    {.name = "PCMU", .rtp_clock_hz = 8000, .static_payload_type = 0});
constinit const CodecRow kPcmaRow = plain_row<Concealed<G711Decoder<alaw_decode>, 8000>, G711Encoder<alaw_encode>, 8000>(
    {.name = "PCMA", .rtp_clock_hz = 8000, .static_payload_type = 8});
constinit const CodecRow kG722Row = plain_row<Concealed<G722Decoder, 16'000>, G722Encoder, 16'000>(
    {.name = "G722", .rtp_clock_hz = 8000, .static_payload_type = 9, .stateful = true});
constinit const CodecRow kG726Row16 = g726_row<2>("G726-16");
constinit const CodecRow kG726Row24 = g726_row<3>("G726-24");
constinit const CodecRow kG726Row32 = g726_row<4>("G726-32");
constinit const CodecRow kG726Row40 = g726_row<5>("G726-40");
constinit const CodecRow kL16Row = [] {
  CodecRow row = plain_row<Concealed<L16Decoder, 8000>, L16Encoder, 8000>({.name = "L16"});
  row.pcm_rate_hz = l16_rate_hz;
  row.decoder_bytes = [](const CodecSettings& s) noexcept {
    return l16_rate_hz(s) == 8000 ? sizeof(Concealed<L16Decoder, 8000>) : sizeof(Concealed<L16Decoder, 16'000>);
  };
  row.make_decoder = [](const CodecSettings& s, std::byte* memory) noexcept -> Decoder* {
    if (l16_rate_hz(s) == 8000) return new (memory) Concealed<L16Decoder, 8000>;
    return new (memory) Concealed<L16Decoder, 16'000>;
  };
  return row;
}();

}  // namespace ifgw::audio
