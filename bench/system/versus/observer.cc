// Sends RTP streams into a gateway and watches both outer ends of its wires. It knows nothing of the gateway: what it
// says of one holds for any other, by the same method.
//
//   versus_observer SEND_IF RECEIVE_IF NEXT_HOP_MAC STREAMS PAYLOAD
//
//   STREAMS   a file, a stream per line: SOURCE:PORT DESTINATION:PORT ARRIVAL_PORT   (IPv4; the last is the UDP port where
//             the stream reaches the far party)
//   PAYLOAD   a file of PCMU (8 kHz, one byte a sample), which every stream says over and over, each from another place
//
// Commands on stdin, an answer of one JSON line each; streams go on from one command to the next:
//   paced SECONDS STREAMS SPIN       the first STREAMS streams, a packet of 20 ms each per 20 ms, spread evenly. SPIN 1: by
//                                    busy waiting (a core for it), 0: sleeping in between
//   load SECONDS STREAMS SPIN        likewise without time stamps, which cost the observer half of its packets
//   saturate SECONDS WINDOW STREAMS  as fast as it goes with WINDOW packets in flight; no time stamps
//
// Times are the kernel's, on copies that it makes of each packet for packet sockets: when it was given to the first wire,
// when it came off the second. A packet that arrives is the answer to the one whose number has the same distance from the
// stream's first: a gateway that begins numbers of its own, and one that holds a frame back, are measured alike.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "codecs/base/bytes.h"

