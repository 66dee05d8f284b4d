// A kernel UDP socket on a SIP port, beside the dataplane's datagram rings: it receives what the dataplane leaves to
// the kernel (reassembled fragments) and sends what does not fit one packet.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "codecs/base/bytes.h"
#include "codecs/base/ip.h"
#include "codecs/base/result.h"
#include "controlplane/adapters/event_loop.h"

namespace ifgw::adapters {

class UdpSocket {
 public:
  // `payload` is borrowed for the call. Datagrams longer than 64 KB do not exist.
  using Handler = std::function<void(const Endpoint& source, const Endpoint& local, Bytes payload, Instant now)>;

  // Binds and registers with the loop. The address may not be there yet (IP_FREEBIND): the dataplane brings it up. Whether
  // it ever will be is not looked at: is_here() tells, once the dataplane is attached.
  // An Error names the address and what to do.
  static Result<std::unique_ptr<UdpSocket>> open(EventLoop& loop, const Endpoint& local, Handler handler);
  ~UdpSocket();
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  // From `local`'s address when present (a socket on every address), else from the bound one. Fragments when needed.
  // False when the kernel would not take it; never blocks.
  bool send(const Endpoint& destination, const Endpoint& local, Bytes payload);

  const Endpoint& local() const noexcept { return local_; }  // with the port the kernel chose, when 0 was asked for
  std::uint64_t received() const noexcept { return received_; }
  std::uint64_t sent() const noexcept { return sent_; }
  std::uint64_t send_failures() const noexcept { return send_failures_; }

 private:
  UdpSocket(EventLoop& loop, UniqueFd fd, const Endpoint& local, Handler handler);
  void on_readable(Instant now);

  EventLoop& loop_;
  UniqueFd fd_;
  Endpoint local_;
  Handler handler_;
  std::vector<std::uint8_t> buffer_;
  std::uint64_t received_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t send_failures_ = 0;
};

}  // namespace ifgw::adapters
