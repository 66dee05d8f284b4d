// A control plane of a few lines, for smoke tests of the dataplane alone: it attaches for real, makes legs, and is
// killed.
//
// plane_tool SOCKET call  REMOTE_A CODEC_A REMOTE_B CODEC_B   joins two legs, prints their endpoints as JSON, exits
// plane_tool SOCKET calls REMOTE_A CODEC_A REMOTE_B CODEC_B COUNT  so many; each further one has ports 2 higher at both ends;
//                                                             prints [[LOCAL_A, LOCAL_B], ...]
// plane_tool SOCKET legs                                      prints the leg table and counters as JSON
// plane_tool SOCKET churn                                     adds, joins, updates, removes legs and sends datagrams
//                                                             until killed; prints one line when it has begun
// plane_tool SOCKET limits REQUESTS WINDOW_MS BLOCK_MS        sets the limiter
// plane_tool SOCKET answer COUNT                              echoes COUNT datagrams, then exits
// plane_tool SOCKET roam FIRST COUNT                          adds a leg whose party moves through COUNT addresses, removes it
// plane_tool SOCKET clear                                     removes every leg
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "codecs/base/bytes.h"
#include "tests/support/attach.h"

namespace {

using ifgw::Endpoint;
using ifgw::adapters::DataplaneLink;
namespace api = ifgw::api;

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "plane_tool: %s\n", what.c_str());
  std::exit(1);
}