namespace {

using ifgw::load_be16;
using ifgw::load_be32;
using ifgw::store_be16;
using ifgw::store_be32;

constexpr std::size_t kPayload = 160;
constexpr std::size_t kIp = 14, kUdp = kIp + 20, kRtp = kUdp + 8, kFrame = kRtp + 12 + kPayload;
constexpr std::uint64_t kPacketTimeNs = 20'000'000;
constexpr std::uint64_t kDrainNs = 150'000'000;  // what a gateway may hold back is sent by then
constexpr std::size_t kRemembered = 256;         // packets of a stream that may be on their way
constexpr std::size_t kBatch = 32;
// Of each stream. Not 0: rtpengine 10.5 takes a first time stamp of 0 for none, and holds every later packet back for 20 ms.
constexpr std::uint16_t kFirstNumber = 0x1200;  // a multiple of kRemembered
constexpr std::uint32_t kFirstTime = 0x3456'7890;

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "versus_observer: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}
void require(bool good, const char* what) {
  if (!good) die(what);
}
std::uint64_t clock_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

struct Stream {
  std::array<std::uint8_t, kFrame> frame{};
  std::uint16_t arrival_port = 0;
  std::uint32_t next = 0;  // how many were sent
  std::size_t said = 0;    // where in the payload it is
  bool answered = false;
  std::uint16_t first_answer = 0;
  std::array<std::uint64_t, kRemembered> left_ns{};  // by sequence number; 0: not seen
};

// A packet socket with a ring that the kernel fills.
class Tap {
 public:
  Tap(const std::string& interface, bool outgoing) : outgoing_(outgoing), fd_(socket(AF_PACKET, SOCK_RAW, 0)) {
    require(fd_ >= 0, "packet socket");
    const int version = TPACKET_V2, on = 1;
    require(setsockopt(fd_, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) == 0, "TPACKET_V2");
    require(setsockopt(fd_, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) == 0, "SO_TIMESTAMPNS");
    tpacket_req request{};
    request.tp_block_size = 1 << 16;
    request.tp_frame_size = kSlot;
    request.tp_block_nr = kSlots * kSlot / request.tp_block_size;
    request.tp_frame_nr = kSlots;
    require(setsockopt(fd_, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) == 0, "PACKET_RX_RING");
    void* mapped = mmap(nullptr, kSlots * kSlot, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, 0);
    require(mapped != MAP_FAILED, "mmap");
    ring_ = static_cast<std::uint8_t*>(mapped);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);  // copies of what is sent are made for this protocol alone
    address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    require(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "bind");
  }
  ~Tap() {
    munmap(ring_, kSlots * kSlot);
    close(fd_);
  }
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  // take(frame, time_ns) for each RTP packet of the direction that has come since.
  template <typename Take>
  void read(Take&& take) {
    for (std::size_t n = 0; n < kSlots; ++n) {
      auto* header = reinterpret_cast<tpacket2_hdr*>(ring_ + at_ * kSlot);
      if ((__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) return;
      const auto* link =
          reinterpret_cast<const sockaddr_ll*>(reinterpret_cast<std::uint8_t*>(header) + TPACKET_ALIGN(sizeof(tpacket2_hdr)));
      const std::uint8_t* frame = reinterpret_cast<std::uint8_t*>(header) + header->tp_mac;
      const bool rtp = header->tp_snaplen >= kRtp + 12 && load_be16(frame + 12) == ETH_P_IP && frame[kIp] == 0x45 &&
                       frame[kIp + 9] == IPPROTO_UDP && frame[kRtp] >> 6 == 2 && (frame[kRtp + 1] < 192 || frame[kRtp + 1] > 223);
      if (rtp && (link->sll_pkttype == PACKET_OUTGOING) == outgoing_)
        take(frame, std::uint64_t{header->tp_sec} * 1'000'000'000 + header->tp_nsec);
      __atomic_store_n(&header->tp_status, std::uint32_t{TP_STATUS_KERNEL}, __ATOMIC_RELEASE);
      at_ = (at_ + 1) % kSlots;
    }
  }
  unsigned missed() {
    tpacket_stats stats{};
    socklen_t size = sizeof(stats);
    getsockopt(fd_, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
    return stats.tp_drops;
  }

 private:
  static constexpr std::size_t kSlot = 256, kSlots = 32'768;
  bool outgoing_;
  int fd_;
  std::uint8_t* ring_ = nullptr;
  std::size_t at_ = 0;
};

struct Sender {
  Sender(const std::string& interface, bool bypass) : fd(socket(AF_PACKET, SOCK_RAW, 0)) {
    require(fd >= 0, "packet socket");
    const int on = 1, room = 8 << 20;
    // Past the taps: a run without time stamps needs no copy of what was sent.
    if (bypass) require(setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) == 0, "PACKET_QDISC_BYPASS");
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    require(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "bind");
  }
  ~Sender() { close(fd); }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  // One frame of each; what one stream sends twice must not be in one batch.
  void send(std::vector<Stream>& streams, const std::size_t* which, std::size_t count) {
    std::array<mmsghdr, kBatch> messages{};
    std::array<iovec, kBatch> parts;
    for (std::size_t i = 0; i < count; ++i) {
      parts[i] = {streams[which[i]].frame.data(), kFrame};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (std::size_t done = 0; done < count;) {
      const int sent = sendmmsg(fd, messages.data() + done, static_cast<unsigned>(count - done), 0);
      if (sent < 0 && errno != ENOBUFS && errno != EINTR) die("sendmmsg");
      done += sent > 0 ? static_cast<std::size_t>(sent) : 0;
    }
  }
  int fd;
};

std::array<std::uint8_t, 6> parse_mac(const char* text) {
  std::array<unsigned, 6> b{};
  require(std::sscanf(text, "%x:%x:%x:%x:%x:%x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) == 6, "next hop's MAC");
  std::array<std::uint8_t, 6> mac;
  std::copy(b.begin(), b.end(), mac.begin());
  return mac;
}

std::array<std::uint8_t, 6> mac_of(const std::string& interface) {
  ifreq request{};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  require(ioctl(fd, SIOCGIFHWADDR, &request) == 0, "the interface's MAC");
  close(fd);
  std::array<std::uint8_t, 6> mac;
  std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, 6);
  return mac;
}

void put_endpoint(const std::string& text, std::uint8_t* address, std::uint8_t* port) {
  const auto colon = text.rfind(':');
  require(colon != std::string::npos && inet_pton(AF_INET, text.substr(0, colon).c_str(), address) == 1, "endpoint of a stream");
  store_be16(port, static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)));
}

class Observer {
 public:
  explicit Observer(char** argv) : send_if_(argv[1]), by_port_(65536, -1), arrivals_(argv[2], false) {
    const auto next_hop = parse_mac(argv[3]), own = mac_of(send_if_);
    std::ifstream payload(argv[5], std::ios::binary);
    payload_.assign(std::istreambuf_iterator<char>(payload), {});
    require(payload_.size() >= kPayload, "payload");
    std::ifstream list(argv[4]);
    std::string source, destination;
    for (unsigned arrival; list >> source >> destination >> arrival;) {
      Stream s;
      std::uint8_t* f = s.frame.data();
      std::copy(next_hop.begin(), next_hop.end(), f);
      std::copy(own.begin(), own.end(), f + 6);
      store_be16(f + 12, ETH_P_IP);
      f[kIp] = 0x45;
      store_be16(f + kIp + 2, kFrame - kIp);
      f[kIp + 8] = 64;
      f[kIp + 9] = IPPROTO_UDP;
      put_endpoint(source, f + kIp + 12, f + kUdp);
      put_endpoint(destination, f + kIp + 16, f + kUdp + 2);
      store_be16(f + kUdp + 4, kFrame - kUdp);  // no UDP checksum, as IPv4 allows
      std::uint32_t sum = 0;
      for (std::size_t i = 0; i < 20; i += 2) sum += load_be16(f + kIp + i);
      sum = (sum & 0xFFFF) + (sum >> 16);
      store_be16(f + kIp + 10, static_cast<std::uint16_t>(~(sum + (sum >> 16))));
      f[kRtp] = 0x80;
      store_be32(f + kRtp + 8, 0x10000 + static_cast<std::uint32_t>(streams_.size()));
      s.said = streams_.size() * 7919 % (payload_.size() / kPayload) * kPayload;
      s.arrival_port = static_cast<std::uint16_t>(arrival);
      by_port_[arrival] = static_cast<int>(streams_.size());
      streams_.push_back(s);
    }
    require(!streams_.empty(), "streams");
  }

  void paced(double seconds, std::size_t streams, bool spin, bool stamped) {
    streams = std::min(streams, streams_.size());
    start();
    const std::unique_ptr<Tap> departures(stamped ? new Tap(send_if_, true) : nullptr);
    Sender sender(send_if_, !stamped);
    const auto packets = static_cast<std::uint64_t>(seconds * 1e9 / kPacketTimeNs) * streams;
    const std::uint64_t began = clock_ns();
    std::uint64_t late = 0;
    for (std::uint64_t done = 0; done < packets;) {
      const std::uint64_t now = clock_ns();
      const std::uint64_t due = std::min(packets, (now - began) * streams / kPacketTimeNs + 1);
      if (due - done > streams / 10 + 1) ++late;  // 2 ms behind
      const std::size_t count = std::min<std::size_t>({due - done, kBatch, streams - done % streams});
      if (count > 0) send(sender, done % streams, count);
      done += count;
      collect(departures.get());
      if (count == 0 && !spin) usleep(50);
    }
    in_time_ = arrived_;
    drain(departures.get());
    report(packets, static_cast<double>(clock_ns() - began - kDrainNs) / 1e9, (stamped ? departures->missed() : 0) + arrivals_.missed(),
           late);
  }

  void saturate(double seconds, std::uint64_t window, std::size_t streams) {
    streams = std::min(streams, streams_.size());
    start();
    Sender sender(send_if_, true);
    const std::uint64_t began = clock_ns(), end = began + static_cast<std::uint64_t>(seconds * 1e9);
    std::uint64_t sent = 0, lost = 0, moved = began;
    for (std::uint64_t now = began; now < end; now = clock_ns()) {
      const std::uint64_t before = arrived_, in_flight = sent - arrived_ - lost;
      const std::size_t count = std::min<std::size_t>({window - std::min(window, in_flight), kBatch, streams - sent % streams});
      if (count > 0) send(sender, sent % streams, count);
      sent += count;
      collect(nullptr);
      if (arrived_ != before || count > 0) moved = now;
      // Nothing moves any more: what is in flight is lost, and the window would stay full of it.
      if (now - moved > 20'000'000) {
        lost = sent - arrived_;
        moved = now;
      }
    }
    const double took = static_cast<double>(clock_ns() - began) / 1e9;
    drain(nullptr);
    report(sent, took, arrivals_.missed(), 0);
  }

 private:
  void start() {
    collect(nullptr);  // stragglers are nobody's
    latencies_.clear();
    arrived_ = in_time_ = early_ = 0;
    (void)arrivals_.missed();
    for (Stream& s : streams_) s.left_ns.fill(0);
  }
  void send(Sender& sender, std::size_t first, std::size_t count) {
    std::array<std::size_t, kBatch> which;
    for (std::size_t i = 0; i < count; ++i) {
      Stream& s = streams_[which[i] = first + i];
      std::uint8_t* rtp = s.frame.data() + kRtp;
      store_be16(rtp + 2, static_cast<std::uint16_t>(kFirstNumber + s.next));
      store_be32(rtp + 4, kFirstTime + s.next * std::uint32_t{kPayload});
      std::memcpy(rtp + 12, payload_.data() + s.said, kPayload);
      s.said = (s.said + kPayload) / kPayload < payload_.size() / kPayload ? s.said + kPayload : 0;
      ++s.next;
    }
    sender.send(streams_, which.data(), count);
  }
  void collect(Tap* departures) {
    if (departures != nullptr)
      departures->read([&](const std::uint8_t* frame, std::uint64_t time_ns) {
        const std::uint32_t stream = load_be32(frame + kRtp + 8) - 0x10000;
        if (stream < streams_.size()) streams_[stream].left_ns[load_be16(frame + kRtp + 2) % kRemembered] = time_ns;
      });
    arrivals_.read([&](const std::uint8_t* frame, std::uint64_t time_ns) {
      const int which = by_port_[load_be16(frame + kUdp + 2)];
      if (which < 0) return;
      Stream& s = streams_[static_cast<std::size_t>(which)];
      const std::uint16_t number = load_be16(frame + kRtp + 2);
      ++arrived_;
      if (!s.answered) {
        s.answered = true;
        s.first_answer = number;
      }
      std::uint64_t& left = s.left_ns[static_cast<std::uint16_t>(number - s.first_answer) % kRemembered];
      if (departures == nullptr || left == 0) return;
      if (time_ns < left)
        ++early_;
      else
        latencies_.push_back(time_ns - left);
      left = 0;
    });
  }
  void drain(Tap* departures) {
    const std::uint64_t end = clock_ns() + kDrainNs;
    while (clock_ns() < end) {
      collect(departures);
      usleep(1000);
    }
  }
  void report(std::uint64_t sent, double seconds, unsigned missed, std::uint64_t late) {
    std::sort(latencies_.begin(), latencies_.end());
    const auto quantile = [&](double q) {
      const std::size_t count = latencies_.size();
      return count == 0
                 ? 0.0
                 : static_cast<double>(latencies_[std::min(count - 1, static_cast<std::size_t>(q * static_cast<double>(count)))]) / 1e3;
    };
    std::printf(
        "{\"sent\": %llu, \"arrived\": %llu, \"in_time\": %llu, \"seconds\": %.4f, \"measured\": %zu, \"p50_us\": %.2f, \"p99_us\": %.2f, "
        "\"p999_us\": %.2f, "
        "\"max_us\": %.2f, \"min_us\": %.2f, \"unseen\": %u, \"early\": %llu, \"sender_late\": %llu}\n",
        static_cast<unsigned long long>(sent), static_cast<unsigned long long>(arrived_), static_cast<unsigned long long>(in_time_),
        seconds, latencies_.size(), quantile(0.5), quantile(0.99), quantile(0.999), quantile(1), quantile(0), missed,
        static_cast<unsigned long long>(early_), static_cast<unsigned long long>(late));
    std::fflush(stdout);
  }

  std::string send_if_;
  std::vector<std::uint8_t> payload_;
  std::vector<Stream> streams_;
  std::vector<int> by_port_;
  Tap arrivals_;
  std::vector<std::uint64_t> latencies_;
  std::uint64_t arrived_ = 0;
  std::uint64_t in_time_ = 0;  // of them, when the last packet was sent
  std::uint64_t early_ = 0;    // answered before it was sent: must be 0
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: versus_observer SEND_IF RECEIVE_IF NEXT_HOP_MAC STREAMS PAYLOAD\n");
    return 2;
  }
  Observer observer(argv);
  std::printf("ready\n");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string verb;
    double seconds = 0;
    std::uint64_t a = 0, b = 0;
    words >> verb >> seconds >> a >> b;
    if (verb == "paced")
      observer.paced(seconds, a, b != 0, true);
    else if (verb == "load")
      observer.paced(seconds, a, b != 0, false);
    else if (verb == "saturate")
      observer.saturate(seconds, a, b);
    else
      return 2;
  }
  return 0;
}
