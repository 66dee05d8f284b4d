// Frames from a hostile network, through the whole engine. Input: frames, each after two bytes of length; the first
// byte of a frame's length also says whether addresses and ports are made to fit a leg, so that inputs get far.
// Checked: every packet gets a verdict, what is sent lies inside the buffer and has right headers.
#include <cstdlib>
#include <cstring>

#include "tests/support/plane.h"

namespace {

using namespace ifgw;

// Makes the frame one from the leg's party to the leg, with right checksums, and keeps the rest.
test::Frame aimed(const std::uint8_t* data, std::size_t size, bool v6, std::uint16_t port, bool rtcp) {
  const auto offset = static_cast<std::uint16_t>(rtcp ? 1 : 0);
  const Endpoint from = *Endpoint::parse(v6 ? "[2001:db8::10]:40000" : "198.51.100.10:40000");
  const IpAddress to = *IpAddress::parse(v6 ? "2001:db8::1" : "192.0.2.1");
  return test::udp_frame({from.ip, static_cast<std::uint16_t>(from.port + offset)}, {to, static_cast<std::uint16_t>(port + offset)},
                         test::Frame(data, data + size));
}

void check(const test::Plane& plane, const test::Plane::Sent& sent) {
  if (sent.packet.verdict == engine::PacketVerdict::Pending && sent.packet.kind != engine::PacketKind::Exception) std::abort();
  const std::uint8_t* begin = plane.buffer.data();
  if (sent.packet.data < begin || sent.packet.data + sent.packet.length > begin + plane.buffer.size()) std::abort();
  if (sent.packet.verdict != engine::PacketVerdict::Transmit) return;
  if (sent.datagram.payload.size() + 28 > 1500 || sent.datagram.hops != 64) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::Plane plane;
  api::MediaParams pcmu = test::media_to("198.51.100.10:40000");
  pcmu.telephone_event_payload_type = 101;
  api::MediaParams latching = test::media_to("[2001:db8::99]:40000", api::Codec::Pcma);
  latching.source_policy = api::SourcePolicy::Latch;
  latching.latch_window_ms = 1000;
  latching.telephone_event_payload_type = 101;
  latching.telephone_event_clock_hz = 48'000;
  pcmu.comfort_noise_payload_type = latching.comfort_noise_payload_type = 13;
  const api::CommandDone a = plane.add(pcmu);
  const api::CommandDone b = plane.add(latching, 1);
  (void)plane.join(a.leg, b.leg);
  while (size >= 2) {
    const unsigned head = test::get16(data);
    const std::size_t length = std::min<std::size_t>(head & 0x07FF, size - 2);
    const bool v6 = (head & 0x2000) != 0;
    const bool rtcp = (head & 0x4000) != 0;
    const test::Frame frame =
        (head & 0x8000) != 0 ? aimed(data + 2, length, v6, (v6 ? b : a).local.port, rtcp) : test::Frame(data + 2, data + 2 + length);
    check(plane, plane.send(frame));
    plane.run(std::chrono::milliseconds(7));
    data += 2 + length;
    size -= 2 + length;
  }
  return 0;
}
