// Engine::on_command(): one function per command, each validates before it changes anything.
#include <cstddef>

#include "codecs/base/check.h"
#include "dataplane/engine/engine.h"
#include "dataplane/engine/validate.h"

namespace ifgw::engine {

using api::CommandStatus;

void Engine::on_command(const api::Command& command, Instant now, PacketSource& spare) noexcept {
  IFGW_CHECK(accepts_commands());
  block_.commands.add(1);
  const Answer answer = dispatch(command, now, spare);
  if (answer.status == CommandStatus::InvalidArgument || answer.status == CommandStatus::UnknownCommand) {
    block_.invalid_messages.add(1);
  }
  publish_limiter();
  arm(now);
  if (!moving_) (void)done(command.request_id, command.type, answer, now);  // the caller has seen to it that there is room
}

bool Engine::hurry(const api::Command& command) noexcept {
  if (media_.frames_waiting() == 0) return false;
  switch (command.type) {
    case api::CommandType::JoinLegs: {
      const bool a = media_.hurry(legs_.find(command.join_legs.a));
      return media_.hurry(legs_.find(command.join_legs.b)) || a;
    }
    case api::CommandType::UpdateLeg: return media_.hurry(legs_.find(command.update_leg.leg));
    case api::CommandType::RemoveLeg: return media_.hurry(legs_.find(command.remove_leg.leg));
    default: return false;  // changes no leg here
  }
}

bool Engine::done(std::uint32_t request_id, api::CommandType type, const Answer& answer, Instant now) noexcept {
  publish_legs();
  api::Event event{};
  event.type = api::EventType::CommandDone;
  event.worker = config_.worker;
  event.time_ns = static_cast<std::uint64_t>(to_ns(now));
  event.command_done = {request_id, type, answer.status, answer.leg, answer.local, answer.value};
  return events_.on_event(event);
}

Engine::Answer Engine::dispatch(const api::Command& command, Instant now, PacketSource& spare) noexcept {
  switch (command.type) {
    case api::CommandType::AddLeg: return add_leg(command.add_leg, now);
    case api::CommandType::JoinLegs: return join_legs(command.join_legs);
    case api::CommandType::UpdateLeg: return update_leg(command.update_leg, now);
    case api::CommandType::RemoveLeg: return remove_leg(command.remove_leg, now, spare);
    case api::CommandType::MoveLegs: return move_legs(command.move_legs, command.request_id, now);
    case api::CommandType::SetLimits: return set_limits(command.set_limits);
    case api::CommandType::SetPrefixLimit: return set_prefix_limit(command.set_prefix_limit);
    case api::CommandType::BlockSource: return block_source(command.block_source, now);
    case api::CommandType::UnblockSource: return unblock_source(command.unblock_source, now);
    case api::CommandType::ExemptPrefix: return exempt_prefix(command.exempt_prefix);
    case api::CommandType::ForgetPrefixes: return (void)limiter_.forget_prefixes(), Answer{};
    case api::CommandType::ListSources: return list_sources(command.list_sources, command.request_id, now);
    case api::CommandType::ListPrefixes:
      return {CommandStatus::Ok, limiter_.list_prefixes(command.list_prefixes.cursor, command.request_id, now), {}, {}};
    case api::CommandType::StartCapture: return start_capture(command.start_capture, now);
    case api::CommandType::StopCapture: return stop_capture(command.stop_capture);
  }
  return {CommandStatus::UnknownCommand, 0, {}, {}};
}

Engine::Answer Engine::add_leg(const api::AddLeg& command, Instant now) noexcept {
  if (command.local_address >= config_.local_addresses.size()) return bad_field(offsetof(api::AddLeg, local_address));
  const IpAddress& local = config_.local_addresses[command.local_address];
  if (const BadField bad = check_media(command.media, local, config_)) return bad_field(offsetof(api::AddLeg, media) + *bad);
  std::uint32_t leg = kNoLeg;
  switch (legs_.allocate(command.local_address, now, leg)) {
    case LegTable::Allocation::TableFull: return {CommandStatus::TableFull, 0, {}, {}};
    case LegTable::Allocation::PortsExhausted: return {CommandStatus::PortsExhausted, 0, {}, {}};
    case LegTable::Allocation::Ok: break;
  }
  api::LegInfo& info = legs_.info(leg);
  info.tag = command.tag;
  info.created_ns = static_cast<std::uint64_t>(to_ns(now));
  media_.configure(leg, command.media, true, now);
  return {CommandStatus::Ok, 0, info.id, info.local};
}

// Ends a join from both sides.
void Engine::part(std::uint32_t leg, std::uint32_t for_the_sake_of) noexcept {
  const std::uint32_t peer = legs_.rx(leg).peer;
  if (peer == kNoLeg) return;
  if (peer != for_the_sake_of) media_.unprepare(leg, peer);
  media_.connect(leg, kNoLeg);
  media_.connect(peer, kNoLeg);
}

Engine::Answer Engine::join_legs(const api::JoinLegs& command) noexcept {
  const std::uint32_t a = legs_.find(command.a);
  if (a == kNoLeg) return {CommandStatus::UnknownLeg, offsetof(api::JoinLegs, a), command.a, {}};
  if (!command.b.present()) {
    part(a);
    return {CommandStatus::Ok, 0, command.a, {}};
  }
  const std::uint32_t b = legs_.find(command.b);
  if (b == kNoLeg) return {CommandStatus::UnknownLeg, offsetof(api::JoinLegs, b), command.b, {}};
  if (a == b) return bad_field(offsetof(api::JoinLegs, b));
  if (!media_.affords(a, legs_.info(a).media, b, legs_.info(b).media)) return {CommandStatus::NoHeadroom, 0, command.a, {}};
  if (!media_.prepare(a, legs_.info(a).media, b, legs_.info(b).media)) return {CommandStatus::NoTranscoder, 0, command.a, {}};
  part(a, b);
  part(b, a);
  media_.connect(a, b);
  media_.connect(b, a);
  return {CommandStatus::Ok, 0, command.a, {}};
}

Engine::Answer Engine::update_leg(const api::UpdateLeg& command, Instant now) noexcept {
  const std::uint32_t leg = legs_.find(command.leg);
  if (leg == kNoLeg) return {CommandStatus::UnknownLeg, 0, command.leg, {}};
  const Endpoint local = legs_.info(leg).local;
  if (const BadField bad = check_media(command.media, local.ip, config_)) {
    Answer answer = bad_field(offsetof(api::UpdateLeg, media) + *bad);
    answer.leg = command.leg;
    return answer;
  }
  const std::uint32_t peer = legs_.rx(leg).peer;
  if (peer != kNoLeg && !media_.affords(leg, command.media, peer, legs_.info(peer).media)) {
    return {CommandStatus::NoHeadroom, 0, command.leg, {}};
  }
  if (peer != kNoLeg && !media_.prepare(leg, command.media, peer, legs_.info(peer).media)) {
    return {CommandStatus::NoTranscoder, 0, command.leg, {}};
  }
  media_.configure(leg, command.media, false, now);
  if (peer != kNoLeg) {
    media_.connect(leg, peer);
    media_.connect(peer, leg);
  }
  return {CommandStatus::Ok, 0, command.leg, local};
}

Engine::Answer Engine::remove_leg(const api::RemoveLeg& command, Instant now, PacketSource& spare) noexcept {
  const std::uint32_t leg = legs_.find(command.leg);
  if (leg == kNoLeg) return {CommandStatus::UnknownLeg, 0, command.leg, {}};
  (void)media_.say_bye(leg, spare);
  part(leg);
  media_.forget(leg);
  const api::LegId home = legs_.elsewhere(leg);
  legs_.release(leg, now);
  if (home.present()) release_home(home);
  return {CommandStatus::Ok, 0, command.leg, {}};
}

Engine::Answer Engine::set_limits(const api::SetLimits& command) noexcept {
  if (const BadField bad = check_limits(command, config_)) return bad_field(*bad);
  return limiter_.set_limits(command) ? Answer{} : bad_field(0);
}

Engine::Answer Engine::set_prefix_limit(const api::SetPrefixLimit& command) noexcept {
  using Limit = api::SetPrefixLimit;
  if (const BadField bad = check_prefix(command.prefix)) return bad_field(offsetof(Limit, prefix) + *bad);
  if (command.requests > 1'000'000) return bad_field(offsetof(Limit, requests));
  if (command.window_ms < 100 || command.window_ms > 600'000) return bad_field(offsetof(Limit, window_ms));
  return {limiter_.set_prefix_limit(command), 0, {}, {}};
}

Engine::Answer Engine::exempt_prefix(const api::ExemptPrefix& command) noexcept {
  if (const BadField bad = check_prefix(command.prefix)) return bad_field(offsetof(api::ExemptPrefix, prefix) + *bad);
  if (!valid_flag(command.exempt)) return bad_field(offsetof(api::ExemptPrefix, exempt));
  return {limiter_.exempt(command), 0, {}, {}};
}

Engine::Answer Engine::block_source(const api::BlockSource& command, Instant now) noexcept {
  constexpr std::uint64_t kLongestMs = 864'000'000;
  if (!valid_address(command.source)) return bad_field(offsetof(api::BlockSource, source));
  if (command.duration_ms > kLongestMs) return bad_field(offsetof(api::BlockSource, duration_ms));
  if (limiter_.owner(command.source) != config_.worker) return {};
  const CommandStatus status = limiter_.block(command.source, command.duration_ms, now);
  return {status, status == CommandStatus::Ok ? 1U : 0U, {}, {}};
}

Engine::Answer Engine::unblock_source(const api::UnblockSource& command, Instant now) noexcept {
  if (!valid_address(command.source)) return bad_field(offsetof(api::UnblockSource, source));
  const CommandStatus status = limiter_.unblock(command.source, now);
  return {status, status == CommandStatus::Ok ? 1U : 0U, {}, {}};
}

Engine::Answer Engine::list_sources(const api::ListSources& command, std::uint32_t request_id, Instant now) noexcept {
  if (!valid_flag(command.blocked_only)) return bad_field(offsetof(api::ListSources, blocked_only));
  return {CommandStatus::Ok, limiter_.list(command, request_id, now), {}, {}};
}

Engine::Answer Engine::start_capture(const api::StartCapture& command, Instant now) noexcept {
  if (const BadField bad = check_capture_command(command)) return bad_field(*bad);
  check_capture(now);
  if (capture_.on()) return {CommandStatus::Busy, capture_.number(), {}, {}};
  Endpoint local;
  if (command.leg.present()) {
    const std::uint32_t leg = legs_.find(command.leg);
    if (leg == kNoLeg) return {CommandStatus::UnknownLeg, offsetof(api::StartCapture, leg), command.leg, {}};
    local = legs_.info(leg).local;  // where it was added: a leg that was moved here keeps its port
  }
  capture_.start(command, local, now);
  return {CommandStatus::Ok, 0, command.leg, local};
}

Engine::Answer Engine::stop_capture(const api::StopCapture& command) noexcept {
  if (command.capture == 0) return bad_field(offsetof(api::StopCapture, capture));
  if (capture_.number() != command.capture) return {CommandStatus::NotFound, 0, {}, {}};
  capture_.end();
  return {};
}

}  // namespace ifgw::engine
