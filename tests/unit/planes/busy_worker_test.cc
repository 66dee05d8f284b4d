// A whole worker on a port made of rings, with more to do than fits one iteration. EAL is started, on ordinary memory.
#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <array>

#include "tests/support/frames.h"
#include "tests/support/worker_rig.h"

namespace ifgw::test {
namespace {

using api::Codec;

constexpr std::size_t kDear = 48;

engine::EngineConfig config() {
  engine::EngineConfig c;
  c.local_addresses = {*IpAddress::parse("192.0.2.1")};
  c.first_media_port = 20'000;
  c.last_media_port = 20'511;
  c.sip_udp_ports = {5060};
  c.transcoding_mb = 16;
  c.max_load_percent = 0;
  c.late = std::chrono::seconds(1);
  // L16 is next to nothing: it stands for a codec as dear as the test needs it.
  c.pair_costs_ns[api::codec_pair(Codec::Pcmu, Codec::L16_8)] = 100'000;
  return c;
}

struct Speaker {
  Endpoint remote, port, listener;
  api::LegId leg, peer;
  std::uint16_t sequence = 0;
};
struct Sent {
  std::uint16_t listener = 0;  // port
  std::uint8_t payload_type = 0;
  friend bool operator==(const Sent&, const Sent&) = default;
};

class BusyWorker : public testing::Test {
 protected:
  // One for all tests: EAL starts once.
  static void SetUpTestSuite() {
    bool hugepages = false;
    ASSERT_TRUE(start_eal(runtime::MemoryChoice::None, hugepages));
    rig = new WorkerRig(config(), false);
    relay = add(Codec::Pcmu);
    for (std::size_t i = 0; i < kDear; ++i) dear.push_back(add(Codec::L16_8));
  }
  static api::MediaParams params(const Endpoint& remote, Codec codec, std::uint8_t payload_type) {
    api::MediaParams media;
    media.remote = remote;
    media.codec = codec;
    media.payload_type = payload_type;
    return media;
  }
  static Speaker add(Codec to) {
    Speaker s;
    const auto number = static_cast<std::uint16_t>(2 * dear.size() + (to == Codec::Pcmu ? 1000 : 0));
    s.remote = {*IpAddress::parse("198.51.100.10"), static_cast<std::uint16_t>(40'000 + number)};
    s.listener = {*IpAddress::parse("203.0.113.20"), static_cast<std::uint16_t>(50'000 + number)};
    const auto [near, far] = rig->call(params(s.remote, Codec::Pcmu, 0), params(s.listener, to, to == Codec::Pcmu ? 0 : 96));
    s.port = near.local;
    s.leg = near.leg;
    s.peer = far.leg;
    return s;
  }
  // Its listener wants another payload type.
  static api::Command update(const Speaker& s, std::uint8_t payload_type) {
    api::Command command;
    command.type = api::CommandType::UpdateLeg;
    command.update_leg = {};
    command.update_leg.leg = s.peer;
    command.update_leg.media = params(s.listener, Codec::L16_8, payload_type);
    return command;
  }
  static rte_mbuf* packet(Speaker& s) {
    ++s.sequence;
    return with(udp_frame(s.remote, s.port, rtp_packet(0, s.sequence, 160U * s.sequence, 7, Frame(160, 0xD5))));
  }
  static rte_mbuf* with(const Frame& frame) {
    rte_mbuf* buffer = rte_pktmbuf_alloc(rig->pool());
    std::copy(frame.begin(), frame.end(),
              reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(buffer, static_cast<std::uint16_t>(frame.size()))));
    return buffer;
  }
  static void receive(Speaker& s, std::size_t count = 1) {
    for (; count > 0; --count) {
      rte_mbuf* one[] = {packet(s)};
      rig->receive(one);
    }
  }
  static void receive_dear() {
    for (Speaker& s : dear) receive(s);
  }
  static std::vector<Sent> sent() {
    std::vector<Sent> all;
    std::array<rte_mbuf*, nodes::kBurst> buffers;
    for (std::size_t count; (count = rig->sent(buffers)) != 0;)
      for (rte_mbuf* buffer : std::span(buffers).first(count)) {
        const Datagram read = read_udp(rte_pktmbuf_mtod(buffer, const std::uint8_t*), rte_pktmbuf_data_len(buffer));
        all.push_back({read.to.port, static_cast<std::uint8_t>(read.payload[1] & 0x7F)});
        rte_pktmbuf_free(buffer);
      }
    return all;
  }
  static std::size_t relays(const std::vector<Sent>& all) {
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const Sent& s) { return s.listener == relay.listener.port; }));
  }
  static std::vector<Sent> rest() {
    while (rig->iterate() != 0) {
    }
    return sent();
  }

