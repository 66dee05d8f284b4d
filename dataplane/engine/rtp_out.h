// One RTP stream as a party receives it (RFC 3550 section 5.1): one SSRC for the life of the leg, sequence numbers that
// grow by one a packet, time stamps that follow the audio. Whatever feeds it — a relayed stream, a transcoder, another
// party, the same party after a restart — goes on where the last one stopped. A plain value, written by one worker.
#pragma once

#include <algorithm>
#include <cstdint>

#include "codecs/base/serial.h"
#include "codecs/base/time.h"

namespace ifgw::engine {

class RtpOut {
 public:
  RtpOut() = default;
  // Numbers of the first packet; random in production (RFC 3550 section 5.1).
  RtpOut(std::uint32_t ssrc, std::uint16_t first_sequence, std::uint32_t first_timestamp) noexcept
      : ssrc_(ssrc), timestamp_(first_timestamp), anchor_(first_timestamp), sequence_(static_cast<std::uint16_t>(first_sequence - 1)) {}

  std::uint32_t ssrc() const noexcept { return ssrc_; }
  bool started() const noexcept { return sent_at_ != kNotYet; }
  std::uint16_t next_sequence() const noexcept { return static_cast<std::uint16_t>(sequence_ + 1); }

  // Time stamp of a frame that has no past in this stream: behind the newest one, as far as time has gone on since.
  std::uint32_t resume(Instant now, std::uint32_t clock_hz) const noexcept {
    if (!started()) return timestamp_;
    const std::uint32_t behind = timestamp_ + duration_, due = timestamp_at(now, clock_hz);
    return serial_newer(due, behind) ? due : behind;
  }

  // The time stamp of now (RFC 3550 section 6.4.1), while the stream runs.
  std::uint32_t timestamp_at(Instant now, std::uint32_t clock_hz) const noexcept {
    return anchor_ + (started() ? static_cast<std::uint32_t>(elapsed_ns(now) * clock_hz / 1'000'000'000) : 0);
  }

  // A packet of audio went out: `duration` in units of the time stamp. One older than the newest (relayed out of order) changes
  // nothing.
  void sent(std::uint16_t sequence, std::uint32_t timestamp, std::uint32_t duration, Instant now) noexcept {
    if (started() && !serial_newer(sequence, sequence_)) return;
    // Of frames that leave together the first is of this time.
    if (now != sent_at_) anchor_ = timestamp;
    sequence_ = sequence;
    timestamp_ = timestamp;
    duration_ = static_cast<std::uint16_t>(std::min<std::uint32_t>(duration, 0xFFFF));
    sent_at_ = now;
  }
  // A packet beside the audio went out, under next_sequence(). Its time is that of an event's beginning, or whatever its sender says:
  // the audio's goes on by itself.
  void sent_beside(std::uint32_t timestamp, Instant now) noexcept {
    if (!started()) return sent(next_sequence(), timestamp, 0, now);
    skip(1);
  }
  // Numbers that stay unused, so that the receiver sees the loss.
  void skip(std::uint16_t packets) noexcept { sequence_ = static_cast<std::uint16_t>(sequence_ + packets); }

 private:
  std::int64_t elapsed_ns(Instant now) const noexcept { return std::clamp<std::int64_t>((now - sent_at_).count(), 0, kLongestPauseNs); }
  static constexpr std::int64_t kLongestPauseNs = 3'600'000'000'000;  // an hour: longer ones count as one

  static constexpr Instant kNotYet = Instant::min();

  std::uint32_t ssrc_ = 0;
  std::uint32_t timestamp_ = 0;  // of the newest packet; before the first: its own
  std::uint32_t anchor_ = 0;     // time stamp of sent_at_
  std::uint16_t duration_ = 0;
  std::uint16_t sequence_ = 0;  // of the newest packet
  Instant sent_at_ = kNotYet;
};

}  // namespace ifgw::engine
