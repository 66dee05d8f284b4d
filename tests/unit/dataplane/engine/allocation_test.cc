// No allocation per packet, event or timer after start. A test of its own executable, because it replaces operator new.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/support/plane.h"

namespace {
std::atomic<std::uint64_t> g_allocations{0};
}

void* operator new(std::size_t size) {
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::aligned_alloc(static_cast<std::size_t>(alignment), (size + 63) / 64 * 64)) return memory;
  throw std::bad_alloc();
}
// Not inlined where new is not: the compiler would see a mismatch.
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace ifgw::test {
namespace {

TEST(Allocation, NoneForPacketsEventsTimersAndCommands) {
  Plane plane;
  const api::LegId relay_a = plane.add(media_to("198.51.100.10:40000")).leg;
  const api::CommandDone relay_b = plane.add(media_to("198.51.100.11:40000"));
  (void)plane.join(relay_a, relay_b.leg);
  const api::LegId coder_a = plane.add(media_to("198.51.100.12:40000")).leg;
  (void)plane.join(coder_a, plane.add(media_to("198.51.100.13:40000", api::Codec::Pcma)).leg);
  const Frame audio(160, 0x55);
  const auto local = [&](int i) { return Endpoint{plane.config.local_addresses[0], static_cast<std::uint16_t>(20000 + 2 * i)}; };
  std::vector<Frame> frames = {
      udp_frame(*Endpoint::parse("198.51.100.10:40000"), local(0), rtp_packet(0, 1, 1, 1, audio)),
      udp_frame(*Endpoint::parse("198.51.100.12:40000"), local(2), rtp_packet(0, 1, 1, 1, audio)),
      udp_frame(*Endpoint::parse("198.51.100.10:40001"), {local(0).ip, 20001}, rtcp_packet(1)),
      udp_frame(*Endpoint::parse("198.51.100.99:40000"), local(0), rtp_packet(0, 1, 1, 1, audio)),
      udp_frame(*Endpoint::parse("203.0.113.5:5060"), *Endpoint::parse("192.0.2.1:5060"), audio),
      tcp_frame(*Endpoint::parse("203.0.113.6:5060"), *Endpoint::parse("192.0.2.1:5060"), 2),
  };
  constexpr std::size_t kRoom = 128;
  std::vector<std::vector<std::uint8_t>> buffers(frames.size(), std::vector<std::uint8_t>(1024));
  const auto round = [&] {
    std::array<engine::Packet, 6> packets;
    FixedVector<engine::Packet*, 6> media;
    FixedVector<engine::Packet*, 6> signalling;
    for (std::size_t i = 0; i < packets.size(); ++i) {
      std::copy(frames[i].begin(), frames[i].end(), buffers[i].begin() + kRoom);
      packets[i].data = buffers[i].data() + kRoom;
      packets[i].length = static_cast<std::uint16_t>(frames[i].size());
      packets[i].headroom = kRoom;
    }
    plane.engine.classify(packets);
    for (auto& p : packets) (void)(p.kind == engine::PacketKind::Media ? media : signalling).push_back(&p);
    plane.engine.media({media.begin(), media.size()}, plane.now, plane.spares);
    plane.engine.limit({signalling.begin(), signalling.size()}, plane.now);
    plane.now += std::chrono::milliseconds(5);
    plane.engine.on_timer(plane.now, 0, plane.spares);
    return packets[0].verdict == engine::PacketVerdict::Transmit && packets[1].verdict == engine::PacketVerdict::Transmit;
  };
  ASSERT_TRUE(round());
  ASSERT_EQ(plane.events.count(api::EventType::FirstPacket), 2U);
  const std::uint64_t before = g_allocations.load();
  bool all_sent = true;
  for (int i = 0; i < 1000; ++i) all_sent = round() && all_sent;
  api::Command command{};
  command.type = api::CommandType::ListSources;
  command.list_sources = {0, 0};
  plane.engine.on_command(command, plane.now, plane.spares);
  command.type = api::CommandType::SetPrefixLimit;
  command.set_prefix_limit = {{*IpAddress::parse("10.0.0.0"), 8}, 100, 1000};
  plane.engine.on_command(command, plane.now, plane.spares);
  command.type = api::CommandType::RemoveLeg;
  command.remove_leg = {relay_a};
  plane.engine.on_command(command, plane.now, plane.spares);
  EXPECT_EQ(g_allocations.load() - before, 0U);
  EXPECT_TRUE(all_sent);
}

// The runtime adds a next hop for each leg: NextHopTable.OneForEveryLegIsSmall.
TEST(Allocation, ALegTakesNineHundredAndFortyBytes) {
  engine::EngineConfig config = small_config();
  config.first_media_port = 10'000;
  config.last_media_port = 60'001;
  EXPECT_LE(engine::Engine::bytes_per_leg(config), 940U);
}

}  // namespace
}  // namespace ifgw::test