  static inline WorkerRig* rig = nullptr;
  static inline Speaker relay;
  static inline std::vector<Speaker> dear;
};

TEST_F(BusyWorker, EmptiesThePortBeforeItBeginsWithDearFrames) {
  receive_dear();  // a burst and a half
  receive(relay, 60);
  rig->iterate();
  EXPECT_TRUE(sent().empty()) << "the burst was full: others may wait behind it";
  rig->iterate();
  const auto second = sent();
  EXPECT_EQ(second.size(), 16U);
  EXPECT_EQ(relays(second), 16U);
  rig->iterate();
  EXPECT_EQ(relays(sent()), 32U);
  rig->iterate();
  const auto last = sent();
  EXPECT_EQ(relays(last), 12U);
  EXPECT_EQ(last.size(), 13U) << "and one frame, as nothing else waits";
  EXPECT_EQ(rest().size(), kDear - 1);
}

TEST_F(BusyWorker, LooksAtThePortBetweenAnyTwoDearFrames) {
  receive_dear();
  rig->iterate();
  std::size_t frames = 0;
  while (frames < kDear) {
    receive(relay);
    ASSERT_NE(rig->iterate(), 0U);
    const auto all = sent();
    ASSERT_EQ(relays(all), 1U);
    ASSERT_EQ(all.front().listener, relay.listener.port) << "before the frame";
    ASSERT_EQ(all.size(), 2U);
    ASSERT_EQ(all.back().listener, dear[frames++].listener.port) << "the oldest stream's first";
  }
  EXPECT_EQ(rig->iterate(), 0U);
}

TEST_F(BusyWorker, SendsWhatWasSaidBeforeALegChangesAsItWas) {
  receive_dear();
  Speaker& changed = dear[20];
  rig->command(update(changed, 97));
  const std::vector<Sent> before = sent();
  ASSERT_EQ(before.size(), 1U) << "the port's burst was full: only what the command would have cut off";
  EXPECT_EQ(before.front(), (Sent{changed.listener.port, 96}));
  EXPECT_EQ(rest().size(), kDear - 1);
  receive(changed);
  const std::vector<Sent> after = rest();
  ASSERT_EQ(after.size(), 1U);
  EXPECT_EQ(after.front(), (Sent{changed.listener.port, 97}));
}

// Calls that change all at once must not make the worker forget its ports.
TEST_F(BusyWorker, ChangesOneBusyLegBetweenTwoLooksAtThePort) {
  receive_dear();
  for (const Speaker& s : dear) rig->send(update(s, 98));
  std::size_t frames = 0;
  while (frames < kDear) {
    receive(relay);
    rig->iterate();
    const auto all = sent();
    const std::size_t made = all.size() - relays(all);
    ASSERT_LE(made, 2U) << "one for a command, one in its turn";
    frames += made;
  }
  EXPECT_TRUE(rest().empty());
}

// Somebody fills each burst with what is refused at once.
TEST_F(BusyWorker, TranscodesUnderAFloodOfWhatIsRefused) {
  const Endpoint nobody{*IpAddress::parse("198.51.100.99"), 999}, unused{*IpAddress::parse("192.0.2.1"), 20'510};
  receive(dear[0]);
  const Instant began = runtime::monotonic_now();
  std::vector<Sent> out;
  while (out.empty() && runtime::monotonic_now() - began < std::chrono::seconds(20)) {
    std::array<rte_mbuf*, nodes::kBurst> burst;
    for (rte_mbuf*& buffer : burst) buffer = with(udp_frame(nobody, unused, rtp_packet(0, 1, 160, 7, Frame(160, 0xD5))));
    rig->receive(burst);
    rig->iterate();
    out = sent();
  }
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out.front().listener, dear[0].listener.port);
}

}  // namespace
}  // namespace ifgw::test
