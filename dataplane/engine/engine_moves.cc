// Legs that move between workers: worker_message.h has the protocol.
#include <cstddef>

#include "codecs/base/check.h"
#include "dataplane/engine/engine.h"

namespace ifgw::engine {

using api::CommandStatus;

// Takes the slots first: what follows cannot fail for want of them.
Engine::Answer Engine::move_legs(const api::MoveLegs& command, std::uint32_t request_id, Instant now) noexcept {
  const auto foreign = [this](api::LegId id) {
    return id.present() && id.worker() != config_.worker && id.worker() < config_.worker_count && id.index() < legs_.slots();
  };
  if (peers_ == nullptr || !foreign(command.a)) return bad_field(offsetof(api::MoveLegs, a));
  if (!foreign(command.b) || command.b.worker() != command.a.worker() || command.a == command.b)
    return bad_field(offsetof(api::MoveLegs, b));
  Moving moving;
  moving.request_id = request_id;
  for (auto [slot, id] : {std::pair{&moving.a, command.a}, std::pair{&moving.b, command.b}}) {
    const LegTable::Allocation taken = legs_.allocate(legs_.address(id), now, *slot);
    if (taken == LegTable::Allocation::Ok) continue;
    if (moving.a != kNoLeg) legs_.release(moving.a, now);
    return {taken == LegTable::Allocation::TableFull ? CommandStatus::TableFull : CommandStatus::PortsExhausted, 0, command.a, {}};
  }
  WorkerMessage ask;
  ask.kind = WorkerMessage::Kind::Ask;
  ask.from = config_.worker;
  ask.legs = {command.a, command.b};
  ask.as = {legs_.id(moving.a), legs_.id(moving.b)};
  IFGW_CHECK(peers_->tell(command.a.worker(), ask));
  moving_ = moving;
  return {};
}

void Engine::on_message(const WorkerMessage& message, Instant now) noexcept {
  switch (message.kind) {
    case WorkerMessage::Kind::Ask: return give_legs(message);
    case WorkerMessage::Kind::Give:
    case WorkerMessage::Kind::Deny: return end_move(message, now);
    case WorkerMessage::Kind::Release: return legs_.vacate(message.legs[0], now);
  }
}

bool Engine::hurry(const WorkerMessage& message) noexcept {
  if (message.kind != WorkerMessage::Kind::Ask) return false;
  const bool first = media_.hurry(legs_.find(message.legs[0]));
  return media_.hurry(legs_.find(message.legs[1])) || first;
}

void Engine::give_legs(const WorkerMessage& ask) noexcept {
  const std::uint32_t a = legs_.find(ask.legs[0]);
  const std::uint32_t b = legs_.find(ask.legs[1]);
  WorkerMessage answer;
  answer.kind = WorkerMessage::Kind::Deny;
  answer.from = config_.worker;
  const bool there = a != kNoLeg && b != kNoLeg && !legs_.elsewhere(a).present() && !legs_.elsewhere(b).present();
  const bool joined = there && legs_.rx(a).peer == b;
  if (joined || (there && legs_.rx(a).peer == kNoLeg && legs_.rx(b).peer == kNoLeg)) {
    answer.kind = WorkerMessage::Kind::Give;
    answer.joined = joined ? 1 : 0;
    media_.pack(a, answer.states[0]);
    media_.pack(b, answer.states[1]);
    part(a);
    for (const auto& [leg, as] : {std::pair{a, ask.as[0]}, std::pair{b, ask.as[1]}}) {
      media_.forget(leg);
      legs_.depart(leg, as);
    }
    publish_legs();
  }
  IFGW_CHECK(peers_->tell(ask.from, answer));
}

void Engine::end_move(const WorkerMessage& message, Instant now) noexcept {
  IFGW_CHECK(moving_ && !moving_->answer);
  Moving& moving = *moving_;
  Answer answer{CommandStatus::UnknownLeg, 0, {}, {}};
  if (message.kind == WorkerMessage::Kind::Give) {
    const bool whole = media_.unpack(moving.a, message.states[0], moving.b, message.states[1], message.joined != 0);
    answer = {whole ? CommandStatus::Ok : CommandStatus::NoTranscoder, legs_.id(moving.b).value, legs_.id(moving.a), {}};
  } else {
    for (const std::uint32_t leg : {moving.a, moving.b}) legs_.release(leg, now);
  }
  publish_legs();
  moving.answer = answer;
  tell_moved(now);
}

// There was room for the answer when the command was taken; by now there may be none. Lost, it would leave legs that nobody
// knows: it is said again by on_timer() until it is heard.
void Engine::tell_moved(Instant now) noexcept {
  if (!moving_ || !moving_->answer) return;
  if (!moving_->asked || done(moving_->request_id, api::CommandType::MoveLegs, *moving_->answer, now)) moving_.reset();
}

// The port where the packets of a moved leg come in is free again.
void Engine::release_home(api::LegId home) noexcept {
  if (!peers_->tell(home.worker(), release_message(home))) unreleased_.push_back(home);
}

WorkerMessage Engine::release_message(api::LegId home) const noexcept {
  WorkerMessage release;
  release.kind = WorkerMessage::Kind::Release;
  release.from = config_.worker;
  release.legs[0] = home;
  return release;
}

}  // namespace ifgw::engine
