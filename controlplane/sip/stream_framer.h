// Cuts a byte stream into SIP messages by Content-Length (RFC 3261 section 18.3) and handles CRLF keep-alives
// (RFC 5626 section 3.5.1). Sans-IO; one per connection. Holds at most one unfinished message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codecs/base/bytes.h"

namespace ifgw::sip {

enum class FrameEvent : std::uint8_t {
  NeedMore,   // feed more bytes
  Message,    // message() is one whole message, valid until the next call
  Pong,       // a double CRLF came: send one CRLF back
  KeepAlive,  // a single CRLF came: a pong, or a stray line end; nothing to do
  TooLarge,   // header part or message beyond the bound: message() has what there is of it; close after answering 513
  Bad,        // no readable, single Content-Length: framing is lost; message() has the header part; close
};

class StreamFramer {
 public:
  // `max_message_bytes` bounds header and body together, and what is buffered.
  explicit StreamFramer(std::size_t max_message_bytes) : max_(max_message_bytes) {}

  // Appends what was read. Call next() until it says NeedMore before feeding again, so that the buffer stays below
  // the bound plus one read.
  void feed(Bytes bytes);
  FrameEvent next();
  Bytes message() const noexcept { return as_bytes(std::string_view(buffer_).substr(start_, length_)); }

  // Bytes of an unfinished message wait: the shell's slow-loris clock runs while this is true.
  // A lone CRLF, which may be half a keep-alive, does not count.
  bool mid_message() const noexcept {
    const std::string_view rest = std::string_view(buffer_).substr(start_ + length_);
    return !rest.empty() && rest != "\r\n";
  }
  std::size_t buffered_bytes() const noexcept { return buffer_.size() - start_; }

 private:
  FrameEvent keep_alive();
  void consume() noexcept;

  std::string buffer_;
  std::size_t max_;
  std::size_t start_ = 0;                   // of the current message
  std::size_t length_ = 0;                  // of the message last returned, dropped by the next call
  std::size_t scanned_ = 0;                 // no blank line begins before this offset from start_
  std::size_t wanted_ = 0;                  // whole length of the current message once its header part is read; 0 before
  FrameEvent dead_ = FrameEvent::NeedMore;  // TooLarge or Bad, for good
};

}  // namespace ifgw::sip
