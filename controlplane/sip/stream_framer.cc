#include "controlplane/sip/stream_framer.h"

#include <algorithm>
#include <optional>

#include "controlplane/sip/prescan.h"
#include "controlplane/sip/text.h"

namespace ifgw::sip {
namespace {

// The one Content-Length of a header part (start line included); nullopt when missing, repeated or unreadable.
std::optional<std::uint32_t> content_length(std::string_view head) noexcept {
  const std::size_t eol = head.find("\r\n");
  HeaderWalker walker(head.substr(eol + 2, head.size() - eol - 4));
  HeaderField field;
  std::optional<std::uint32_t> length;
  while (walker.next(field)) {
    if (field.id != HeaderId::ContentLength) continue;
    const auto value = parse_u32(field.value);
    if (!value || length) return std::nullopt;
    length = value;
  }
  return walker.malformed() ? std::nullopt : length;
}

}  // namespace

void StreamFramer::feed(Bytes bytes) {
  if (dead_ != FrameEvent::NeedMore) return;
  consume();
  buffer_.append(as_text(bytes));
}

void StreamFramer::consume() noexcept {
  start_ += length_;
  if (length_ != 0) scanned_ = wanted_ = 0;
  length_ = 0;
  if (start_ == buffer_.size()) {
    buffer_.clear();
    start_ = 0;
  } else if (start_ > max_) {
    buffer_.erase(0, start_);
    start_ = 0;
  }
}

FrameEvent StreamFramer::keep_alive() {
  const std::string_view rest = std::string_view(buffer_).substr(start_);
  if (rest.substr(0, 4) == "\r\n\r\n") {
    length_ = 4;
    return FrameEvent::Pong;
  }
  // "\r\n" may be the first half of a ping, so it waits for what follows; "\r" and "\r\n\r" as well.
  if (rest.size() < 4 && rest == std::string_view("\r\n\r\n").substr(0, rest.size())) return FrameEvent::NeedMore;
  length_ = 2;
  return FrameEvent::KeepAlive;
}

FrameEvent StreamFramer::next() {
  if (dead_ != FrameEvent::NeedMore) return dead_;
  consume();
  const std::string_view rest = std::string_view(buffer_).substr(start_);
  if (rest.empty()) return FrameEvent::NeedMore;
  if (rest[0] == '\r' && (rest.size() == 1 || rest[1] == '\n')) return keep_alive();

  if (wanted_ == 0) {
    const std::size_t body = find_body(rest.substr(0, max_), scanned_);
    if (body == std::string_view::npos) {
      scanned_ = rest.size() > 3 ? rest.size() - 3 : 0;
      if (rest.size() < max_) return FrameEvent::NeedMore;
      length_ = rest.size();
      return dead_ = FrameEvent::TooLarge;
    }
    const auto length = content_length(rest.substr(0, body));
    if (!length || *length > max_ - body) {
      length_ = std::min(rest.size(), body);
      return dead_ = length ? FrameEvent::TooLarge : FrameEvent::Bad;
    }
    wanted_ = body + *length;
  }
  if (rest.size() < wanted_) return FrameEvent::NeedMore;
  length_ = wanted_;
  return FrameEvent::Message;
}

}  // namespace ifgw::sip