class Tool {
 public:
  explicit Tool(const std::string& socket) {
    // On a machine under load the handshake may outlast its one second: like a real control plane, try again.
    for (int tries = 1; !link_; ++tries) {
      auto attached = ifgw::test::attach(socket);
      if (attached)
        link_ = std::move(attached).value();
      else if (tries == 10)
        die(attached.error().message);
      else
        usleep(100'000);
    }
  }
  DataplaneLink& link() { return *link_; }

  // Sends and waits for the answer; other events are ignored.
  api::CommandDone ask(api::Command command) {
    command.request_id = ++request_;
    while (!link_->send(0, command)) wait();
    for (int i = 0; i < 5000; ++i) {
      api::Event event;
      while (link_->receive(0, std::span(&event, 1)) == 1)
        if (event.type == api::EventType::CommandDone && event.command_done.request_id == request_) return event.command_done;
      wait();
    }
    die("no answer to command " + std::to_string(static_cast<int>(command.type)));
  }
  void wait() {
    if (!link_->arm()) return;
    pollfd fds[] = {{link_->doorbell_fd(), POLLIN, 0}, {link_->connection_fd(), POLLIN, 0}};
    poll(fds, 2, 100);
    if (fds[1].revents != 0) die("the dataplane hung up");
    link_->disarm();
  }
  api::LegId add(const Endpoint& remote, api::Codec codec, std::string* local) {
    api::Command command;
    command.type = api::CommandType::AddLeg;
    command.add_leg = {};
    command.add_leg.local_address = address_towards(remote);
    command.add_leg.media = params(remote, codec);
    const api::CommandDone done = ask(command);
    if (done.status != api::CommandStatus::Ok)
      die("add leg: status " + std::to_string(static_cast<int>(done.status)) + " at " + std::to_string(done.value));
    if (local != nullptr) *local = done.local.text();
    return done.leg;
  }
  static api::MediaParams params(const Endpoint& remote, api::Codec codec) {
    api::MediaParams media;
    media.remote = remote;
    media.codec = codec;
    media.payload_type = payload_type(codec);
    return media;
  }
  void require_ok(const api::Command& command) {
    const api::CommandDone done = ask(command);
    if (done.status != api::CommandStatus::Ok)
      die("command " + std::to_string(static_cast<int>(command.type)) + ": status " + std::to_string(static_cast<int>(done.status)));
  }

 private:
  static std::uint8_t payload_type(api::Codec codec) {
    switch (codec) {
      case api::Codec::Pcma: return 8;
      case api::Codec::G722: return 9;
      case api::Codec::G729: return 18;
      case api::Codec::Pcmu: return 0;
      case api::Codec::Gsm: return 3;
      default: return 96;
    }
  }
  // Our address that shares most leading bits with the party's.
  std::uint8_t address_towards(const Endpoint& remote) {
    std::uint8_t best = 0;
    int best_bits = -1;
    const api::AttachReply& welcome = link_->welcome();
    for (std::uint8_t i = 0; i < welcome.local_address_count; ++i) {
      const ifgw::IpAddress& mine = welcome.local_addresses[i];
      int bits = 0;
      while (bits < 128 && mine.family == remote.ip.family &&
             ifgw::mask(mine, static_cast<std::uint8_t>(bits + 1)) == ifgw::mask(remote.ip, static_cast<std::uint8_t>(bits + 1)))
        ++bits;
      if (mine.family == remote.ip.family && bits > best_bits) {
        best = i;
        best_bits = bits;
      }
    }
    return best;
  }
  std::unique_ptr<DataplaneLink> link_;
  std::uint32_t request_ = 0;
};

Endpoint endpoint(const char* text) {
  const auto parsed = Endpoint::parse(text);
  if (!parsed) die(std::string("not an endpoint: ") + text);
  return *parsed;
}
api::Codec codec(const char* text) {
  for (std::uint8_t codec = 1; codec <= api::kMaxCodec; ++codec)
    if (api::facts(static_cast<api::Codec>(codec)).name == text) return static_cast<api::Codec>(codec);
  die(std::string("no codec is called ") + text);
}

void call(Tool& tool, char** argv) {
  std::string local_a;
  std::string local_b;
  api::Command join;
  join.type = api::CommandType::JoinLegs;
  join.join_legs.a = tool.add(endpoint(argv[0]), codec(argv[1]), &local_a);
  join.join_legs.b = tool.add(endpoint(argv[2]), codec(argv[3]), &local_b);
  tool.require_ok(join);
  std::printf("{\"a\": \"%s\", \"b\": \"%s\"}\n", local_a.c_str(), local_b.c_str());
}

void calls(Tool& tool, char** argv) {
  Endpoint a = endpoint(argv[0]);
  Endpoint b = endpoint(argv[2]);
  std::printf("[");
  for (int i = 0; i < std::atoi(argv[4]); ++i) {
    std::string local_a;
    std::string local_b;
    api::Command join;
    join.type = api::CommandType::JoinLegs;
    join.join_legs.a = tool.add(a, codec(argv[1]), &local_a);
    join.join_legs.b = tool.add(b, codec(argv[3]), &local_b);
    tool.require_ok(join);
    std::printf("%s[\"%s\", \"%s\"]", i == 0 ? "" : ", ", local_a.c_str(), local_b.c_str());
    a.port = static_cast<std::uint16_t>(a.port + 2);
    b.port = static_cast<std::uint16_t>(b.port + 2);
  }
  std::printf("]\n");
}

void legs(Tool& tool) {
  std::printf("{\"legs\": [");
  const char* comma = "";
  for (const api::LegRow& row : tool.link().legs(0)) {
    const auto info = api::read_leg(row);
    if (!info) continue;
    std::printf(
        "%s{\"id\": \"%llx\", \"peer\": \"%llx\", \"local\": \"%s\", \"remote\": \"%s\", \"rx\": %llu, \"tx\": %llu, \"expected\": %llu, "
        "\"dropped\": %llu, \"transcoded\": %llu, \"unreachable\": %u}",
        comma, static_cast<unsigned long long>(info->id.value), static_cast<unsigned long long>(info->peer.value),
        info->local.text().c_str(), info->current_remote.text().c_str(), static_cast<unsigned long long>(row.rx_packets.get()),
        static_cast<unsigned long long>(row.tx_packets.get()), static_cast<unsigned long long>(row.expected.get()),
        static_cast<unsigned long long>(row.dropped.get()), static_cast<unsigned long long>(row.transcoded.get()), row.unreachable.get());
    comma = ", ";
  }
  const api::WorkerBlock& worker = tool.link().worker(0);
  std::printf("], \"in_use\": %llu, \"drops\": {", static_cast<unsigned long long>(worker.legs_in_use.get()));
  comma = "";
  for (std::size_t i = 0; i < api::kDropReasonCount; ++i) {
    std::printf("%s\"%.*s\": %llu", comma, static_cast<int>(api::kDropReasons[i].label.size()), api::kDropReasons[i].label.data(),
                static_cast<unsigned long long>(worker.drops[i].get()));
    comma = ", ";
  }
  std::printf("}, \"workers\": [");
  comma = "";
  for (std::uint32_t i = 0; i < tool.link().welcome().workers; ++i) {
    const api::WorkerBlock& each = tool.link().worker(i);
    std::printf("%s{\"rx\": %llu, \"handed_over\": %llu, \"taken_over\": %llu, \"ports_ns\": %llu, \"booked_ports_ppm\": %llu}", comma,
                static_cast<unsigned long long>(each.rx_packets.get()), static_cast<unsigned long long>(each.handed_over.get()),
                static_cast<unsigned long long>(each.taken_over.get()), static_cast<unsigned long long>(each.ports_cost_now_ns.get()),
                static_cast<unsigned long long>(each.load_ports_ppm.get()));
    comma = ", ";
  }
  const api::ProcessBlock& process = tool.link().process();
  std::printf(
      "], \"corrupt_rings\": %llu, \"invalid_messages\": %llu, \"attaches\": %llu, \"sources\": %llu, \"sleeps\": %llu, \"polls\": %llu}\n",
      static_cast<unsigned long long>(process.corrupt_rings.get()), static_cast<unsigned long long>(worker.invalid_messages.get()),
      static_cast<unsigned long long>(process.attaches.get()), static_cast<unsigned long long>(worker.limiter_sources.get()),
      static_cast<unsigned long long>(worker.sleeps.get()), static_cast<unsigned long long>(worker.polls.get()));
}

void churn(Tool& tool) {
  const Endpoint remote = endpoint("192.0.2.1:4000");
  std::printf("churning\n");
  std::fflush(stdout);
  std::vector<std::uint8_t> payload(1200, 'x');
  api::DatagramHeader header;
  header.local = {tool.link().welcome().local_addresses[0], tool.link().welcome().signalling_ports[0]};
  header.remote = remote;
  while (true) {
    api::Command join;
    join.type = api::CommandType::JoinLegs;
    join.join_legs.a = tool.add(remote, api::Codec::Pcmu, nullptr);
    join.join_legs.b = tool.add(remote, api::Codec::Pcma, nullptr);
    tool.require_ok(join);
    api::Command update;
    update.type = api::CommandType::UpdateLeg;
    update.update_leg = {join.join_legs.a, Tool::params(remote, api::Codec::Pcma)};
    tool.require_ok(update);
    (void)tool.link().send_datagram(0, header, payload);
    for (const api::LegId leg : {join.join_legs.a, join.join_legs.b}) {
      api::Command remove;
      remove.type = api::CommandType::RemoveLeg;
      remove.remove_leg = {leg};
      tool.require_ok(remove);
    }
  }
}

void limits(Tool& tool, char** argv) {
  api::Command command;
  command.type = api::CommandType::SetLimits;
  command.set_limits = {static_cast<std::uint32_t>(std::atoi(argv[0])), static_cast<std::uint32_t>(std::atoi(argv[1])),
                        static_cast<std::uint32_t>(std::atoi(argv[2]))};
  tool.require_ok(command);
}

void answer(Tool& tool, int count) {
  const std::uint64_t sent = tool.link().worker(0).datagrams_down.get() + static_cast<std::uint64_t>(count);
  std::printf("answering\n");
  std::fflush(stdout);
  while (count > 0) {
    if (const api::Datagram* datagram = tool.link().receive_datagram(0)) {
      --count;
      api::DatagramHeader header;
      header.local = datagram->header.local;
      header.remote = datagram->header.remote;
      if (!tool.link().send_datagram(0, header, {datagram->payload.data(), datagram->header.length})) die("datagram ring full");
    } else {
      tool.wait();
    }
  }
  while (tool.link().worker(0).datagrams_down.get() < sent) tool.wait();  // detaching would throw away what is in the ring
}

void roam(Tool& tool, const char* first, std::uint32_t count) {
  Endpoint remote = endpoint(first);
  const std::uint32_t start = ifgw::load_be32(remote.ip.bytes.data());
  const api::LegId leg = tool.add(remote, api::Codec::Pcmu, nullptr);
  api::Command command;
  command.type = api::CommandType::UpdateLeg;
  for (std::uint32_t i = 1; i < count; ++i) {
    remote.ip = ifgw::IpAddress::v4(start + i);
    command.update_leg = {leg, Tool::params(remote, api::Codec::Pcmu)};
    tool.require_ok(command);
  }
  command.type = api::CommandType::RemoveLeg;
  command.remove_leg = {leg};
  tool.require_ok(command);
}

void clear(Tool& tool) {
  for (const api::LegRow& row : tool.link().legs(0)) {
    const auto info = api::read_leg(row);
    if (!info) continue;
    api::Command remove;
    remove.type = api::CommandType::RemoveLeg;
    remove.remove_leg = {info->id};
    tool.require_ok(remove);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) die("usage: see the head of plane_tool.cc");
  Tool tool(argv[1]);
  const std::string verb = argv[2];
  if (verb == "call" && argc == 7)
    call(tool, argv + 3);
  else if (verb == "calls" && argc == 8)
    calls(tool, argv + 3);
  else if (verb == "legs")
    legs(tool);
  else if (verb == "churn")
    churn(tool);
  else if (verb == "limits" && argc == 6)
    limits(tool, argv + 3);
  else if (verb == "answer" && argc == 4)
    answer(tool, std::atoi(argv[3]));
  else if (verb == "roam" && argc == 5)
    roam(tool, argv[3], static_cast<std::uint32_t>(std::atoi(argv[4])));
  else if (verb == "clear")
    clear(tool);
  else
    die("unknown verb " + verb);
  return 0;
}
