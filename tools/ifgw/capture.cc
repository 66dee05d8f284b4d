#include "tools/ifgw/capture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "codecs/base/base64.h"

namespace ifgw::cli {
namespace {

constexpr std::size_t kMaxLineBytes = 1 << 20;
constexpr std::size_t kFailedExit = 1;
volatile int signal_fd = -1;  // of the one Run there is

class Run {
 public:
  explicit Run(const CaptureOptions& options) : options_(options) {}

  int run() {
    const Status opened = open_file();
    if (!opened.ok()) return fail(opened.error());
    auto connected = connect_to(options_.socket);
    if (!connected.ok()) return fail(connected.error());
    connection_ = std::move(connected).value();
    catch_signals();
    if (const Status asked = ask(1, "capture start", options_.args); !asked.ok()) return fail(asked.error());
    while (!ended_) {
      std::array<pollfd, 2> ready{{{connection_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}}};
      const int timeout_ms = stopping_ ? kTimeoutSeconds * 1000 : -1;
      const int count = poll(ready.data(), ready.size(), timeout_ms);
      if (count < 0 && errno == EINTR) continue;
      if (count == 0) return fail(Error{"the control plane did not end the capture within " + std::to_string(kTimeoutSeconds) + " s"});
      if (ready[1].revents != 0)
        if (const Status stopped = stop(); !stopped.ok()) return fail(stopped.error());
      if (ready[0].revents == 0) continue;
      if (const Status read = receive(); !read.ok()) return fail(read.error());
    }
    return report();
  }

 private:
  int fail(const Error& error) const {
    std::fprintf(stderr, "ifgw: %s\n", error.message.c_str());
    if (began_) std::fprintf(stderr, "ifgw: what was captured until then is in %s\n", file_name().c_str());
    if (made_ && !began_) (void)unlink(options_.file.c_str());
    return static_cast<int>(error.position == 0 ? kFailedExit : error.position);
  }
  std::string file_name() const { return options_.file == "-" ? "standard output" : options_.file; }

  // What there was stays until there is something to write. What was said on a call is not for everybody.
  Status open_file() {
    if (options_.file == "-") {
      file_ = Descriptor{dup(STDOUT_FILENO)};
      return Success{};
    }
    file_ = Descriptor{open(options_.file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    made_ = file_.get() >= 0;
    if (!made_ && errno == EEXIST) file_ = Descriptor{open(options_.file.c_str(), O_WRONLY | O_CLOEXEC)};
    if (file_.get() < 0) return Error{"cannot write " + options_.file + ": " + std::strerror(errno), kFailedExit};
    return Success{};
  }

  // The first signal ends the capture in good order, the second one this program, also where it waits for a slow pipe.
  void catch_signals() {
    signals_ = Descriptor{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    signal_fd = signals_.get();
    struct sigaction action {};
    action.sa_handler = [](int) { (void)eventfd_write(signal_fd, 1); };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (const int signal : {SIGINT, SIGTERM}) (void)sigaction(signal, &action, nullptr);
  }

  Status ask(int id, const std::string& command, const Json& args) {
    const std::string line = request_line(id, command, args);
    // A refusal may come, and the connection end, before the request is taken: the answer is what counts.
    (void)send(connection_.get(), line.data(), line.size(), MSG_NOSIGNAL);
    return Success{};
  }

  Status stop() {
    eventfd_t count = 0;
    (void)eventfd_read(signals_.get(), &count);
    stopping_ = true;
    return ask(2, "capture stop", Json::object());
  }

  Status receive() {
    std::array<char, 65536> bytes;
    const ssize_t got = recv(connection_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return Success{};
    if (got <= 0) return Error{"the control plane closed the connection before the capture had ended"};
    in_.append(bytes.data(), static_cast<std::size_t>(got));
    std::size_t begin = 0;
    for (std::size_t end = in_.find('\n'); end != std::string::npos; begin = end + 1, end = in_.find('\n', begin))
      if (const Status taken = take(std::string_view{in_}.substr(begin, end - begin)); !taken.ok()) return taken;
    in_.erase(0, begin);
    if (in_.size() > kMaxLineBytes) return Error{"the answer is too long"};
    return Success{};
  }

  Status take(std::string_view text) {
    auto line = read_capture_line(text);
    if (!line.ok()) return line.error();
    if (line->kind == CaptureLine::Kind::Data) return write_all(line->data);
    if (line->kind == CaptureLine::Kind::End) {
      const auto result = result_of(line->response);
      if (!result.ok()) return result.error();
      summary_ = *result;
      ended_ = true;
    }
    return Success{};
  }

  Status write_all(std::string_view bytes) {
    if (!began_ && options_.file != "-") (void)ftruncate(file_.get(), 0);  // a device or a pipe has no length
    began_ = true;
    while (!bytes.empty()) {
      const ssize_t written = write(file_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return Error{"cannot write " + file_name() + ": " + std::strerror(errno)};
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return Success{};
  }

  int report() const {
    if (options_.json) {
      std::fprintf(options_.file == "-" ? stderr : stdout, "%s\n", summary_.dump(2).c_str());
      return 0;
    }
    const auto number = [&](const char* key) { return summary_.value(key, std::uint64_t{0}); };
    const std::uint64_t lost = number("lost_ring") + number("lost_reader");
    std::fprintf(stderr, "ifgw: %llu packets, %llu lost, %llu bytes in %s; %s; ended: %s\n",
                 static_cast<unsigned long long>(number("packets")), static_cast<unsigned long long>(lost),
                 static_cast<unsigned long long>(number("bytes")), file_name().c_str(),
                 summary_.value("payload", "") == "full" ? "whole packets" : "headers only", summary_.value("end", "").c_str());
    if (lost != 0)
      std::fprintf(stderr, "ifgw: lost: %llu before the control plane, %llu before this program\n",
                   static_cast<unsigned long long>(number("lost_ring")), static_cast<unsigned long long>(number("lost_reader")));
    return 0;
  }

  const CaptureOptions& options_;
  Descriptor file_;
  Descriptor connection_;
  Descriptor signals_;
  std::string in_;
  Json summary_;
  bool made_ = false;   // the file is new
  bool began_ = false;  // something was written
  bool stopping_ = false;
  bool ended_ = false;
};

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t value = 0;
  const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || value > std::uint64_t{1} << 40) return std::nullopt;
  const std::string_view unit(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
  const unsigned shift = unit.empty() ? 0 : unit == "K" || unit == "KB" ? 10 : unit == "M" || unit == "MB" ? 20 : 30;
  if (shift == 30 && unit != "G" && unit != "GB") return std::nullopt;
  if (value > (std::uint64_t{1} << 40) >> shift) return std::nullopt;
  return value << shift;
}

Result<CaptureLine> read_capture_line(std::string_view line) {
  CaptureLine read;
  read.response = Json::parse(line, nullptr, false);
  if (!read.response.is_object()) return Error{"the answer is no response of the admin protocol", kFailedExit};
  if (const auto data = read.response.find("data"); data != read.response.end()) {
    auto bytes = data->is_string() ? decode_base64(data->get_ref<const std::string&>()) : std::nullopt;
    if (!bytes) return Error{"the answer is no response of the admin protocol", kFailedExit};
    read.kind = CaptureLine::Kind::Data;
    read.data = std::move(*bytes);
    return read;
  }
  // A refusal of the connection itself has no number.
  const auto id = read.response.find("id");
  if (id == read.response.end() || id->is_null() || *id == 1) read.kind = CaptureLine::Kind::End;
  return read;
}

int capture(const CaptureOptions& options) { return Run(options).run(); }

}  // namespace ifgw::cli
