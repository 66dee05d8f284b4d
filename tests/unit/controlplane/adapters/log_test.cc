#include "controlplane/adapters/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <string>

#include "controlplane/adapters/line_writer.h"

namespace ifgw::adapters {
namespace {

struct Pair {
  UniqueFd in, out;
};

Pair make_pipe(int bytes = 4096) {
  int fds[2] = {-1, -1};
  EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
  EXPECT_EQ(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
  EXPECT_EQ(fcntl(fds[1], F_SETPIPE_SZ, bytes), bytes);
  return {UniqueFd{fds[0]}, UniqueFd{fds[1]}};
}

Pair make_stream() {
  int fds[2] = {-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  EXPECT_EQ(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
  return {UniqueFd{fds[0]}, UniqueFd{fds[1]}};
}

std::string drain(const UniqueFd& fd) {
  std::string all;
  std::array<char, 4096> part;
  for (ssize_t got = 0; (got = read(fd.get(), part.data(), part.size())) > 0;) all.append(part.data(), static_cast<std::size_t>(got));
  return all;
}

std::size_t count(const std::string& text, const std::string& words) {
  std::size_t n = 0;
  for (std::size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++n;
  return n;
}

// Writes until nothing more goes; how many lines went. Hangs, and is ended by the test's timeout, if a line waits.
std::size_t fill(LineWriter& writer) {
  const std::string line = std::string(99, 'x') + "\n";
  std::size_t written = 0;
  while (writer.write(line)) ++written;
  return written;
}

TEST(LogTest, AReaderThatStopsHoldsNothingUpAndHearsHowManyLinesItMissed) {
  const Pair pipe = make_pipe();
  start_log(LogSeverity::Info, pipe.out.get());
  constexpr std::size_t kLines = 100;  // of 100 bytes and more: more than a page
  for (std::size_t i = 0; i < kLines; ++i) log_line(LogSeverity::Info, std::string(100, 'x'));
  const std::uint64_t dropped = log_statistics().dropped;
  ASSERT_GT(dropped, 0u);
  EXPECT_EQ(fcntl(pipe.out.get(), F_GETFL) & O_NONBLOCK, 0) << "the description is shared with others";
  const std::string before = drain(pipe.in);
  EXPECT_EQ(count(before, "xxx\n") + dropped, kLines) << "written whole or dropped whole";
  EXPECT_EQ(before.back(), '\n');
  log_line(LogSeverity::Info, "it reads again");
  const std::string after = drain(pipe.in);
  EXPECT_NE(after.find("W log: " + std::to_string(dropped) + " lines dropped"), std::string::npos) << after;
  EXPECT_NE(after.find("it reads again"), std::string::npos);
  log_line(LogSeverity::Info, "and again");
  EXPECT_EQ(drain(pipe.in).find("dropped"), std::string::npos) << "told once";
  EXPECT_EQ(log_statistics().dropped, dropped);
}

TEST(LogTest, ControlCharactersDoNotReachTheReader) {
  const Pair pipe = make_pipe();
  start_log(LogSeverity::Warning, pipe.out.get());
  log_line(LogSeverity::Info, "below the level");
  log_line(LogSeverity::Error, "a\nb\x1b[31m");
  const std::string text = drain(pipe.in);
  EXPECT_NE(text.find("Z E a?b?[31m\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("below"), std::string::npos);
}

TEST(LineWriterTest, AFullSocketTakesNoLineAndWaitsForNobody) {
  const Pair stream = make_stream();
  LineWriter writer(stream.out.get());
  const std::size_t written = fill(writer);
  EXPECT_GT(written, 0u);
  EXPECT_EQ(drain(stream.in).size(), written * 100);
  EXPECT_TRUE(writer.write("again\n"));
  EXPECT_EQ(drain(stream.in), "again\n");
}

TEST(LineWriterTest, AReaderThatIsGoneIsAFalse) {
  Pair stream = make_stream();
  LineWriter writer(stream.out.get());
  stream.in.reset();
  EXPECT_FALSE(writer.write("x\n"));
}

TEST(LineWriterTest, APipeOfAnotherUserIsAskedFirst) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  const Pair pipe = make_pipe(4 * 4096);
  const pid_t child = fork();
  if (child == 0) {
    if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) _exit(3);
    alarm(10);
    LineWriter writer(pipe.out.get());
    const std::size_t written = fill(writer);
    if (drain(pipe.in).size() != written * 100) _exit(4);
    _exit(writer.write("again\n") && written >= 120 ? 0 : 5);  // three pages; the fourth may be begun
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "it waited";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace ifgw::adapters
