// Commands from a hostile control plane to two workers: every sequence of 120-byte blocks is answered block by block, and
// whatever was accepted leaves engines that still handle packets and timers. A request id's lowest bit chooses the worker.
#include <cstdlib>
#include <cstring>

#include "tests/support/two_workers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ifgw;
  engine::EngineConfig config = test::transcoding_config();
  test::TwoWorkers workers(config);
  // Three legs to begin with, so that short inputs can reach the commands about legs and their transcoders.
  api::LegId a = workers[0].add(test::media_to("198.51.100.10:40000")).leg;
  api::LegId b = workers[0].add(test::media_to("198.51.100.10:40002", api::Codec::Pcma)).leg;
  const api::LegId c = workers[0].add(test::media_to("198.51.100.10:40004", api::Codec::G722)).leg;
  (void)workers[0].join(a, b);
  const test::Frame rtp = test::rtp_packet(0, 1, 1, 1, test::Frame(160, 0x55));
  const test::Frame media = test::udp_frame(*Endpoint::parse("198.51.100.10:40000"), *Endpoint::parse("192.0.2.1:20000"), rtp);
  const test::Frame sip = test::udp_frame(*Endpoint::parse("198.51.100.10:5060"), *Endpoint::parse("192.0.2.1:5060"), {'x'});
  while (size >= sizeof(api::Command)) {
    api::Command command;
    std::memcpy(static_cast<void*>(&command), data, sizeof command);
    data += sizeof command;
    size -= sizeof command;
    // An id that exists is out of reach of chance; the lowest byte chooses one sometimes.
    if (command.type == api::CommandType::UpdateLeg && command.update_leg.leg.value % 4 == 0) command.update_leg.leg = a;
    if (command.type == api::CommandType::RemoveLeg && command.remove_leg.leg.value % 4 == 0) command.remove_leg.leg = b;
    if (command.type == api::CommandType::JoinLegs && command.join_legs.a.value % 4 == 0) command.join_legs.a = a;
    if (command.type == api::CommandType::UpdateLeg && command.update_leg.leg.value % 4 == 1) command.update_leg.leg = c;
    if (command.type == api::CommandType::JoinLegs && command.join_legs.b.value % 4 == 0) command.join_legs.b = b;
    if (command.type == api::CommandType::JoinLegs && command.join_legs.b.value % 4 == 1) command.join_legs.b = c;
    if (command.type == api::CommandType::MoveLegs && command.move_legs.a.value % 4 == 0) command.move_legs.a = a;
    if (command.type == api::CommandType::MoveLegs && command.move_legs.b.value % 4 == 0) command.move_legs.b = b;
    if (command.type == api::CommandType::MoveLegs && command.move_legs.b.value % 4 == 1) command.move_legs.b = c;
    if (command.type == api::CommandType::StartCapture && command.start_capture.leg.value % 4 == 1) command.start_capture.leg = a;
    test::Plane& plane = workers[command.request_id % 2];
    plane.events.events.clear();
    plane.engine.on_command(command, plane.now, plane.spares);
    workers.deliver();
    if (plane.events.count(api::EventType::CommandDone) != 1) std::abort();
    const api::CommandDone done = plane.events.last(api::EventType::CommandDone)->command_done;
    if (done.request_id != command.request_id || !plane.engine.accepts_commands()) std::abort();
    if (command.type == api::CommandType::MoveLegs && done.leg.present()) a = done.leg, b = api::LegId{done.value};
    if (workers.send(media).packet.verdict == engine::PacketVerdict::HandOver) std::abort();
    (void)workers.send(sip);
    api::CapturedHeader captured;
    if (plane.engine.capturing() && plane.engine.capture(media, api::CaptureDirection::Inbound, engine::kNoLeg, captured) &&
        captured.length > media.size())
      std::abort();
    plane.engine.check_capture(plane.now);
    for (std::size_t w = 0; w < 2; ++w) workers[w].run(std::chrono::milliseconds(20));
    workers.deliver();
  }
  return 0;
}
