// Two workers' engines and what is between them, without threads: a packet goes where its owner is, messages wait until they
// are delivered.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <utility>

#include "tests/support/plane.h"

namespace ifgw::test {

class TwoWorkers {
 public:
  explicit TwoWorkers(engine::EngineConfig config = small_config()) {
    config.worker_count = 2;
    for (std::uint8_t w = 0; w < 2; ++w) {
      config.worker = w;
      posts[w].way = this;
      planes[w] = std::make_unique<Plane>(config, &posts[w]);
    }
  }
  Plane& operator[](std::size_t worker) { return *planes[worker]; }

  // Both legs to worker 1; answered when all was delivered. Commands to that worker must wait until then.
  std::uint32_t begin_move(api::LegId a, api::LegId b) {
    Plane& to = *planes[1];
    api::Command command;
    command.type = api::CommandType::MoveLegs;
    command.request_id = ++to.request;
    command.move_legs = {a, b};
    to.engine.on_command(command, to.now, to.spares);
    return command.request_id;
  }
  api::CommandDone move(api::LegId a, api::LegId b) {
    const std::uint32_t request = begin_move(a, b);
    deliver();
    return answer(request);
  }
  api::CommandDone answer(std::uint32_t request) {
    const api::Event* event = planes[1]->events.last(api::EventType::CommandDone);
    return event != nullptr && event->command_done.request_id == request ? event->command_done : api::CommandDone{};
  }
  bool deliver_one() {
    if (messages.empty()) return false;
    const auto [to, message] = std::move(messages.front());
    messages.pop_front();
    planes[to]->engine.on_message(*message, planes[to]->now);
    return true;
  }
  void deliver() {
    while (deliver_one()) {
    }
  }

  // As its packet came to any worker: on, wherever its leg is. `hops`: how many workers passed it on because the leg had moved.
  Plane::Sent send(const Frame& frame) {
    hops = 0;
    Plane::Sent sent = planes[0]->send(frame);
    if (sent.packet.owner != 0 && sent.packet.verdict != engine::PacketVerdict::HandOver) sent = planes[sent.packet.owner]->send(frame);
    for (; sent.packet.verdict == engine::PacketVerdict::HandOver && hops < 3; ++hops) {
      deliver();  // what was said before it is heard before it
      sent = planes[sent.packet.owner]->send(frame, sent.packet.leg_index);
    }
    return sent;
  }
  void advance(Duration d) {
    for (auto& plane : planes) plane->advance(d);
  }

  struct Post final : engine::PeerWorkers {
    bool tell(std::uint8_t worker, const engine::WorkerMessage& message) noexcept override {
      if (message.kind == engine::WorkerMessage::Kind::Release && way->deaf) return false;
      way->messages.emplace_back(worker, std::make_unique<engine::WorkerMessage>(message));
      return true;
    }
    TwoWorkers* way = nullptr;
  };
  std::array<Post, 2> posts;
  std::array<std::unique_ptr<Plane>, 2> planes;
  std::deque<std::pair<std::uint8_t, std::unique_ptr<engine::WorkerMessage>>> messages;
  bool deaf = false;  // no room for a Release
  int hops = 0;
};

}  // namespace ifgw::test
