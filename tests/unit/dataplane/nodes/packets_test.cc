// What lies between a buffer and the engine's packet: VLAN tags, and what the port said of checksums. Buffers are made by
// hand: nothing here needs a pool or a port.
#include "dataplane/nodes/packets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <vector>

#include "dataplane/nodes/vlans.h"

namespace ifgw::nodes {
namespace {

class Buffer {
 public:
  explicit Buffer(const std::vector<std::uint8_t>& frame, std::uint16_t headroom = 64)
      : bytes_(headroom + frame.size() + 32, 0xEE), mbuf_(std::make_unique<rte_mbuf>()) {
    std::copy(frame.begin(), frame.end(), bytes_.begin() + headroom);
    mbuf_->buf_addr = bytes_.data();
    mbuf_->buf_len = static_cast<std::uint16_t>(bytes_.size());
    mbuf_->data_off = headroom;
    mbuf_->data_len = static_cast<std::uint16_t>(frame.size());
    mbuf_->pkt_len = mbuf_->data_len;
    mbuf_->nb_segs = 1;
    mbuf_->refcnt = 1;
  }
  rte_mbuf* get() { return mbuf_.get(); }
  std::vector<std::uint8_t> frame() const {
    const auto* at = rte_pktmbuf_mtod(mbuf_.get(), const std::uint8_t*);
    return {at, at + mbuf_->data_len};
  }

 private:
  std::vector<std::uint8_t> bytes_;
  std::unique_ptr<rte_mbuf> mbuf_;
};

std::vector<std::uint8_t> frame(std::initializer_list<std::uint8_t> tag) {
  std::vector<std::uint8_t> f{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  for (const std::uint8_t byte : tag) f.push_back(byte);
  f.push_back(0x08);
  f.push_back(0x00);
  f.resize(f.size() + 20, 0x55);
  return f;
}

TEST(Vlans, TagsComeOffAndTellThePort) {
  Vlans vlans;
  const std::uint16_t ten = vlans.add(3, 10), other_device = vlans.add(4, 10), last = vlans.add(3, 4094);
  EXPECT_TRUE(vlans.any(3));
  EXPECT_FALSE(vlans.any(5));
  const struct {
    std::initializer_list<std::uint8_t> tag;
    std::uint16_t device, port;
  } cases[] = {
      {{0x81, 0, 0, 10}, 3, ten},
      {{0x81, 0, 0, 10}, 4, other_device},
      {{0x81, 0, 0xB0, 10}, 3, ten},
      {{0x81, 0, 0x0F, 0xFE}, 3, last},
      {{0x81, 0, 0, 11}, 3, kNoDevice},
      {{0x81, 0, 0, 0}, 3, kNoDevice},
      {{}, 3, kNoDevice},
      {{0x88, 0xA8, 0, 10}, 3, kNoDevice},
  };
  for (const auto& c : cases) {
    Buffer buffer(frame(c.tag));
    EXPECT_EQ(vlans.receive(buffer.get(), c.device), c.port);
    if (c.port != kNoDevice) {
      EXPECT_EQ(buffer.frame(), frame({}));
    }
  }
  Buffer cut(std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x81, 0, 0});
  EXPECT_EQ(vlans.receive(cut.get(), 3), kNoDevice);
  vlans.add_untagged(3);
  Buffer plain(frame({})), priority(frame({0x81, 0, 0xA0, 0}));
  EXPECT_EQ(vlans.receive(plain.get(), 3), 3);
  EXPECT_EQ(vlans.receive(priority.get(), 3), 3);
  EXPECT_EQ(priority.frame(), frame({0x81, 0, 0xA0, 0})) << "looked through by the engine, as on any port";
}

TEST(Vlans, TagsGoOnBeforeTheDeviceGetsTheFrame) {
  Vlans vlans;
  const std::uint16_t port = vlans.add(3, 300);
  Buffer buffer(frame({}));
  EXPECT_EQ(vlans.device(port), 3);
  EXPECT_TRUE(Vlans::is_vlan(port));
  vlans.tag(buffer.get(), port);
  EXPECT_EQ(buffer.frame(), frame({0x81, 0, 0x01, 0x2C}));
  EXPECT_EQ(vlans.receive(buffer.get(), 3), port);
  EXPECT_EQ(vlans.device(7), 7);
  EXPECT_FALSE(Vlans::is_vlan(7));
  EXPECT_FALSE(Vlans::has_room(Buffer(frame({}), 3).get()));
  EXPECT_TRUE(Vlans::has_room(Buffer(frame({}), 4).get()));
}

TEST(Vlans, HaveABound) {
  Vlans vlans;
  for (std::uint16_t i = 0; i < kMaxPortNumbers - kMaxDevices; ++i) EXPECT_EQ(vlans.add(1, i + 1), kMaxDevices + i);
  EXPECT_EQ(vlans.add(1, 100), kNoDevice);
}

TEST(View, BelievesAPortThatAChecksumIsGood) {
  const struct {
    std::uint64_t flags;
    engine::Checksum ip, l4;
  } cases[] = {
      {0, engine::Checksum::Unknown, engine::Checksum::Unknown},
      {RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD, engine::Checksum::Good, engine::Checksum::Good},
      {RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD, engine::Checksum::Bad, engine::Checksum::Unknown},
      {RTE_MBUF_F_RX_L4_CKSUM_NONE, engine::Checksum::Unknown, engine::Checksum::Unknown},
  };
  for (const auto& c : cases) {
    Buffer buffer(frame({}));
    buffer.get()->ol_flags = c.flags;
    engine::Packet packet;
    view(buffer.get(), 17, packet);
    EXPECT_EQ(packet.ip_checksum, c.ip);
    EXPECT_EQ(packet.l4_checksum, c.l4);
    EXPECT_EQ(packet.rx_port, 17);
    EXPECT_EQ(packet.length, 34);
    EXPECT_EQ(packet.headroom, 64);
    EXPECT_EQ(packet.tailroom, 32);
  }
}

}  // namespace
}  // namespace ifgw::nodes
