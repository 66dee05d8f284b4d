#include "controlplane/sip/stream_framer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ifgw::sip {
namespace {

std::string message(int number, std::size_t body) {
  return "OPTIONS sip:x SIP/2.0\r\nCSeq: " + std::to_string(number) + " OPTIONS\r\nContent-Length:\r\n " + std::to_string(body) +
         "\r\n\r\n" + std::string(body, 'b');
}

// What comes out when `stream` arrives in pieces of `step` bytes.
std::vector<std::string> cut(const std::string& stream, std::size_t step, std::size_t max = 4096) {
  StreamFramer framer(max);
  std::vector<std::string> out;
  for (std::size_t at = 0; at < stream.size(); at += step) {
    framer.feed(as_bytes(std::string_view(stream).substr(at, step)));
    for (;;) {
      const FrameEvent event = framer.next();
      if (event == FrameEvent::NeedMore) break;
      if (event == FrameEvent::Message) out.emplace_back(as_text(framer.message()));
      if (event == FrameEvent::Pong) out.emplace_back("<pong>");
      if (event == FrameEvent::KeepAlive) out.emplace_back("<keepalive>");
      if (event == FrameEvent::TooLarge) out.emplace_back("<toolarge>");
      if (event == FrameEvent::Bad) out.emplace_back("<bad>");
      if (event == FrameEvent::TooLarge || event == FrameEvent::Bad) return out;
    }
  }
  return out;
}

TEST(StreamFramer, CutsTheSameWhateverTheReadSize) {
  const std::string stream = message(1, 0) + "\r\n\r\n" + message(2, 300) + "\r\n" + message(3, 1) + message(4, 4);
  const std::vector<std::string> expected{message(1, 0), "<pong>", message(2, 300), "<keepalive>", message(3, 1), message(4, 4)};
  for (std::size_t step = 1; step <= stream.size(); ++step) EXPECT_EQ(cut(stream, step), expected) << step;
}

TEST(StreamFramer, ALoneCrlfIsNoUnfinishedMessage) {
  StreamFramer framer(4096);
  framer.feed(as_bytes("\r\n"));
  EXPECT_EQ(framer.next(), FrameEvent::NeedMore);
  EXPECT_FALSE(framer.mid_message());
  framer.feed(as_bytes("OPT"));
  EXPECT_EQ(framer.next(), FrameEvent::KeepAlive);
  EXPECT_EQ(framer.next(), FrameEvent::NeedMore);
  EXPECT_TRUE(framer.mid_message());
}

TEST(StreamFramer, LosesTheFrameWithoutALength) {
  EXPECT_EQ(cut("OPTIONS sip:x SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n", 7), std::vector<std::string>{"<bad>"});
  EXPECT_EQ(cut("OPTIONS sip:x SIP/2.0\r\nl: 3\r\nContent-Length: 4\r\n\r\n", 7), std::vector<std::string>{"<bad>"});
  EXPECT_EQ(cut("OPTIONS sip:x SIP/2.0\r\nl: -3\r\n\r\n", 7), std::vector<std::string>{"<bad>"});
  EXPECT_EQ(cut("OPTIONS sip:x SIP/2.0\r\nl 3\r\n\r\n", 7), std::vector<std::string>{"<bad>"});
}

TEST(StreamFramer, BoundsWhatItHolds) {
  const std::string fits = message(1, 400);
  EXPECT_EQ(cut(fits, 50, fits.size()), std::vector<std::string>{fits});
  EXPECT_EQ(cut(fits, 50, fits.size() - 1), std::vector<std::string>{"<toolarge>"});
  EXPECT_EQ(cut(std::string(5000, 'x'), 50, 1000), std::vector<std::string>{"<toolarge>"});
  StreamFramer framer(1000);
  std::size_t largest = 0;
  for (int i = 0; i < 10000; ++i) {
    framer.feed(as_bytes(message(i, 100)));
    while (framer.next() == FrameEvent::Message) {
    }
    largest = std::max(largest, framer.buffered_bytes());
  }
  EXPECT_LE(largest, 1000u);
}

TEST(StreamFramer, StaysDead) {
  StreamFramer framer(100);
  framer.feed(as_bytes(std::string(200, 'x')));
  EXPECT_EQ(framer.next(), FrameEvent::TooLarge);
  framer.feed(as_bytes(message(1, 0)));
  EXPECT_EQ(framer.next(), FrameEvent::TooLarge);
}

}  // namespace
}  // namespace ifgw::sip
